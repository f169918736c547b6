"""Verify and repair stored grids."""
