"""What a viewer gets adds up to what there is, in messages that are small."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from swarmgrid.following.sight import Holder
from swarmgrid.live.feed import CatalogFeed, GridFeed, encoded
from swarmgrid.live.follow import GridView
from swarmgrid.live.pace import Pace
from swarmgrid.pictures.chunk_map import grid_map
from swarmgrid.records.manifest import Manifest
from swarmgrid.store.lease_record import LeaseRecord
from tests.pictures.looks import failure, many_chunks, stored_grid, whole_rows


def view(
    index: Any, shape: tuple[int, int] = (9, 7), failures: Any = (), revision: int = 0
) -> GridView:
    grid = stored_grid({"a": range(shape[0]), "b": range(shape[1])}, (1, 1))
    found = np.array(index).reshape(-1, 2)
    manifest = Manifest(whole_rows(found, (1, 1)), {})
    cells = grid_map(grid, manifest, failures)
    return GridView(grid, manifest, cells, tuple(failures), revision, Holder("idle"), None, None)


class Viewer:
    """Does what the page's script does."""

    def __init__(self) -> None:
        self.cells = np.zeros(0, np.uint8)
        self.names: list[str] = []

    def take(self, feed: GridFeed, seen: GridView, now: float = 0.0) -> int:
        """Take the messages about a view: their bytes."""
        n = 0
        for message in feed.messages(seen, now):
            n += len(encoded(message))
            name, data = json.loads(json.dumps(message))
            self.names.append(name)
            if name == "grid":
                packed = np.frombuffer(base64.b64decode(data["bitmap"]), np.uint8)
                size = len(data["facet"]["labels"]) * data["y"]["n"] * data["x"]["n"]
                self.cells = np.stack([packed >> 4, packed & 15], 1).reshape(-1)[:size].copy()
            for first, count, state in data["runs"] if name == "cells" else ():
                self.cells[first : first + count] = state
        return n


PLACES = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 6)), unique=True, max_size=40)


@given(st.lists(PLACES, min_size=1, max_size=5))
def test_the_bitmap_and_the_runs_after_it_are_the_map(rounds: list[Any]) -> None:
    feed, viewer = GridFeed(), Viewer()
    for number, index in enumerate(rounds):
        failures = [failure((8, 6), (0, 0))] if (8, 6) not in index else []
        seen = view(index, failures=failures, revision=number)
        viewer.take(feed, seen)
        assert viewer.cells.tolist() == seen.cells.states().reshape(-1).tolist()
    assert viewer.names.count("grid") == 1


def test_a_grid_that_grows_is_sent_anew() -> None:
    feed, viewer = GridFeed(), Viewer()
    viewer.take(feed, view([(0, 0)]))
    seen = view([(0, 0)], (12, 7), revision=1)
    viewer.take(feed, seen)
    assert viewer.names.count("grid") == 2
    assert len(viewer.cells) == 84


def test_what_has_not_changed_is_not_sent() -> None:
    feed, viewer = GridFeed(), Viewer()
    seen = view([(0, 0)])
    assert viewer.take(feed, seen) > 0
    assert viewer.take(feed, seen, 99.0) == 0


def test_a_million_chunks_begin_with_less_than_300_kb_and_go_on_in_small_messages() -> None:
    """In a random order of chunks, which is the worst: each second changes cells everywhere."""
    whole = many_chunks(10**6, 1.0).state
    rng = np.random.default_rng(2)
    order = rng.permutation(10**6)
    feed, viewer = GridFeed(), Viewer()
    sizes = []
    for number, n in enumerate((0, 2_000, 4_000, 6_000)):
        rows = (
            whole.manifest.rows.subset(np.sort(order[:n]))
            if n
            else whole.manifest.rows.subset(order[:0])
        )
        manifest = Manifest(rows, {})
        cells = grid_map(whole.grid, manifest)
        seen = GridView(whole.grid, manifest, cells, (), number, Holder("idle"), None, None)
        sizes.append(viewer.take(feed, seen, 20.0 * number))
    assert sizes[0] < 100_000
    assert max(sizes[1:]) < 16_000  # the pauses follow from the bytes
    for _ in range(200):  # what did not fit comes with the next looks
        if not viewer.take(feed, seen, 99.0):
            break
    assert viewer.cells.tolist() == seen.cells.states().reshape(-1).tolist()


def test_failures_are_sent_once_and_anew_when_some_are_computed() -> None:
    feed = GridFeed()
    both = [failure((0, 0), (0, 0)), failure((1, 1), (0, 0), time="2026-02-02T00:00:00")]
    assert dict(feed.messages(view([], failures=both[:1]), 0.0))["failures"]["total"] == 1
    found = dict(feed.messages(view([], failures=both, revision=1), 0.0))["failures"]
    assert (found["is_all"], found["total"], len(found["rows"])) == (False, 2, 1)
    found = dict(feed.messages(view([(0, 0)], failures=both[1:], revision=2), 0.0))["failures"]
    assert (found["is_all"], found["total"], len(found["rows"])) == (True, 1, 1)
    assert "traceback" in found["rows"][0]
    hidden = dict(GridFeed(tracebacks=False).messages(view([], failures=both), 0.0))["failures"]
    assert "traceback" not in hidden["rows"][0]


def test_the_time_left_is_the_estimate_of_the_run_within_the_band_of_its_pace() -> None:
    seen = view([(0, 0)])
    pace = Pace(2.0, 1.0, 4.0)
    for estimate, paced, left in (
        (None, pace, [31.0, 16.0, 62.0]),  # 62 points are missing
        (100.0, pace, [100.0, 50.0, 200.0]),
        (100.0, None, [100.0]),
        (None, None, None),
    ):
        holder = Holder("working", LeaseRecord.of_this_process(30), estimate)
        found = dict(GridFeed().messages(replace(seen, holder=holder, pace=paced), 0.0))
        assert found["numbers"].get("left") == left


@given(st.text())
def test_any_text_is_one_event(text: str) -> None:
    data = encoded(("problem", {"text": text}))
    lines = data.decode().split("\n")
    assert lines[0] == "event: problem"
    assert json.loads(lines[1].removeprefix("data: ")) == {"text": text}
    assert lines[2:] == ["", ""]


def test_a_catalog_sends_the_rows_that_changed() -> None:
    feed = CatalogFeed()
    rows = [{"grid": str(i), "computed": 0} for i in range(300)]
    (first,) = feed.messages(rows)
    assert (first[1]["total"], len(first[1]["rows"])) == (300, 200)
    assert list(feed.messages(rows)) == []
    rows[3] = {"grid": "3", "computed": 1}
    (second,) = feed.messages(rows[1:])
    assert [row["grid"] for row in second[1]["rows"]] == ["3", "200"]
    assert second[1]["gone"] == ["0"]
