"""What every key-value store promises: conditions, ranges, order, pickles, forks, and fences."""

from __future__ import annotations

import asyncio
import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.core.buffer import default_buffer_prototype

import swarmgrid
from swarmgrid.errors import LeaseLostError, StoreError
from swarmgrid.leases.lease import acquire
from swarmgrid.store.lease_record import record_key
from swarmgrid.store.location import to_location
from swarmgrid.stores import Condition, KeyValueStore, from_url
from tests.long import examples, first
from tests.stores.grids import PATH
from tests.stores.key_value import FEW
from tests.waiting import PATIENCE

FORKED = first(2, ["lmdb", "sqlite", "redis", "dynamodb"])
Place = tuple[str, dict[str, Any]]
FAST = {"executor": "sync", "version": "1", "verbose": 0}


@pytest.fixture
def store(place: Place) -> KeyValueStore:
    return from_url(*place)


NAMES = st.text("ab/.é\U0001f600", min_size=1, max_size=4)
VALUES = st.sampled_from([b"", b"\0", b"abc", bytes(range(256))])
CONDITIONS = st.none() | st.builds(Condition, NAMES, st.none() | st.just(True) | VALUES)
ACTS = st.lists(st.tuples(NAMES, st.none() | VALUES, CONDITIONS), max_size=8)


class TestWrites:
    @settings(max_examples=examples(10))
    @given(acts=ACTS, prefix=st.just("") | NAMES)
    def test_any_sequence_does_what_a_dict_does(
        self, store: KeyValueStore, acts: Any, prefix: str
    ) -> None:
        for key in list(store.keys("", "\U0010ffff")):
            store.write_if(key, None)
        model: dict[str, bytes] = {}
        for key, data, condition in acts:
            holds = condition is None or condition.holds(model.get(condition.key))
            assert store.write_if(key, data, condition) == holds
            if holds:
                model.pop(key, None) if data is None else model.update({key: data})
        assert list(store.keys("", "\U0010ffff")) == sorted(model)
        assert store.read_many(sorted(model)) == [model[key] for key in sorted(model)]
        folder = f"{prefix}/"
        inside = {key[len(folder) :].split("/")[0] for key in model if key.startswith(folder)}
        assert store.names(folder) == sorted(inside)

    @pytest.mark.parametrize(
        "bounds",
        [
            *[(0, None), (1, 3), (-2, None), (-9, None), (7, 9), (0, 0), (2, 2), (0, 99)],
            *[(0, 2**31), (0, 2**32 + 1), (1, 2**63 - 1), (2**40, 2**40 + 1)],
        ],
    )
    def test_a_part_is_that_of_a_slice(self, store: KeyValueStore, bounds: Any) -> None:
        store.write_if("a", b"12345")
        store.write_if("empty", b"")
        expected = [b"12345"[slice(*bounds)], None, b""]
        assert store.read_many(["a", "nothing", "empty"], *bounds) == expected

    def test_a_listing_of_more_than_a_page_is_whole(self, store: KeyValueStore) -> None:
        keys = [f"many/{i:03d}" for i in range(40)]
        for key in keys:
            store.write_if(key, b"1")
        assert list(store.keys("many/", "many0")) == keys
        assert store.names("many/") == [key[5:] for key in keys]
        assert store.names("") == ["many"]
        assert store.read_many(keys * 2) == [b"1"] * 80

    def test_a_replacement_on_condition_loses_no_update(self, place: Place) -> None:
        from_url(*place).write_if("n", b"0")

        def count(_: int) -> None:
            store = from_url(*place)
            for _ in range(5):
                while True:
                    (before,) = store.read_many(["n"])
                    assert before is not None
                    after = b"%d" % (int(before) + 1)
                    if store.write_if("n", after, Condition("n", before)):
                        break

        with ThreadPoolExecutor(3) as pool:
            list(pool.map(count, range(3)))
        assert from_url(*place).read_many(["n"]) == [b"15"]


class TestObjects:
    def test_a_pickled_store_is_the_same_one(self, store: KeyValueStore) -> None:
        store.write_if("a", b"1")
        for module in (pickle, cloudpickle):
            again = module.loads(module.dumps(store))
            assert again == store
            assert again.read_many(["a"]) == [b"1"]
        reader = store.with_read_only(True)
        assert reader != store
        assert pickle.loads(pickle.dumps(reader)).read_only

    def test_a_read_only_store_cannot_be_written(self, store: KeyValueStore) -> None:
        buffer = default_buffer_prototype().buffer.from_bytes(b"1")
        reader = store.with_read_only(True)
        for act in (
            lambda: reader.set("a", buffer),
            lambda: reader.set_if_not_exists("a", buffer),
            lambda: reader.delete("a"),
        ):
            with pytest.raises(ValueError, match="read-only"):
                asyncio.run(act())
        with pytest.raises(StoreError, match="it was opened read-only"):
            swarmgrid.compute(axes={"x": [1], "y": [1]}, func=product, store=reader, **FAST)

    def test_what_was_closed_opens_itself_again(self, store: KeyValueStore) -> None:
        store.write_if("a", b"1")
        store.close()
        assert store.read_many(["a"]) == [b"1"]
        store.close()
        store.close()


FORKS = """
import os, sys, json
from swarmgrid.stores import from_url

store = from_url(sys.argv[1], json.loads(sys.argv[2]))
store.write_if("n", b"parent")
assert store.read_many(["n"]) == [b"parent"]
children = []
for i in range(2):
    pid = os.fork()
    if pid == 0:
        try:
            assert store.read_many(["n"]) == [b"parent"]
            for k in range(10):
                store.write_if(f"of/{i}/{k}", b"%d" % k)
            os._exit(0)
        finally:
            os._exit(1)
    children.append(pid)
for k in range(10):
    store.write_if(f"of/parent/{k}", b"%d" % k)
    assert store.read_many(["n"]) == [b"parent"]
ended = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
assert ended == [0, 0], ended
assert store.names("of/") == ["0", "1", "parent"]
assert len(list(store.keys("of/", "of0"))) == 30
store.close()
"""


@pytest.mark.parametrize("place", FORKED, indirect=True)
def test_forked_processes_use_the_store_beside_their_parent(place: Place) -> None:
    import json

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FORKS, place[0], json.dumps(place[1])],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr


# ---- fences: a process that was overtaken writes nothing any more

ZOMBIE: dict[str, Callable[[Any], object]] = {
    "a new object": lambda blobs: blobs.put("data.zarr/new", b"zombie"),
    "an object that is there": lambda blobs: blobs.put("data.zarr/old", b"zombie"),
    "a sign of life": lambda blobs: blobs.put(record_key(PATH.grid, 0), b"zombie"),
    "a deletion": lambda blobs: blobs.delete("data.zarr/old"),
}


@pytest.mark.parametrize("act", ZOMBIE.values(), ids=ZOMBIE)
def test_nothing_of_a_zombie_arrives(place: Place, act: Callable[[Any], object]) -> None:
    location = to_location(*place)
    with acquire(location, PATH) as first:
        first.blobs.put("data.zarr/old", b"first")
        helper = location.open(PATH.grid, first.writer)  # a worker of it, in its name
        helper.put("data.zarr/by worker", b"1")
        location.open().delete(record_key(PATH.grid, 0))  # or the second would wait
        with acquire(location, PATH) as second:
            before = contents(location)
            for zombie in (first.blobs, helper):
                with pytest.raises(LeaseLostError, match="has taken over"):
                    act(zombie)
            assert contents(location) == before
            second.blobs.put("data.zarr/old", b"second")
    assert location.open().get("data.zarr/old") == b"second"


def test_a_writer_without_a_lease_is_not_fenced(place: Place) -> None:
    location = to_location(*place)
    with acquire(location, PATH) as held:
        location.open().put("a", b"1")
        held.blobs.put("b", b"2")
    assert location.open().get_many(["a", "b"]) == [b"1", b"2"]


def contents(location: Any) -> dict[str, bytes]:
    store = from_url(location.url, location.options)
    keys = [key for key in store.keys("", "\U0010ffff") if not key.startswith("locks/")]
    keys += [key for key in store.keys("locks/", "locks0") if "staging" in key]
    return dict(zip(keys, store.read_many(keys), strict=True))


def product(x: int, y: int) -> float:
    return x * 10.0 + y


@pytest.mark.parametrize("place", FEW, indirect=True)
class TestGrids:
    """Everything that is done with grids works on each store."""

    def call(self, place: Place, axes: Any, **more: Any) -> Any:
        url, options = place
        common = {"func": product, "store": url, "storage_options": options or None, **FAST}
        return swarmgrid.run(axes=axes, **common, **more)

    def test_a_grid_grows_and_is_read_by_zarr_itself(self, place: Place) -> None:
        import numpy as np
        import zarr

        assert self.call(place, {"x": [1, 2], "y": [1]}, chunks=1)[1].points_computed == 2
        ds, done = self.call(place, {"x": [2, 5, 1], "y": [1, 3]})
        assert done.points_computed == 4
        expected = [[21.0, 23.0], [51.0, 53.0], [11.0, 13.0]]
        np.testing.assert_array_equal(ds["value"], expected)
        _, _, inside = ds.encoding["source"].partition("/data.zarr/")
        group = zarr.open_group(from_url(*place), path=f"data.zarr/{inside}", mode="r")
        assert sorted(group["value"][:].ravel()) == sorted(np.ravel(expected))
        assert ds.swarmgrid.grid.verify().is_clean

    def test_a_grid_is_opened_by_its_source(self, place: Place) -> None:
        import xarray as xr

        url, options = place
        source = self.call(place, {"x": [1, 2], "y": [1]})[0].encoding["source"]
        assert source.startswith(f"{to_location(url).url}/data.zarr/product/")
        keys = {"storage_options": options or None}
        for opened in (
            xr.open_dataset(source, engine="swarmgrid", **keys),
            xr.open_dataset(url, engine="swarmgrid", **keys),
            xr.open_zarr(
                from_url(url, options),
                group=source.partition(f"{to_location(url).url}/")[2],
                consolidated=False,
            ),
        ):
            assert opened["value"].values.tolist() == [[11.0], [21.0]]

    def test_grids_are_listed_copied_and_deleted(self, place: Place, tmp_path: Path) -> None:
        url, options = place
        self.call(place, {"x": [1, 2], "y": [1, 2]})
        keys = {"storage_options": options or None}
        (grid,) = swarmgrid.catalog(url, **keys)
        assert grid.dataset()["value"].sum() == 66.0
        swarmgrid.copy(url, tmp_path / "copy", source_options=options or None)
        pruned = swarmgrid.prune(url, max_bytes=0, dry_run=False, **keys)
        assert len(pruned.grids) == 1
        assert list(swarmgrid.catalog(url, **keys)) == []
        swarmgrid.copy(tmp_path / "copy", url, target_options=options or None)
        assert self.call(place, {"x": [1, 2], "y": [1, 2]})[1].points_computed == 0

    def test_worker_processes_write_it_themselves(self, place: Place) -> None:
        url, options = place
        ds = swarmgrid.compute(
            axes={"x": range(6), "y": [1]},
            func=product,
            store=url,
            storage_options=options or None,
            executor="processes",
            workers=1,
            verbose=0,
            chunks=2,
        )
        assert ds["value"].values.ravel().tolist() == [10.0 * x + 1 for x in range(6)]

    def test_a_warm_call_costs_the_same_whatever_the_chunks(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        n_calls = []
        calls: list[str] = []
        cls = type(from_url(*place))

        def counting(name: str) -> Any:
            plain = getattr(cls, name)

            def counted(*args: Any, **more: Any) -> Any:
                calls.append(name)
                return plain(*args, **more)

            return counted

        for chunks in (50, 2):
            url = place[0] + str(chunks)
            axes = {"x": range(50), "y": [1]}
            self.call((url, place[1]), axes, chunks=chunks)
            calls.clear()
            with monkeypatch.context() as patch:
                for name in ("read_many", "write_if", "keys"):
                    patch.setattr(cls, name, counting(name))
                assert self.call((url, place[1]), axes)[1].points_computed == 0
            assert "write_if" not in calls
            n_calls.append(len(calls))
        assert n_calls[0] == n_calls[1] < 25
