"""The meaning of the stored bytes, as in docs/reference/format.md: chunks, metadata, segments."""
