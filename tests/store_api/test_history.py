"""Snapshots of a whole store: taken, listed, read, compared, restored and deleted together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from zarr.storage import MemoryStore

import swarmgrid

OPTIONS: dict[str, Any] = {"executor": "sync", "verbose": 0}


def square(x: int) -> int:
    return x * x


def fill(store: Any, version: str, n: int) -> None:
    swarmgrid.stream({}, {"x": range(n)}, func=square, store=store, version=version, **OPTIONS)


def computed(tree: Any) -> dict[str, int]:
    """The computed points of each grid in a tree."""
    return {name: int(ds["value"].count()) for name, ds in tree["square"].items()}


@pytest.mark.parametrize("by", ["message", "dict"])
def test_a_store_goes_back_to_its_snapshots(by: str) -> None:
    store = MemoryStore()
    fill(store, "1", 3)
    fill(store, "2", 4)
    catalog = swarmgrid.catalog(store)
    one, two = (grid.id for grid in catalog)
    taken = catalog.snapshot("all", tags=["paper"])
    name: Any = "all" if by == "message" else taken
    assert taken.keys() == {one, two}
    fill(store, "1", 5)
    fill(store, "3", 1)  # after the snapshots
    catalog = swarmgrid.catalog(store)
    catalog[two].delete(x=[0])
    assert catalog.snapshots() == {grid: [snapshot] for grid, snapshot in taken.items()}
    assert computed(catalog.datatree(at=name)) == {one: 3, two: 4}
    assert computed(catalog.datatree(at=taken[one])) == {one: 3}
    assert sorted(computed(catalog.datatree(at="2100-01-01")).values()) == [1, 3, 5]
    assert set(computed(catalog.datatree(at="1999-01-01")).values()) == {0}
    found = catalog.diff(name)
    assert {grid: (one.count("added"), one.count("removed")) for grid, one in found.items()} == {
        one: (2, 0),
        two: (0, 1),
    }
    assert not any(len(each) for each in catalog.diff(name, name).values())
    assert catalog.restore(name) == {one: 2, two: 0}
    assert sorted(computed(catalog.datatree()).values()) == [1, 3, 4]
    assert catalog.delete_snapshot(name) == 2
    assert catalog.snapshots() == {}


def test_nothing_is_restored_where_one_grid_cannot_be(tmp_path: Path) -> None:
    store, other = MemoryStore(), MemoryStore()
    fill(store, "1", 3)
    fill(store, "2", 4)
    catalog = swarmgrid.catalog(store)
    taken = catalog.snapshot("all")
    (first, second) = catalog
    second.snapshot("all")
    fill(store, "1", 5)
    fill(other, "1", 5)
    refused: list[tuple[Any, str]] = [
        ("all", f"2 snapshots of .*{second.id} fit 'all'; pass an id"),
        ("al", "no grid of this catalog has a snapshot 'al'"),
        ({**taken, "f" * 32: taken[first.id]}, f"were deleted, .*: {'f' * 32}"),
        (taken[first.id], "expected the message that all grids have"),
        (None, "expected the message that all grids have"),
    ]
    for name, message in refused:
        for act in (catalog.restore, catalog.delete_snapshot):
            with pytest.raises(swarmgrid.InputError, match=message):
                act(name)
    with pytest.raises(swarmgrid.InputError, match="or are of another store"):
        swarmgrid.catalog(other).restore(taken)
    for read in (catalog.diff, lambda at: catalog.datatree(at=at)):
        with pytest.raises(swarmgrid.InputError, match="no grid of this catalog"):
            read("al")
    second.archive(tmp_path)
    with pytest.raises(swarmgrid.ArchivedError):
        catalog.restore(taken)
    second.thaw()
    assert first.state().points_computed == 5
    assert catalog.restore(taken) == {first.id: 2, second.id: 0}
