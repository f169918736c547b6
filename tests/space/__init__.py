"""Tests of the axes, chunks and points."""
