"""What a memo may cost in requests: counted, not timed."""

from __future__ import annotations

import itertools

import swarmgrid
from swarmgrid import SwarmMemo
from tests.golden import content
from tests.scenarios.test_costs import CountingStore


def memo_of(store: CountingStore) -> SwarmMemo:
    return SwarmMemo(
        store, {"a": 1, "b": 2}, 2, content.memo_points, content.memo_value,
        collate_fn=sum, merge_fn=list, verbose=0,
    )  # fmt: skip


def test_a_new_memo_looks_at_the_store_once_before_it_writes() -> None:
    store = CountingStore()
    with swarmgrid.set_options(executor="sync"):
        memo_of(store).run_streaming({"scale": 10}, content.MEMO)
    looks = list(itertools.takewhile(lambda r: r[0] in {"get", "list"}, store.requests))
    assert ("get", "data.zarr/memo_value/<id>/zarr.json") in looks
    assert len(looks) == len(set(looks))


def test_a_memo_that_is_computed_is_read_once() -> None:
    store = CountingStore()
    with swarmgrid.set_options(executor="sync"):
        memo_of(store).run_streaming({"scale": 10}, content.MEMO)
        store.forget()
        memo_of(store).run_streaming({"scale": 10}, content.MEMO)
        assert len(store.requests) == 5  # names, document, two coordinates, segment
        store.forget()
        output, _ = memo_of(store).run({"scale": 10}, content.MEMO)
    assert output == [30, 30, 60, 60]
    assert len(store.requests) == 5 + 4  # and each chunk
