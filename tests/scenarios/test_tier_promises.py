"""What tiers promise, counted: no request for what was read, exactly those for what changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from zarr.storage import MemoryStore

import swarmgrid
from swarmgrid import Tiered
from tests.long import first
from tests.tiers.test_tiered import CountingStore


def line(x: Any) -> Any:
    return 2.0 * x


OPTIONS: dict[str, Any] = {
    "func": line,
    "executor": "sync",
    "version": "1",
    "verbose": 0,
    "vectorized": True,
    "chunks": {"x": 2},
}


@pytest.mark.parametrize("tier", first(1, ["ram", "disk", "decoded", "encoded"]))
def test_a_thousand_whole_chunks_are_read_again_without_a_request(
    tmp_path: Path, tier: str
) -> None:
    home = CountingStore(MemoryStore())
    axes = {"x": range(2000)}
    swarmgrid.stream({}, axes, store=home, **OPTIONS)
    sizes: dict[str, Any] = {
        "ram": {"ram": "10MB"},
        "decoded": {"ram": ("10MB", "decoded")},
        "disk": {"disk": (tmp_path, "10MB")},
        "encoded": {"disk": (tmp_path, "10MB", "blosc")},
    }
    store = Tiered(home, **sizes[tier])
    home.reads.clear()
    for n_reads in (1000, 0):
        ds = swarmgrid.open({}, axes, func=line, store=store, version="1", vectorized=True)
        assert (ds["value"].values == 2.0 * np.arange(2000)).all()
        assert len(home.reads) == n_reads
        home.reads.clear()


def test_ten_of_a_hundred_chunks_that_another_process_filled_are_read_again() -> None:
    cache_store = pytest.importorskip("zarr.experimental.cache_store")
    home = CountingStore(MemoryStore())
    options = {**OPTIONS, "chunks": {"x": 4}}
    axes = {"x": range(400)}
    swarmgrid.stream({}, axes, store=home, where=lambda x: x % 4 != 3, **options)
    (group,) = zarr.open_group(home, path="data.zarr/line", mode="r").group_keys()
    place = f"data.zarr/line/{group}/value"
    cached = cache_store.CacheStore(home, cache_store=MemoryStore(), max_age_seconds="infinity")
    store = Tiered(home, ram="1MB")

    def through_tiers() -> np.ndarray:
        ds = swarmgrid.open({}, axes, func=line, store=store, version="1", vectorized=True)
        return ds["value"].values

    def through_zarr(through: Any) -> np.ndarray:
        return zarr.open_array(through, path=place, mode="r")[:400]

    is_there = np.arange(400) % 4 != 3
    assert (np.isfinite(through_tiers()) == is_there).all()
    assert (through_zarr(cached)[is_there] == 2.0 * np.arange(400)[is_there]).all()
    new = range(3, 400, 40)  # the last points of ten chunks
    swarmgrid.stream({}, {"x": new}, store=home, **options)
    home.reads.clear()
    found = through_tiers()
    assert len(home.reads) == len(new) == 10
    is_there[list(new)] = True
    assert (np.isfinite(found) == is_there).all()
    assert (found[is_there] == 2.0 * np.arange(400)[is_there]).all()
    # zarr's own cache, which can only go by age, beside it
    expected, stale = through_zarr(home), through_zarr(cached)
    assert (expected[list(new)] == found[list(new)]).all()
    assert int((stale[list(new)] != expected[list(new)]).sum()) == 10
