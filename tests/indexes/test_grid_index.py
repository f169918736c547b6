"""An approximate index finds what the exact search finds, of what is computed, and no more."""

from __future__ import annotations

import contextlib
import logging
import pickle
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr.storage
from hypothesis import example, given, settings
from hypothesis import strategies as st
from zarr.storage import MemoryStore, WrapperStore

import swarmgrid
from swarmgrid import Grid, GridIndex, Key
from swarmgrid.codecs import keys
from swarmgrid.indexes import container, parts
from swarmgrid.store.location import Location
from tests.conftest import Killed
from tests.indexes.test_container import points_of
from tests.long import examples, first

pytest.importorskip("usearch")
METRICS = ["cosine", "euclidean", "dot"]
LENGTH = 16
SCALE = [1.0]
"""A change of the function that its version does not tell."""


def spectrum(a: int, b: int) -> dict[str, Any]:
    if (a, b) == (3, 1):
        raise ValueError("no spectrum")
    x = np.linspace(0, 1, LENGTH)
    center, width = a % 41 / 40, 0.05 + b / 20 + a // 41 / 200
    line = np.exp(-(((x - center) / width) ** 2)) + 0.01 * (a % 41)
    line = SCALE[0] * line + (SCALE[0] - 1) * x  # in every metric a change
    return {"spectrum": line.astype(np.float32), "peak": a / 40}


@pytest.fixture(autouse=True)
def _scale() -> Any:
    SCALE[0] = 1.0
    yield
    SCALE[0] = 1.0


def fill(store: Any, a: Any = range(40), b: Any = (0, 1, 2), **options: Any) -> None:
    options = {"chunks": {"a": 8, "b": 3}, "executor": "sync", **options}
    swarmgrid.stream(
        {}, {"a": a, "b": b}, func=spectrum, store=store, version="1", verbose=0,
        on_error="record", **options,
    )  # fmt: skip


def filled(store: Any, *args: Any, **options: Any) -> Grid:
    fill(store, *args, **options)
    return Grid.open(store, "spectrum/")


def asked(n: int = 6, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    lines = [spectrum(int(a), 2)["spectrum"] for a in rng.integers(0, 40, n)]
    return np.stack(lines) + 0.02 * rng.normal(size=(n, LENGTH))


def check_same(index: GridIndex, grid: Grid, query: np.ndarray, k: int = 5) -> None:
    """What an index answers is what the exact search of all computed points does."""
    found = index.query(query, k=k)
    exact = grid.dataset().swarmgrid.nearest(index.output, query, k=k, metric=index.metric)
    assert dict(found.sizes) == dict(exact.sizes)
    np.testing.assert_allclose(found["distance"], exact["distance"], rtol=1e-4, atol=2e-6)
    assert {*found.variables} == {*exact.variables}
    assert found.attrs == exact.attrs
    if found.sizes.get("hit"):
        # equal distances of single and double precision may be in another order
        distances = exact["distance"].values
        is_clear = (np.diff(distances, axis=-1) > 1e-4).all()
        if is_clear:
            xr.testing.assert_equal(found.drop_vars("distance"), exact.drop_vars("distance"))


@pytest.mark.parametrize("metric", METRICS)
def test_hits_are_those_of_the_exact_search(metric: Any) -> None:
    grid = filled(MemoryStore())
    index = grid.index("spectrum", metric=metric)
    assert len(index) == 119  # a point that failed is in no index
    assert (index.output, index.metric) == ("spectrum", metric)
    assert "119 vectors" in repr(index)
    check_same(index, grid, asked())
    check_same(index, grid, asked()[0])
    check_same(index, grid, asked(1), k=1)
    assert index.query(asked()[0], k=500).sizes["hit"] == 119
    hits = grid.dataset().swarmgrid.index("spectrum", metric=metric).query(asked()[0])
    assert hits["spectrum"].dims[0] == "hit"


def test_most_of_many_spectra_are_found() -> None:
    rng = np.random.default_rng(1)
    x = np.linspace(0, 1, 32)
    centers, widths = rng.uniform(0, 1, 4000), rng.uniform(0.02, 0.2, 4000)

    def line(i: Any) -> dict[str, Any]:
        lines = np.exp(-(((x - centers[i][:, None]) / widths[i][:, None]) ** 2))
        return {"line": xr.DataArray(lines.astype(np.float32), dims=("i", "x"))}

    ds = swarmgrid.compute(
        line, axes={"i": np.arange(4000)}, store=MemoryStore(), vectorized=True, version="1",
        executor="sync", verbose=0,
    )  # fmt: skip
    queries = np.exp(-(((x - rng.uniform(0, 1, (100, 1))) / 0.1) ** 2))
    found = ds.swarmgrid.index("line", connectivity=8, expansion=48).query(queries, k=10)
    exact = ds.load().swarmgrid.nearest("line", queries, k=10)
    pairs = zip(found["i"].values, exact["i"].values, strict=True)
    assert np.mean([len({*one} & {*two}) / 10 for one, two in pairs]) >= 0.95


IS_CHUNK = re.compile(r"/spectrum/(c[./])?\d+[./]\d")


class CountingStore(WrapperStore[MemoryStore]):
    """Counts what is read of outputs' chunks."""

    def __init__(self) -> None:
        super().__init__(MemoryStore())
        self.read: list[str] = []
        self.nbytes = 0

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        found = await self._store.get(key, prototype, byte_range)
        if IS_CHUNK.search(key) and found is not None:
            self.read.append(key)
            self.nbytes += len(found)
        return found


def test_an_update_reads_only_what_is_new() -> None:
    store = CountingStore()
    grid = filled(store, range(400), [0], chunks={"a": 4, "b": 1})
    index = grid.index("spectrum")
    n, nbytes = len(store.read), store.nbytes
    assert n == len({*store.read}) == 100  # each once
    fill(store, range(404), [0], chunks={"a": 4, "b": 1})
    store.read.clear()
    store.nbytes = 0
    assert index.is_stale()
    assert store.read == []
    assert index.update() == 4
    assert len(store.read) <= 0.02 * n
    assert store.nbytes <= 0.02 * nbytes
    fill(store, range(408), [0], chunks={"a": 4, "b": 1})
    store.read.clear()
    other = grid.index("spectrum")  # as another process opens it
    assert len(store.read) <= 0.02 * n
    assert len(other) == 408
    store.read.clear()
    assert len(grid.index("spectrum")) == 408
    assert store.read == []
    index.update()
    check_same(index, grid, asked())


def test_compacted_segments_hold_nothing_new(monkeypatch: pytest.MonkeyPatch) -> None:
    store = CountingStore()
    grid = filled(store, range(4), [0], chunks={"a": 4, "b": 1})
    index = grid.index("spectrum")
    segments = []
    for n in range(8, 44, 4):
        fill(store, range(n), [0], chunks=None)
        index.update()
        names = Location("", store=store).open().names(f"manifest/{grid.id}/")
        segments.append([name for name in names if name.endswith(".seg")])
    assert min(map(len, segments)) < len(segments)  # they were merged
    store.read.clear()
    assert not index.is_stale()
    assert index.update() == 0
    assert len(grid.index("spectrum")) == 40
    assert store.read == []


@pytest.mark.parametrize(
    "change", first(3, ["compress", "key", "chunks", "codec", "shards", "scaled"])
)
def test_a_new_layout_of_the_same_chunks_holds_nothing_new(change: str) -> None:
    store = CountingStore()
    options = {"chunks": {"a": 4, "b": 1}}
    grid = filled(store, range(40), [0], **options)
    index, other = (grid.index("spectrum", metric=metric) for metric in ("cosine", "dot"))
    fill(store, range(44), [0], **options)
    index.update()
    scaled = {"dtype": "int16", "scale_factor": 0.01}
    {
        "compress": lambda: grid.compress(3),
        "codec": lambda: grid.rechunk(codec="auto"),
        "shards": lambda: grid.rechunk(shards={"a": 8}),
        "key": lambda: grid.rotate(Key.generate()),
        "chunks": lambda: grid.rechunk(chunks={"a": 2}),
        "scaled": lambda: grid.rechunk(encoding={"spectrum": scaled}),
    }[change]()
    store.read.clear()
    assert len(grid.indexes()) == (2 if change in {"compress", "codec", "scaled"} else 0)
    is_same = change in {"compress", "codec", "key"}
    assert (index.is_stale(), other.is_stale()) == (not is_same, True)
    assert index.update() == (0 if is_same else 44)
    assert other.update() == (4 if is_same else 44)
    assert len(store.read) == (1 if is_same else len(store.read))
    assert len(grid.indexes()) == 2
    check_same(index, grid, asked())
    check_same(other, grid, asked())
    store.read.clear()
    assert len(grid.index("spectrum")) == 44
    assert store.read == []
    assert grid.verify().is_clean


def test_points_that_do_not_count_any_more_are_never_hits() -> None:
    store = MemoryStore()
    grid = filled(store)
    index = grid.index("spectrum", metric="euclidean")
    query = spectrum(20, 0)["spectrum"]

    def nearest_a() -> int:
        return int(index.query(query, k=1)["a"][0])

    assert nearest_a() == 20
    grid.invalidate(a=20)
    assert nearest_a() != 20
    assert index.is_stale()  # those that share a chunk with them are to be looked at again
    index.update()
    check_same(index, grid, asked())
    grid.delete(a=slice(18, 22), b=[0, 1])
    assert nearest_a() not in range(18, 23)
    SCALE[0] = 3.0
    fill(store)  # they have other values now
    assert nearest_a() not in range(18, 23)
    assert index.is_stale()
    index.update()
    check_same(index, grid, asked())
    query = spectrum(20, 0)["spectrum"]
    check_same(index, grid, query)
    assert int(index.query(query, k=1)["a"][0]) == 20
    check_same(grid.index("spectrum", metric="euclidean"), grid, query)


def test_a_damaged_point_is_no_hit_after_it_was_found(tmp_path: Path) -> None:
    grid = filled(tmp_path)
    index = grid.index("spectrum", metric="euclidean")
    (chunk,) = tmp_path.glob("data.zarr/spectrum/*/spectrum/c.2.0.0")
    chunk.write_bytes(b"damaged")
    with pytest.raises(swarmgrid.DamageError):
        grid.dataset().load()
    assert int(index.query(spectrum(20, 0)["spectrum"], k=1)["a"][0]) not in range(16, 24)
    check_same(index, grid, asked())
    grid.repair()
    check_same(index, grid, asked())
    fill(tmp_path)
    index.update()
    check_same(index, grid, asked())


def test_damage_ends_the_building_of_an_index(tmp_path: Path) -> None:
    grid = filled(tmp_path)
    (chunk,) = tmp_path.glob("data.zarr/spectrum/*/spectrum/c.2.0.0")
    chunk.write_bytes(b"damaged")
    with pytest.raises(swarmgrid.DamageError):
        grid.index("spectrum")
    assert len(grid.index("spectrum")) == 95  # what is damaged counts no more
    fill(tmp_path)
    check_same(grid.index("spectrum"), grid, asked())


def _remove(name: str, grid: Grid, first_a: int, n: int) -> None:
    values = grid.dataset()["a"].values
    chosen = [a for a in range(first_a, first_a + n) if a in values]
    getattr(grid, name)(a=chosen or values[:1])


def _restore(grid: Grid) -> None:
    for each in grid.snapshots()[-1:]:
        with contextlib.suppress(swarmgrid.InputError):  # of another layout
            grid.restore(each.id)


def _drop(store: Any, grid: Grid, index: GridIndex) -> None:
    grid.drop(snapshots=True)
    assert grid_objects(store, "indexes") == []
    with pytest.raises(swarmgrid.InputError, match="nothing is stored"):
        index.query(asked()[0])
    fill(store, [0, 1], [0])


OPERATE: dict[str, Callable[..., Any]] = {
    "grow": lambda store, _g, _i, n, b: fill(store, range(n), b, chunks=None),
    "invalidate": lambda _s, grid, _i, a, n: _remove("invalidate", grid, a, n),
    "delete": lambda _s, grid, _i, a, n: _remove("delete", grid, a, n),
    "rechunk": lambda _s, grid, _i, n, sort: grid.rechunk(chunks={"a": n, "b": 1}, sort=sort),
    "compress": lambda _s, grid, _i, level, _: grid.compress(level),
    "snapshot": lambda _s, grid, _i, *_: grid.snapshot("then"),
    "restore": lambda _s, grid, _i, *_: _restore(grid),
    "values": lambda _s, _g, _i, scale, _: SCALE.__setitem__(0, scale),
    "update": lambda _s, _g, index, *_: index.update(),
    "drop": lambda store, grid, index, *_: _drop(store, grid, index),
}
OPERATIONS = st.one_of(
    st.tuples(st.just("grow"), st.integers(1, 48), st.sampled_from([(0,), (0, 1, 2), (2, 5)])),
    st.tuples(st.just("invalidate"), st.integers(0, 40), st.integers(1, 9)),
    st.tuples(st.just("delete"), st.integers(0, 40), st.integers(1, 9)),
    st.tuples(st.just("rechunk"), st.integers(1, 9), st.booleans()),
    st.tuples(st.just("compress"), st.integers(1, 9), st.just(0)),
    st.tuples(st.just("snapshot"), st.just(0), st.just(0)),
    st.tuples(st.just("restore"), st.just(0), st.just(0)),
    st.tuples(st.just("values"), st.sampled_from([1.0, 2.0]), st.just(0)),
    st.tuples(st.just("update"), st.just(0), st.just(0)),
    st.tuples(st.just("drop"), st.just(0), st.just(0)),
)


@settings(max_examples=examples(12))
@given(operations=st.lists(OPERATIONS, max_size=6), metric=st.sampled_from(METRICS))
@example([("rechunk", 3, True), ("grow", 44, (2, 5))], "cosine")
@example([("delete", 3, 2), ("compress", 3, 0), ("values", 2.0, 0), ("grow", 9, (0,))], "dot")
@example([("invalidate", 0, 9), ("values", 2.0, 0), ("grow", 12, (0, 1, 2))], "euclidean")
@example([("drop", 0, 0), ("values", 2.0, 0), ("grow", 12, (0,))], "dot")
def test_whatever_is_done_to_a_grid_an_index_holds_what_is_computed(
    operations: list[Any], metric: Any
) -> None:
    SCALE[0] = 1.0
    store = MemoryStore()
    grid = filled(store, range(0, 24, 2))
    index = grid.index("spectrum", metric=metric)
    for operation in operations:
        OPERATE[operation[0]](store, grid, index, *operation[1:])
        ds = grid.dataset().load()
        hits = index.query(asked()[0], k=300)
        if hits.sizes["hit"]:  # each is a computed point as it is now
            points = ds.sel(a=hits["a"], b=hits["b"])["spectrum"].values
            assert np.isfinite(points).all()
            np.testing.assert_array_equal(hits["spectrum"], points)
    index.update()
    assert not index.is_stale()
    check_same(index, grid, asked(2))
    check_same(grid.index("spectrum", metric=metric), grid, asked(2))
    assert grid.verify().is_clean


def grid_objects(store: Any, folder: str) -> list[str]:
    return sorted(key for key in store._store_dict if key.startswith(f"{folder}/"))


def test_settings_are_part_of_the_name_and_grids_take_their_indexes_along() -> None:
    store = MemoryStore()
    grid = filled(store)
    assert grid.indexes() == []
    for options in ({}, {"metric": "dot"}, {"connectivity": 8}, {"expansion": 64}, {}):
        grid.index("spectrum", **options)
    found = grid.indexes()
    assert {(one.metric, one.connectivity, one.expansion) for one in found} == {
        ("cosine", 16, 128), ("dot", 16, 128), ("cosine", 8, 128), ("cosine", 16, 64),
    }  # fmt: skip
    keys_stored = grid_objects(store, "indexes")
    assert [f"indexes/{grid.id}/{one.name}" for one in found] == keys_stored
    assert [one.nbytes for one in found] == [len(store._store_dict[key]) for key in keys_stored]
    assert all(one.name.startswith("spectrum-") for one in found)
    assert grid.verify().is_clean
    assert not grid.verify().notes

    target = MemoryStore()
    swarmgrid.copy(store, target)
    assert grid_objects(target, "indexes") == []
    swarmgrid.merge(store, target)
    assert grid_objects(target, "indexes") == []
    assert grid.delete_index("peak") == 0
    assert grid.delete_index("spectrum") == 4
    assert grid.delete_index() == 0
    with pytest.raises(swarmgrid.InputError, match="no output 'typo', .*the grid has no indexes"):
        grid.delete_index("typo")
    grid.index("spectrum")
    grid.drop()
    assert grid_objects(store, "indexes") == []


@pytest.mark.parametrize(
    "at", first(3, [0.5, "short", "other", 0, 5, 9, 40, 0.2, 0.9, -1, "empty"])
)
def test_an_index_that_is_damaged_is_found_and_built_again(
    at: Any, caplog: pytest.LogCaptureFixture
) -> None:
    store = CountingStore()
    grid = filled(store, range(8), [0])
    grid.index("spectrum")
    blobs = Location("", store=store).open()
    (name,) = blobs.names(f"indexes/{grid.id}/")
    key = f"indexes/{grid.id}/{name}"
    data = blobs.get(key)
    assert data is not None
    if at == "other":
        grid.index("spectrum", metric="dot")
        (other,) = {*blobs.names(f"indexes/{grid.id}/")} - {name}
        changed = blobs.get(f"indexes/{grid.id}/{other}") or b""
        blobs.delete(f"indexes/{grid.id}/{other}")
    elif at in {"short", "empty"}:
        changed = data[:-7] if at == "short" else b""
    else:
        place = int(at * len(data)) if isinstance(at, float) else at
        changed = bytearray(data)
        changed[place] ^= 0x10
    blobs.put(key, bytes(changed))
    store.read.clear()
    report = grid.verify()
    assert [problem.key for problem in report.problems] == [key]
    with caplog.at_level(logging.WARNING, "swarmgrid"):
        index = grid.index("spectrum")
    assert "is built again" in caplog.text
    check_same(index, grid, asked())
    assert grid.verify().is_clean
    blobs.put(key, bytes(changed))
    grid.repair()
    assert blobs.get(key) is None
    assert grid.verify().is_clean


@pytest.mark.parametrize("max_nbytes", [container.MAX_NBYTES, 6000])
def test_a_kill_at_any_write_leaves_the_old_index_or_the_new(
    tmp_path: Path,
    kill_at: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
    max_nbytes: int,
) -> None:
    monkeypatch.setattr(container, "MAX_NBYTES", max_nbytes)
    grid = filled(tmp_path)
    grid.index("spectrum")
    fill(tmp_path, range(44))
    folder = tmp_path / "indexes" / grid.id
    old = {file.name: file.read_bytes() for file in folder.iterdir()}
    (name,) = (name for name in old if name.endswith(".usearch"))
    n_killed, n_left, seen = 0, 0, set()
    for k in range(40):
        for file in folder.iterdir():
            file.unlink()
        for one, data in old.items():
            (folder / one).write_bytes(data)
        kill_at(k)
        try:
            grid.index("spectrum")
        except Killed:
            n_killed += 1
        finally:
            kill_at(-1)
        found = parts.get(Location(str(tmp_path)).open(), f"indexes/{grid.id}/", name, _as_it_is)
        assert found is not None
        _, covered, _ = container.from_bytes_of(found[0], f"indexes/{grid.id}/{name}")
        seen.add(points_of(covered))
        report = grid.verify()
        assert report.is_clean
        assert len(report.notes) == len([*folder.iterdir()]) - 1 - len(found[1])
        n_left += bool(report.notes)
        if n_killed <= k:
            break
    assert seen == {119, 131}
    assert (n_left > 0) == (max_nbytes == 6000) == (len(old) > 1)
    assert n_killed > 0
    check_same(grid.index("spectrum"), grid, asked(1))
    (folder / f"{name}.0123abcd-0").write_bytes(b"part")
    grid.repair()
    assert not grid.verify().notes
    assert len(grid.indexes()) == 1
    check_same(grid.index("spectrum"), grid, asked(1))


def _as_it_is(data: bytes, _: str) -> bytes:
    return data


def test_an_index_that_is_too_large_for_its_store_is_kept_in_parts(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(CountingStore, "max_nbytes", 6000, raising=False)
    key, store = Key.generate(), CountingStore()
    grid = filled(store, chunks={"a": 4, "b": 3})
    index = grid.index("spectrum")
    names = Location("", store=store).open().names(f"indexes/{grid.id}/")
    assert len(names) > 3
    assert grid.indexes()[0].nbytes > 6000
    fill(store, range(44), chunks={"a": 4, "b": 3})
    store.read.clear()
    assert len(grid.index("spectrum")) == 131  # as another process opens it
    assert len(store.read) == 1
    grid.rotate(key)
    assert Location("", store=store).open().names(f"indexes/{grid.id}/") == []
    assert index.update() == 12
    blobs = Location("", store=store).open()
    folder = f"indexes/{grid.id}/"
    names = blobs.names(folder)
    assert all((blobs.get(folder + name) or b"")[:4] == b"SGE1" for name in names)
    assert max(len(blobs.get(folder + name) or b"") for name in names) <= 6000
    other = grid.index("spectrum", metric="dot")
    assert len(grid.indexes()) == 2
    assert grid.verify().is_clean
    assert not grid.verify().notes
    check_same(grid.index("spectrum"), grid, asked())
    check_same(other, grid, asked())

    heads = [name for name in names if name.endswith(".usearch")]
    some = [name for name in names if name.startswith(f"{heads[0]}.")]
    data = blobs.get(folder + some[1]) or b""
    changes: list[Any] = [None, data[:-1], b"", blobs.get(folder + some[0]), b"plain" * 99]
    for change in changes:
        blobs.delete(folder + some[1]) if change is None else blobs.put(folder + some[1], change)
        caplog.clear()
        with caplog.at_level(logging.WARNING, "swarmgrid"):
            assert folder + heads[0] in {one.key for one in grid.verify().problems}
            assert len(grid.indexes()) == 1
            check_same(grid.index("spectrum"), grid, asked())
        assert "is built again" in caplog.text
        assert grid.verify().is_clean
        assert not grid.verify().notes
        some = [n for n in blobs.names(folder) if n.startswith(f"{heads[0]}.")]
    blobs.put(f"{folder}{heads[0]}.0123abcd-0", b"a plain part of before it was encrypted")
    assert len(grid.verify().problems) == 1
    grid.repair()
    assert grid.verify().is_clean
    monkeypatch.setattr(CountingStore, "max_nbytes", 2**30)
    fill(store, range(46), chunks={"a": 4, "b": 3})
    grid.index("spectrum")
    grid.index("spectrum", metric="dot")
    assert len(blobs.names(folder)) == 2  # the parts of before are gone
    assert grid.delete_index("spectrum") == 2
    assert blobs.names(folder) == []


@pytest.mark.parametrize("max_nbytes", [container.MAX_NBYTES, 6000])
def test_two_that_build_at_once_leave_one_that_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, max_nbytes: int
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    monkeypatch.setattr(container, "MAX_NBYTES", max_nbytes)
    grid = filled(tmp_path)
    with ThreadPoolExecutor(4) as pool:  # as processes, they share nothing but the store
        indexes = list(pool.map(lambda _: grid.index("spectrum"), range(4)))
        fill(tmp_path, range(44))
        assert [*pool.map(lambda index: index.update(), indexes)] == [12] * 4
        list(pool.map(lambda _: check_same(indexes[0], grid, asked(1)), range(8)))
    grid.index("spectrum")
    assert len(list(tmp_path.glob("indexes/*/*.usearch"))) == 1
    assert grid.verify().is_clean
    assert not grid.verify().notes
    assert grid.index("spectrum").update() == 0


@pytest.fixture
def no_keys_held() -> Any:
    keys._held.clear()
    yield
    keys._held.clear()


@pytest.mark.usefixtures("no_keys_held")
def test_the_index_of_an_encrypted_grid_is_encrypted(tmp_path: Path) -> None:
    SCALE[0] = 0.0  # every vector is a number of its own, sixteen times
    key, other = Key.generate(), Key.generate()
    grid = filled(tmp_path, key=key, codec=[])
    index = grid.index("spectrum", metric="euclidean")
    SCALE[0] = 1.0
    check_same(index, grid, asked())
    (file,) = tmp_path.glob("indexes/*/*")
    assert file.read_bytes()[:4] == b"SGE1"
    assert grid.verify().is_clean
    assert len(grid.indexes()) == 1

    keys._held.clear()
    with pytest.raises(swarmgrid.EncryptionError, match=key.id):
        grid.index("spectrum", metric="euclidean")
    keys.hold(key)
    before = file.read_bytes()
    grid.rotate(other)
    assert not file.exists()  # what the old key opens is gone
    check_same(index, grid, asked())  # which builds it again
    file.write_bytes(before)
    assert not grid.verify().is_clean
    check_same(grid.index("spectrum", metric="euclidean"), grid, asked())
    assert grid.verify().is_clean


@pytest.mark.usefixtures("no_keys_held")
def test_a_plain_index_of_a_grid_that_is_encrypted_now_does_not_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = filled(tmp_path)
    index = grid.index("spectrum")
    (file,) = tmp_path.glob("indexes/*/*")
    plain = file.read_bytes()
    fill(tmp_path, range(44))
    to_bytes = container.to_bytes

    def late(*args: Any) -> bytes:
        monkeypatch.setattr(container, "to_bytes", to_bytes)
        data = to_bytes(*args)
        grid.rotate(Key.generate())  # while an index of the plain grid is on its way
        return data

    monkeypatch.setattr(container, "to_bytes", late)
    index.update()
    assert not file.exists()
    index.update()
    assert file.read_bytes()[:4] == b"SGE1"
    file.write_bytes(plain)  # a process was killed between its write and its look
    assert [problem.key.rpartition("/")[2] for problem in grid.verify().problems] == [file.name]
    grid.repair()
    assert not file.exists()
    check_same(grid.index("spectrum"), grid, asked())


class NoIndexes(CountingStore):
    """Has no room for an index."""

    async def set(self, key: str, value: Any) -> None:
        if key.startswith("indexes/"):
            raise OSError(28, "No space left on device")
        await super().set(key, value)


def test_an_index_that_cannot_be_kept_is_used(caplog: pytest.LogCaptureFixture) -> None:
    grid = filled(NoIndexes(), range(8))
    with caplog.at_level(logging.WARNING, "swarmgrid"):
        check_same(grid.index("spectrum"), grid, asked())
    assert "could not be kept" in caplog.text
    assert grid.indexes() == []
    store = MemoryStore()
    grid = filled(store)
    read_only = Grid.open(MemoryStore(store._store_dict, read_only=True), "spectrum/")
    check_same(read_only.index("spectrum"), grid, asked())
    assert grid_objects(store, "indexes") == []


def homes(tmp_path: Path) -> dict[str, Any]:
    obstore = pytest.importorskip("obstore")
    return {
        "directory": tmp_path / "store",
        "sqlite": f"sqlite:///{tmp_path}/a.db",
        "object store": zarr.storage.ObjectStore(obstore.store.MemoryStore()),
        "wrapped": WrapperStore(MemoryStore()),
    }


@pytest.mark.parametrize("home", first(3, ["directory", "sqlite", "object store", "wrapped"]))
def test_every_store_keeps_indexes(home: str, tmp_path: Path) -> None:
    store = homes(tmp_path)[home]
    grid = filled(store, range(8))
    grid.index("spectrum")
    fill(store, range(12))
    index = grid.index("spectrum")
    check_same(index, grid, asked())
    assert len(grid.indexes()) == 1
    assert grid.verify().is_clean
    grid.drop()
    if home == "directory":
        assert not (store / "indexes" / grid.id).exists()


def test_an_index_travels_by_its_place(tmp_path: Path) -> None:
    grid = filled(tmp_path)
    index = pickle.loads(pickle.dumps(grid.index("spectrum")))
    assert len(index) == 0
    check_same(index, grid, asked())
    shutil.rmtree(tmp_path / "indexes")
    check_same(pickle.loads(pickle.dumps(index)), grid, asked())


def test_a_grid_without_axes_and_one_of_strings_and_a_float_axis_are_searched() -> None:
    def vector(name: str = "a", x: float = 1) -> dict[str, Any]:
        return {"v": np.array([len(name), x, 1.0])}

    options = {"func": vector, "version": "1", "executor": "sync", "verbose": 0}
    ds = swarmgrid.compute(axes={}, store=MemoryStore(), **options)
    assert ds.swarmgrid.index("v").query([1, 1, 1], k=3)["distance"].shape == (1,)
    store = MemoryStore()
    swarmgrid.compute(axes={"name": ["a", "bcd"], "x": [1, 2]}, store=store, **options)
    index = Grid.open(store, "vector/").index("v", metric="euclidean")
    swarmgrid.compute(axes={"name": ["bc", "a"], "x": [0.5, 1, 7]}, store=store, **options)
    assert index.update() == 5  # the axis became one of floats: what was there is not new
    hits = index.query([2, 7, 1], k=1)
    assert (hits["name"].item(), hits["x"].item()) == ("bc", 7.0)


def test_vectors_without_a_direction_or_a_value_are_no_hits_and_large_ones_are() -> None:
    table = np.array([[0, 0], [np.nan, 1], [1e200, 1e200], [1, 0], [np.inf, 1], [1e-200, 0]])

    def vector(i: int) -> dict[str, Any]:
        return {"v": table[i]}

    ds = swarmgrid.compute(
        axes={"i": range(6)}, func=vector, store=MemoryStore(), version="1", executor="sync",
        verbose=0,
    )  # fmt: skip
    hits = ds.swarmgrid.index("v").query([1.0, 0.0], k=6)
    exact = ds.swarmgrid.nearest("v", [1.0, 0.0], k=6)
    assert {3} <= {*exact["i"].values.tolist()} <= {2, 3, 5}
    assert {*hits["i"].values.tolist()} == {2, 3, 5}
    of_tiny = ds.swarmgrid.index("v").query([1e-170, 0.0], k=6)
    np.testing.assert_array_equal(of_tiny["distance"], hits["distance"])
    for metric in ("euclidean", "dot"):
        with pytest.raises(swarmgrid.InputError, match="too large for float32"):
            ds.swarmgrid.index("v", metric=metric)


def test_mistakes_are_told_before_anything_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = filled(MemoryStore(), range(4))
    for arguments, options, match in [
        (("spectra",), {}, "no output 'spectra'; expected one of 'spectrum', 'peak'"),
        ((["spectrum"],), {}, "(?s)no output .*; expected one of"),
        (("peak",), {}, r"shape \(\) at each point; expected vectors"),
        (("spectrum",), {"metric": "l2"}, "metric is 'l2'"),
        (("spectrum",), {"metric": np.array(["dot", "l2"])}, "metric is array"),
        (("spectrum",), {"connectivity": True}, "connectivity is True"),
        (("spectrum",), {"connectivity": 1}, "connectivity is 1; expected a number from 2"),
        (("spectrum",), {"expansion": "x"}, "expansion is 'x'"),
    ]:
        with pytest.raises(swarmgrid.InputError, match=match):
            grid.index(*arguments, **options)

    def far(hit: int) -> dict[str, Any]:
        return {"v": np.ones(2)}

    ds = swarmgrid.compute(far, axes={"hit": [1]}, store="memory://far", verbose=0)
    with pytest.raises(swarmgrid.InputError, match=r"named \['hit'\], which hits have, too"):
        ds.swarmgrid.index("v")
    index = grid.index("spectrum")
    same = grid.index("spectrum", connectivity=np.int64(16), expansion=np.uint16(128))
    assert same._settings == index._settings
    assert len(grid.indexes()) == 1
    for query, k, match in [
        ([1, 2], 1, r"shape \(2,\); expected \(16,\)"),
        (np.zeros(16), 1, "vector of zeros"),
        (np.ones(16), 0, "k is 0"),
        ("abc", 1, "expected one vector"),
        ([[1, 2], [1]], 1, "or several of one length"),
    ]:
        with pytest.raises(swarmgrid.InputError, match=match):
            index.query(query, k=k)
    for many in ({"k": 10**12}, {"candidates": 10**12}, {"candidates": np.int64(9)}):
        assert index.query(np.ones(16), **many).sizes["hit"] == (11 if "k" in many else 5)
    assert index.query(np.zeros((0, 16))).sizes["query"] == 0
    with pytest.raises(swarmgrid.InputError, match="candidates is 0"):
        index.query(np.ones(16), candidates=0)
    with pytest.raises(swarmgrid.InputError, match="output is 3"):
        grid.delete_index(3)
    with pytest.raises(swarmgrid.InputError, match="no output 'spectra', .*indexes of 'spectrum'"):
        grid.delete_index("spectra")
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    with pytest.raises(swarmgrid.InputError, match=r"pip install 'swarmgrid-zarr\[search\]'"):
        grid.index("spectrum")
    assert grid.verify().is_clean  # needs no usearch


def values_of(ds: xr.Dataset) -> dict[tuple[int, int], np.ndarray]:
    """The computed points of a grid, with their vectors."""
    whole = ds["spectrum"].transpose("a", "b", ...).load()
    return {
        (int(a), int(b)): whole.values[i, j].astype(float)
        for i, a in enumerate(whole["a"].values)
        for j, b in enumerate(whole["b"].values)
        if not np.isnan(whole.values[i, j]).any()
    }


def distance(vector: np.ndarray, query: np.ndarray, metric: str) -> float:
    if metric == "euclidean":
        return float(np.linalg.norm(vector - query))
    product = float(vector @ query)
    if metric == "dot":
        return -product
    return 1 - product / float(np.linalg.norm(vector) * np.linalg.norm(query))


def check_hits(hits: xr.Dataset, points: dict[tuple[int, int], np.ndarray], metric: str) -> int:
    """Each hit is a computed point, as near as the value that the point has now; how many."""
    pairs = [*zip(hits["a"].values.tolist(), hits["b"].values.tolist(), strict=True)]
    assert len({*pairs}) == len(pairs)
    assert {*pairs} <= points.keys()
    query = asked()[0]
    expected = [distance(points[pair], query, metric) for pair in pairs]
    np.testing.assert_allclose(hits["distance"], expected, rtol=1e-4, atol=2e-5)
    return len(pairs)


def _damage(store: CountingStore, grid: Grid) -> None:
    blobs = Location("", store=store).open()
    stored = [key for key in store._store._store_dict if IS_CHUNK.search(key)]
    if stored:
        blobs.put(min(stored), b"damaged")
        grid.repair()


def _convert(grid: Grid) -> None:
    with contextlib.suppress(swarmgrid.InputError):  # of an output with an encoding of its own
        grid.convert("spectrum", "float64")


def _layout(grid: Grid) -> Any:
    grid_now = grid._read().grid
    return grid_now.layout, grid_now.chunk_shape, grid_now.data_types()


OTHERS: dict[str, Callable[..., Any]] = {
    **{name: OPERATE[name] for name in ("grow", "invalidate", "delete", "rechunk", "snapshot")},
    **{name: OPERATE[name] for name in ("restore", "values")},
    "compress": lambda _s, grid, *_: grid.compress(),
    "convert": lambda _s, grid, *_: _convert(grid),
    "rotate": lambda _s, grid, _f, k, _: grid.rotate(Key.generate() if k else None),
    "archive": lambda _s, grid, folder, *_: grid.archive(folder),
    "thaw": lambda _s, grid, *_: grid.is_archived() and grid.thaw(),
    "damage": lambda store, grid, *_: _damage(store, grid),
}
OTHER_OPERATIONS = st.one_of(
    st.tuples(st.just("grow"), st.integers(1, 32), st.sampled_from([(0,), (0, 1, 2), (2, 5)])),
    st.tuples(st.sampled_from(["invalidate", "delete"]), st.integers(0, 30), st.integers(1, 9)),
    st.tuples(st.just("rechunk"), st.integers(1, 9), st.booleans()),
    st.tuples(st.just("compress"), st.integers(1, 9), st.just(0)),
    st.tuples(st.just("values"), st.sampled_from([1.0, 2.0]), st.just(0)),
    st.tuples(st.just("rotate"), st.integers(0, 1), st.just(0)),
    st.tuples(
        st.sampled_from(
            ["snapshot", "restore", "compress", "archive", "thaw", "damage", "convert"]
        ),
        st.just(0),
        st.just(0),
    ),
)


@pytest.mark.usefixtures("no_keys_held")
@settings(max_examples=examples(5))
@given(operations=st.lists(OTHER_OPERATIONS, max_size=8), metric=st.sampled_from(METRICS))
@example([("snapshot", 0, 0), ("delete", 3, 2), ("grow", 30, (0, 1)), ("restore", 0, 0)], "dot")
@example([("invalidate", 3, 1), ("values", 2.0, 0), ("grow", 20, (0, 1, 2))], "cosine")
@example([("rotate", 1, 0), ("delete", 2, 3), ("archive", 0, 0), ("thaw", 0, 0)], "euclidean")
@example([("archive", 0, 0), ("rechunk", 3, False)], "dot")
def test_an_update_reads_the_chunks_that_changed_and_no_others(
    tmp_path_factory: pytest.TempPathFactory, operations: list[Any], metric: Any
) -> None:
    SCALE[0] = 1.0
    store, folder = CountingStore(), tmp_path_factory.mktemp("archive")
    grid = filled(store, range(20))
    index = grid.index("spectrum", metric=metric)
    points, layout = values_of(grid.dataset()), _layout(grid)
    for operation in operations:
        # what is refused changes nothing, and a snapshot may have lost a value
        with contextlib.suppress(swarmgrid.ArchivedError, swarmgrid.DamageError):
            OTHERS[operation[0]](store, grid, folder, *operation[1:])
        before, layout_before, layout = points, layout, _layout(grid)
        if not grid.is_archived():
            points = values_of(grid.dataset())
        hits = index.query(asked()[0], k=300)
        check_hits(hits, points, metric)
        store.read.clear()
        index.update()
        n_read = len(store.read)
        assert n_read == len({*store.read})
        if layout == layout_before:
            assert n_read <= len(changed_chunks(grid, before, points))
        assert check_hits(index.query(asked()[0], k=300), points, metric) == len(points)
        store.read.clear()
        other = grid.index("spectrum", metric=metric)  # as another process opens it
        assert store.read == []
        assert check_hits(other.query(asked()[0], k=300), points, metric) == len(points)


def changed_chunks(
    grid: Grid, before: dict[tuple[int, int], np.ndarray], now: dict[tuple[int, int], np.ndarray]
) -> set[tuple[int, ...]]:
    """The chunks with a point that came, went or got another value."""
    stored = grid._read().grid
    names = stored.names
    places = {
        axis.name: {int(value): i for i, value in enumerate(axis.values)} for axis in stored.axes
    }
    changed = [
        point
        for point in before.keys() | now.keys()
        if not np.array_equal(before.get(point, np.nan), now.get(point, np.nan))
    ]
    return {
        tuple(
            places[name][point["ab".index(name)]] // length
            for name, length in zip(names, stored.chunk_shape, strict=True)
        )
        for point in changed
    }


def test_an_index_in_a_scope_searches_both_stores_and_writes_to_the_scope_alone() -> None:
    store = MemoryStore()
    shared = filled(store, range(20))
    shared.index("spectrum", metric="euclidean")
    kept = {key: store._store_dict[key].to_bytes() for key in grid_objects(store, "indexes")}
    fill(store, range(24))
    query = spectrum(26, 1)["spectrum"]
    with swarmgrid.scope("alice"):
        fill(store, range(30), (0, 1, 2, 4))
        index = swarmgrid.Grid.open(store, "spectrum/").index("spectrum", metric="euclidean")
    hits = index.query(query, k=2)
    assert (int(hits["a"][0]), int(hits["b"][0])) == (26, 1)
    np.testing.assert_array_equal(hits["spectrum"][0], query)
    assert len(index) == 30 * 4 - 1
    assert index.update() == 0
    again = pickle.loads(pickle.dumps(index))
    xr.testing.assert_identical(again.query(query, k=2).load(), hits.load())
    # the shared store is as it was, and knows nothing of the scope
    assert {key: store._store_dict[key].to_bytes() for key in kept} == kept
    assert grid_objects(store, "indexes") == [*kept]
    assert int(shared.index("spectrum", metric="euclidean").query(query, k=1)["a"][0]) < 24
    with swarmgrid.scope("alice") as mine:
        grid = swarmgrid.Grid.open(store, "spectrum/")
        assert len(grid.indexes()) == 2
        assert grid.delete_index() == 1
        assert len(grid.indexes()) == 1
        mine.discard()
        assert len(grid.index("spectrum", metric="euclidean")) == 24 * 3 - 1


def test_an_index_that_only_a_scope_has_use_for_is_said_to_be_built_in_memory(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = MemoryStore()
    filled(store, range(4))
    with swarmgrid.scope("alice"), caplog.at_level(logging.WARNING, "swarmgrid"):
        grid = swarmgrid.Grid.open(store, "spectrum/")
        assert len(grid.index("spectrum")) == 11
    assert "Outside of the scope, Grid.index keeps it" in caplog.text
    assert grid_objects(store, "indexes") == []
    with swarmgrid.scope("alice"), pytest.raises(swarmgrid.InputError, match="no output 'x'"):
        grid.index("x")


IN_SCOPE = st.one_of(
    st.tuples(st.sampled_from(["shared", "own"]), st.integers(1, 24), st.sampled_from([1, 2, 4])),
    st.tuples(st.sampled_from(["delete", "delete own"]), st.integers(0, 20), st.integers(1, 9)),
    st.tuples(st.sampled_from(["publish", "discard", "update"]), st.just(0), st.just(0)),
    st.tuples(st.just("values"), st.sampled_from([1.0, 2.0]), st.just(0)),
)


@settings(max_examples=examples(5))
@given(operations=st.lists(IN_SCOPE, max_size=7), metric=st.sampled_from(METRICS))
@example([("own", 16, 2), ("values", 2.0, 0), ("shared", 24, 4), ("delete own", 9, 3)], "dot")
@example([("own", 9, 4), ("publish", 0, 0), ("discard", 0, 0), ("delete", 2, 5)], "euclidean")
def test_whatever_is_done_in_a_scope_and_beside_it_an_index_holds_what_counts(
    operations: list[Any], metric: Any
) -> None:
    SCALE[0] = 1.0
    store = MemoryStore()
    shared = filled(store, range(8), [0, 1])
    mine = swarmgrid.scope("alice", store=store)
    own = Grid.open(mine, "spectrum/")
    index = own.index("spectrum", metric=metric)
    for name, n, m in operations:
        if name == "values":
            SCALE[0] = n
        elif name in {"shared", "own"}:
            fill(store if name == "shared" else mine, range(n), range(m), chunks=None)
        elif name in {"delete", "delete own"}:
            with contextlib.suppress(swarmgrid.InputError):  # it is not stored in the scope
                _remove("delete", shared if name == "delete" else own, n, m)
        elif name == "publish":
            mine.publish(on_conflict="keep")
        elif name == "discard":
            mine.discard()
        else:
            index.update()
        points = values_of(own.dataset())
        check_hits(index.query(asked()[0], k=300), points, metric)
        check_hits(index.query(asked()[0], k=3), points, metric)
    index.update()
    points = values_of(own.dataset())
    assert check_hits(index.query(asked()[0], k=300), points, metric) == len(points)
    assert not index.is_stale()
    check_same(index, own, asked(2))


def test_points_that_count_are_found_behind_many_that_do_not() -> None:
    store = MemoryStore()
    fill(store, [0])
    mine = swarmgrid.scope("alice", store=store)
    SCALE[0] = 3.0
    fill(mine, range(20))
    SCALE[0] = 1.0
    fill(store, range(22))  # of which 57 are other points in the scope
    own = Grid.open(mine, "spectrum/")
    index = own.index("spectrum", metric="euclidean")
    query = spectrum(10, 1)["spectrum"]
    hits = index.query(query, k=6)
    assert {*hits["a"].values.tolist()} >= {20, 21}
    check_same(index, own, query, k=6)
