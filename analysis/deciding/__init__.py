"""Where the next seeds go, and when enough were trained."""
