"""The bytes of an image file become pixels: one module for each library that reads them, and what they share."""
