"""The work where a task runs: call, collect, write, report."""
