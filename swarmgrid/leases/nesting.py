"""The runs that the code running here is part of: a function must not wait for its own run."""

from __future__ import annotations

import contextlib
import os
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

VARIABLE = "SWARMGRID_RUNS"
"""The environment variable by which programs that a function starts know of it, too."""
_around: ContextVar[tuple[str, ...]] = ContextVar("swarmgrid_runs", default=())


def runs_around() -> tuple[str, ...]:
    """The writers of the runs that wait for the code that asks, outermost first."""
    inherited = tuple(filter(None, os.environ.get(VARIABLE, "").split()))
    return tuple(dict.fromkeys((*inherited, *_around.get())))


@contextlib.contextmanager
def inside(runs: tuple[str, ...]) -> Iterator[None]:
    """Count what this thread calls meanwhile as part of some runs."""
    token = _around.set((*_around.get(), *runs))
    try:
        yield
    finally:
        _around.reset(token)


def enter_for_good(runs: tuple[str, ...]) -> None:
    """Count all that this process does from now on, and what it starts, as part of some runs."""
    os.environ[VARIABLE] = " ".join(dict.fromkeys((*runs_around(), *runs)))
