"""The inventory of a store: a row for each grid, so that a catalog needs few requests."""
