"""What claims rest on: runs of the store, the published tables, and snapshots of both, in one schema."""
