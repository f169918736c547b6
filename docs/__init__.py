"""The documentation: its pages, and the scripts that generate and build it."""
