"""Where bytes lie, and which writer may write them: stores, leases."""
