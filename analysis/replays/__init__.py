"""Strategies replayed on a table: who finds the best configuration, and who decides what."""
