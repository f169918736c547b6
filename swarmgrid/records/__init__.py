"""The records of a stored grid: its computed, failed and damaged points, snapshots and tags."""
