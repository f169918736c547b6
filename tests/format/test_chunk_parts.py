"""Many chunks are read in parts of a good size, large ones by threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import pytest

from swarmgrid.format.chunk_parts import (
    LARGE_NBYTES,
    N_THREADS,
    READ_AT_ONCE,
    READ_NBYTES,
    in_parts,
)
from tests.waiting import PATIENCE


@pytest.mark.parametrize(
    "chunk_nbytes", [0, 8, LARGE_NBYTES - 1, LARGE_NBYTES, READ_NBYTES, 2**40]
)
@pytest.mark.parametrize("n", [0, 1, 2, 5, 64, 65, 1000])
def test_everything_is_read_once_and_never_too_much_at_a_time(n: int, chunk_nbytes: int) -> None:
    seen: list[int] = []
    under_way = most = 0
    lock = threading.Lock()

    def take_in(part: Sequence[int]) -> None:
        nonlocal under_way, most
        with lock:
            under_way += len(part)
            most = max(most, under_way)
        time.sleep(0.0001)
        with lock:
            under_way -= len(part)
            seen.extend(part)

    in_parts(list(range(n)), chunk_nbytes, take_in)
    assert sorted(seen) == list(range(n))
    assert most <= READ_AT_ONCE
    assert most <= 1 or most * chunk_nbytes <= READ_NBYTES


def test_small_chunks_are_read_in_order_by_the_calling_thread() -> None:
    seen: list[int] = []

    def take_in(part: Sequence[int]) -> None:
        assert threading.current_thread() is here
        seen.extend(part)

    here = threading.current_thread()
    in_parts(list(range(200)), 8000, take_in)
    assert seen == list(range(200))


def test_large_chunks_are_read_by_several_threads_at_once() -> None:
    together = threading.Barrier(N_THREADS, timeout=PATIENCE)
    in_parts(list(range(N_THREADS)), LARGE_NBYTES, lambda _: together.wait())


@pytest.mark.parametrize("chunk_nbytes", [8, LARGE_NBYTES])
def test_an_error_ends_the_reading(chunk_nbytes: int) -> None:
    seen: list[int] = []

    def take_in(part: Sequence[int]) -> None:
        seen.extend(part)
        if 3 in part:
            raise ValueError("torn")

    with pytest.raises(ValueError, match="torn"):
        in_parts(list(range(5000)), chunk_nbytes, take_in)
    assert len(seen) < 5000
