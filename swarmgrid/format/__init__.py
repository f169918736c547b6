"""The meaning of the stored bytes: docs/reference/format.md in code."""
