"""The coordinator of one run: its thread and inbox, its executors, its writer, its end."""
