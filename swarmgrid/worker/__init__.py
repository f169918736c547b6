"""What happens where a task runs: call, collect, write, report."""
