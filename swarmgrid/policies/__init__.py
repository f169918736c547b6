"""The decisions of a run, without threads or I/O: the next task, its size, the next try."""
