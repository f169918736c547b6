"""What the executor of a cluster says of itself."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from swarmgrid.executors.cluster import Cluster
from swarmgrid.space.function import PointFunction
from swarmgrid.store.grid_ref import GridRef
from swarmgrid.store.layout import GridPath
from swarmgrid.store.location import to_location
from swarmgrid.transport.messages import Job


@pytest.mark.parametrize(("n_threads", "seconds"), [(1, 0.4), (50, 1.0), (200, 4.0)])
def test_a_task_for_a_cluster_is_the_longer_the_more_workers_there_are(
    n_threads: int, seconds: float
) -> None:
    ref = GridRef(to_location("memory://cluster"), GridPath("f", "0" * 32))
    job = Job(PointFunction(abs), ref, (), "writer")
    client = SimpleNamespace(nthreads=lambda: {"one": n_threads // 2, "two": -(-n_threads // 2)})
    traits = Cluster(job, b"", client).traits
    assert traits.n_workers == n_threads
    assert traits.task_seconds == seconds
    assert traits.short_seconds <= seconds
    assert not traits.may_write
