"""The handle of a stored grid: how it is found, what it tells, and what can be done to it."""
