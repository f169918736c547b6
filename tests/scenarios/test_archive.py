"""Archived grids: everything but values answers, and no value is lost, whatever interrupts it."""

from __future__ import annotations

import contextlib
import functools
import itertools
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

import swarmgrid
from swarmgrid import ArchivedError, Grid
from swarmgrid.codecs import keys
from swarmgrid.leases import lease
from swarmgrid.store import location
from swarmgrid.store.directory import FileBlobs
from tests.conftest import Killed
from tests.long import examples, first

pytestmark = pytest.mark.filterwarnings("ignore:Combining a `sharding_indexed` codec")


def model(x: float, name: str) -> dict[str, Any]:
    if x == 99:
        raise ValueError("no")
    return {"number": x * 1.5, "curve": np.arange(3.0) * x, "text": f"{name}{x}"}


AXES: dict[str, Any] = {"x": [5, 3, 4, 1, 2], "name": ["b", "a"]}


def compute(store: Any, axes: Any = AXES, **options: Any) -> xr.Dataset:
    options = {"chunks": {"x": 2, "name": 2}, "executor": "sync", **options}
    return swarmgrid.compute(model, axes=axes, store=store, version="1", **options)


def grid_of(store: Any) -> Grid:
    return Grid.open(store, "model/")


def partly(store: Any, **options: Any) -> xr.Dataset:
    """A grid with a failure and points left out; one snapshot needs a copy, and one does not."""
    compute(store, {**AXES, "x": [5, 3, 99]}, on_error="record", **options)
    grid_of(store).snapshot("early")
    compute(store, where=lambda x, name: x != 1 or name == "a", **options)
    grid_of(store).delete(x=[3])
    grid_of(store).snapshot("now")
    return grid_of(store).dataset().load()


def stored(url: str) -> dict[str, bytes]:
    """The objects of a ``memory://`` store but those of leases and of the inventory."""
    objects = location._memory[url]._store_dict
    aside = ("locks/", "manifest/catalog/")
    return {key: data.to_bytes() for key, data in objects.items() if not key.startswith(aside)}


@pytest.fixture
def archived(new_memory_store: Callable[[], str]) -> Iterator[str]:
    """A store whose one grid is archived."""
    store, target = new_memory_store(), new_memory_store()
    partly(store)
    grid_of(store).archive(target)
    yield store
    for url in [url for url in location._memory if url.startswith(f"{target}/")]:
        del location._memory[url]


NEEDS_VALUES: dict[str, Callable[[Grid, str], Any]] = {
    "a value": lambda grid, _: grid.dataset()["number"].values,
    "one value": lambda grid, _: grid.dataset()["text"].sel(x=5, name="a").item(),
    "a lazy array": lambda grid, _: grid.dataset(view_chunks={})["curve"].compute(),
    "a value at a time": lambda grid, _: grid.dataset(at="2100-01-01T00:00")["number"].values,
    "a value of a snapshot": lambda grid, _: grid.dataset(at="now")["number"].load(),
    "a difference": lambda grid, _: grid.diff("early"),
    "the engine of xarray": lambda grid, store: (
        xr.open_dataset(f"{store}/data.zarr/model/{grid.id}", engine="swarmgrid")["number"].values
    ),
    "a cached call": lambda _, store: compute(store, {"x": [5], "name": ["a"]})["number"].values,
    "an open": lambda _, store: swarmgrid.open(model, axes=AXES, store=store, version="1").load(),
    "new points": lambda _, store: compute(store, {"x": [7], "name": ["a"]}),
    "failed points again": lambda _, store: compute(
        store, {"x": [99], "name": ["a"]}, retry_failed=True
    ),
    "a table": lambda grid, _: grid.export(Path("never.csv")),
    "a copy": lambda _, store: swarmgrid.copy(store, "memory://archive-other"),
    "a merge": lambda _, store: swarmgrid.merge(store, "memory://archive-other"),
    "a merge into it": lambda _, store: swarmgrid.merge(other_store(), store),
    "known results": lambda grid, _: grid.put_many(
        {(7, "a"): {"number": 1.0, "curve": np.zeros(3), "text": "t"}}
    ),
    "a point": lambda grid, _: grid.get(x=5, name="a"),
    "rechunk": lambda grid, _: grid.rechunk(chunks={"x": 4}),
    "compress": lambda grid, _: grid.compress(),
    "rotate": lambda grid, _: grid.rotate(swarmgrid.Key.generate()),
    "convert": lambda grid, _: grid.convert("number", "complex128"),
    "delete": lambda grid, _: grid.delete(x=[5]),
    "invalidate": lambda grid, _: grid.invalidate(x=[5]),
    "drop": lambda grid, _: grid.drop(snapshots=True),
    "restore": lambda grid, _: grid.restore("early"),
}


def other_store() -> str:
    compute("memory://archive-source", {"x": [5, 8], "name": ["a"]})
    return "memory://archive-source"


@pytest.fixture(autouse=True)
def no_stores_left() -> Iterator[None]:
    yield
    for url in ("memory://archive-other", "memory://archive-source"):
        location._memory.pop(url, None)


def test_whatever_needs_values_says_where_they_are_and_changes_nothing(
    archived: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    grid, before = grid_of(archived), stored(archived)
    for name, call in NEEDS_VALUES.items():
        with pytest.raises(ArchivedError, match=grid.id) as error:
            pytest.fail(f"{name}: {call(grid, archived)}")
        assert "thaw" in str(error.value).lower()
        assert error.value.archive == grid.state().archive
    assert stored(archived) == before
    assert not (tmp_path / "never.csv").exists()
    other = location._memory.get("memory://archive-other")
    assert other is None or not any("/c" in key for key in other._store_dict)


def test_everything_else_answers(archived: str, new_memory_store: Callable[[], str]) -> None:
    plain = new_memory_store()
    before = partly(plain)
    grid, same = grid_of(archived), grid_of(plain)
    assert grid.state().points_computed == same.state().points_computed == 7
    assert grid.state().archive.startswith("memory://")
    assert same.state().archive == ""
    assert grid.plan().points_missing == same.plan().points_missing
    xr.testing.assert_identical(grid.status(), same.status())
    assert grid.missing().equals(same.missing())
    assert grid.errors()["x"].tolist() == [99, 99]
    assert grid.timings()["seconds"].shape == (6, 2)
    assert [one.message for one in grid.snapshots()] == ["early", "now"]
    kept = [each.dataset(at="early")["number"].values for each in (grid, same)]
    np.testing.assert_array_equal(*kept)
    assert grid.dataset().coords.equals(before.coords)
    assert swarmgrid.plan(model, axes={**AXES, "x": [5, 7]}, store=archived, version="1")
    catalog = swarmgrid.catalog(archived)
    (row,) = catalog.rows
    assert (row.points_computed, row.archive) == (7, grid.state().archive)
    assert catalog.to_dataframe()["archive"].tolist() == [row.archive]
    assert "archived in" in repr(catalog)
    assert len(catalog.query({"archived": True, "archive": {"$regex": "^memory://"}})) == 1
    assert not swarmgrid.catalog(plain).query({"archived": True}).rows
    report = grid.verify()
    assert (report.problems, report.notes, report.points) == ((), (), 7)
    assert (report.archive, report.chunks) == (row.archive, 0)
    assert "whose values are in the archive" in str(report)
    assert "Grid.thaw" in str(report)
    assert "Grid.thaw" in report._repr_html_()
    assert grid.repair() == report
    read = grid.verify(archived=True)
    assert (read.problems, read.chunks, read.points) == ((), same.verify().chunks, 7)
    assert f"chunks read, the archive {row.archive!r} included: nothing is wrong" in str(read)
    mine = Grid.open(swarmgrid.scope("a", archived), "model/")
    compute(swarmgrid.scope("a", archived), {"x": [7], "name": ["a"]})
    report = mine.verify()
    assert (report.points, report.unread, report.chunks > 0) == (8, 7, True)
    assert "8 points in 3 chunks read, but for 7 points, whose values are in" in str(report)
    assert mine.verify(archived=True).unread == 0
    assert mine.state().archive == row.archive
    assert compute(archived, {"x": [5], "name": ["a"]}).sizes["x"] == 1
    assert grid.exists(x=5, name="a")
    grid.tag(status="cold")
    assert grid.tags == {"status": "cold"}
    assert swarmgrid.prune(archived, max_bytes=0).grids == ()
    assert "archived" in grid._repr_html_()
    # and the archive is a store of its own
    there = grid_of(grid.state().archive).dataset().load()
    xr.testing.assert_identical(there, before)
    grid.drop(snapshots=True, archived=True)
    assert len(swarmgrid.catalog(archived)) == 0


def test_an_open_dataset_says_so_and_goes_on_after_the_thaw(
    new_memory_store: Callable[[], str],
) -> None:
    store, target = new_memory_store(), new_memory_store()
    before = partly(store)
    old = grid_of(store).dataset()
    grid_of(store).archive(target)
    between = pickle.loads(pickle.dumps(grid_of(store).dataset()))
    for ds in (old, between):
        with pytest.raises(ArchivedError, match="none is lost"):
            ds["number"].values  # noqa: B018
    assert not [key for key in stored(store) if key.endswith(".bad")]
    grid_of(store).thaw()
    for ds in (old, between):
        xr.testing.assert_identical(ds.load(), before)


def test_other_readers_refuse_the_outputs_and_show_no_fill_values(tmp_path: Path) -> None:
    tensorstore = pytest.importorskip("tensorstore")
    group = compute(tmp_path / "cache").encoding["source"]
    grid_of(tmp_path / "cache").archive(tmp_path / "tape")
    with pytest.raises((ValueError, ArchivedError), match="archive"):
        xr.open_zarr(group)["number"].values  # noqa: B018
    for name in ("number", "curve", "text"):
        with pytest.raises((ValueError, ArchivedError), match="archive"):
            zarr.open_array(f"{group}/{name}", mode="r")[...]
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{group}/number"}}
    with pytest.raises(ValueError, match="archived"):
        tensorstore.open(spec).result()
    assert zarr.open_array(f"{group}/x", mode="r")[...].tolist() == AXES["x"]


def test_a_zarr_that_knows_the_encoding_opens_the_group_and_says_where_the_values_are(
    archived: str,
) -> None:
    registry = pytest.importorskip("zarr.registry")
    if not hasattr(registry, "register_chunk_key_encoding"):
        pytest.skip("this zarr has no registry of chunk key encodings")
    from swarmgrid.codecs.archived_keys import ArchivedKeys

    registry.register_chunk_key_encoding("swarmgrid.archived", ArchivedKeys)  # its entry point
    grid = grid_of(archived)
    store = location._memory[archived]
    group = zarr.open_group(store, path=f"data.zarr/model/{grid.id}", mode="r")
    assert group["x"][...].tolist() == grid.dataset()["x"].values.tolist()
    assert group["number"].shape == (6, 2)
    for read in (lambda: group["number"][...], lambda: group["curve"][0, 0]):
        with pytest.raises(ArchivedError, match=f"model/{grid.id[:12]}"):
            read()
    assert grid.thaw()


@st.composite
def grids(draw: st.DrawFn) -> dict[str, Any]:
    chunks = {"x": draw(st.integers(1, 4)), "name": draw(st.integers(1, 2))}
    factor = draw(st.none() | st.integers(1, 2))
    shards = None if factor is None else {name: n * factor for name, n in chunks.items()}
    codec = draw(st.sampled_from([None, "gzip", []]))
    key = draw(st.sampled_from([None, swarmgrid.Key.generate()]))
    return {"chunks": chunks, "shards": shards, "codec": codec, "key": key}


@settings(max_examples=examples(10))
@given(data=st.data())
def test_a_grid_comes_back_from_an_archive_byte_by_byte(
    data: st.DataObject, new_memory_store: Callable[[], str]
) -> None:
    pytest.importorskip("cryptography")
    store, target = new_memory_store(), new_memory_store()
    options = data.draw(grids())
    partly(store, **options)
    grid = grid_of(store)
    if data.draw(st.booleans()):
        grid.rechunk(chunks={"x": 3}, shards=False)
    if data.draw(st.booleans()):
        grid.invalidate(name=["b"])
    before, objects = grid.dataset().load(), stored(store)
    then = [grid.dataset(at=name).load() for name in ("early", "now")]
    change = grid.archive(target)
    kept = stored(store)
    outputs = [f"/{name}/{c}" for name in before for c in ("c.", "0", "1", "2")]
    rows = grid.state().points_computed
    gone = objects.keys() - kept.keys()
    assert len(gone) == change.chunks
    assert all(any(part in key for part in outputs) for key in gone)
    assert change.nbytes == pytest.approx(sum(len(objects[key]) for key in gone), rel=0.2)
    grid.thaw()
    assert stored(store) == objects
    assert rows == grid.state().points_computed
    xr.testing.assert_identical(grid.dataset().load(), before)
    for name, ds in zip(("early", "now"), then, strict=True):
        xr.testing.assert_identical(grid.dataset(at=name).load(), ds)
    assert grid.verify().is_clean
    assert not any(location._memory[url]._store_dict for url in location._memory
                   if url.startswith(f"{target}/"))  # fmt: skip
    keys._held.clear()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a grid, and one with the same grid archived; both are copied, and not used."""
    folder = tmp_path_factory.mktemp("archive")
    compute(folder / "home", {"x": [5, 3, 4], "name": ["b"]})
    return folder / "home"


def steps(way: str) -> itertools.count[int]:
    """Each write of the long run; of the default run some."""
    return itertools.count(3, 1 if examples(50) > 50 else {"archive": 19, "thaw": 11}[way])


WAYS = [("archive", "thaw"), ("thaw", "thaw"), ("archive", "archive"), ("thaw", "archive")]


@pytest.mark.parametrize(("way", "then"), first(2, WAYS))
def test_a_kill_at_any_step_leaves_every_value_in_one_of_the_places(
    prepared: Path, tmp_path: Path, kill_at: Callable[[int], None], way: str, then: str
) -> None:
    before = grid_of(prepared).dataset().load()
    for k in steps(way):
        home, tape = tmp_path / str(k), tmp_path / f"tape-{k}"
        shutil.copytree(prepared, home)
        grid = grid_of(home)
        if way == "thaw":
            grid.archive(tape)
        action = functools.partial(grid.archive, tape) if way == "archive" else grid.thaw
        is_over = not killed_in(action, kill_at, k)
        check_one_place(grid, home, before)
        if then == "archive":
            with contextlib.suppress(swarmgrid.InputError):  # of a thaw that was about to end
                grid.archive(tape)
                assert not list(home.glob("data.zarr/model/*/number/c.*"))
        if grid.is_archived():
            grid.thaw()
        xr.testing.assert_identical(grid.dataset().load(), before)
        assert grid.verify().is_clean, (k, grid.verify())
        # but a staging folder, which the next writer removes
        notes = [note for note in grid.verify().notes if not note.key.startswith("locks/")]
        assert notes == [], (k, notes)
        assert not list(tape.glob("*"))
        if is_over:
            break


def killed_in(action: Callable[[], Any], kill_at: Callable[[int], None], k: int) -> bool:
    """Whether an action was killed, before its ``k``-th write; of the process nothing is left."""
    kill_at(k)
    try:
        action()
    except Killed:
        return True
    finally:
        kill_at(-1)
        lease._own.clear()  # as in a process that has ended
    return False


def check_one_place(grid: Grid, home: Path, before: xr.Dataset) -> None:
    """See that all values are where the grid says, and that nothing else is taken for them."""
    if not grid.state().archive:
        xr.testing.assert_identical(grid.dataset().load(), before)
        assert grid.verify().is_clean, grid.verify()
        return
    with pytest.raises(ArchivedError):
        grid.dataset().load()
    assert grid_of(grid.state().archive).dataset().load().identical(before)
    compute(home, {"x": [5], "name": ["b"]})
    with pytest.raises(ArchivedError):
        compute(home, {"x": [8], "name": ["b"]})


@pytest.mark.parametrize("way", first(1, ["archive", "thaw"]))
def test_a_process_that_was_overtaken_at_any_step_harms_nothing(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """It sleeps before one of its writes, while another takes the grid over, and wakes up then."""
    before = grid_of(prepared).dataset().load()
    outcomes = set()
    for k in steps(way):
        home, tape = tmp_path / str(k), tmp_path / f"tape-{k}"
        shutil.copytree(prepared, home)
        grid = grid_of(home)
        if way == "thaw":
            grid.archive(tape)

        def overtake(grid: Grid = grid, tape: Path = tape) -> None:
            lease._own.clear()  # the one that sleeps shows no sign of life
            if not grid.is_archived():
                grid.archive(tape)
            grid.thaw()

        with monkeypatch.context() as patched:
            left = sleep_before(k, overtake, patched)
            try:
                grid.archive(tape) if way == "archive" else grid.thaw()
            except (swarmgrid.StoreError, swarmgrid.InputError) as error:
                outcomes.add(type(error).__name__)
        lease._own.clear()
        if grid.is_archived():
            grid.thaw()
        xr.testing.assert_identical(grid.dataset().load(), before)
        assert grid.verify().is_clean, (k, grid.verify())
        if next(left) > 0:
            break
    assert "LeaseLostError" in outcomes


def sleep_before(
    k: int, meanwhile: Callable[[], None], patched: pytest.MonkeyPatch
) -> Iterator[int]:
    """Have something else happen before the ``k``-th write; a countdown of the writes."""
    left = itertools.count(k, -1)
    for name in ("put", "create", "delete"):
        plain = getattr(FileBlobs, name)

        def sleepy(self: Any, *args: Any, plain: Any = plain) -> Any:
            if next(left) == 0:
                meanwhile()
            return plain(self, *args)

        patched.setattr(FileBlobs, name, sleepy)
    return left


def test_points_that_come_between_two_attempts_are_archived_too(
    prepared: Path, tmp_path: Path, kill_at: Callable[[int], None]
) -> None:
    home, tape = tmp_path / "home", tmp_path / "tape"
    shutil.copytree(prepared, home)
    kill_at(30)
    with pytest.raises(Killed):
        grid_of(home).archive(tape)
    kill_at(-1)
    lease._own.clear()
    assert [note.reason for note in grid_of(home).verify().notes if "archive" in note.reason]
    more = compute(home, {"x": [5, 3, 4, 8], "name": ["a", "b"]}).load()
    with pytest.raises(swarmgrid.InputError, match=r"in the archive .*tape.*thaw it"):
        grid_of(home).archive(tmp_path / "elsewhere")
    grid_of(home).archive(tape)
    assert len(list(tape.iterdir())) == 1
    grid_of(home).thaw()
    assert compute(home, {"x": [5, 3, 4, 8], "name": ["a", "b"]}).identical(more)


def test_a_damaged_archive_keeps_what_is_whole_and_gives_up_only_when_told(
    prepared: Path, tmp_path: Path
) -> None:
    home, tape = tmp_path / "home", tmp_path / "tape"
    shutil.copytree(prepared, home)
    before = grid_of(home).dataset().load()
    grid_of(home).archive(tape)
    (chunk,) = tape.glob("*/data.zarr/model/*/number/c.0.0")
    chunk.write_bytes(chunk.read_bytes()[:-3])
    with pytest.raises(swarmgrid.StoreError, match=r"1 chunk of the archive .* c\.0\.0|number/c"):
        grid_of(home).thaw()
    assert grid_of(home).state().archive
    grid_of(home).thaw(skip_damaged=True)
    assert grid_of(home).state().points_computed == 1
    assert compute(home, {"x": [5, 3, 4], "name": ["b"]}).identical(before)
    assert chunk.exists()


def test_verify_finds_damage_here_and_in_the_archive_and_repair_restores_what_is_here(
    prepared: Path, tmp_path: Path
) -> None:
    home, tape = tmp_path / "home", tmp_path / "tape"
    shutil.copytree(prepared, home)
    grid = grid_of(home)
    grid.snapshot("one")
    before = grid.dataset().load()
    grid.archive(tape)
    (document,) = home.glob("data.zarr/model/*/number/zarr.json")
    (axis,) = home.glob("data.zarr/model/*/x/c.0")
    whole = {path: path.read_bytes() for path in (document, axis)}
    document.unlink()
    axis.write_bytes(b"torn")
    found = grid.verify()
    assert [p.key.rpartition("/model/")[2].partition("/")[2] for p in found.problems] == ["x/c.0"]
    grid.repair()
    assert {path: path.read_bytes() for path in whole} == whole
    assert (grid.verify().is_clean, grid.verify().notes) == (True, ())

    chunks = sorted(tape.glob("*/data.zarr/model/*/number/c.*"))
    data = chunks[0].read_bytes()
    chunks[0].write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    moved = chunks[1].rename(tmp_path / "aside")
    assert grid.verify().is_clean  # it does not look there unless it is asked to
    there = grid.verify(archived=True)
    damaged = {p.key for p in there.problems}
    assert {str(path) for path in chunks[:2]} <= damaged
    assert sum(p.points for p in there.problems) == 3
    assert any("snapshot" in p.reason for p in there.problems)
    chunks[0].write_bytes(data)
    moved.rename(chunks[1])
    assert grid.verify(archived=True).is_clean
    (place,) = tape.iterdir()
    place.rename(tmp_path / "moved")
    assert grid.verify().is_clean
    with pytest.raises(swarmgrid.StoreError, match="Is that mounted"):
        grid.verify(archived=True)
    with pytest.raises(swarmgrid.InputError, match="archived is 1; expected"):
        grid.verify(archived=1)  # type: ignore[arg-type]
    with pytest.raises(swarmgrid.InputError, match="pass archived=True, too"):
        grid.verify(storage_options={"region": "x"})
    grid.thaw(tmp_path / "moved")
    assert grid.dataset().load().identical(before)
    assert grid.verify(archived=True) == grid.verify()


def test_verify_is_not_misled_by_an_archiving_that_comes_between(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, grids = tmp_path / "home", iter([grid_of(prepared)])
    shutil.copytree(prepared, home)
    plain = FileBlobs.get

    def get(self: Any, key: str, *args: Any) -> Any:
        if "/number/c." in key and next(grids, None):
            grid_of(home).archive(tmp_path / "tape")
        return plain(self, key, *args)

    monkeypatch.setattr(FileBlobs, "get", get)
    report = grid_of(home).verify()
    assert (report.problems, report.unread, report.chunks) == ((), 3, 0)
    assert report.archive == grid_of(home).state().archive


def test_an_archive_that_was_moved_or_is_not_mounted(prepared: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(prepared, home)
    before = grid_of(home).dataset().load()
    grid_of(home).archive(tmp_path / "tape")
    (place,) = (tmp_path / "tape").iterdir()
    place.rename(tmp_path / "moved")
    with pytest.raises(swarmgrid.StoreError, match="there is no such grid. Is that mounted"):
        grid_of(home).thaw()
    grid_of(home).thaw(tmp_path / "moved")
    assert grid_of(home).dataset().load().identical(before)
    assert grid_of(tmp_path / "moved").dataset().load().identical(before)


def test_metadata_that_is_damaged_while_archived_is_restored(
    prepared: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(prepared, home)
    before = grid_of(home).dataset().load()
    grid_of(home).archive(tmp_path / "tape")
    (document,) = home.glob("data.zarr/model/*/zarr.json")
    (one, *_) = home.glob("data.zarr/model/*/number/zarr.json")
    document.unlink()
    # as a kill leaves it between the documents of two arrays
    shutil.copy(next(prepared.glob("data.zarr/model/*/number/zarr.json")), one)
    with pytest.raises(ArchivedError):
        compute(home, {"x": [8], "name": ["b"]})
    grid_of(home).thaw()
    assert grid_of(home).dataset().load().identical(before)


def test_a_grid_without_metadata_is_not_forgotten_while_it_is_archived(
    prepared: Path, tmp_path: Path
) -> None:
    home, tape = tmp_path / "home", tmp_path / "tape"
    shutil.copytree(prepared, home)
    before = grid_of(home).dataset().load()
    grid_of(home).archive(tape)
    place = grid_of(home).state().archive
    for file in (*home.glob("data.zarr/model/*/x/c.*"), *home.glob("manifest/*/copy-x-*")):
        file.unlink()
    with pytest.raises(swarmgrid.StoreError, match="has all of it.*swarmgrid.copy"):
        grid_of(home).repair()
    grid_of(home).drop(archived=True)
    assert len(swarmgrid.copy(place, home).copied) == 1
    assert grid_of(home).dataset().load().identical(before)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "the store itself": ({"target": "."}, "is the store of the grid itself"),
    "a folder in it": ({"target": "./tape"}, "or in it"),
    "memory": ({"target": "memory://tape"}, "ends with this process"),
    "a database": ({"target": "sqlite:///a.db"}, "expected a folder, or a URL of an object store"),
    "a class of a folder": (
        {"target": "../tape", "storage_class": "GLACIER"},
        "knows no storage classes",
    ),
    "no class": ({"target": "../tape", "storage_class": 3}, "expected a name of the server's"),
    "no target": ({"target": 3}, "expected a path"),
    "options of a folder": (
        {"target": "../tape", "storage_options": {"region": "x"}},
        "storage_options are given",
    ),
}


@pytest.mark.parametrize(("options", "text"), BAD.values(), ids=BAD)
def test_a_target_that_is_none_is_said_before_anything_is_written(
    prepared: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], text: str
) -> None:
    monkeypatch.chdir(prepared)
    before = sorted(prepared.rglob("*"))
    with pytest.raises(swarmgrid.InputError, match=text):
        grid_of(prepared).archive(**options)
    with pytest.raises(swarmgrid.InputError, match="is not archived; its values are there"):
        grid_of(prepared).thaw()
    assert sorted(prepared.rglob("*")) == before


def test_a_snapshot_of_an_archived_grid_reads_after_the_thaw(
    new_memory_store: Callable[[], str],
) -> None:
    store, target = new_memory_store(), new_memory_store()
    before = partly(store)
    grid = grid_of(store)
    grid.archive(target)
    assert swarmgrid.catalog(store).snapshot("late")[grid.id].points == 7
    with pytest.raises(ArchivedError):
        grid.dataset(at="late")["number"].load()
    assert (grid.verify().is_clean, grid.verify(archived=True).is_clean) == (True, True)
    grid.thaw()
    xr.testing.assert_identical(grid.dataset(at="late").load(), before)
    grid.delete(x=[5])
    xr.testing.assert_identical(grid.dataset(at="late").load(), before)
    grid.restore("late")
    xr.testing.assert_identical(grid.dataset().load(), before)
    assert grid.verify().is_clean
