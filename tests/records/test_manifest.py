"""What is computed, against a set of points."""

from __future__ import annotations

import itertools
import logging
import math
import random
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from swarmgrid.format.grid import StoredGrid
from swarmgrid.format.segment import Row, Rows, Segment
from swarmgrid.records.manifest import (
    COMPACT_FROM,
    Manifest,
    read_manifest,
    to_compact,
    write_segment,
)
from swarmgrid.space.points import Points
from swarmgrid.space.selection import AxisSelection, Selection
from swarmgrid.store.directory import FileBlobs
from tests.stores.grids import PATH, grown, new_grid

Point = tuple[int, ...]


def row(index: Point, points: Points, seconds: float = 1.0) -> Row:
    return Row(bytes(16), index, points, (7,), seconds)


def manifest(rows: list[Row], n_axes: int) -> Manifest:
    return Manifest(Rows.from_rows(rows, n_axes, 1), {})


@st.composite
def scenes(draw: st.DrawFn) -> tuple[tuple[int, ...], list[Row], list[list[int]]]:
    """A chunk shape, rows of boxes and bitmaps in a few chunks, and positions on every axis."""
    chunk_shape = tuple(draw(st.lists(st.integers(1, 3), max_size=3)))
    rows = []
    for _ in range(draw(st.integers(0, 8))):
        mask = np.zeros(chunk_shape, bool)
        if draw(st.booleans()):
            mask[tuple(slice(draw(st.integers(1, n))) for n in chunk_shape)] = True
        else:
            mask.flat[draw(st.lists(st.integers(0, mask.size - 1), min_size=1))] = True
        index = tuple(draw(st.integers(0, 2)) for _ in chunk_shape)
        rows.append(row(index, Points.from_mask(mask)))
    requested = [
        draw(st.lists(st.integers(0, 3 * n - 1), unique=True, max_size=5)) for n in chunk_shape
    ]
    return chunk_shape, rows, requested


def computed_points(chunk_shape: Point, rows: list[Row]) -> set[Point]:
    return {
        tuple(int(i * n + w) for i, n, w in zip(r.index, chunk_shape, within, strict=True))
        for r in rows
        for within in r.points.indices()
    }


def points_of(chunk: Point, shape: Point) -> Iterator[Point]:
    return itertools.product(
        *(range(i * n, (i + 1) * n) for i, n in zip(chunk, shape, strict=True))
    )


@given(scenes())
@example(((2,), [row((0,), Points((1,))), row((0,), Points.at((1,)))], [[0, 1]]))
@example(((2, 2), [row((1, 0), Points((1, 2))), row((1, 0), Points((2, 1)))], [[2, 3], [1, 0]]))
@example(((), [row((), Points(()))], []))
@example(((), [], []))
def test_coverage_is_that_of_a_set_of_points(
    scene: tuple[tuple[int, ...], list[Row], list[list[int]]],
) -> None:
    chunk_shape, rows, requested = scene
    computed = computed_points(chunk_shape, rows)
    axes = (
        AxisSelection(np.array(positions, np.intp), n)
        for positions, n in zip(requested, chunk_shape, strict=True)
    )
    selection = Selection(tuple(axes))
    complete, partial = manifest(rows, len(chunk_shape)).coverage(selection)
    asked = set(itertools.product(*requested))
    assert complete.shape == selection.grid_shape
    for touched in selection.touched():
        whole = list(points_of(selection.chunk_index(touched), chunk_shape))
        assert complete[touched] == (asked.intersection(whole) <= computed)
        is_partial = not complete[touched] and not computed.isdisjoint(whole)
        assert (touched in partial) == is_partial
        if is_partial:
            expected = np.reshape([point in computed for point in whole], chunk_shape)
            np.testing.assert_array_equal(partial[touched], expected)


@given(scenes())
def test_every_row_is_found_by_its_chunk(
    scene: tuple[tuple[int, ...], list[Row], list[list[int]]],
) -> None:
    chunk_shape, rows, _ = scene
    found = manifest(rows, len(chunk_shape))
    for index in itertools.product(range(3), repeat=len(chunk_shape)):
        expected = [i for i, one in enumerate(rows) if one.index == index]
        assert found.rows_of(index).tolist() == expected


def test_the_time_of_a_point_is_the_mean_over_the_whole_boxes() -> None:
    rows = [row((0,), Points((3,)), 6.0), row((1,), Points((1,)), 2.0)]
    assert manifest(rows, 1).seconds_per_point() == pytest.approx(2.0)
    assert manifest([], 1).seconds_per_point() is None


# ---- merging


@pytest.mark.parametrize("largest", [1, 10, 1000], ids="up to {} rows".format)
def test_compaction_keeps_few_segments_and_loses_none(largest: int) -> None:
    numbers = random.Random(largest)
    sizes: dict[str, int] = {}
    content: dict[str, set[int]] = {}
    merges, rewritten, total = 0, 0, 0
    for i in range(1500):
        name, n = f"s{i}", numbers.randint(1, largest)
        sizes[name], content[name], total = n, {i}, total + n
        names = to_compact(sizes)
        if names:
            merges += 1
            rewritten += sum(sizes[one] for one in names)
            merged = f"m{i}"
            size = sum(sizes.pop(one) for one in names)
            content[merged] = set().union(*(content.pop(one) for one in names))
            sizes[merged] = size
        assert len(set(names)) == len(names)
        levels = 1 + math.floor(math.log(total, COMPACT_FROM))
        assert len(sizes) <= COMPACT_FROM * levels
    assert set().union(*content.values()) == set(range(1500))
    assert merges > 0
    assert rewritten <= total * (2 + math.log(total, COMPACT_FROM))


def test_a_segment_that_is_full_is_never_compacted_again() -> None:
    numbers = random.Random(0)
    sizes: dict[str, int] = {}
    rewritten = total = 0
    for i in range(3000):
        sizes[f"s{i}"] = n = numbers.randint(48, 300)
        total += n
        names = to_compact(sizes, 8000)
        assert len(names) != 1
        size = sum(sizes.pop(one) for one in names)
        assert size <= 8000
        rewritten += size
        if names:
            sizes[f"m{i}"] = size
        assert len(sizes) <= total // 1000 + COMPACT_FROM * 4
    assert sum(sizes.values()) == total
    assert rewritten <= total * 6


def test_a_few_segments_stay_as_they_are() -> None:
    assert to_compact({}) == []
    assert to_compact({f"{i}": 1 for i in range(COMPACT_FROM - 1)}) == []


def test_a_full_class_takes_the_smaller_segments_along() -> None:
    sizes = {f"large {i}": 10 for i in range(COMPACT_FROM)} | {"small": 1, "huge": 10_000}
    assert set(to_compact(sizes)) == sizes.keys() - {"huge"}


# ---- reading


@pytest.fixture
def grid() -> StoredGrid:
    return new_grid({"s": [1, 2, 3], "t": ["a"]}, {"s": 2, "t": 1})


def commit(files: FileBlobs, grid: StoredGrid, name: str, index: Point = (0, 0)) -> None:
    rows = Rows.from_rows([row(index, Points((1, 1)))], 2, 1)
    assert write_segment(files, PATH, name, grid, rows) > 0


def read(files: FileBlobs, grid: StoredGrid) -> Manifest:
    found = read_manifest(files, PATH, files.names(PATH.manifest), grid)
    assert found is not None
    return found


def test_a_manifest_is_the_union_of_its_segments(files: FileBlobs, grid: StoredGrid) -> None:
    commit(files, grid, "b.seg", (1, 0))
    commit(files, grid, "a.seg", (0, 0))
    files.put(f"{PATH.manifest}note.txt", b"not a segment")
    found = read(files, grid)
    assert found.rows.index.tolist() == [[0, 0], [1, 0]]
    assert dict(found.sizes) == {"a.seg": 72, "b.seg": 72}


def test_no_segments_make_an_empty_manifest(files: FileBlobs, grid: StoredGrid) -> None:
    found = read(files, grid)
    assert (len(found.rows), found.sizes, found.damaged) == (0, {}, ())


def test_a_segment_that_is_gone_makes_no_manifest(files: FileBlobs, grid: StoredGrid) -> None:
    commit(files, grid, "a.seg")
    assert read_manifest(files, PATH, ["a.seg", "gone.seg"], grid) is None


def test_segments_of_before_the_growth_still_count(files: FileBlobs, grid: StoredGrid) -> None:
    commit(files, grid, "a.seg")
    for larger in (grown(grid, s=[9]), grown(grid, s=[0.5]), grown(grid, s=[0.5], t=["b"])):
        assert list(read(files, larger).sizes) == ["a.seg"]


def other_values() -> StoredGrid:
    return new_grid({"s": [1, 2, 4], "t": ["a"]}, {"s": 2, "t": 1})


FOREIGN = {
    "other axis values": other_values(),
    "another order of values": new_grid({"s": [2, 1, 3], "t": ["a"]}, {"s": 2, "t": 1}),
    "more values": grown(new_grid({"s": [1, 2, 3], "t": ["a"]}, {"s": 2, "t": 1}), s=[4]),
    "other axes": new_grid({"s": [1, 2, 3], "u": ["a"]}, {"s": 2, "u": 1}),
    "strings instead of numbers": new_grid({"s": ["1", "2", "3"], "t": ["a"]}, {"s": 2, "t": 1}),
}


@pytest.mark.parametrize("foreign", FOREIGN.values(), ids=FOREIGN)
def test_a_segment_of_another_grid_is_left_out_and_logged(
    foreign: StoredGrid, files: FileBlobs, grid: StoredGrid, caplog: pytest.LogCaptureFixture
) -> None:
    commit(files, foreign, "a.seg", (1, 0))
    commit(files, grid, "b.seg")
    with caplog.at_level(logging.WARNING, "swarmgrid"):
        found = read(files, grid)
    assert (list(found.sizes), found.damaged) == (["b.seg"], ("a.seg",))
    assert found.rows.index.tolist() == [[0, 0]]
    assert "a.seg is damaged" in caplog.text
    assert "computed again" in caplog.text


def test_a_segment_counts_if_all_its_points_lie_in_the_grid(files: FileBlobs) -> None:
    grid = new_grid({"s": [1, 2, 3], "t": ["a", "b"]}, {"s": 2, "t": 1})
    boxes = itertools.product(range(-1, 3), range(4), range(-1, 3), range(3))
    inside = {(0, 1), (0, 2), (1, 1)}, {(0, 1), (1, 1)}
    expected = set()
    sound = row((0, 0), Points((1, 1)))
    for i, n, j, m in boxes:
        name = f"{i}{n}{j}{m}.seg"
        rows = [sound, row((i, j), Points((n, m))), sound]
        write_segment(files, PATH, name, grid, Rows.from_rows(rows, 2, 1))
        if (i, n) in inside[0] and (j, m) in inside[1]:
            expected.add(name)
    found = read(files, grid)
    assert set(found.sizes) == expected
    assert len(found.damaged) == 4 * 4 * 4 * 3 - len(expected)


@pytest.mark.parametrize("extreme", ["min", "max"])
@pytest.mark.parametrize("column", ["index", "extent"])
def test_numbers_at_the_ends_of_their_type_are_damage(
    files: FileBlobs, grid: StoredGrid, column: str, extreme: str
) -> None:
    rows = Rows.from_rows([row((0, 0), Points((1, 1)))] * 2, 2, 1)
    numbers = getattr(rows, column).copy()
    numbers[1, 0] = getattr(np.iinfo(numbers.dtype), extreme)
    write_segment(files, PATH, "a.seg", grid, replace(rows, **{column: numbers}))
    assert read(files, grid).damaged == ("a.seg",)


def test_a_segment_of_other_outputs_is_left_out(files: FileBlobs, grid: StoredGrid) -> None:
    commit(files, grid, "a.seg")
    data = files.get(f"{PATH.manifest}a.seg") or b""
    assert b'"mean"' in data
    segment = Segment.from_bytes(data)
    for outputs in ({"median": "float64"}, {"mean": "string"}, {"mean": "nonsense"}):
        other = Segment(segment.axes, outputs, segment.rows, segment.key)
        files.put(segment.key, other.to_bytes())
        assert read(files, grid).damaged == ("a.seg",)


@pytest.mark.parametrize(("dtype", "is_later"), [("int64", False), ("complex128", True)])
def test_a_segment_of_before_or_after_a_conversion_does_not_count(
    dtype: str, is_later: bool, files: FileBlobs, grid: StoredGrid
) -> None:
    commit(files, grid, "a.seg")
    commit(files, grid, "b.seg", (1, 0))
    segment = Segment.from_bytes(files.get(f"{PATH.manifest}a.seg") or b"")
    files.put(segment.key, replace(segment, outputs={"mean": dtype}).to_bytes())
    found = read(files, grid)
    assert (list(found.sizes), found.others, found.damaged) == (["b.seg"], ("a.seg",), ())
    files.delete(f"{PATH.manifest}b.seg")
    found = read(files, grid)
    expected = (("a.seg",), ()) if is_later else ((), ("a.seg",))
    assert (found.ahead, found.others) == expected, "an old document is told from old segments"


@pytest.mark.parametrize("data", [b"", b"SWGS", b"garbage" * 9, None], ids=str)
def test_a_damaged_segment_is_left_out_and_logged(
    data: bytes | None, files: FileBlobs, grid: StoredGrid, caplog: pytest.LogCaptureFixture
) -> None:
    commit(files, grid, "a.seg")
    commit(files, grid, "b.seg", (1, 0))
    whole = files.get(f"{PATH.manifest}a.seg") or b""
    files.put(f"{PATH.manifest}a.seg", whole[:-1] if data is None else data)
    with caplog.at_level(logging.WARNING, "swarmgrid"):
        found = read(files, grid)
    assert (list(found.sizes), found.damaged) == (["b.seg"], ("a.seg",))
    assert f"{PATH.manifest}a.seg is damaged" in caplog.text


def test_whether_rows_are_whole_depends_on_the_shape_that_is_asked_for() -> None:
    found = manifest([row((0,), Points((4,)))], 1)
    assert found.is_whole((4,)).tolist() == [True]
    assert found.is_whole((8,)).tolist() == [False]
    assert found.is_whole((4,)).tolist() == [True]
