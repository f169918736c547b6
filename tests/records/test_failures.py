"""Records of failures: merged into few, and none lost, wherever a kill falls."""

from __future__ import annotations

import dataclasses
import itertools
import random
from dataclasses import replace
from pathlib import Path

import pytest

from swarmgrid.records.failures import (
    COMPACT_FROM,
    FailedPoint,
    FailureLog,
    compact_failures,
    newest_to_compact,
    read_all_failures,
    read_failures,
    write_failures,
)
from swarmgrid.store.blobs import Blobs
from swarmgrid.store.directory import FileBlobs
from tests.long import first
from tests.stores.grids import PATH, Recorder, new_grid

GRID = new_grid({"x": range(9)}, {"x": 1})


def failure(place: int, attempt: int = 1) -> FailedPoint:
    return FailedPoint((place,), (0,), {"x": place}, "ValueError", "?", "", attempt, "2026")


def names(blobs: Blobs) -> list[str]:
    return [name for name in blobs.names(PATH.manifest) if name.endswith(".err")]


def attempts(blobs: Blobs) -> dict[int, int]:
    """How often each point was tried, by what is stored."""
    return {f.index[0]: f.attempt for f in read_failures(blobs, PATH, names(blobs)).values()}


class KilledError(BaseException):
    """Ends a writer."""


class Mortal(Recorder):
    """Objects of a writer that is killed before its ``k``-th change."""

    def __init__(self, inner: Blobs, k: int) -> None:
        super().__init__(inner)
        self.left = k

    def put(self, key: str, data: bytes) -> None:
        self._step()
        super().put(key, data)

    def delete(self, key: str) -> None:
        self._step()
        super().delete(key)

    def _step(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise KilledError


# ---- merging


def test_a_compaction_keeps_the_last_failure_of_each_point_not_computed_since(
    files: FileBlobs,
) -> None:
    for attempt, places in enumerate([(0, 1, 2), (1, 2), (2, 3)], start=1):
        log = [failure(place, attempt) for place in places]
        write_failures(files, PATH, f"{attempt}.err", log)
    compact_failures(files, PATH, names(files), "9.err", lambda place: place[0] == (3,))
    assert names(files) == ["9.err"]
    assert attempts(files) == {0: 1, 1: 2, 2: 3}


def test_a_compaction_of_failures_that_are_all_computed_leaves_nothing(files: FileBlobs) -> None:
    write_failures(files, PATH, "1.err", [failure(0)])
    compact_failures(files, PATH, ["1.err"], "2.err", lambda _place: True)
    assert names(files) == []


def test_a_compaction_that_is_killed_at_any_step_loses_nothing(files: FileBlobs) -> None:
    before = {place: place + 1 for place in range(5)}
    kills = 0
    for k in itertools.count(1):
        for name in names(files):
            files.delete(PATH.manifest + name)
        for place in range(5):
            log = [failure(other, place + 1) for other in range(place, 5)]
            write_failures(files, PATH, f"{place}.err", log)
        try:
            compact_failures(Mortal(files, k), PATH, names(files), "9.err")
        except KilledError:
            kills += 1
            assert attempts(files) == before
        else:
            break
    assert kills == 6
    assert attempts(files) == before


@pytest.mark.parametrize("seed", first(1, range(20)))
def test_a_log_of_any_sizes_stays_short_and_says_the_last_of_each_point(
    files: FileBlobs, seed: int
) -> None:
    chance = random.Random(seed)
    numbers = itertools.count()
    written = Recorder(files)
    log = FailureLog(written, PATH, lambda: f"{next(numbers):08d}.err", lambda: 1)
    expected: dict[int, int] = {}
    total = 0
    for attempt in range(150):
        size = chance.choice([1, 1, 1, 2, 30, 200 if seed % 2 else 1])
        places = chance.sample(range(400), size)
        log.write([failure(place, attempt) for place in places])
        expected |= dict.fromkeys(places, attempt)
        total += size
        if attempt % 10 == 0:
            assert attempts(files) == expected
    assert attempts(files) == expected
    assert len(names(files)) <= 4 * COMPACT_FROM
    assert sum(data.count(b'"attempt"') for _, data in written.writes) < 40 * total


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({}, ""),
        ({"a": 1, "b": 1}, ""),
        (dict.fromkeys("abcdefgh", 1), "hgfedcba"),
        ({"a": 100} | dict.fromkeys("bcdefghi", 1), "ihgfedcb"),  # what is old and large stays
        (dict.fromkeys("abcdef", 1) | {"h": 100}, ""),
        (dict.fromkeys("abcdefg", 1) | {"h": 100}, "hgfedcba"),  # h is rewritten with them
        (dict.fromkeys("abcdefg", 100) | {"h": 1, "i": 100, "j": 1}, "jihgfedcba"),
        (dict.fromkeys("abcdefg", 1) | {"h": 100, "i": 1}, "ihgfedcba"),  # none is passed over
    ],
)
def test_only_the_newest_are_compacted(sizes: dict[str, int], expected: str) -> None:
    assert "".join(newest_to_compact(sizes)) == expected


# ---- reading


def test_a_compaction_while_failures_are_read_hides_none(files: FileBlobs) -> None:
    write_failures(files, PATH, "1.err", [failure(1)])
    reader = Recorder(files)

    def merge(key: str) -> None:
        if key.endswith("1.err"):
            compact_failures(files, PATH, ["1.err"], "2.err")

    reader.before_read = merge
    assert {f.index for f in read_all_failures(reader, GRID).values()} == {(1,)}


def test_members_of_later_versions_are_ignored(
    files: FileBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    from swarmgrid.records import failures

    asdict = dataclasses.asdict
    monkeypatch.setattr(failures, "asdict", lambda f: {**asdict(f), "colour": "red"})
    write_failures(files, PATH, "1.err", [failure(1)])
    assert read_failures(files, PATH, ["1.err"]) == {((1,), (0,)): failure(1)}


def test_values_that_json_cannot_hold_are_kept_as_text(files: FileBlobs) -> None:
    odd = replace(failure(1), point={"x": float("inf"), "path": Path("a"), "word": "é\ud800"})
    write_failures(files, PATH, "1.err", [odd])
    (read,) = read_failures(files, PATH, ["1.err"]).values()
    assert read.point == {"x": float("inf"), "path": "a", "word": "é\ud800"}


def test_an_unreadable_object_is_logged_and_left_out(
    files: FileBlobs, caplog: pytest.LogCaptureFixture
) -> None:
    write_failures(files, PATH, "1.err", [failure(1)])
    for name, data in {"2.err": b"[]", "3.err": b'{"attributes": 1}', "4.err": b""}.items():
        files.put(PATH.manifest + name, data)
    assert attempts(files) == {1: 1}
    assert caplog.text.count("cannot be read") == 3
