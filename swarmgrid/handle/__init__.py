"""The handle of a stored grid: what it tells, and what can be done to it."""
