"""The messages between the coordinator and the workers: the job, its tasks, their results."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from swarmgrid.codecs.keys import Key, hold
from swarmgrid.transport.copies import copies_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from swarmgrid.format.segment import Row
    from swarmgrid.outputs.outputs import Schema
    from swarmgrid.space.axis import Axis
    from swarmgrid.space.function import PointFunction
    from swarmgrid.space.points import ChunkPart, Points
    from swarmgrid.store.blobs import Blobs
    from swarmgrid.store.grid_ref import GridRef
    from swarmgrid.transport.parcel import Parcel, Watch


CrashKind = Literal["ended", "timeout", "memory"]
"""The cause of a worker's crash: it ended, its call took too long, or it took too much memory."""
FailureKind = Literal["raised", "misfit"] | CrashKind
"""The cause of a point's failure: the function raised, its result cannot be stored, or it crashed
its worker. An exception's name is no proof: the function may raise its own ``OutputError``."""
_EXCEPTIONS: dict[CrashKind, str] = {
    "ended": "WorkerLostError",
    "timeout": "TimeoutError",
    "memory": "MemoryError",
}


class TerminatedError(SystemExit):
    """SIGTERM came: unlike a function's own SystemExit, it ends the run."""


@dataclass(frozen=True)
class Job:
    """Everything that all tasks of a run share; it travels once to every worker."""

    function: PointFunction
    grid: GridRef
    axes: tuple[Axis, ...]
    """The stored axes with all their values, in stored order."""
    writer: str
    """The name of the run's staging folder."""
    on_error: str = "raise"
    """``"raise"``: a task ends at its first failure; ``"record"``: it goes on."""
    retries: int = 0
    """The most repeated calls at a point where the function failed."""
    collects_garbage: bool = False
    """Whether garbage is collected after every task."""
    is_rate_limited: bool = False
    """Whether every call, a repeated one, too, waits for its turn."""
    runs: tuple[str, ...] = ()
    """The writers of the runs that wait for what the function does: of this one, and around it."""
    probe: str | None = None
    """The key of an object that a worker must see before it writes; None: it surely would."""
    watch: Watch | None = None
    """In a worker: finds out what calls change of the function's own state."""
    keys: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """The secrets of the keys that the grid is encrypted with, by id: they travel in memory."""
    parcel: Parcel | None = None
    """The function, params and location as they stood when the run began, if they may travel."""

    def call(self) -> Callable[..., Any]:
        """The function itself, without the `GridFunction` that it may travel in."""
        found: Callable[..., Any] = getattr(
            func := self.function.func, "__swarmgrid_function__", func
        )
        return found

    @functools.cached_property
    def copies(self) -> Callable[[], dict[str, Any]] | None:
        """Makes the params anew that a call could change; see `swarmgrid.transport.copies`."""
        return copies_of(self.function.params)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "copies"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for secret in self.keys.values():
            hold(Key(secret))

    def open(self) -> Blobs:
        """The store, as this run writes it."""
        return self.grid.location.open(self.grid.path.grid, self.writer)


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """Parts that one worker computes in one go."""

    parts: tuple[ChunkPart, ...]
    chunk_shape: tuple[int, ...] | None
    """None while a new grid's chunks are not known: the parts are then of one large chunk."""
    schema: Schema | None
    """The outputs that the results must have; None: they are inferred from the first result."""
    writes: bool
    """Whether the worker writes the results, or returns them for the coordinator to write."""
    limit_seconds: float = float("inf")
    """After this long the worker reports, and hands back the points that are left."""
    inner_shape: tuple[int, ...] | None = None
    """Of a sharded grid: the shape of the chunks within its shards."""
    report_seconds: float = float("inf")
    """After this long in one call, what came of the points before it is reported."""
    is_isolated: bool = False
    """Whether the task must have a worker to itself, that has done nothing else."""
    v2_keys: frozenset[str] = frozenset()
    """Outputs of the grid that were converted; see `StoredGrid`."""

    def after(self, n: int) -> Task:
        """The task without its first ``n`` points."""
        parts = list(self.parts)
        while parts and n >= len(parts[0].points):
            n -= len(parts.pop(0).points)
        if n:
            _, rest = parts[0].points.divided_at(n)
            assert rest is not None
            parts[0] = replace(parts[0], points=rest)
        return replace(self, parts=tuple(parts))


@dataclass(frozen=True, slots=True)
class Values:
    """Results that come back instead of being written."""

    index: tuple[int, ...]
    points: Points
    arrays: Mapping[str, NDArray[Any]]
    """``(n_points, *output.shape)`` by output, in the C order of the points."""
    seconds: float


@dataclass(frozen=True, slots=True)
class Failure:
    """An error at one point; for a block function, at a block."""

    index: tuple[int, ...]
    """The chunk's index."""
    offset: tuple[int, ...]
    """The point's index within the chunk; of a block, its first point's."""
    point: Mapping[str, Any]
    """The axis values, by axis."""
    exception: str
    """The name of the exception's class."""
    reason: str
    """The exception on one line."""
    traceback: str
    kind: FailureKind = "raised"
    pickled: bytes | None = None
    """The exception itself, where it can be pickled."""
    block: Points | None = None
    """All points of the block; None: it is one point."""
    attempt: int = 1
    """The number of attempts at the point; retries within one attempt do not count."""

    @property
    def n_points(self) -> int:
        """The number of points that failed."""
        return 1 if self.block is None else len(self.block)


@dataclass(frozen=True, slots=True)
class Retry:
    """A failure after which the function was called again."""

    point: Mapping[str, Any]
    """The axis values, by axis; of a block, none."""
    reason: str
    attempt: int


@dataclass(frozen=True, slots=True)
class WorkerCrash:
    """A worker that ended in the middle of a task."""

    kind: CrashKind
    text: str
    """The cause: a signal, an exit code, a limit that was exceeded."""
    begun: int | None
    """The ordinal, among all of the task's points, of the one that was being computed."""
    is_at_fault: bool = True
    """Whether the point may have caused the crash; not where the machine was short of memory."""

    @property
    def exception(self) -> str:
        """The name of the exception that stands for the crash in a failure."""
        return _EXCEPTIONS[self.kind]

    @property
    def reason(self) -> str:
        """The exception and the text, on one line."""
        return f"{self.exception}: {self.text}"


@dataclass(slots=True)
class TaskResult:
    """The report of a worker about a task."""

    rows: list[Row] = field(default_factory=list)
    """The rows of the chunks that the worker wrote."""
    values: list[Values] = field(default_factory=list)
    """The values that it did not write."""
    schema: Schema | None = None
    """The inferred outputs, if the task left them open."""
    failures: list[Failure] = field(default_factory=list)
    retries: list[Retry] = field(default_factory=list)
    split: list[ChunkPart] = field(default_factory=list)
    """Parts that the worker was to write, and whose points come back in parts instead."""
    left: list[ChunkPart] = field(default_factory=list)
    """The points that the task did not begin."""
    crash: WorkerCrash | None = None
    """The end of the worker, if it did not report; the rest is empty then."""
    interruption: BaseException | None = None
    """Ctrl-C or SIGTERM, where the task ran in the coordinator's own thread."""
    seconds: float = 0.0
    """Time spent inside the function."""
    wall_seconds: float = 0.0
    """The time of the task, its writes included."""
    points: int = 0
    """Points computed."""
    n_settled: int = 0
    """If the task goes on: how many of its points, from the first on, were reported so far."""
    nbytes: int = 0
    """Bytes written."""
    worker: int = 0
    """The worker's process id."""
    peak_nbytes: int = 0
    """The most memory that the worker ever had resident."""
    changed: tuple[str, ...] = ()
    """The places of what the calls changed, of what counts for the function's fingerprint."""
