"""Reading many chunks: how many at once, and by how many threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from swarmgrid.threads import call_each

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")

READ_AT_ONCE, READ_NBYTES = 64, 2**26
"""The most chunks, and about the most bytes, that are fetched together: enough to hide a remote
store's latency, few in memory."""
LARGE_NBYTES = 2**18
"""Of a chunk: from here on decoding it, which needs no interpreter lock, is worth a thread."""
N_THREADS = 4
"""That read and decode large chunks."""


def in_parts(todo: Sequence[T], chunk_nbytes: int, take_in: Callable[[Sequence[T]], None]) -> None:
    """Call ``take_in`` with parts of ``todo`` of a good size: from several threads for large ones.

    Parameters
    ----------
    todo : sequence
        One entry for each chunk to read.
    chunk_nbytes : int
        The size of one in memory.
    take_in : callable
        Reads some chunks, and puts them in their places.
    """
    n = max(1, min(READ_AT_ONCE, READ_NBYTES // max(chunk_nbytes, 1)))
    n_threads = min(N_THREADS, n, len(todo)) if chunk_nbytes >= LARGE_NBYTES else 1
    if n_threads > 1:
        n = max(1, min(n, len(todo)) // n_threads)
    call_each(take_in, [todo[start : start + n] for start in range(0, len(todo), n)], n_threads)
