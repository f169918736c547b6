"""The right to write: leases, and trials of what a store does when it is written to."""
