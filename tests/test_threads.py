"""Calls in threads: their results, order, errors and context."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import pytest

from swarmgrid.threads import call_each, in_thread, is_interpreter_ending
from tests.waiting import PATIENCE


@pytest.mark.parametrize(("n_items", "n_threads"), [(0, 4), (1, 4), (5, 1), (5, 3), (40, 4)])
def test_results_are_in_the_order_of_the_items(n_items: int, n_threads: int) -> None:
    assert call_each(str, range(n_items), n_threads) == [str(i) for i in range(n_items)]


def test_calls_run_at_once_in_as_many_threads_as_asked_for() -> None:
    meeting = threading.Barrier(3, timeout=PATIENCE)  # broken where fewer come
    assert sorted(call_each(lambda _: meeting.wait(), range(3), 3)) == [0, 1, 2]
    here = threading.get_ident()
    assert call_each(lambda _: threading.get_ident(), range(3), 1) == [here] * 3


def test_after_an_error_no_call_begins_and_that_of_the_first_item_is_raised() -> None:
    meeting, begun = threading.Barrier(2, timeout=PATIENCE), []

    def call(number: int) -> None:
        begun.append(number)
        meeting.wait()  # both fail: neither is to be lost
        raise ValueError(number)

    with pytest.raises(ValueError, match="^0$"):
        call_each(call, range(1000), 2)
    assert sorted(begun) == [0, 1]


def test_where_no_thread_can_be_started_this_one_makes_all_calls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert call_each(str, range(5), 4) == ["0", "1", "2", "3", "4"]


def test_a_coroutine_waits_for_a_call_in_another_thread_and_in_its_own_context() -> None:
    variable = contextvars.ContextVar("variable", default=0)

    def call(*, factor: int) -> tuple[int, int]:
        return variable.get() * factor, threading.get_ident()

    async def main() -> tuple[int, int]:
        variable.set(21)
        return await in_thread(call, factor=2)

    value, thread = asyncio.run(main())
    assert value == 42
    assert thread != threading.get_ident()


def test_the_interpreter_is_not_ending_while_a_script_runs() -> None:
    assert not is_interpreter_ending()
