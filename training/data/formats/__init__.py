"""Bytes of image files, and run lengths, become pixels: one module for each library or format, and what they share."""
