"""Taking the points of one stored grid into another: copies of it, and joins of two."""
