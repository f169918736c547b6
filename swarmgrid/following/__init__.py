"""Following stored grids: what is new in them, as events, by the store alone."""
