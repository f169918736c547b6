"""Tests of `swarmgrid.memoize` and `swarmgrid.State`."""
