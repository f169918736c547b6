"""A block function whose grid grows along a short axis, beside computing all of it anew."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any

from benchmarks.measure import scratch
from benchmarks.studies import Figure

if TYPE_CHECKING:
    from collections.abc import Callable

SHORT = 10
"""Values of the short axis; one more comes to them."""


def blocks(a: Any, b: Any) -> Any:
    """A million sines, and little else."""
    import numpy as np

    return np.sin(a) * b


def study(rounds: int, *, is_quick: bool) -> dict[str, Figure]:
    """The growth by one value, in turns with a cold run of the same grid in another store."""
    import numpy as np

    import swarmgrid

    long = np.arange(10_000 if is_quick else 1_000_000)
    grows, anews, agrees = [], [], True

    def compute(store: Any, n: int) -> Any:
        axes = {"a": long, "b": range(n)}
        return swarmgrid.compute(
            axes=axes, func=blocks, vectorized=True, store=store, version="1", verbose=0
        )

    for _ in range(rounds):
        with scratch() as folder:
            compute(folder / "grown", SHORT)
            spent, grown = _timed(lambda folder=folder: compute(folder / "grown", SHORT + 1))
            grows.append(spent)
            spent, anew = _timed(lambda folder=folder: compute(folder / "anew", SHORT + 1))
            anews.append(spent)
            agrees &= bool((grown["value"].values == anew["value"].values).all())
    ratios = [a / b for a, b in zip(grows, anews, strict=True)]
    about = (
        f"{statistics.median(grows):.2f} s beside {statistics.median(anews):.2f} s for all; "
        f"{len(long):,} x {SHORT} points, then x {SHORT + 1}"
    )
    return {"short axis": Figure(statistics.median(ratios), about, agrees)}


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.perf_counter()
    found = call()
    return time.perf_counter() - begun, found
