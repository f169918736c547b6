"""Shard specs, the shards that are chosen, and what is said about it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from swarmgrid.errors import ChunksError
from swarmgrid.space.chunks import MAX_POINTS, TARGET_NBYTES, most_points
from swarmgrid.space.shards import (
    MANY_CHUNKS,
    TINY_NBYTES,
    TINY_POINTS,
    chosen_chunking,
    chosen_shard_shape,
    to_shard_spec,
)

SPECS: dict[str, tuple[Any, Any]] = {
    "nothing": (None, None),
    "none": (False, False),
    "empty": ({}, None),
    "left open": ({"s": None}, None),
    "one axis": ({"s": 60}, {"s": 60}),
    "written out": ({"s": {"size": 60}}, {"s": 60}),
    "an axis of open chunks": ({"t": 7}, {"t": 7}),
    "numpy ints": ({"s": np.int16(9)}, {"s": 9}),
    "one length for all": (12, {"s": 12, "t": 12}),
    "one chunk": ({"s": 3}, {"s": 3}),
}


@pytest.mark.parametrize(("shards", "expected"), SPECS.values(), ids=SPECS)
def test_a_shard_spec_says_the_lengths_asked_for(shards: Any, expected: Any) -> None:
    assert to_shard_spec(shards, {"s": 3}, ["s", "t"]) == expected


REFUSED: dict[str, tuple[Any, str]] = {
    "no multiple": ({"s": 50}, "axis 's' is 50; .* multiple of its chunk length 3, such as 48 or"),
    "shorter": ({"s": 2}, "axis 's' is 2; .* multiple of its chunk length 3, such as 3$"),
    "no multiple of one": (20, "axis 's' is 20; .*such as 18 or 21$"),
    "true": (True, "shards is True; expected a length for each axis"),
    "text": ("auto", "shards is 'auto'"),
    "no axis": ({"u": 1}, "shards names 'u', which is no axis; the axes are s, t"),
    "zero": ({"t": 0}, "the shard length of axis 't' is 0; expected at least 1"),
    "float": ({"t": 3.0}, "the shard length of axis 't' is 3.0; expected an integer"),
    "other keys": ({"s": {"length": 5}}, r"the shard spec of axis 's' is \{'length': 5\}"),
}


@pytest.mark.parametrize(("shards", "message"), REFUSED.values(), ids=REFUSED)
def test_a_shard_spec_is_refused(shards: Any, message: str) -> None:
    with pytest.raises(ChunksError, match=message):
        to_shard_spec(shards, {"s": 3}, ["s", "t"])


# ---- what is chosen

SCALAR = 8
LONG = {"x": 300_000}
CASES: dict[str, tuple[Any, ...]] = {
    "tiny chunks": (({"x": 3}, None, LONG, SCALAR), (3,), (8190,)),
    "single points": (({"x": 1}, None, LONG, SCALAR), (1,), (8192,)),
    "no shards requested": (({"x": 3}, False, LONG, SCALAR), (3,), None),
    "few chunks": (({"x": 3}, None, {"x": 3 * MANY_CHUNKS}, SCALAR), (3,), None),
    "one chunk more": (({"x": 3}, None, {"x": 3 * MANY_CHUNKS + 1}, SCALAR), (3,), (3003,)),
    "chunks of many points": (({"x": 1024}, None, {"x": 10**7}, 1), (1024,), None),
    "chunks of many bytes": (({"x": 3}, None, LONG, TINY_NBYTES // 2), (3,), None),
    "chunks of some bytes": (({"x": 3}, None, LONG, 2048), (3,), (510,)),
    "nothing asked for": (({}, None, LONG, SCALAR), (8192,), None),
    "two axes": (({"x": 2, "y": 5}, None, {"x": 400, "y": 300}, SCALAR), (2, 5), (102, 80)),
    "a short axis": (({"x": 1, "y": 4}, None, {"x": 4, "y": 9000}, SCALAR), (1, 4), (4, 2048)),
    "an axis of one": (({"x": 1, "y": 1}, None, {"x": 1, "y": 9000}, SCALAR), (1, 1), (1, 8192)),
    "ten axes": (
        (dict.fromkeys("abcdefghij", 1), None, dict.fromkeys("abcdefghij", 2), SCALAR),
        (1,) * 10,
        (2,) * 10,
    ),
    "asked for": (({"x": 3}, {"x": 30}, {"x": 10}, SCALAR), (3,), (30,)),
    "asked for along one axis": (
        ({"x": 3, "y": 2}, {"y": 4}, {"x": 9, "y": 9}, SCALAR),
        (3, 2),
        (3, 4),
    ),
    "asked for, of chunks to be chosen": (
        ({}, {"x": 1000}, {"x": 10**6}, SCALAR),
        (1000,),
        (1000,),
    ),
    "asked for, of smaller chunks": (
        ({}, {"x": 10_000}, {"x": 10**6}, SCALAR),
        (5000,),
        (10_000,),
    ),
    "asked for of large arrays": (({}, {"x": 100}, {"x": 10**6}, 2**17), (5,), (100,)),
}


@pytest.mark.parametrize(("arguments", "chunks", "shards"), CASES.values(), ids=CASES)
def test_shards_are_chosen_where_there_are_many_tiny_chunks(
    arguments: Any, chunks: Any, shards: Any
) -> None:
    found = chosen_chunking(*arguments)
    assert (found.chunks, found.shards) == (chunks, shards)
    assert found.stored == (shards or chunks)


@st.composite
def scenes(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    n = draw(st.integers(1, 4))
    chunks = tuple(draw(st.lists(st.integers(1, 50), min_size=n, max_size=n)))
    lengths = draw(st.lists(st.integers(1, 10**5) | st.integers(1, 20), min_size=n, max_size=n))
    return chunks, tuple(lengths), draw(st.integers(math.prod(chunks), 10**7))


@given(scenes())
@example(((3,), (300_000,), MAX_POINTS))
def test_a_chosen_shard_holds_whole_chunks_within_its_budget(
    scene: tuple[tuple[int, ...], tuple[int, ...], int],
) -> None:
    chunks, lengths, budget = scene
    shards = chosen_shard_shape(chunks, lengths, budget)
    assert math.prod(shards) <= budget
    for shard, chunk, n in zip(shards, chunks, lengths, strict=True):
        assert shard % chunk == 0
        assert shard < n + chunk  # no longer than the axis needs
    longer = [
        math.prod(shards) // shard * (shard + chunk)
        for shard, chunk, n in zip(shards, chunks, lengths, strict=True)
        if shard < n
    ]
    assert all(points > budget for points in longer), "not one chunk more would fit"


REASONS: dict[str, tuple[Any, dict[str, Any], str]] = {
    "asked for": (({"x": 50}, None, {"x": 100}, 8), {}, "as asked for"),
    "no axes": (({}, None, {}, 8), {}, "a grid without axes is one chunk"),
    "chosen": (
        ({}, None, {"x": 100}, 8),
        {},
        "chosen: 1,024 points a chunk; between 1,024 and 8,192 are aimed at",
    ),
    "chosen by size": (
        ({"y": 2}, None, {"x": 100, "y": 2}, 2**18),
        {},
        "chosen along x: 4 points a chunk of 262,144 bytes; about 1 MB is aimed at",
    ),
    "chosen by cost": (
        ({}, None, {"x": 100}, 8),
        {"seconds": 2.0},
        "chosen: 16 points a chunk of 2 s; at most about 60 s are aimed at",
    ),
    "sharded": (
        ({"x": 3}, None, LONG, 8),
        {},
        (
            "as asked for; sharded, because 100,000 chunks of 3 points would be as many files: "
            "2,730 chunks a shard"
        ),
    ),
    "not sharded": (
        ({"x": 1}, False, LONG, 8),
        {},
        "as asked for; 300,000 chunks of 1 point not sharded, as asked for",
    ),
    "blocks": (
        ({"x": 3}, None, LONG, 8),
        {"may_shard": False},
        "as asked for; 100,000 chunks of 3 points not sharded, as each is one call",
    ),
    "costly": (
        ({"x": 30}, None, LONG, 8),
        {"seconds": 60.0},
        "as asked for; 10,000 chunks of 30 points not sharded, as they cost too much each",
    ),
    "shards asked for": (({"x": 3}, {"x": 30}, LONG, 8), {}, "as asked for; shards as asked for"),
}


@pytest.mark.parametrize(("arguments", "options", "reason"), REASONS.values(), ids=REASONS)
def test_the_reason_says_how_it_came_about(arguments: Any, options: Any, reason: str) -> None:
    assert chosen_chunking(*arguments, **options).reason == reason


COSTS = {
    None: MAX_POINTS,
    0.0: MAX_POINTS,
    0.001: MAX_POINTS,
    0.1: 600,
    2.0: 30,
    3600.0: 16,
    math.inf: 16,
}


@pytest.mark.parametrize(("seconds", "most"), COSTS.items())
def test_a_chunk_takes_a_minute_at_most_but_16_points_at_least(
    seconds: float | None, most: int
) -> None:
    assert most_points(8, seconds) == most
    assert most_points(TARGET_NBYTES // 10, seconds) == min(10, most)


def test_tiny_is_less_than_a_chosen_chunk() -> None:
    assert chosen_chunking({}, None, {"x": 10**6}, 8).chunks[0] >= TINY_POINTS
