"""Values that a function may reach without their counting: its results do not depend on them.

Given as a value of its own, as a param or a label, it is refused: two of a kind would be one.
"""

from __future__ import annotations

import logging
import sys
import threading
from typing import Any

from swarmgrid.identity.encode import Spot, exactly, family, frame
from swarmgrid.identity.ownership import is_own_class

_PRIMITIVES: tuple[Any, ...] = (
    type(threading.Lock()),
    type(threading.RLock()),
    threading.Condition,
    threading.Event,
    threading.Semaphore,
    threading.BoundedSemaphore,
    threading.Barrier,
    threading.Thread,
    threading.local,
)
_STREAMS = ("stdin", "stdout", "stderr", "__stdin__", "__stdout__", "__stderr__")


@exactly(*_PRIMITIVES)
def _primitive(value: Any, spot: Spot) -> bytes:
    """Locks and their kind say when a thread goes on; what is local to a thread is a cache."""
    return spot.inert(value, lambda one, _: frame("inert", type(one).__name__.encode()))


@family(lambda value: isinstance(value, logging.Logger | logging.LoggerAdapter | logging.Handler))
def _logger(value: Any, spot: Spot) -> bytes:
    return spot.inert(value, _describe_logger)


def _describe_logger(value: Any, spot: Spot) -> bytes:
    """Without its state; but the methods of a class of the user's may return anything."""
    is_own = is_own_class(type(value), spot.walk.home)
    return frame("inert", b"logger", *([spot.child(type(value))] if is_own else []))


@family(lambda value: any(value is getattr(sys, name, None) for name in _STREAMS))
def _stream(value: Any, spot: Spot) -> bytes:
    """The standard streams; other open files are refused."""
    return spot.inert(value, lambda *_: frame("inert", b"stream"))
