"""Axes, chunks and the points in them: values in, values out, no I/O."""
