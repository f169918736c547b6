"""The events of a run, in the order in which they happen, and what is told of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from swarmgrid.observe.diagnostics import Diagnostics


class Event:
    """Something that happened in a run."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class RunStarted(Event):
    """A run began."""

    function: str
    grid: str
    """The id of the grid."""
    points: int
    """Points that were asked for."""
    cached: int
    """Those that were computed before."""


@dataclass(frozen=True, slots=True)
class TaskDone(Event):
    """A task, or a part of one, came back."""

    points: int
    """Points computed."""
    seconds: float
    """Time spent inside the function."""
    wall_seconds: float
    """The time of the task, its writes included."""
    worker: int
    """The process id."""
    peak_nbytes: int
    """The most memory that the process ever had resident."""
    is_first: bool
    """Whether it was of the first points, which show the outputs."""


@dataclass(frozen=True, slots=True)
class ValuesStored(Event):
    """Some of the first points were put into the store."""

    seconds: float
    points: int


@dataclass(frozen=True, slots=True)
class CallRetried(Event):
    """A call failed, and was made again."""

    point: Mapping[str, Any]
    reason: str
    attempt: int
    worker: int


@dataclass(frozen=True, slots=True)
class StateChanged(Event):
    """Calls in a worker changed what counts as the function's code."""

    places: tuple[str, ...]
    worker: int


@dataclass(frozen=True, slots=True)
class PointsRejected(Event):
    """Points counted as computed turned out not to fit the outputs."""

    points: int


@dataclass(frozen=True, slots=True)
class PointFailed(Event):
    """A point, or a block of them, failed for good."""

    point: Mapping[str, Any]
    exception: str
    """The name of the exception's class."""
    reason: str
    attempt: int
    points: int
    is_recorded: bool
    """Whether it goes to the store, whose events then tell it."""


@dataclass(frozen=True, slots=True)
class WorkerCrashed(Event):
    """A worker process ended in the middle of a task."""

    worker: int
    reason: str
    point: Mapping[str, Any] | None
    """The point that it was computing, where that is known."""


@dataclass(frozen=True, slots=True)
class Moment(Event):
    """The progress of a run; told about once a second, whatever the points do."""

    seconds: float
    """Since the run began."""
    settled: int
    """Points that are computed, now or before, or that count as failed."""
    computed: int
    """Points that this run computed."""
    failed: int
    """Points that count as failed."""
    begun: int
    """Points that are settled or are being computed."""
    workers: int
    """The number of tasks that run at once."""
    seconds_left: float | None
    """The time for the other points, by the cost of a point; None while that is not known."""
    stage: Literal["computing", "stopping", "storing"] = "computing"
    """The phase of the run: it begins points; it waits for running ones, because it ends early;
    or it writes the last results."""


@dataclass(frozen=True, slots=True)
class RunEnded(Event):
    """A run came to its end."""

    outcome: str
    """``"finished"``, or the name of the error."""
    diagnostics: Diagnostics


class Observer(Protocol):
    """Something that is told of the events of a run, one after the other."""

    def __call__(self, event: Event, /) -> None:
        """Take note of an event."""
