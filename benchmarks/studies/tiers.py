"""A thousand whole chunks that are read again through tiers, beside reading them from a folder."""

from __future__ import annotations

import math
import statistics
import time
from typing import TYPE_CHECKING, Any

from benchmarks.measure import scratch
from benchmarks.studies import Figure
from benchmarks.studies.late_store import LateStore, requests_in

if TYPE_CHECKING:
    from pathlib import Path

LENGTH = 1000
"""Points of a chunk: 8 kB, which hardly compress."""


def wave(x: Any) -> Any:
    import numpy as np

    return np.sin(1e3 * x)


def study(rounds: int, *, is_quick: bool) -> dict[str, Figure]:
    """By tier the time of a read again, over that of a local one; and the requests home."""
    import swarmgrid

    n = LENGTH * (10 if is_quick else 1000)
    axes = {"x": range(n)}
    with scratch() as folder:
        swarmgrid.stream(
            {}, axes, func=wave, store=folder / "home", vectorized=True, chunks={"x": LENGTH},
            executor="sync", verbose=0,
        )  # fmt: skip
        forms: dict[str, dict[str, Any]] = {
            "memory": {"ram": "100MB"},
            "memory, decoded": {"ram": ("100MB", "decoded")},
            "disk": {"disk": (folder / "disk", "100MB")},
        }
        found = {}
        for name, sizes in forms.items():
            ratios, there, local, agrees, asked = _measured(folder, axes, sizes, max(rounds, 5))
            found[f"tiers, {name}"] = Figure(
                statistics.median(ratios),
                f"{1e3 * statistics.median(there):.1f} ms beside "
                f"{1e3 * statistics.median(local):.1f} ms from a folder",
                agrees,
            )
            found[f"tiers, {name}, requests"] = Figure(asked, "chunks asked of home again", agrees)
    return found


def _measured(
    folder: Path, axes: dict[str, Any], sizes: dict[str, Any], rounds: int
) -> tuple[list[float], list[float], list[float], bool, int]:
    """Ratios, and seconds through the tiers and from the folder, in turns; and requests home."""
    from zarr.storage import LocalStore

    import swarmgrid

    log = folder / "requests"
    home = LateStore(LocalStore(folder / "home"), log=str(log))
    store = swarmgrid.Tiered(home, **sizes)
    expected = _seconds(folder / "home", axes)[1]
    _seconds(store, axes)  # fills the tiers
    log.write_text("")
    there, local, agrees = [], [], True
    for _ in range(rounds):
        seconds, values = _seconds(store, axes)
        there.append(seconds)
        local.append(_seconds(folder / "home", axes)[0])
        agrees = agrees and bool((values == expected).all())
    asked = sum("/value/c" in request.key for request in requests_in(log))
    ratios = [one / other for one, other in zip(there, local, strict=True)]
    return ratios, there, local, agrees and math.isfinite(sum(ratios)), asked


def _seconds(store: Any, axes: dict[str, Any]) -> tuple[float, Any]:
    """How long all values take, of a Dataset that is open, and the values."""
    import swarmgrid

    ds = swarmgrid.open({}, axes, func=wave, store=store, vectorized=True)
    begun = time.perf_counter()
    values = ds["value"].values
    return time.perf_counter() - begun, values
