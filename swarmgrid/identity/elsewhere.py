"""A function's fingerprint part by part, comparable between a caller and its workers.

A worker holds code that travelled by value. It must not look at files, which may have been edited
since, and it runs another script than the caller.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from types import ModuleType


@dataclass(frozen=True, slots=True)
class Frame:
    """The facts that a walk over code uses instead of the files and modules of this process."""

    main: str
    """The name by which the caller's script would be imported."""
    modules: Mapping[str, ModuleType] | None = None
    """The user's own modules by name, where they have travelled; None: as they are here."""
    missing: frozenset[str] = frozenset()
    """``module.name`` of what cannot travel, of modules that are used as values."""


_frame: ContextVar[Frame | None] = ContextVar("swarmgrid_frame", default=None)


def frame_of_walk() -> Frame | None:
    """Return what the present walk goes by; None: this process' own files and modules."""
    return _frame.get()


@contextlib.contextmanager
def walking_by(frame: Frame) -> Iterator[None]:
    """Go by something else while it lasts: code counts by its instructions, not its source."""
    token = _frame.set(frame)
    try:
        yield
    finally:
        _frame.reset(token)
