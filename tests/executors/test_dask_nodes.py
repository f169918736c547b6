"""A dask graph has a named node for each task, and none is lost or driven twice."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
from dask.local import get_sync
from dask.threaded import get as get_threaded

from swarmgrid.executors import dask_nodes
from swarmgrid.executors.dask_nodes import MAX_NODES, SPARE_NODES, Graphs
from swarmgrid.space.points import ChunkPart, Points
from swarmgrid.transport.messages import Task, TaskResult


class Queue:
    """Tasks that are there from the start."""

    def __init__(self, n: int) -> None:
        self.tasks = deque(
            Task((ChunkPart((i,), Points((1,)), is_fresh=True),), (1,), None, writes=True)
            for i in range(n)
        )
        self.n_done = 0

    def wait_for_work(self) -> int:
        return len(self.tasks)

    def get(self, *, may_wait: bool = True) -> Task | None:
        try:
            return self.tasks.popleft()
        except IndexError:
            return None

    def report(self, task: Task, result: TaskResult) -> None:
        raise NotImplementedError

    def task_done(self) -> None:
        self.n_done += 1


@pytest.mark.parametrize("scheduler", [get_sync, get_threaded])
@pytest.mark.parametrize(
    ("n_tasks", "n_expected", "n_graphs"),
    [
        pytest.param(0, 0, 0, id="nothing"),
        pytest.param(1, 1, 1, id="a task"),
        pytest.param(40, 40, 1, id="as many as expected"),
        pytest.param(40, 25, 1, id="some more than expected"),
        pytest.param(40, 90, 1, id="fewer than expected"),
        pytest.param(MAX_NODES + 40, MAX_NODES + 40, 2, id="more than a graph holds"),
    ],
)
def test_every_task_is_driven_once_as_a_node_with_the_name_of_the_function(
    scheduler: Any, n_tasks: int, n_expected: int, n_graphs: int
) -> None:
    seen: list[list[Any]] = []

    def get(graph: dict[Any, Any], keys: list[Any], **options: Any) -> Any:
        assert options == {"num_workers": 2}
        assert keys == list(graph)
        seen.append(keys)
        return scheduler(graph, keys, **options)

    tasks, driven = Queue(n_tasks), []
    graphs = Graphs("simulate", get, 2)
    while tasks.tasks:
        graphs.run(lambda task: driven.append(task.parts[0].index[0]), tasks, n_expected)
    assert sorted(driven) == list(range(n_tasks))
    assert tasks.n_done == n_tasks
    assert len(seen) == n_graphs
    names = [key for keys in seen for key in keys]
    assert {name for name, _ in names} <= {"simulate"}
    assert len(names) == len(set(names))  # a profiler tells the nodes of two graphs apart
    assert all(len(keys) <= min(n_expected + 2 * SPARE_NODES, MAX_NODES) for keys in seen)


def test_an_error_of_a_task_leaves_the_graph_and_the_task_is_counted_as_done() -> None:
    tasks = Queue(3)

    def fail(task: Task) -> None:
        raise KeyError(task.parts[0].index[0])

    with pytest.raises(KeyError, match="0"):
        Graphs("simulate", get_sync, 1).run(fail, tasks, 3)
    assert tasks.n_done == 1


def test_tasks_that_are_given_back_find_a_spare_node(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = Queue(1)

    def drive(task: Task) -> None:
        if task.parts[0].index[0] == 0:  # it is longer than thought, and is divided
            tasks.tasks.extend(Queue(1 + SPARE_NODES).tasks)
            tasks.tasks.popleft()

    Graphs("simulate", get_sync, 1).run(drive, tasks, 1)
    assert not tasks.tasks
    tasks = Queue(1)
    monkeypatch.setattr(dask_nodes, "SPARE_NODES", 0)
    Graphs("simulate", get_sync, 1).run(drive, tasks, 1)
    assert len(tasks.tasks) == SPARE_NODES
