"""The stored bytes, and the right to write them: stores and leases."""
