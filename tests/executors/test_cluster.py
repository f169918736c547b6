"""What the executor of a cluster says of itself."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from swarmgrid.executors import cluster as cluster_module
from swarmgrid.executors.cluster import Cluster
from swarmgrid.space.function import PointFunction
from swarmgrid.store.grid_ref import GridRef
from swarmgrid.store.layout import GridPath
from swarmgrid.store.location import to_location
from swarmgrid.transport.messages import Job


def a_job() -> Job:
    ref = GridRef(to_location("memory://cluster"), GridPath("f", "0" * 32))
    return Job(PointFunction(abs), ref, (), "writer")


@pytest.mark.parametrize(("n_threads", "seconds"), [(1, 0.4), (50, 1.0), (200, 4.0)])
def test_a_task_for_a_cluster_is_the_longer_the_more_workers_there_are(
    n_threads: int, seconds: float
) -> None:
    client = SimpleNamespace(nthreads=lambda: {"one": n_threads // 2, "two": -(-n_threads // 2)})
    cluster = Cluster(a_job(), b"", client)
    traits = cluster.traits
    assert cluster.n_queued == 3 * n_threads
    assert traits.n_workers == n_threads
    assert traits.task_seconds == seconds
    assert traits.short_seconds <= seconds
    assert not traits.may_write


def test_a_cluster_that_grows_or_shrinks_is_seen_while_a_run_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr(cluster_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    workers = {"one": 2}
    cluster = Cluster(a_job(), b"", SimpleNamespace(nthreads=lambda: dict(workers)))
    tasks = SimpleNamespace(get=lambda may_wait: None)  # there are none left
    running = SimpleNamespace(count=lambda: 0)
    workers["two"] = 98
    cluster._submit(tasks, running)
    assert cluster.traits.n_workers == 2, "the scheduler is not asked at every task"
    now[0] += cluster_module.LOOK_SECONDS
    cluster._submit(tasks, running)
    assert (cluster.traits.n_workers, cluster.traits.task_seconds) == (100, 2.0)
    workers.clear()
    now[0] += cluster_module.LOOK_SECONDS
    cluster._submit(tasks, running)
    assert cluster.traits.n_workers == 1


@pytest.mark.parametrize("target", [5.0, 60.0, None])
def test_an_adaptive_cluster_has_work_enough_to_grow_by(target: float | None) -> None:
    """dask's rule: as many workers as the waiting work fills for ``target_duration``."""
    adaptive = SimpleNamespace(**({} if target is None else {"target_duration": target}))
    client = SimpleNamespace(
        nthreads=lambda: {"one": 4}, cluster=SimpleNamespace(_adaptive=adaptive)
    )
    cluster = Cluster(a_job(), b"", client)
    seconds = cluster.n_queued * cluster.traits.task_seconds
    assert seconds / (target or 5.0) > 1.5 * cluster.traits.n_workers
