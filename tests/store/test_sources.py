"""A store is found by its URL as long as anything of it is in use."""

from __future__ import annotations

import gc
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from zarr.storage import MemoryStore

import swarmgrid
from swarmgrid.store.location import to_location
from swarmgrid.store.sources import remember, remembered
from tests.long import first


@pytest.mark.parametrize("is_first_gone", first(1, [True, False]))
def test_a_store_is_found_while_either_of_two_uses_goes_on(*, is_first_gone: bool) -> None:
    url, options = "s3://sources/path", {"region": "here"}
    tiers = object()
    locations = [replace(to_location(url, dict(options)), tiers=tiers) for _ in range(2)]
    for location in locations:
        remember(location)
    del location
    left = locations.pop(is_first_gone)
    locations.clear()
    gc.collect()
    assert remembered(url) is left
    other = to_location(url, {"region": "there"})
    remember(other)
    assert remembered(url) is other
    remember(left)
    assert remembered(url) is left
    del other, left
    gc.collect()
    found = remembered(url)
    assert found == to_location(url, options)
    assert found.tiers is None  # which may hold gigabytes


@pytest.mark.long
def test_an_object_is_found_while_its_user_keeps_it() -> None:
    store = MemoryStore()
    url = str(store)
    remember(to_location(store))
    gc.collect()
    assert remembered(url) == to_location(store)
    del store
    gc.collect()
    assert remembered(url) is None


def double(x: int) -> int:
    return 2 * x


def test_a_dataset_that_was_read_to_its_end_finds_its_grid(tmp_path: Path) -> None:
    calls: list[dict[str, Any]] = [
        {"store": MemoryStore()},
        {"store": f"sqlite:///{tmp_path}/a.db", "storage_options": {"timeout": 1.0}},
    ]
    for call in calls:
        for _ in range(3):  # another Dataset of the same store takes the place of the first
            call |= {"func": double, "version": "1", "executor": "sync"}
            ds = swarmgrid.compute(axes={"x": [1, 2]}, **call)
        ds.load()
        gc.collect()
        assert ds.swarmgrid.grid.verify().is_clean
