"""What only the whole set can tell: orientation, range, order of run lengths, the size outlines were drawn at."""
