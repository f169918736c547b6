"""Write the golden store of today's format: ``python -m tests.golden.make``.

It refuses to replace one: what is released is read for ever. See `tests/golden/test_golden.py`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import swarmgrid
from swarmgrid import SwarmMemo
from tests.golden import content

PLACE = Path(__file__).parent


def make(store: Path) -> None:
    """Write the store."""
    options: dict[str, Any] = {"store": store, "executor": "sync", "verbose": 0, "version": "1"}
    for axes in ({"x": [1, 2], "s": ["a"]}, {"x": [1, 2, 3], "s": ["a"]}, content.GROWN):
        swarmgrid.compute({}, axes, func=content.grown, chunks={"x": 2, "s": 1}, **options)
    swarmgrid.run(axes={"x": [9], "s": ["a"]}, func=content.grown, on_error="record", **options)
    swarmgrid.stream(
        {}, content.SHARDED, func=content.sharded, where=lambda i, j: (i + j) % 3 > 0,
        chunks={"i": 2, "j": 2}, shards={"i": 4, "j": 4}, **options,
    )  # fmt: skip
    swarmgrid.compute({}, content.KINDS, func=content.kinds, **options)
    memo(store).run({"scale": 10}, content.MEMO)
    block(store, {"n": 7})


def memo(store: Path) -> SwarmMemo:
    """The memo of the golden store."""
    return SwarmMemo(
        store, {"a": 1, "b": 2}, 2, content.memo_points, content.memo_value,
        collate_fn=sum, merge_fn=list, verbose=0,
    )  # fmt: skip


def block(store: Path, given: dict[str, Any]) -> tuple[swarmgrid.State, bool]:
    """A memoized block, known by its salt: the state after it, and whether it was replayed."""
    import numpy as np

    state = swarmgrid.State(given)
    with swarmgrid.memoize(state, store=store, salt="golden", hash_by=["salt"]) as it:
        it.begin()
        state["squares"] = np.arange(state["n"]) ** 2
        state["words"] = ["a", ("b", 2.5), {"c": None}]
    return state, it.is_hit


if __name__ == "__main__":
    where = PLACE / content.FORMAT
    if where.exists():
        sys.exit(
            f"{where} is there. A released format's store is never written again: raise FORMAT"
        )
    make(where)
