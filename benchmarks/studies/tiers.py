"""Whole chunks that are read again through tiers: beside a folder, and by the form of copies."""

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
SIZES = (1_000, 100_000)
"""Values of a chunk, which is one point, and whose copies have several forms."""
VALUES = 1_000_000
"""Of all these chunks."""


def wave(x: Any) -> Any:
    import numpy as np

    return np.sin(1e3 * x)


def walk(x: int, size: int) -> Any:
    """A random walk of three digits."""
    import numpy as np

    return np.round(np.cumsum(np.random.default_rng(x).normal(0, 1, size)), 3)


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
    for size in SIZES:
        with scratch() as folder:
            found |= _forms(folder, size, max(rounds, 5), VALUES // 10 if is_quick else VALUES)
    return found


def _forms(folder: Path, size: int, rounds: int, n_values: int) -> dict[str, Figure]:
    """By tier and form of its copies what a hit costs, in turns, and the bytes that are held.

    In time of the processor: all is in memory, and other work beside it would tell in seconds.
    """
    from zarr.codecs import BloscCodec, ZstdCodec

    import swarmgrid

    n = n_values // size
    params, axes = {"size": size}, {"x": range(n)}
    home, room = folder / "home", 20 * n_values
    swarmgrid.stream(
        params, axes, func=walk, store=home, chunks={"x": 1}, executor="sync", verbose=0
    )

    def read(store: Any) -> tuple[float, Any]:
        ds = swarmgrid.open(params, axes, func=walk, store=store)
        begun = time.process_time()
        values = ds["value"].values
        return 1e6 * (time.process_time() - begun) / n, values

    codecs: dict[str, Any] = {
        "stored": "stored",
        "none": [],
        "lz4": BloscCodec(cname="lz4"),
        "zstd 9": ZstdCodec(level=9, checksum=True),
    }
    forms: dict[str, dict[str, Any]] = {"memory, decoded": {"ram": (room, "decoded")}}
    for name, codec in codecs.items():
        forms[f"memory, {name}"] = {"ram": (room, codec)}
        forms[f"disk, {name}"] = {"disk": (folder / name, room, codec)}
    expected = read(home)[1]
    stores, agrees = {}, True
    for name, sizes in forms.items():
        stores[name] = swarmgrid.Tiered(home, **sizes)
        read(stores[name])  # fills the tier
    spent: dict[str, list[float]] = {name: [] for name in forms}
    for _ in range(rounds):
        for name, store in stores.items():
            us, values = read(store)
            spent[name].append(us)
            agrees = agrees and bool((values == expected).all())
    found = {}
    for name, store in stores.items():
        tier = store.metrics()["disk" if name.startswith("disk") else "ram"]
        share = 100 * tier.nbytes / expected.nbytes
        about = f"us a hit, {share:.0f} % of the {8 * size / 1000:g} kB of its values held"
        is_near = agrees and store.metrics()["home"].hits == tier.copies == n
        found[f"tiers, {name}, {size}"] = Figure(statistics.median(spent[name]), about, is_near)
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
