"""Everything that watches a run: diagnostics, progress bar, log."""
