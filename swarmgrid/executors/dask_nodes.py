"""Tasks as nodes of dask graphs, each taken when a scheduler is about to begin it.

Raw graphs without dependencies cost 50 µs a task, where ``dask.delayed`` costs 1000.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from swarmgrid.executors.base import Tasks
    from swarmgrid.transport.messages import Task

MAX_NODES = 512
"""Nodes of one graph, so that memory stays flat however many tasks there are."""
SPARE_NODES = 8
"""Nodes for each thread that wait for what running tasks give back, and are empty if none does."""


class Graphs:
    """Graphs of tasks, for a dask scheduler.

    Parameters
    ----------
    name : str
        The name of a task in dask's progress bars and profilers: that of the function.
    get : callable
        The scheduler: ``get(graph, keys, ...)``.
    n_threads : int
        The number of threads that it uses.
    """

    def __init__(self, name: str, get: Callable[..., Any], n_threads: int) -> None:
        self._name = name
        self._get = get
        self._n_threads = n_threads
        self._numbers = itertools.count()

    def run(self, drive: Callable[[Task], None], tasks: Tasks, n: int) -> None:
        """Have the scheduler call ``drive`` with about ``n`` tasks: one for each node.

        The spare nodes wait for what the last tasks give back, so no thread is idle meanwhile.
        """

        def drive_next(_: int) -> None:
            task = tasks.get()
            if task is None:
                return
            try:
                drive(task)
            finally:
                tasks.task_done()

        n_nodes = min(n + SPARE_NODES * self._n_threads, MAX_NODES)
        graph = {(self._name, next(self._numbers)): (drive_next, i) for i in range(n_nodes)}
        self._get(graph, list(graph), num_workers=self._n_threads)
