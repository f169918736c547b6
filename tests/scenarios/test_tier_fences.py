"""Leases and fences through tiers: as of the home store, and no copy of a zombie's write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import swarmgrid
from swarmgrid import Tiered
from swarmgrid.errors import LeaseLostError
from swarmgrid.leases.lease import acquire
from swarmgrid.store.lease_record import record_key
from swarmgrid.store.location import to_location
from tests.long import first
from tests.stores import key_value
from tests.stores.grids import PATH
from tests.stores.test_key_value import ZOMBIE
from tests.tiers.test_tiered import fill, opened


@pytest.fixture(params=key_value.FEW)
def tiered(request: pytest.FixtureRequest, tmp_path: Path) -> Tiered:
    """A store with tiers over an empty key-value store of every kind."""
    url, options = key_value.place(request.param, request, tmp_path)
    return Tiered(url, ram="1MB", disk=(tmp_path / "disk", "1MB"), storage_options=options or None)


@pytest.mark.parametrize("act", first(1, ZOMBIE.values()), ids=ZOMBIE)
def test_nothing_of_a_zombie_arrives_at_home_or_in_a_tier(tiered: Tiered, act: Any) -> None:
    location, home = tiered.location, to_location(tiered._store)
    with acquire(location, PATH) as held:
        held.blobs.put("data.zarr/old", b"first")
        helper = location.open(PATH.grid, held.writer)
        location.open().delete(record_key(PATH.grid, 0))
        with acquire(location, PATH) as second:
            for zombie in (held.blobs, helper):
                with pytest.raises(LeaseLostError):
                    act(zombie)
            keys = ["data.zarr/old", "data.zarr/new", "data.zarr/by worker"]
            assert home.open().get_many(keys) == [b"first", None, None]
            chunks = location.open_chunks()
            assert [copy.data for copy in chunks.get_many(keys)] == [b"first", None, None]
            second.blobs.put("data.zarr/old", b"second")
            assert [copy.data for copy in chunks.get_many(keys[:1])] == [b"second"]
    assert home.open().get("data.zarr/old") == b"second"


def test_only_one_creates_a_lease_through_the_tiers_or_beside_them(tiered: Tiered) -> None:
    through, beside = tiered.location, to_location(tiered._store)
    assert through.open().create("locks/a", b"one")
    assert not beside.open().create("locks/a", b"two")
    assert not through.open().create("locks/a", b"three")
    assert beside.open().get("locks/a") == through.open().get("locks/a") == b"one"
    assert through.open().is_create_atomic


def test_two_fill_one_grid_through_tiers_of_their_own(tiered: Tiered, tmp_path: Path) -> None:
    other = Tiered(tiered._store, ram="1MB", disk=(tmp_path / "other", "1MB"))
    for n, store in ((6, tiered), (11, other), (13, tiered), (16, other)):
        fill(store, n)
        for reader in (tiered, other, tiered._store):
            found = opened(reader, n)["value"]
            assert found.values[:, 1].tolist() == [2 * x for x in range(n)]
    assert swarmgrid.Grid.open(tiered, "product/").verify().is_clean


@pytest.mark.parametrize("has_files", [False, True])
def test_a_read_only_store_with_tiers_reads_and_is_never_written(
    tiered: Tiered, tmp_path: Path, has_files: bool
) -> None:
    if has_files:  # its path says nothing of that it must not be written
        tiered = Tiered(tmp_path / "home", ram="1MB")
    fill(tiered, 6)
    reader = tiered.with_read_only(True)
    assert opened(reader, 6)["value"].sum() == opened(tiered, 6)["value"].sum()
    with pytest.raises(swarmgrid.StoreError, match="read-only"):
        fill(reader, 9)
    fill(reader.with_read_only(False), 9)
    assert int(opened(tiered, 9)["value"].count()) == 18
