"""The coordinator of one run: queue, schema inference, attempts, commits."""
