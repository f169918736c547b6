"""Rows of the inventory as bytes and back, and their merging."""

from __future__ import annotations

import gzip
import itertools
import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zarr.storage import MemoryStore

from swarmgrid.inventory import objects
from swarmgrid.inventory.row import AxisBrief, GridRow, newest
from swarmgrid.store.blobs import Blobs
from swarmgrid.store.layout import GridPath
from swarmgrid.store.location import to_location

IDS = [f"{i:032x}" for i in range(5)]
COUNTS = st.integers(0, 2**63 - 1)
ROWS = st.builds(
    GridRow,
    grid=st.sampled_from(IDS),
    folder=st.sampled_from(["f", "g.h"]),
    function=st.text(max_size=3),
    version=st.text(max_size=3),
    params_text=st.sampled_from(['{"alpha": 0.4}', "", "[1]", "{" * 10**4]),
    axes_text=st.sampled_from(['{"x": ["int", 3, 0, 2]}', '{"x": 3}', "3"]),
    outputs_text=st.sampled_from(['{"y": ["int64", "t"]}', '{"y": []}', "}"]),
    tags_text=st.sampled_from(['{"site": "a"}', "null"]),
    points_total=COUNTS,
    points_computed=COUNTS,
    points_failed=COUNTS,
    chunks=COUNTS,
    nbytes=COUNTS,
    seconds=st.floats(0, 1e9),
    created=COUNTS,
    written=COUNTS,
    checksum=st.text(max_size=8),
    time_ns=st.integers(0, 3),
    is_gone=st.just(False),
)
GONE = st.builds(
    lambda grid, time_ns: GridRow(grid, "f", time_ns=time_ns, is_gone=True),
    st.sampled_from(IDS),
    st.integers(0, 3),
)
KEY = "manifest/catalog/a.cat"


@given(st.lists(ROWS | GONE, max_size=4))
def test_rows_survive_being_stored(rows: list[GridRow]) -> None:
    assert objects.decoded_rows(objects.encoded_rows(rows, KEY), KEY) == rows


def one_row(grid: str = IDS[0], time_ns: int = 1, **changes: Any) -> GridRow:
    return GridRow(grid, "f", "f", time_ns=time_ns, **changes)


def test_bytes_that_were_not_written_there_are_refused() -> None:
    data = objects.encoded_rows([one_row()], KEY)
    for n in range(len(data)):
        with pytest.raises(ValueError, match=r"."):
            objects.decoded_rows(data[:n], KEY)
    for i in range(10, len(data)):  # before is the head of gzip, with a time that does not count
        with pytest.raises(ValueError, match=r"."):
            objects.decoded_rows(data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :], KEY)
    for wrong, key in [(data + b"x", KEY), (data + data, KEY), (data, "manifest/catalog/b.cat")]:
        with pytest.raises(ValueError, match=r"follows|another key"):
            objects.decoded_rows(wrong, key)


@pytest.mark.parametrize(
    "change",
    [
        {"grid": ["../../etc"]}, {"grid": [7]}, {"folder": ["a/b"]}, {"folder": [".."]},
        {"folder": [""]}, {"total": [-1]}, {"computed": [2**63]}, {"failed": [True]},
        {"seconds": ["1"]}, {"seconds": [float("nan")]}, {"seconds": [-1.0]}, {"axes": [{}]},
        {"outputs": [3]}, {"time": [None]}, {"tags": [3]}, {"bytes": [1.5]}, {"checksum": [None]},
        {"gone": ["no"]}, {"chunks": [1, 2]}, {"chunks": 1}, {"grid": []}, {"folder": None},
    ],
    ids=str,
)  # fmt: skip
def test_a_row_with_a_member_of_another_type_is_refused(change: dict[str, Any]) -> None:
    document = json.loads(gzip.decompress(objects.encoded_rows([one_row()], KEY)))
    document["rows"] |= change
    with pytest.raises(ValueError, match=r"."):
        objects.decoded_rows(gzip.compress(json.dumps(document).encode()), KEY)


def test_columns_that_a_later_swarmgrid_adds_are_ignored_and_others_may_be_absent() -> None:
    document = json.loads(gzip.decompress(objects.encoded_rows([one_row()], KEY)))
    document["later"] = document["rows"]["later"] = [1]
    assert objects.decoded_rows(gzip.compress(json.dumps(document).encode()), KEY) == [one_row()]
    del document["rows"]["version"], document["rows"]["seconds"]
    assert objects.decoded_rows(gzip.compress(json.dumps(document).encode()), KEY) == [one_row()]


@given(ROWS)
def test_texts_that_hold_no_mapping_read_as_empty_ones(row: GridRow) -> None:
    assert row.params in ({"alpha": 0.4}, {})
    assert row.axes in ({"x": AxisBrief("int", 3, 0, 2)}, {})
    assert row.outputs in ({"y": ("int64", ("t",))}, {})
    assert row.tags in ({"site": "a"}, {})
    assert row.document["axes"] in ({"x": {"kind": "int", "size": 3, "min": 0, "max": 2}}, {})


STEPS = st.tuples(st.sampled_from(IDS), st.integers(0, 9), st.booleans(), st.booleans())


@given(st.lists(STEPS, max_size=30))
def test_the_newest_row_of_a_grid_counts_however_objects_are_compacted(
    steps: list[tuple[str, int, bool, bool]],
) -> None:
    """Of two processes that merge at the same time each may delete what the other has read."""
    blobs = to_location(MemoryStore()).open()
    rows = []
    for i, (grid, time_ns, merges, is_raced) in enumerate(steps):
        rows.append(one_row(grid, 100 * time_ns + i, points_total=i))
        objects.write_rows(blobs, [rows[-1]])
        chosen = objects.to_compact(blobs.names(objects.FOLDER))
        if chosen and merges:
            if is_raced:  # another process has written its own, and deleted nothing yet
                kept = dict(zip(chosen, read(blobs, chosen), strict=True))
                objects.compact(blobs, chosen)
                for name, data in kept.items():
                    blobs.put(objects.FOLDER + name, data)
            objects.compact(blobs, chosen)
    found = objects.read_inventory(blobs)
    assert found.rows == newest(rows)
    assert found.damaged == ()


def read(blobs: Blobs, names: list[str]) -> list[bytes]:
    return [data or b"" for data in blobs.get_many([objects.FOLDER + name for name in names])]


def test_few_objects_stay_and_a_row_is_written_again_few_times() -> None:
    sizes: dict[str, int] = {}
    n_written = 0
    numbers = itertools.count()

    def add(n: int) -> None:
        nonlocal n_written
        n_written += n
        sizes[f"{next(numbers):020d}-{n}-0000000000000000.cat"] = n

    for _ in range(10_000):
        add(1)
        chosen = objects.to_compact(sizes)
        if chosen:
            add(sum(sizes.pop(name) for name in chosen))
        assert len(sizes) <= objects.MAX_OBJECTS
    assert n_written <= 10_000 * 10
    assert sum(sizes.values()) == 10_000


def test_a_reader_that_meets_a_compaction_looks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = to_location("memory://inventory-merge").open()
    names = [objects.write_rows(blobs, [one_row(grid)]) for grid in IDS]
    get_many = type(blobs).get_many

    def merging(self: Any, keys: Any, *args: Any) -> Any:
        monkeypatch.undo()
        objects.compact(blobs, names)
        return get_many(self, keys, *args)

    monkeypatch.setattr(type(blobs), "get_many", merging)
    assert set(objects.read_inventory(blobs).rows) == set(IDS)


def test_what_is_damaged_is_named_and_the_rest_is_read(caplog: pytest.LogCaptureFixture) -> None:
    blobs = to_location("memory://inventory-damage").open()
    objects.write_rows(blobs, [one_row(IDS[0])])
    name = objects.write_rows(blobs, [one_row(IDS[1])])
    blobs.put(objects.FOLDER + name, b"torn")
    blobs.put(objects.FOLDER + "notes.txt", b"not ours")
    blobs.put(f"{objects.FOLDER}{IDS[2]}-{'0' * 16}.open", b"torn")
    with caplog.at_level(logging.WARNING):
        found = objects.read_inventory(blobs)
    assert (set(found.rows), found.damaged, found.marks) == ({IDS[0]}, (name,), ())
    assert name in caplog.text


def test_a_mark_names_its_grid() -> None:
    blobs = to_location("memory://inventory-mark").open()
    name = objects.write_mark(blobs, GridPath("f.<locals>.g", IDS[1]), "ab" * 8)
    (mark,) = objects.read_inventory(blobs).marks
    assert (mark.name, mark.path, mark.writer) == (
        name, GridPath("f._locals_.g", IDS[1]), "ab" * 8
    )  # fmt: skip
    assert objects.marks_of([name, "x"], IDS[1]) == [name]
    assert objects.marks_of([name], IDS[2]) == []
