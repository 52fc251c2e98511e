"""Outlines of objects as annotation tools export them, a file a format; label_maps reads masks of classes."""
