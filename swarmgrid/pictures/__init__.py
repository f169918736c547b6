"""Pictures of a stored grid: maps and lanes as plain values, plots, and the report's page."""
