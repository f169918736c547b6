"""Chunks by several codecs, and encrypted: the throughput of computing and of reading them.

The values are a smooth field with some noise, as measured or simulated ones are, and made
beforehand, so that the function takes next to no time.
"""

from __future__ import annotations

import functools
import importlib.util
import statistics
import time
from typing import Any

import numpy as np

from benchmarks.measure import scratch
from benchmarks.studies import Figure

SIDE, CHUNKS = 512, 16
"""A chunk has ``SIDE * SIDE`` float64, 2 MB."""
USUAL = "usual codec"
_SMALL = (64, 4)


def study(rounds: int, *, is_quick: bool) -> dict[str, Figure]:
    """Seconds to compute and read again, over those with the usual codec; in turns."""
    side, n = _SMALL if is_quick else (SIDE, CHUNKS)
    seconds: dict[str, list[tuple[float, float]]] = {}
    stored: dict[str, int] = {}
    agrees: dict[str, bool] = {}
    for _ in range(rounds):
        for name, options in _kinds().items():
            spent, nbytes, is_right = _measured(side, n, options)
            seconds.setdefault(name, []).append(spent)
            stored[name], agrees[name] = nbytes, agrees.get(name, True) and is_right
    mb = n * side * side * 8 / 1e6
    usual = [sum(one) for one in seconds[USUAL]]
    found = {}
    for name, each in seconds.items():
        ratios = [sum(one) / two for one, two in zip(each, usual, strict=True)]
        write, read = (mb / statistics.median(column) for column in zip(*each, strict=True))
        about = (
            f"{write:,.0f} MB/s to write, {read:,.0f} MB/s to read, "
            f"{stored[name] / mb / 1e4:.0f} % of the bytes"
        )
        found[name] = Figure(statistics.median(ratios), about, agrees[name])
    return found


def _kinds() -> dict[str, dict[str, Any]]:
    """The options of a call, by name."""
    import swarmgrid

    found: dict[str, dict[str, Any]] = {
        USUAL: {},
        "no codec": {"codec": []},
        "zstd, level 7": {"codec": {"name": "zstd", "configuration": {"level": 7}}},
        "codec='auto'": {"codec": "auto"},
    }
    if importlib.util.find_spec("cryptography") is not None:
        key = swarmgrid.Key.generate()
        found |= {"encrypted": {"key": key}, "encrypted, no codec": {"key": key, "codec": []}}
    return found


@functools.cache
def _field(side: int) -> np.ndarray:
    at = np.linspace(0, 6, side)
    noise = np.random.default_rng(1).normal(0, 1e-4, (side, side))
    return np.round(np.sin(at)[:, None] * np.cos(2 * at) + noise, 6)


def measured_field(shift: int, side: int) -> np.ndarray:
    """The values of one chunk."""
    return _field(side) + shift


def _measured(side: int, n: int, options: dict[str, Any]) -> tuple[tuple[float, float], int, bool]:
    """Seconds to compute and to read, the bytes of the chunks, and whether values are right."""
    import swarmgrid

    with scratch() as folder:
        call: dict[str, Any] = {"store": folder, "executor": "sync", "verbose": 0, "chunks": 1}
        axes = {"shift": range(n)}
        begun = time.perf_counter()
        swarmgrid.stream(measured_field, {"side": side}, axes, version="1", **call, **options)
        written = time.perf_counter()
        grid = swarmgrid.Grid.open(folder, "measured_field/")
        values = grid.dataset()["value"].values
        end = time.perf_counter()
        nbytes = sum(file.stat().st_size for file in folder.glob("data.zarr/*/*/value/c*"))
    is_right = bool((values == np.stack([measured_field(i, side) for i in range(n)])).all())
    return (written - begun, end - written), nbytes, is_right
