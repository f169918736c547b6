"""Every object of a store, swapped for its older version or its neighbour's.

Backups and sync tools bring single files back from another time. Whatever file it is: values are
right or an error says what is wrong, `verify` is not silent, and the next run repairs it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import xarray as xr
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import MemoryStore

import swarmgrid
from tests.long import first

Objects = dict[str, bytes]
FULL: dict[str, Any] = {"x": [1, 2, 3, 0.5, 4], "s": ["a", "bb", "ccc"]}
GROWN: dict[str, Any] = {"x": [1, 2, 3, 0.5, 4, 7], "s": ["a", "bb", "ccc", "d"]}
PLACES = {"plain": {"x": 2, "s": 1}, "sharded": {"x": 2, "s": 1}}
SHARDS = {"plain": None, "sharded": {"x": 4, "s": 2}}


def simulate(x: float, s: str, scale: int = 1) -> xr.Dataset:
    if x == 9:
        raise ValueError("nine")
    t = np.arange(3.0)
    return xr.Dataset(
        {"mean": float(x) * len(s) * scale, "trace": ("t", x * t + scale), "name": s * int(x)},
        coords={"t": t},
    )


def expected(axes: dict[str, Any], scale: int) -> xr.Dataset:
    x = xr.DataArray(np.array(axes["x"], float), dims="x")
    words = [[s * int(v) for s in axes["s"]] for v in axes["x"]]
    length = xr.DataArray([len(s) for s in axes["s"]], dims="s")
    t = xr.DataArray(np.arange(3.0), dims="t")
    trace = (x * t + scale).expand_dims(s=axes["s"]).transpose("x", "s", "t")
    name = xr.DataArray(np.array(words, object), dims=("x", "s"))
    coords = {"x": np.array(axes["x"], float), "s": axes["s"], "t": t}
    return xr.Dataset({"mean": x * length * scale, "trace": trace, "name": name}, coords)


class Stages:
    """A store built in steps, with every version that an object had after any of them."""

    def __init__(self, kind: str) -> None:
        self.options: dict[str, Any] = {"chunks": PLACES[kind], "shards": SHARDS[kind]}
        self.versions: dict[str, list[bytes]] = {}
        self.store = MemoryStore()
        self.run(1, {"x": [1, 2], "s": ["a"]})
        self.run(1, {"x": [1, 2, 3], "s": ["a"]})  # a chunk gets more points, x grows
        self.run(1, {"x": [1, 2, 3, 0.5], "s": ["a", "bb"]})  # x is promoted, s grows
        self.run(1, {"x": [9], "s": ["a"]}, on_error="record")
        self.run(1, FULL)
        self.run(2, {"x": FULL["x"][:3], "s": ["a"]})  # a neighbour
        self.run(2, FULL)
        self.objects = contents(self.store)
        self.grids = {one.id for one in swarmgrid.catalog(self.store)}

    def run(self, scale: int, axes: dict[str, Any], **more: Any) -> None:
        compute(self.store, axes, scale, **self.options, **more)
        for key, data in contents(self.store).items():
            known = self.versions.setdefault(key, [])
            if data not in known:
                known.append(data)

    def swaps(self) -> Iterator[tuple[str, str, bytes]]:
        """A key of the first grid, what is put there, and its bytes."""
        grid, other = grid_id(self.objects, 1), grid_id(self.objects, 2)
        for key, data in sorted(self.objects.items()):
            if other in key or re.search(r"/(mean|trace|name)/c\.[1-9]", key):
                continue  # of the outputs' chunks, the first ones stand for all
            for i, old in enumerate(self.versions[key]):
                if old != data:
                    yield key, f"version {i}", old
            for neighbour in self.neighbours(key, grid, other):
                if self.objects[neighbour] != data:
                    yield key, neighbour, self.objects[neighbour]

    def neighbours(self, key: str, grid: str, other: str) -> list[str]:
        """An object of the other grid, one of the same array or folder, one of the same name."""
        folder, _, name = key.rpartition("/")
        above = folder.rpartition("/")[0]
        suffix = name.rpartition(".")[2] if "." in name else ""
        groups: list[list[str]] = [[], [], []]
        for found in sorted(self.objects):
            its_folder, _, its_name = found.rpartition("/")
            if found != key and its_name.endswith(suffix):
                groups[0] += [found] if found == key.replace(grid, other) else []
                groups[1] += [found] if its_folder == folder and its_name != "zarr.json" else []
                groups[2] += [found] if above and its_folder.startswith(above) else []
        theirs = [k for k in sorted(self.objects) if other in k and k.endswith(f".{suffix}")]
        return list(dict.fromkeys(group[-1] for group in (*groups, theirs) if group))


def contents(store: MemoryStore) -> Objects:
    async def read() -> Objects:
        found = {}
        async for key in store.list():
            buffer = await store.get(key, default_buffer_prototype())
            assert buffer is not None
            found[key] = buffer.to_bytes()
        return found

    return sync(read())


def store_of(objects: Objects) -> MemoryStore:
    buffer = default_buffer_prototype().buffer
    return MemoryStore({key: buffer.from_bytes(data) for key, data in objects.items()})


def grid_id(objects: Objects, scale: int) -> str:
    (found,) = {
        key.split("/")[2]
        for key, data in objects.items()
        if key.count("/") == 3 and f'\\"scale\\": {scale}'.encode() in data
    }
    return found


def compute(store: Any, axes: dict[str, Any], scale: int = 1, **options: Any) -> xr.Dataset:
    ds = swarmgrid.compute(
        {"scale": scale}, axes, func=simulate, store=store, version="1", executor="sync",
        verbose=0, **options,
    )  # fmt: skip
    return ds.load()


def assert_right(ds: xr.Dataset, axes: dict[str, Any], *, is_part: bool = False) -> None:
    got, want = ds.drop_attrs(), expected(axes, 1)
    for name in (*want.data_vars, *want.coords):
        values = want[name].where(got[name].notnull()) if is_part else want[name]
        assert got[name].fillna("").values.tolist() == values.fillna("").values.tolist(), name


TURNS = 20
"""Each takes one of so many swaps."""


@pytest.fixture(scope="module", params=first(1, PLACES))
def stages(request: pytest.FixtureRequest) -> Stages:
    return Stages(request.param)


@pytest.mark.long
@pytest.mark.parametrize("turn", first(1, range(TURNS)))
def test_every_object_swapped_for_another_one_is_found_and_repaired(
    stages: Stages, turn: int
) -> None:
    grid = swarmgrid.GridFunction(simulate, version="1", verbose=0)
    of = {"params": {"scale": 1}, "axes": ["x", "s"]}
    sound = store_of(stages.objects)
    assert grid.verify(store=sound, **of).is_clean
    swaps = list(stages.swaps())
    assert len(swaps) > 40
    for key, what, data in swaps[turn::TURNS]:
        case = f"{key} is now {what}"
        store = store_of({**stages.objects, key: data})
        if key.startswith("manifest/catalog/"):  # which grids read nothing of
            assert {one.id for one in swarmgrid.catalog(store)} == stages.grids, case
            continue
        before = contents(store)
        report = grid.verify(store=store, **of)
        if counts(key):
            assert report.problems, f"{case}: verify says nothing"
        assert contents(store) == before, f"{case}: verify writes"
        try:
            ds = swarmgrid.open({"scale": 1}, axes=FULL, func=simulate, store=store, version="1")
            assert_right(ds.load(), FULL, is_part=key.endswith(".seg"))
        except swarmgrid.DamageError:
            pass
        for axes in (FULL, GROWN):
            assert_right(settled(store, axes), axes)
        repaired = store_of({**stages.objects, key: data})
        grid.repair(store=repaired, **of)
        after = grid.verify(store=repaired, **of)
        assert after.is_clean, f"{case}: {after}"
        assert_right(settled(repaired, GROWN), GROWN)


def settled(store: Any, axes: dict[str, Any]) -> xr.Dataset:
    """What compute gives: at once, or after one error that the next call repairs."""
    try:
        return compute(store, axes)
    except swarmgrid.DamageError:
        return compute(store, axes)


def counts(key: str) -> bool:
    """Whether values, labels or messages depend on the object as long as the others are whole.

    Not on leases, the function's group, and the chunks of x from before its promotion.
    """
    if key.startswith("locks/") or re.fullmatch(r"data\.zarr/\w+/zarr\.json", key):
        return False
    return not re.search(r"/x/c\.\d+$|copy-x-c\.\d+$", key)
