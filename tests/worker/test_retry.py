"""A flaky function is called again; the pauses are counted here, not slept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from swarmgrid.worker import retry
from swarmgrid.worker.heartbeat import Heartbeat

if TYPE_CHECKING:
    from swarmgrid.transport.messages import Retry


class Calls:
    def __init__(self, n_failing: int, error: BaseException | None = None) -> None:
        self.left = n_failing
        self.error = error or ValueError("no")
        self.heartbeat = Heartbeat()
        self.beats: list[float] = []
        self.pauses: list[float] = []
        self.notes: list[Retry] = []
        self.turns = 0

    def func(self, **arguments: Any) -> float:
        self.beats.append(self.heartbeat.beat[1])
        self.left -= 1
        if self.left >= 0:
            raise self.error
        return float(arguments["x"])

    def turn(self) -> None:
        self.turns += 1

    def sleep(self, seconds: float) -> None:
        assert self.heartbeat.is_paused
        self.pauses.append(seconds)

    def run(self, retries: int, monkeypatch: pytest.MonkeyPatch) -> Any:
        monkeypatch.setattr(retry.time, "sleep", self.sleep)  # type: ignore[attr-defined]
        func = retry.with_retries(
            self.func, retries, ["x"], self.heartbeat, self.turn, self.notes.append
        )
        return func(x=2, p=5)


@pytest.mark.parametrize("n_failing", range(4))
def test_each_failure_is_told_and_followed_by_a_pause_and_a_turn(
    n_failing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = Calls(n_failing)
    assert calls.run(3, monkeypatch) == 2.0
    assert calls.beats == list(range(1, n_failing + 2))
    assert calls.pauses == [0.1, 0.2, 0.4][:n_failing]
    assert calls.turns == n_failing
    assert [(n.point, n.reason, n.attempt) for n in calls.notes] == [
        ({"x": 2}, "ValueError: no", i + 1) for i in range(n_failing)
    ]


def test_the_last_failure_is_raised_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls(9)
    with pytest.raises(ValueError, match="no") as caught:
        calls.run(2, monkeypatch)
    assert caught.value is calls.error
    assert caught.value.__context__ is None
    assert len(calls.beats) == 3
    assert len(calls.notes) == 2


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_an_interruption_is_not_tried_again(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = Calls(1, error)
    with pytest.raises(type(error)):
        calls.run(3, monkeypatch)
    assert len(calls.beats) == 1


def test_the_pause_doubles_up_to_ten_seconds() -> None:
    pauses = [retry.pause_seconds(n) for n in range(1, 2000)]
    assert pauses[:8] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0])
    assert set(pauses[8:]) == {10.0}


def test_without_retries_it_is_the_function_itself() -> None:
    func = float
    assert retry.with_retries(func, 0, [], Heartbeat(), lambda: None, lambda _: None) is func
