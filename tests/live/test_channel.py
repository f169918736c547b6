"""Looks are shared, end with the last viewer, and become rare when nothing changes."""

from __future__ import annotations

import asyncio
import operator
import threading
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from swarmgrid.errors import StoreError, SwarmgridError
from swarmgrid.live.channel import MAX_PAUSE, MOST_CPU, Channel, next_pause
from tests.waiting import PATIENCE


@given(st.floats(0.01, 60), st.floats(0, 100), st.integers(0, 10**6))
def test_pauses_keep_to_three_percent_and_to_half_a_minute(
    interval: float, cpu: float, n_same: int
) -> None:
    pause = next_pause(interval, cpu, n_same)
    assert pause >= interval
    assert cpu <= MOST_CPU * pause * 1.0001
    assert pause <= max(interval, MAX_PAUSE, cpu / MOST_CPU * 1.0001)
    assert next_pause(interval, cpu, n_same + 1) >= pause


def test_nothing_is_looked_at_without_viewers_and_once_for_all_of_them() -> None:
    looks: list[int] = []

    def look() -> int:
        looks.append(len(looks))
        return len(looks)

    async def main() -> None:
        channel = Channel(look, operator.eq, 0.001)
        assert looks == []
        async with channel, channel:
            assert channel.n_viewers == 2
            first = await asyncio.gather(channel.next(0), channel.next(0))
            assert first[0] == first[1]
            assert len(looks) <= channel.number + 1
        n = len(looks)
        await asyncio.sleep(0.02)  # many intervals
        assert len(looks) <= n + 1  # one that had begun may end
        async with channel:
            await channel.next(channel.number)

    asyncio.run(main())


def test_an_error_of_the_store_is_seen_and_does_not_end_the_looks() -> None:
    results: list[Any] = [StoreError("gone"), ZeroDivisionError("a fault of ours"), 7]

    def look() -> Any:
        result = results.pop(0) if len(results) > 1 else results[0]
        if isinstance(result, Exception):
            raise result
        return result

    async def main() -> None:
        async with Channel(look, operator.eq, 0.001) as channel:
            assert isinstance(await channel.next(0), StoreError)
            other = await asyncio.wait_for(channel.next(1), PATIENCE)
            assert isinstance(other, SwarmgridError)
            assert "ZeroDivisionError: a fault of ours" in str(other)
            assert await channel.next(2) == 7

    asyncio.run(main())


def test_a_viewer_that_comes_while_the_last_one_leaves_sees_new_looks() -> None:
    began, goes_on = threading.Event(), threading.Event()

    def look() -> int:
        began.set()
        assert goes_on.wait(PATIENCE)
        return 1

    async def view(channel: Channel) -> int:
        async with channel:
            seen: int = await channel.next(channel.number)
            return seen

    async def main() -> None:
        channel = Channel(look, operator.eq, 0.001)
        first = asyncio.create_task(view(channel))
        while not began.is_set():
            await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)  # it leaves now: its look goes on in a thread
        second = asyncio.create_task(view(channel))
        await asyncio.sleep(0)
        goes_on.set()
        assert await asyncio.wait_for(second, PATIENCE) == 1

    asyncio.run(main())
