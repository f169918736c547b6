"""An executor asks by messages, and is never left without an answer."""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import Any

import pytest

from swarmgrid.coordinator import inbox as module
from swarmgrid.coordinator.inbox import Reported, TaskOver, TaskRequest, TaskSource, WorkRequest
from swarmgrid.transport.messages import Task, TaskResult
from tests.waiting import PATIENCE

TASK = Task((), None, None, writes=False)


@pytest.fixture
def inbox() -> SimpleQueue[Any]:
    return SimpleQueue()


def in_a_thread(call: Any) -> tuple[threading.Thread, list[Any]]:
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(call()))
    thread.start()
    return thread, answers


@pytest.mark.parametrize("may_wait", [True, False])
def test_each_question_has_a_reply_of_its_own(inbox: SimpleQueue[Any], may_wait: bool) -> None:
    source = TaskSource(1, inbox, threading.Event())
    first, one = in_a_thread(lambda: source.get(may_wait=may_wait))
    second, other = in_a_thread(source.wait_for_work)
    asked = {
        type(message): message
        for message in (inbox.get(timeout=PATIENCE), inbox.get(timeout=PATIENCE))
    }
    assert asked.keys() == {TaskRequest, WorkRequest}
    assert (asked[TaskRequest].engine, asked[TaskRequest].may_wait) == (1, may_wait)
    asked[WorkRequest].reply.put(7)  # in another order than they were asked
    asked[TaskRequest].reply.put(TASK)
    for thread in (first, second):
        thread.join(PATIENCE)
    assert (one, other) == ([TASK], [7])


def test_what_comes_after_the_coordinators_last_look_is_answered_by_its_end(
    inbox: SimpleQueue[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    closed = threading.Event()
    source = TaskSource(0, inbox, closed)
    thread, answers = in_a_thread(lambda: (source.get(), source.wait_for_work()))
    inbox.get(timeout=PATIENCE)  # and no answer comes
    closed.set()
    thread.join(PATIENCE)
    assert answers == [(None, 0)]


def test_reports_come_before_the_end_of_their_task(inbox: SimpleQueue[Any]) -> None:
    source, result = TaskSource(2, inbox, threading.Event()), TaskResult()
    source.report(TASK, result)
    source.task_done()
    assert [inbox.get(), inbox.get()] == [Reported(TASK, result), TaskOver(2)]
