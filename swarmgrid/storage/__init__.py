"""The store: keys, bytes, metadata, the manifest and the leases."""
