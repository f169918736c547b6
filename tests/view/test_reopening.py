"""Datasets of before a change of their grid: right values or an error, and never a mark on it."""

from __future__ import annotations

import random
from collections.abc import Callable, MutableMapping
from typing import Any

import pytest
import xarray as xr
from zarr.storage import MemoryStore

import swarmgrid
from swarmgrid import DamageError, Grid, StoreError
from swarmgrid.records.damage_marks import marks
from swarmgrid.store.location import to_location
from tests.long import first

FACTOR = [1.0]
"""What the function multiplies with, so that values that are computed again are others."""
STALE = "changed since this Dataset was opened.*open it again"


def model(x: int) -> float:
    return x * FACTOR[0]


@pytest.fixture
def store() -> MemoryStore:
    FACTOR[0] = 1.0
    return MemoryStore()


def bound(store: Any) -> Any:
    return swarmgrid.GridFunction(
        model,
        store=store,
        executor="sync",
        version="1",
        ignore={"FACTOR"},
        verbose=0,
        chunks={"x": 4},
    )


def fill(store: Any, xs: Any) -> None:
    bound(store).stream({}, {"x": list(xs)})


def of(store: Any) -> Grid:
    return bound(store).grid({})


def stored(store: Any) -> xr.Dataset:
    return of(store).dataset()


def marked(store: Any) -> list[tuple[int, ...]]:
    return marks(to_location(store).open().names(of(store)._ref.path.manifest))


def points_of(ds: xr.Dataset) -> dict[int, float]:
    values = zip(ds["x"].values.tolist(), ds["value"].values.tolist(), strict=True)
    return {x: value for x, value in values if value == value}


def delete_one(store: Any) -> None:
    of(store).delete(x=0)


def make_anew(store: Any) -> None:
    of(store).drop(snapshots=True)
    fill(store, [50, 60, 70])


def make_anew_empty(store: Any) -> None:
    of(store).drop(snapshots=True)


def compute_anew(store: Any) -> None:
    of(store).invalidate(x=list(range(6)))
    FACTOR[0] = 3.0
    fill(store, range(6))


def restore_another(store: Any) -> None:
    snapshot = of(store).snapshot()
    compute_anew(store)
    of(store).restore(snapshot)
    compute_anew(store)


def convert_and_tidy(store: Any) -> None:
    of(store).convert("value", "complex128")
    of(store).repair()  # until then chunks of before are there, for readers


CHANGES: dict[str, Callable[[Any], None]] = {
    "a point is deleted": delete_one,
    "the grid is made anew": make_anew,
    "the grid is deleted": make_anew_empty,
    "its points are computed again": compute_anew,
    "they are restored, and computed again": restore_another,
    "the output is converted": convert_and_tidy,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_dataset_of_before_a_change_is_an_error_for_its_reader_alone(
    store: MemoryStore, change: str
) -> None:
    fill(store, range(6))
    old = stored(store)
    CHANGES[change](store)
    is_there = change != "the grid is deleted"
    before = points_of(stored(store)) if is_there else {}
    for _ in range(2):
        with pytest.raises(StoreError, match=STALE) as caught:
            old["value"].values  # noqa: B018
        assert not isinstance(caught.value, DamageError)
        assert marked(store) == []
        if is_there:
            assert points_of(stored(store)) == before
            assert of(store).verify().notes == ()


def convert(store: Any) -> None:
    of(store).convert("value", "complex128")


def grow(store: Any) -> None:
    fill(store, range(9))


def compute_again(store: Any) -> None:
    of(store).invalidate(x=list(range(6)))
    fill(store, range(6))


def repair(store: Any) -> None:
    of(store).repair()


@pytest.mark.parametrize("change", [grow, compute_again, repair, convert])
def test_a_dataset_whose_points_have_their_values_still_is_read(
    store: MemoryStore, change: Callable[[Any], None]
) -> None:
    fill(store, range(6))
    old = stored(store)
    change(store)
    assert points_of(old) == {x: float(x) for x in range(6)}
    assert marked(store) == []


def test_a_chunk_that_was_repaired_since_it_was_read_is_read(store: MemoryStore) -> None:
    fill(store, range(6))
    old = stored(store)
    damage(store, "c.0")
    with pytest.raises(DamageError):
        stored(store)["value"].values  # noqa: B018
    fill(store, range(6))
    assert points_of(old) == {x: float(x) for x in range(6)}


def damage(store: MemoryStore, name: str) -> None:
    inner: MutableMapping[str, Any] = store._store_dict
    (key,) = (key for key in inner if key.endswith(f"value/{name}"))
    inner[key] = type(inner[key]).from_bytes(b"\0" * len(inner[key].to_bytes()))


def test_a_dataset_of_before_a_change_marks_what_is_damaged_now(store: MemoryStore) -> None:
    fill(store, range(6))
    old = stored(store)
    make_anew(store)
    damage(store, "c.0")
    for _ in range(2):
        with pytest.raises(DamageError):
            old["value"].values  # noqa: B018
        assert marked(store) == [(0,)]
    fill(store, [50, 60, 70])
    assert points_of(stored(store)) == {x: float(x) for x in (50, 60, 70)}


def test_a_dataset_of_a_scope_marks_nothing_in_either_store(store: MemoryStore) -> None:
    fill(store, range(3))
    with swarmgrid.scope("alice", store):
        fill(store, range(6))
        old = [stored(store) for _ in range(2)]
        of(store).delete(x=[4])  # the scope's own
    with pytest.raises(StoreError, match=STALE):
        old[0]["value"].values  # noqa: B018
    of(store).delete(x=[0])
    with pytest.raises(StoreError, match=STALE):
        old[1]["value"].values  # noqa: B018
    assert points_of(stored(store)) == {1: 1.0, 2: 2.0}
    with swarmgrid.scope("alice", store):
        assert points_of(stored(store)) == {1: 1.0, 2: 2.0, 3: 3.0, 5: 5.0}


def drop_and_fill(store: Any, rng: random.Random) -> dict[int, float]:
    of(store).drop(snapshots=True)
    return fill_some(store, rng, {})


def fill_some(store: Any, rng: random.Random, points: dict[int, float]) -> dict[int, float]:
    FACTOR[0] = rng.choice([1.0, 2.0])
    xs = rng.sample(range(1, 13), rng.randint(1, 5))
    fill(store, xs)
    return {x: x * FACTOR[0] for x in xs} | points


def remove_some(store: Any, rng: random.Random, points: dict[int, float]) -> dict[int, float]:
    there = list(stored(store)["x"].values)
    gone = rng.sample(there, rng.randint(1, len(there)))
    (of(store).delete if rng.random() < 0.5 else of(store).invalidate)(x=gone)
    return {x: value for x, value in points.items() if x not in gone}


@pytest.mark.parametrize("seed", first(2, range(60)))
def test_no_read_of_an_older_dataset_changes_what_others_read(
    store: MemoryStore, seed: int
) -> None:
    rng = random.Random(seed)
    points = fill_some(store, rng, {})
    older = [(stored(store), points)]
    snapshot, kept = of(store).snapshot("one"), points
    for _ in range(8):
        step = rng.randrange(6)
        if step == 0:
            points = drop_and_fill(store, rng)
            snapshot, kept = of(store).snapshot("one"), points
        elif step < 3:
            points = fill_some(store, rng, points)
        elif step < 5:
            points = remove_some(store, rng, points)
        else:
            of(store).restore(snapshot)
            points = kept
        older.append((stored(store), points))
        ds, expected = rng.choice(older)
        try:
            assert points_of(ds.copy()) == expected
        except StoreError as error:
            assert not isinstance(error, DamageError)  # noqa: PT017
        assert points_of(stored(store)) == points
        assert points_of(of(store).dataset(at=snapshot)) == kept
        assert marked(store) == []
