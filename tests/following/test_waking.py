"""A watcher is woken by the store where that can tell; else it looks at a pace that says so."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import swarmgrid
from swarmgrid import Event, MemberLeft
from swarmgrid.following.waking import Clock, waker_for
from swarmgrid.store.location import to_location
from tests.following.grids import labels, stream
from tests.servers.valkey import ValkeyServer
from tests.waiting import PATIENCE, wait_until

pytest_plugins = ["tests.servers.fixtures"]

FOR_EVER = 1000.0
"""A pause that no test waits for: what comes earlier was woken."""


@contextmanager
def listening(store: Any) -> Iterator[list[Event]]:
    """A watcher in a thread that has begun to wait."""
    watch, seen = swarmgrid.watch(store, interval=FOR_EVER), list[Event]()
    looks = threading.Semaphore(0)
    wait: Callable[..., None] = watch._waker.wait

    def waits(*args: Any) -> None:
        looks.release()
        wait(*args)

    watch._waker.wait = waits  # type: ignore[method-assign]
    thread = threading.Thread(target=lambda: seen.extend(watch))
    thread.start()
    looks.acquire(timeout=PATIENCE)
    yield seen
    watch.close()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def has_left(seen: list[Event]) -> bool:
    return bool(seen) and isinstance(seen[-1], MemberLeft)


def test_a_directory_wakes_it_also_one_that_is_made_later(tmp_path: Path) -> None:
    store = tmp_path / "cache"
    with listening(store) as seen:
        for n in (3, 5):
            stream(store, range(n))
            wait_until(lambda n=n: has_left(seen) and len(labels([*seen])) == n)


@pytest.mark.server
def test_redis_wakes_it_by_a_stream_that_is_there_only_for_watchers(
    redis: ValkeyServer,
) -> None:
    url, _ = redis.place("events")
    store = to_location(url).zarr_store()
    client, hints = store._client.get(), store._name("!hints")

    def calls() -> int:
        found = client.info("commandstats").values()
        return sum(one["calls"] for one in found)

    def cost(n: int) -> int:
        before = calls()
        stream(url, range(n), flush_interval=100.0)
        return calls() - before

    stream(url, range(2))
    alone = cost(4)
    assert not client.exists(hints)
    with listening(url) as seen:
        wait_until(lambda: client.exists(hints))
        stream(url, range(6))
        wait_until(lambda: has_left(seen) and len(labels([*seen])) == 6)
        assert 0 < client.ttl(hints) <= 120
    client.delete(hints)  # as its time runs out
    assert abs(cost(8) - alone) < 10  # a watcher of the same grid costs many more
    assert not client.exists(hints)
    assert "!hints" not in [*store.keys("", "~")]


def test_without_the_extra_a_directory_is_polled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert repr(swarmgrid.watch(tmp_path)) == "<swarmgrid.Watch woken by inotify>"
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    assert isinstance(waker_for(to_location(tmp_path)), Clock)
    assert repr(swarmgrid.watch(tmp_path)) == "<swarmgrid.Watch woken by polling>"
