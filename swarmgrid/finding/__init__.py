"""Finding a stored grid: by function and params, by its id, by older code, at a moment."""
