"""Stores with valid checksums and hostile content: an error of ours, soon and in little memory."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import struct
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numcodecs.zstd import compress
from zarr.storage import LocalStore, WrapperStore

import swarmgrid
from swarmgrid.format.segment import MAGIC
from swarmgrid.leases import lease
from swarmgrid.outputs.outputs import Output
from swarmgrid.store import checked_json, lease_record
from tests.long import examples, first
from tests.scenarios.test_swapped import Objects, contents, store_of

AXES: dict[str, Any] = {"x": [1, 2, 3], "s": ["a", "b"]}
MORE: dict[str, Any] = {"x": [1, 2, 3, 4.5], "s": ["a", "b"]}
SMALL = 150 * 2**20


def simulate(x: float, s: str) -> dict[str, Any]:
    if x == 9:
        raise ValueError("nine")
    return {"mean": float(x), "name": s * int(x), "trace": np.arange(3.0) * x}


GRID = swarmgrid.GridFunction(simulate, version="1", verbose=0, executor="sync")


def use(store: Any) -> None:
    """Everything that looks at a store; nothing but our own errors come of it."""
    calls: list[Callable[[], Any]] = [
        lambda: GRID.verify(axes=["x", "s"], store=store),
        lambda: GRID.open(axes=["x", "s"], store=store).load(),
        lambda: GRID.errors(axes=["x", "s"], store=store),
        lambda: GRID.plan(axes=MORE, store=store),
        lambda: GRID.compute(axes=MORE, store=store).load(),
        lambda: GRID.compute(axes=MORE, store=store, retry_failed=False).load(),
        lambda: GRID.repair(axes=["x", "s"], store=store),
    ]
    for call in calls:
        with contextlib.suppress(swarmgrid.SwarmgridError):
            call()


@contextlib.contextmanager
def little_memory() -> Iterator[None]:
    """What is in it takes little memory."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < SMALL
    finally:
        tracemalloc.stop()


@pytest.fixture(autouse=True)
def short_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "LEASE_SECONDS", 0.05)
    monkeypatch.setattr(lease, "_POLL_SECONDS", 0.01)


def made(shards: Any) -> Objects:
    from zarr.storage import MemoryStore

    store = MemoryStore()
    options: dict[str, Any] = {"store": store, "chunks": {"x": 2, "s": 1}, "shards": shards}
    GRID.compute(axes=AXES, **options)
    GRID.compute(axes={"x": [9], "s": ["a"]}, on_error="record", **options)
    return contents(store)


PLAIN, SHARDED = made(None), made({"x": 4, "s": 2})


def key_of(end: str, objects: Objects = PLAIN) -> str:
    return next(key for key in sorted(objects) if key.endswith(end))


# ---- things that are no files ---------------------------------------------------------------


KINDS = ("mean/c.0.0", "name/c.0.0", "x/c.0", "s/c.0", "s/zarr.json", ".seg", ".err", "copy-x-c.0")


def put_fifo(path: Path) -> None:
    os.mkfifo(path)


def put_folder(path: Path) -> None:
    path.mkdir()
    (path / "mine").write_text("a file of the user's")


def put_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def put_circle(path: Path) -> None:
    path.symlink_to(path)


def put_sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**42)


def put_holes(path: Path) -> None:
    """As large as a chunk of strings may be, and it begins as the object that was there."""
    nbytes = 2**31 if path.name.startswith("c.") else 2**26
    with path.open("wb") as file:
        file.write(HEADS[path.name][:100])
        file.truncate(nbytes)


HEADS = {key.rpartition("/")[2]: data for key, data in PLAIN.items()}


class Wrapped(WrapperStore[LocalStore]):
    """A store that a user has wrapped."""


STORES: dict[str, Callable[[Path], Any]] = {
    "path": lambda root: root,
    "read-only": lambda root: LocalStore(root, read_only=True),
    "wrapped": lambda root: Wrapped(LocalStore(root)),
}


PUTS = (put_fifo, put_holes, put_circle, put_folder, put_sparse, put_device)
WAYS: list[tuple[Callable[[Path], None], str, int | None]] = [
    (put_folder, "wrapped", 0),  # of the keys, each third from here on
    (put_fifo, "path", 1),
    (put_holes, "path", 2),
    (put_circle, "path", 0),
    *((put, store, None) for store in STORES for put in PUTS),
]


@pytest.mark.parametrize(("put", "store", "start"), first(1, WAYS))
def test_what_is_no_file_is_neither_waited_for_nor_read(
    tmp_path: Path, put: Callable[[Path], None], store: str, start: int | None
) -> None:
    grid = key_of("/x/c.0").split("/")[2]
    leases = [key for key in PLAIN if key.startswith("locks/") and grid in key]
    group = f"data.zarr/simulate/{grid}/zarr.json"
    keys = [*map(key_of, KINDS), group, max(leases)]
    for i, key in enumerate(keys if start is None else keys[start::3]):
        root = tmp_path / str(i)
        for name, data in PLAIN.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(data)
        (root / key).unlink()
        put(root / key)
        with little_memory():
            use(STORES[store](root))
        if put is put_folder:
            assert (root / key / "mine").exists()


@pytest.mark.parametrize("folder", ["mean", "x", "manifest", "locks"])
def test_no_link_leads_out_of_a_store(tmp_path: Path, folder: str) -> None:
    root, mine = tmp_path / "s", tmp_path / "mine"
    for name, data in PLAIN.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    grid = key_of("/x/c.0").split("/")[2]
    place = {
        "manifest": root / "manifest" / grid, "locks": root / "locks" / grid,
    }.get(folder, root / "data.zarr/simulate" / grid / folder)  # fmt: skip
    place.rename(mine)
    (mine / "thesis.partial").write_text("mine")
    place.symlink_to(mine, target_is_directory=True)
    before = {path.name: path.read_bytes() for path in mine.iterdir()}
    use(root)
    assert {path.name: path.read_bytes() for path in mine.iterdir()} == before
    with pytest.raises(swarmgrid.StoreError, match="symbolic link"):
        GRID.compute(axes=MORE, store=root).load()


def test_a_store_may_itself_be_a_link_and_its_files_too(tmp_path: Path) -> None:
    for name, data in PLAIN.items():
        (tmp_path / "s" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "s" / name).write_bytes(data)
    chunk = tmp_path / "s" / key_of("mean/c.0.0")
    chunk.rename(tmp_path / "annexed")
    chunk.symlink_to(tmp_path / "annexed")
    (tmp_path / "link").symlink_to(tmp_path / "s")
    assert GRID.open(axes=["x", "s"], store=tmp_path / "link")["mean"].values[0, 0] == 1


# ---- bombs ----------------------------------------------------------------------------------


def zeros(n: int) -> bytes:
    return bytes(compress(bytes(n), 1, checksum=True))


@pytest.mark.parametrize("end", first(2, ["mean/c.0.0", "s/c.0", "name/c.0.0", "copy-s-c.0"]))
def test_a_frame_that_expands_is_not_expanded(end: str) -> None:
    bomb = zeros(2**29)
    assert len(bomb) < 2**16
    objects = {**PLAIN, key_of(end): bomb}
    with little_memory():
        use(store_of(objects))


def test_a_segment_that_expands_is_not_expanded() -> None:
    key = key_of(".seg")
    header, _ = segment_parts(PLAIN[key])
    for column in header["columns"]:
        column[2][0] = 2**29 // 4
    objects = {**PLAIN, key: segment(header, zeros(2**29))}
    with little_memory():
        use(store_of(objects))


# ---- shapes ----------------------------------------------------------------------------------


def stretched(n: int, chunk: int) -> Objects:
    """A store whose axes have so many values, and whose chunks so many points along each."""
    from dataclasses import replace

    from swarmgrid.format.grid import StoredAxis
    from swarmgrid.format.grid_io import write_grid
    from swarmgrid.records.grid_state import read_state
    from swarmgrid.space.axis import to_axis
    from swarmgrid.store.layout import GridPath
    from swarmgrid.store.location import to_location

    store = store_of(PLAIN)
    blobs = to_location(store).open()
    state = read_state(blobs, GridPath("simulate", key_of("/x/c.0").split("/")[2]))
    assert state is not None
    grid = state.grid
    values = {"x": [1, 2, 3, *range(10, 7 + n)], "s": ["a", "b", *map(str, range(n - 2))]}
    axes = [StoredAxis.new(to_axis(name, values[name]), chunk) for name in grid.names]
    schema = replace(grid.schema, outputs={"mean": Output(dtype="int8")})
    write_grid(blobs, replace(grid, stored_axes=tuple(axes), schema=schema), None)
    return contents(store)


@pytest.mark.parametrize(
    ("n", "chunk"), first(0, [(10**5, 100), (3, 2**15), (10**4, 1), (7000, 1)])
)
def test_axes_and_chunks_of_any_length_waste_no_memory(n: int, chunk: int) -> None:
    """Of 10**8 chunks, or of 10**10 points; or chunks that are much longer than the axes."""
    objects = stretched(n, chunk)
    grid = swarmgrid.Grid.open(store_of(objects), key_of("/x/c.0").split("/")[2])
    calls: list[Callable[[], Any]] = [
        grid.verify,
        lambda: grid.dataset().isel(x=slice(3), s=slice(2)).load(),
        grid.errors,
        lambda: GRID.plan(axes=AXES, store=store_of(objects)),
        lambda: GRID.open(axes=AXES, store=store_of(objects)).load(),
    ]
    for call in calls:
        with little_memory(), contextlib.suppress(swarmgrid.SwarmgridError):
            call()


# ---- documents ------------------------------------------------------------------------------


def segment_parts(data: bytes) -> tuple[dict[str, Any], bytes]:
    (length,) = struct.unpack_from("<I", data, 8)
    return json.loads(data[12 : 12 + length]), data[12 + length :]


def segment(header: Any, frame: bytes) -> bytes:
    text = json.dumps(header).encode()
    body = struct.pack("<I", len(text)) + text + frame
    return MAGIC + struct.pack("<I", google_crc32c.value(body)) + body


def deep(n: int) -> Any:
    value: Any = []
    for _ in range(n):
        value = [value]
    return value


HOSTILE: list[Any] = [
    *(None, True, False, -1, 0, 1, 2**31, 2**40, 2**62, 2**63, 2**64, 10**300, 1.5, 1e308),
    *("", "..", "../../../../evil", "a/b", "/etc/passwd", "zarr.json", "\0", "\ud800", "x" * 5000),
    *("int64", "float64", "object", "|O", "O,O", "|V8", "string", ".", "/", "int", "float", "str"),
    *([], {}, [[]], [-1], [2**62, 2**62], [0, 0], ["x"], ["x", "x"], {"name": "zstd"}, deep(190)),
    float("inf"), float("nan"),
]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all members of a JSON value."""
    if path:
        yield path
    if isinstance(value, (dict, list)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for step, inner in items:
            yield from places(inner, (*path, step))


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A copy of a JSON value with another member at a path; `DROP` removes it."""
    found = json.loads(json.dumps(value))
    at = found
    for step in path[:-1]:
        at = at[step]
    if new is DROP:
        del at[path[-1]]
    else:
        at[path[-1]] = new
    return found


DROP = object()


def documents(objects: Objects) -> list[str]:
    grid = key_of("/x/c.0", objects).split("/")[2]
    return [
        key
        for key in sorted(objects)
        if key.endswith((".seg", ".err")) or (key.endswith(".json") and grid in key)
    ]


def opened(data: bytes) -> Any:
    return segment_parts(data)[0] if data.startswith(MAGIC) else json.loads(data)


def closed(document: Any, data: bytes) -> bytes:
    """A document as bytes again, with the checksum that it has to have."""
    if data.startswith(MAGIC):
        return segment(document, segment_parts(data)[1])
    with contextlib.suppress(Exception):  # what has no attributes has no checksum
        document = checked_json.with_checksum(document)
    return json.dumps(document).encode("utf-8", "surrogatepass")


CASES = [(o, key, path) for o in (PLAIN, SHARDED) for key in documents(o)
         for path in places(opened(o[key]))]  # fmt: skip


@settings(max_examples=examples(60))
@given(case=st.sampled_from(CASES), value=st.sampled_from([*HOSTILE, DROP]))
def test_documents_that_say_anything_give_errors_of_ours(case: Any, value: Any) -> None:
    objects, key, path = case
    with contextlib.suppress(ValueError):  # what JSON cannot hold
        data = closed(changed(opened(objects[key]), path, value), objects[key])
        use(store_of({**objects, key: data}))


@pytest.mark.parametrize("shift", first(0, [0, 1, 2]))
def test_deep_json_is_no_recursion_error(shift: int) -> None:
    texts = (
        b"[" * 10**5,
        b'{"attributes":' * 10**5,
        b'{"a":' + b"[" * 900 + b"]" * 900 + b"}",
    )
    keys = [key for key in documents(PLAIN) if key.endswith((".json", ".err"))]
    for i, key in enumerate(keys, shift):
        use(store_of({**PLAIN, key: texts[i % 3]}))


@settings(max_examples=examples(40))
@given(data=st.data())
def test_columns_and_indexes_that_say_anything_give_errors_of_ours(data: Any) -> None:
    """The binary parts of segments and shards, with valid checksums."""
    from swarmgrid.format.codec import compressed, expanded

    key = data.draw(st.sampled_from([key_of(".seg"), key_of("trace/c.0.0.0", SHARDED)]))
    objects = PLAIN if key in PLAIN and key.endswith(".seg") else SHARDED
    word = data.draw(
        st.sampled_from([b"\xff" * 8, bytes(8), b"\0\0\0\x80" * 2, b"\xff\xff\xff\x7f" * 2])
    )
    if key.endswith(".seg"):
        header, frame = segment_parts(objects[key])
        raw = bytearray(expanded(frame))
    else:
        raw = bytearray(objects[key])
    start = data.draw(st.integers(0, len(raw) - 1))
    raw[start : start + 8] = word[: len(raw) - start]
    made = segment(header, compressed(bytes(raw))) if key.endswith(".seg") else bytes(raw)
    use(store_of({**objects, key: made}))


@pytest.mark.parametrize("epoch", [10**12 - 1, 10**12 - 10**6 + 1])
def test_a_lease_that_no_owner_could_follow_is_none(epoch: int) -> None:
    grid = key_of("/x/c.0").split("/")[2]
    forged = lease_record.LeaseRecord("w", "elsewhere", 1, "then", 30.0).to_bytes()
    objects = {**PLAIN, f"locks/{grid}/{epoch:012d}.json": forged}
    assert GRID.compute(axes=MORE, store=store_of(objects))["mean"].values.shape == (4, 2)


@pytest.mark.parametrize("seconds", [float("inf"), 10.0**9, -1, "1", None, True])
def test_a_lease_of_senseless_seconds_is_a_broken_one(seconds: Any) -> None:
    grid = key_of("/x/c.0").split("/")[2]
    (key,) = (key for key in PLAIN if key.startswith(f"locks/{grid}/"))
    number = int(Path(key).stem) + 1
    forged = lease_record.LeaseRecord("w", "elsewhere", 1, "then", seconds).to_bytes()
    objects = {**PLAIN, f"locks/{grid}/{number:012d}.json": forged}
    assert GRID.compute(axes=MORE, store=store_of(objects))["mean"].values.shape == (4, 2)


def test_no_lease_of_ours_is_one_that_readers_take_for_broken() -> None:
    from swarmgrid.store.layout import GridPath
    from swarmgrid.store.location import to_location

    location = to_location(store_of({}))
    with lease.acquire(location, GridPath("f", "0" * 32), seconds=1e9):
        found = lease_record.highest_record(location.open(), "0" * 32)[1]
    assert found is not None
    assert found.seconds == 3600


# ---- nothing is run -------------------------------------------------------------------------


READERS = {"store", "leases", "format", "records", "maintenance", "space"}
READERS |= {"outputs", "view", "memo", "memoized"}
"""The rooms that read what a store holds; `leases/sharing.py` copies a store, by pickle."""


def test_no_room_that_reads_a_store_unpickles_or_evaluates() -> None:
    """What reads a store has no pickle, eval, exec or import by name, nor numpy's pickles."""
    package = Path(swarmgrid.__file__).parent
    words = {"pickle", "cloudpickle", "dill", "marshal", "shelve", "joblib"}
    assert {part for part in READERS if not (package / part).is_dir()} == set()
    for path in sorted(package.rglob("*.py")):
        part = path.relative_to(package).parts[0]
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"eval", "exec"}, path
            if isinstance(node, ast.keyword):
                assert node.arg != "allow_pickle", path
            is_reader = part in READERS and path.name != "sharing.py"
            if is_reader and isinstance(node, (ast.Import, ast.ImportFrom)):
                names = {alias.name for alias in node.names} | {getattr(node, "module", "") or ""}
                assert not {name.split(".")[0] for name in names} & words, path


@pytest.mark.parametrize("dtype", ["|O", "O", "O,O", "|O8", "object", "V8,O"])
def test_recorded_bytes_are_never_taken_for_objects(dtype: str) -> None:
    from swarmgrid.memoized import recorded_arrays, scalar_json

    with pytest.raises(ValueError, match="no dtype"):
        scalar_json.from_node({"numpy": [dtype, "00" * 8]})
    with pytest.raises(ValueError, match="no dtype"):
        recorded_arrays.to_dtype(dtype)
