"""A ``dask.distributed`` cluster: points of 0.1 s on 50 workers, beside dask by itself."""

from __future__ import annotations

import functools
import statistics
import time
from typing import TYPE_CHECKING, Any

from benchmarks.measure import scratch
from benchmarks.studies import Figure

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 0.1
"""What a point takes."""
BATCH = 4
"""Points of one of dask's own tasks: 0.4 s is what it does best with."""


def sleeper(a: int, b: int) -> float:
    """A point that takes its time and no processor's."""
    time.sleep(SECONDS)
    return a + 0.5 * b


def sleepers(points: list[tuple[int, int]]) -> list[float]:
    """What dask alone does in one task."""
    return [sleeper(*point) for point in points]


def study(rounds: int, *, is_quick: bool) -> dict[str, Figure]:
    """A cold run on a cluster in this process, in turns with ``client.map`` over batches."""
    import numpy as np
    from distributed import Client, LocalCluster

    import swarmgrid

    n_workers, n = (2, 20) if is_quick else (50, 6_000)
    axes = {"a": range(n // 20), "b": range(20)}
    points = [(a, b) for a in axes["a"] for b in axes["b"]]
    batches = [points[i : i + BATCH] for i in range(0, n, BATCH)]
    ours, dasks, agrees = [], [], True
    with (
        LocalCluster(
            n_workers=n_workers, threads_per_worker=1, processes=False, dashboard_address=None
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        client.wait_for_workers(n_workers)
        for _ in range(rounds):
            spent, parts = _timed(lambda: client.gather(client.map(sleepers, batches, pure=False)))
            dasks.append(spent)
            expected = np.concatenate(parts).reshape(-1, 20)
            with scratch() as folder:
                options: Any = {"func": sleeper, "store": folder / "s", "client": client}
                spent, ds = _timed(
                    functools.partial(swarmgrid.compute, axes=axes, verbose=0, **options)
                )
                ours.append(spent)
                agrees &= bool((ds["value"].values == expected).all())
    ratios = [a / b for a, b in zip(ours, dasks, strict=True)]
    least = n * SECONDS / n_workers
    about = (
        f"{statistics.median(ours):.1f} s beside {statistics.median(dasks):.1f} s of dask alone; "
        f"{n:,} points on {n_workers} workers take {least:.1f} s at least"
    )
    return {"cluster": Figure(statistics.median(ratios), about, agrees)}


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.perf_counter()
    found = call()
    return time.perf_counter() - begun, found
