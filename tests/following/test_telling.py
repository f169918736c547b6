"""`on_event=` and `log=` tell a run as a watcher sees it, and no error there harms the run."""

from __future__ import annotations

import json
import logging
import tempfile
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import swarmgrid
from swarmgrid import Event, InputError, MemberJoined, MemberLeft, PointError, PointsComputed
from swarmgrid.store.directory import FileBlobs
from tests.following import grids
from tests.following.grids import OPTIONS, kinds, labels, new_store, simulate, stream, told
from tests.long import examples
from tests.waiting import PATIENCE, wait_until

VALUES = st.lists(st.integers(0, 12), min_size=1, max_size=8, unique=True)
RUNS = st.tuples(VALUES, st.sets(st.integers(0, 12), max_size=3), st.sampled_from([1e-9, 100.0]))
OF_A_GRID = {"grid created", "grid grown", "joined", "points computed", "failed", "run finished"}
OF_A_GRID |= {"left", "damaged", "points removed"}


@contextmanager
def logged() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "run.jsonl"


def lines(log: Path) -> list[dict[str, Any]]:
    """The lines of a log that are about the grid."""
    found = [json.loads(line) for line in log.read_text().splitlines()]
    assert {one["event"] for one in found if "token" in one} <= OF_A_GRID
    return [one for one in found if "token" in one]


def brief(documents: list[dict[str, Any]]) -> list[Any]:
    """Documents of events, but for the time of a look, and for how a grid has grown."""
    left = [one for one in documents if one["event"] not in {"grid created", "grid grown"}]
    return [{name: one[name] for name in one.keys() - {"time", "token"}} for one in left]


@settings(max_examples=examples(20))
@given(st.lists(RUNS, min_size=1, max_size=3))
def test_the_log_the_callback_and_a_watcher_tell_the_same(runs: list[Any]) -> None:
    store, before = new_store(), None
    stream(store, [50])
    with logged() as log:
        for values, bad, interval in runs:
            before = told(store)[-1].token
            log.unlink(missing_ok=True)
            grids.BAD.clear()
            grids.BAD.update(bad)
            seen: list[Event] = []
            stream(store, values, log=log, on_event=seen.append, flush_interval=interval,
                   chunks=None, exec_chunk_size=1)  # fmt: skip
            if not log.read_text().count("task done"):  # nothing was to be computed
                assert seen == []
                continue
            documents = lines(log)
            assert [json.loads(event.to_json()) for event in seen] == documents
            late = told(store, before)
            assert brief(documents) == brief([json.loads(event.to_json()) for event in late])
            lengths = [one["lengths"] for one in documents if "lengths" in one]
            assert lengths[-1:] == [e.lengths for e in late if hasattr(e, "lengths")][-1:]
            for number, event in enumerate(seen):
                rest = told(store, event.token)
                assert labels(rest) == labels(seen[number + 1 :])
            assert told(store, seen[-1].token) == []


def test_the_log_of_a_new_grid_is_what_a_watcher_is_told() -> None:
    store = new_store()
    with logged() as log:
        stream(store, range(5), log=log)
        documents = [json.loads(event.to_json()) for event in told(store)]
        for both in (documents, found := lines(log)):
            for one in both:
                one.pop("time")
        assert found == documents


def test_the_damage_that_a_run_meets_is_told_and_what_it_removes(tmp_path: Path) -> None:
    store, log = tmp_path / "cache", tmp_path / "run.jsonl"
    stream(store, range(4))
    chunk = next(store.glob("data.zarr/simulate/*/value/c.0"))
    chunk.write_bytes(b"torn" + chunk.read_bytes()[4:])
    with pytest.raises(swarmgrid.DamageError):
        swarmgrid.Grid.open(store, "simulate/").dataset()["value"].load()
    stream(store, range(4), log=log)
    assert [(one["event"], one.get("n_points")) for one in lines(log)] == [
        *(("damaged", None), ("joined", None), ("points removed", 2), ("points computed", 2)),
        *(("run finished", None), ("left", None)),
    ]


def test_a_failure_that_the_store_has_no_place_for_is_in_the_log_in_the_same_words() -> None:
    store = new_store()
    grids.BAD.add(0)
    with logged() as log:
        with pytest.raises(PointError):
            stream(store, [0], log=log, on_error="raise")
        found = [json.loads(line) for line in log.read_text().splitlines()]
    assert [one["event"] for one in found] == [
        *("run started", "task done", "failed", "run ended")
    ]
    words = {"point": {"x": 0}, "exception": "ValueError", "attempt": 1, "n_points": 1}
    assert found[2].items() >= words.items()
    assert told(store) == []


def test_commits_are_told_without_a_request(tmp_path: Path, monkeypatch: Any) -> None:
    calls = Counter[str]()
    for name in ("get", "names", "put", "create", "delete"):
        real = getattr(FileBlobs, name)

        def call(self: Any, *args: Any, real: Any = real, **kwargs: Any) -> Any:
            calls["all"] += 1
            return real(self, *args, **kwargs)

        monkeypatch.setattr(FileBlobs, name, call)

    def cost(n: int, *, is_told: bool) -> int:
        calls.clear()
        seen: list[Event] = []
        told_to = {"log": tmp_path / "log", "on_event": seen.append} if is_told else {}
        stream(tmp_path / f"{n}-{is_told}", range(n), flush_interval=1e-9, chunks=1,
               exec_chunk_size=1, **told_to)  # fmt: skip
        assert len(seen) == 0 or kinds(seen).count("points computed") > n / 2
        return calls["all"]

    few, many = (cost(n, is_told=True) - cost(n, is_told=False) for n in (4, 40))
    assert many - few < 12  # it reads the rows that have come, merged to a few, once at its end


def test_a_log_that_cannot_be_written_ends_no_run() -> None:
    store = new_store()
    stream(store, range(3), log="/dev/full")
    assert labels(told(store)) == [0, 1, 2]


def test_a_callback_is_told_what_a_watcher_is_told_before_the_call_returns() -> None:
    store, seen, threads = new_store(), list[Event](), set[int]()

    def note(event: Event) -> None:
        seen.append(event)
        threads.add(threading.get_ident())

    stream(store, range(5), on_event=note)
    assert kinds(seen) == kinds(told(store))
    assert [event.token for event in seen] == [event.token for event in told(store)]
    assert threads.isdisjoint({threading.get_ident()})
    assert len(threads) == 1
    stream(store, range(9), on_event=note)
    assert labels(seen) == [*range(9)]
    stream(store, range(9), on_event=note)
    assert labels(told(store, seen[-1].token)) == []
    assert kinds(seen)[-1] == "left"


def test_its_errors_are_told_once_and_change_nothing(caplog: pytest.LogCaptureFixture) -> None:
    store, seen = new_store(), list[Event]()

    def fails(event: Event) -> None:
        seen.append(event)
        raise SystemExit("enough") if len(seen) > 2 else ValueError("no")

    with caplog.at_level(logging.WARNING):
        ds = swarmgrid.compute(
            simulate, axes={"x": range(4)}, store=store, on_event=fails, **OPTIONS
        )
    np.testing.assert_array_equal(ds["value"], np.arange(4) * 2.0)
    assert kinds(seen) == kinds(told(store))
    (record,) = [r for r in caplog.records if "on_event" in r.getMessage()]
    assert "ValueError: no" in record.getMessage()


def test_a_run_that_fails_is_told_to_its_end() -> None:
    store, seen = new_store(), list[Event]()
    stream(store, range(2))
    grids.BAD.add(5)
    with pytest.raises(PointError):
        stream(store, range(9), on_event=seen.append, on_error="raise")
    assert kinds(seen)[-1] == "left"
    there = swarmgrid.Grid.open(store, "simulate/").state().points_computed
    assert len(labels(seen)) == there - 2


def test_a_callback_may_compute_other_grids() -> None:
    store, other, seen = new_store(), new_store(), list[Any]()

    def also(event: Event) -> None:
        if isinstance(event, PointsComputed):
            seen.append(swarmgrid.compute(simulate, axes={"x": [1]}, store=other, **OPTIONS))

    stream(store, range(3), on_event=also)
    assert float(seen[0]["value"][0]) == 2.0


def test_what_is_no_function_is_refused_before_anything_is_computed() -> None:
    for wrong in (3, "print", Event):
        with pytest.raises(InputError, match=r"on_event is .*expected a function of one"):
            stream(new_store(), range(2), on_event=wrong)


def later(*_: object) -> Iterator[None]:
    yield


async def awaited(*_: object) -> None: ...


async def awaited_later(*_: object) -> AsyncIterator[None]:
    yield


class Awaited:
    async def __call__(self, event: Event) -> None: ...


@pytest.mark.parametrize(
    "callback",
    [later, awaited, awaited_later, Awaited(), Awaited().__call__, partial(awaited, 1),
     partial(Awaited(), 1)],
)  # fmt: skip
def test_what_runs_nothing_when_it_is_called_is_refused(callback: Any) -> None:
    with pytest.raises(InputError, match=r"on_event is .* (async|generator) function.*plain"):
        stream(new_store(), range(2), on_event=callback)
    with pytest.raises(InputError, match=r"until is .* (async|generator) function.*plain"):
        swarmgrid.watch(new_store(), until=callback)


def test_the_events_of_a_run_that_is_waited_for_are_told_first() -> None:
    store, seen, goes_on, has_begun = new_store(), list[Event](), threading.Event(), []

    def waits(x: int) -> float:
        has_begun.append(x)
        assert goes_on.wait(PATIENCE)
        return x * 2.0

    def fill(n: int, **options: Any) -> threading.Thread:
        named = {"func": waits, "axes": {"x": range(n)}, "store": store, **OPTIONS, **options}
        thread = threading.Thread(target=swarmgrid.stream, kwargs=named)
        thread.start()
        return thread

    first = fill(4)
    wait_until(lambda: has_begun)
    second = fill(6, on_event=seen.append)
    goes_on.set()
    for thread in (first, second):
        thread.join(PATIENCE)
    assert labels(seen) == [*range(6)]
    epochs = [event.epoch for event in seen if isinstance(event, MemberLeft | MemberJoined)]
    assert epochs == sorted(epochs)
