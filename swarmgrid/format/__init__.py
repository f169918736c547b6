"""What the stored bytes mean: docs/reference/format.md in code."""
