"""Lets the log records of the function say at which point it was called."""

from __future__ import annotations

import contextlib
import logging
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from swarmgrid.transport.messages import Job, Task
    from swarmgrid.worker.heartbeat import Heartbeat

ATTRIBUTE = "swarmgrid_point"
"""The attribute of a record. A plainer name could be one that the function itself passes as
``extra=``, which `logging` refuses."""

_running: ContextVar[tuple[Job, Task, Heartbeat] | None] = ContextVar("running", default=None)
_lock = threading.Lock()
_n_users = 0
_factory: Callable[..., logging.LogRecord] = logging.LogRecord


@contextlib.contextmanager
def records_with_points(job: Job, task: Task, heartbeat: Heartbeat) -> Iterator[None]:
    """Have the records that this thread logs meanwhile carry the point of the task."""
    token = _running.set((job, task, heartbeat))
    _enter()
    try:
        yield
    finally:
        _leave()
        _running.reset(token)


def point_of(job: Job, task: Task, heartbeat: Heartbeat) -> dict[str, Any]:
    """The labels of the point that is being computed; none for a block, and between two calls."""
    ordinal = heartbeat.point
    if ordinal is None or job.function.vectorized:
        return {}
    for part in task.parts:
        n = len(part.points)
        if ordinal < n:
            offset = part.points.indices()[ordinal]
            lengths = task.chunk_shape or [0] * len(offset)
            return {
                axis.name: axis.take(np.array([i * length + int(o)])).label(0)
                for axis, i, length, o in zip(job.axes, part.index, lengths, offset, strict=True)
            }
        ordinal -= n
    return {}


def _enter() -> None:
    global _n_users, _factory  # noqa: PLW0603  # logging has one factory for the whole process
    with _lock:
        _n_users += 1
        if _n_users == 1:
            _factory = logging.getLogRecordFactory()
            logging.setLogRecordFactory(_new_record)


def _leave() -> None:
    global _n_users  # noqa: PLW0603
    with _lock:
        _n_users -= 1
        # a factory that the function has set meanwhile stays
        if not _n_users and logging.getLogRecordFactory() is _new_record:
            logging.setLogRecordFactory(_factory)


def _new_record(*args: Any, **named: Any) -> logging.LogRecord:
    record = _factory(*args, **named)
    running = _running.get()
    if running is not None:
        setattr(record, ATTRIBUTE, point_of(*running))
    return record
