"""What no sweep in a folder shows: starting up, huge manifests, far stores, bytes, clusters.

Each module has one function, ``study``, and imports neither swarmgrid nor zarr before it runs.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One number that a study found."""

    value: float
    about: str
    """What it was made from, with units: "0.31 s beside 0.25 s"."""
    agrees: bool = True
    """Whether the values that came with it were right."""


STUDIES = {
    "startup": "a process that begins: importing, and the first point",
    "manifest": "a warm call on a grid of very many chunks of one point",
    "disk": "bytes and files beside zarr writing the same values",
    "snapshots": "a snapshot of very many chunks, and the grid as it was then",
    "remote": "a store that answers late: requests, and what waits for them",
    "stores": "chunks of each kind of store, written under a lease and read",
    "codecs": "chunks by several codecs, and encrypted, beside the usual ones",
    "tiers": "chunks that are read again through tiers, beside reading them from a folder",
    "watching": "a run with a bar beside one without",
    "events": "a watcher of a grid whose segments are merged: what it misses, and how late it is",
    "short_axis": "a block function whose grid grows along a short axis",
    "pages": "a report of many grids, and a live page: bytes, and what they cost",
    "search": "the points nearest to a vector: exactly, and by an index",
    "cluster": "the workers of a dask.distributed client, beside dask by itself",
}
"""By module, what each looks at."""


def study(name: str, rounds: int, *, is_quick: bool) -> dict[str, Figure]:
    """The figures of one study, by name."""
    module = importlib.import_module(f"benchmarks.studies.{name}")
    found: dict[str, Figure] = module.study(rounds, is_quick=is_quick)
    return found
