"""Searching the values of a grid: the points whose outputs are nearest to a vector."""
