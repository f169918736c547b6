"""Calls the function at the points of one chunk: one by one, or a block at a time.

Another thread may `pop` what is there while the calls are being made.
"""

from __future__ import annotations

import contextlib
import itertools
import pickle
import threading
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from multiprocessing import parent_process
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.outputs.labels import MisfitError, check_point
from swarmgrid.outputs.results import fitted, inferred, of_block, unpacked
from swarmgrid.space.points import boxes
from swarmgrid.transport.messages import Failure, TerminatedError, Values
from swarmgrid.transport.packing import packed_to_return
from swarmgrid.worker.collector import Collector
from swarmgrid.worker.heartbeat import POINT, STOP, Stop
from swarmgrid.worker.tracebacks import user_traceback

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from swarmgrid.outputs.outputs import Schema
    from swarmgrid.outputs.results import Unpacked
    from swarmgrid.space.axis import Axis
    from swarmgrid.space.points import ChunkPart, Points
    from swarmgrid.transport.messages import Job
    from swarmgrid.worker.heartbeat import Heartbeat


Function = Callable[..., Any]


def is_interruption(error: BaseException) -> bool:
    """Whether an error is Ctrl-C or SIGTERM, which only the user's own main thread sees.

    Anywhere else it is the function that raises KeyboardInterrupt, which is a failure as any.
    """
    if isinstance(error, TerminatedError):
        return True
    is_main = threading.current_thread() is threading.main_thread() and parent_process() is None
    return isinstance(error, KeyboardInterrupt) and is_main


class Calls(ABC):
    """The calls at one part's points, in C order.

    Parameters
    ----------
    job, part : Job, ChunkPart
        The function, and the points at which it is called.
    func : callable
        The job's function, with retries where there are to be some.
    bins : sequence of Axis
        The axes, with the values of the part's box only.
    schema : Schema or None
        The outputs that results must have; None: those of the first result.
    heartbeat : Heartbeat
        Shows which point is being computed, and says when to stop.
    first : int
        The ordinal of the part's first point among all of the task's.
    """

    def __init__(
        self,
        job: Job,
        func: Function,
        part: ChunkPart,
        bins: Sequence[Axis],
        schema: Schema | None,
        heartbeat: Heartbeat,
        first: int,
    ) -> None:
        self.part = part
        self.schema = schema
        """The outputs, once there is a result."""
        self.interruption: BaseException | None = None
        """Ctrl-C or SIGTERM."""
        self._job = job
        self._func = func
        self._bins = bins
        self._heartbeat = heartbeat
        self._first = first
        self._failures: list[Failure] = []
        self._prepare()

    @abstractmethod
    def _prepare(self) -> None:
        """Make the state of this kind of calls."""

    @property
    @abstractmethod
    def settled(self) -> int:
        """The number of points, from the first on, that have a result or a failure."""

    @abstractmethod
    def make(self) -> None:
        """Make the calls, until they are done or the heartbeat says stop; one at least."""

    @abstractmethod
    def pop(self, until: int, now: float) -> tuple[Values | None, list[Failure]]:
        """Hand over the results of the points up to number ``until``, at the time ``now``."""


class PointCalls(Calls):
    """One call for each point."""

    def _prepare(self) -> None:
        self._names = [axis.name for axis in self._bins]
        self._checked = ["" if a.kind in {"enum", "label"} else a.name for a in self._bins]
        n = len(self.part.points)
        self._collector = None if self.schema is None else Collector(self.schema, n)
        self._failed: list[int] = []
        self._popped = self._popped_failures = 0
        self._since = 0.0

    @property
    def settled(self) -> int:
        return len(self._failed) + (0 if self._collector is None else len(self._collector))

    def make(self) -> None:
        self._since = time.monotonic()
        try:
            self._call_all()
        except (KeyboardInterrupt, TerminatedError) as error:
            self.interruption = error
        else:
            if self._heartbeat.stop is Stop.INTERRUPTED:
                self._drop_last()
        self._heartbeat.pause_before(self._first + self.settled)

    def pop(self, until: int, now: float) -> tuple[Values | None, list[Failure]]:
        # another thread asks while calls go on: nothing at `until` or behind it is looked at
        n_failed = sum(ordinal < until for ordinal in self._failed)
        failures = self._failures[self._popped_failures : n_failed]
        done = np.zeros(len(self.part.points), bool)
        done[self._popped : until] = True
        done[self._failed[:n_failed]] = False
        points = self.part.points.subset(done)
        values = None
        if points is not None and self._collector is not None:
            # the collector counts results, and failed points have none
            start = self._popped - self._popped_failures
            arrays = self._collector.arrays(start, until - n_failed)
            values = Values(self.part.index, points, arrays, now - self._since)
        self._popped, self._popped_failures, self._since = until, n_failed, now
        return values, failures

    def _call_all(self) -> None:
        """The loop that every point goes through: each step of it costs a million of them."""
        beat, func, job = self._heartbeat.floats, self._func, self._job
        *outer, last = self._names or [""]
        arguments = dict(job.function.params)
        ordinal = self._first
        types, append = self._collector.floats() if self._collector else ((), None)
        for values, inner in _rows(self.part.points, self._bins):
            arguments.update(zip(outer, values, strict=True))
            for value in inner:
                beat[POINT] = ordinal
                try:
                    if last:
                        arguments[last] = value
                    result = func(**arguments)
                    # the commonest result of all, which needs no check
                    if type(result) in types:
                        append(result)  # type: ignore[misc]
                    else:
                        check_point(result, self._checked, (*values, value))
                        types, append = self._add(result)
                except BaseException as error:  # the function's own, as a rule
                    if is_interruption(error):
                        raise
                    self._fail(ordinal - self._first, (*values, value), error)
                    if job.on_error == "raise":
                        return
                ordinal += 1
                if beat[STOP]:
                    return

    def _add(self, result: object) -> tuple[tuple[type, ...], Callable[[float], None] | None]:
        if self._collector is None:
            self.schema = _inferred(unpacked(result), self._bins)
            self._collector = Collector(self.schema, len(self.part.points))
        self._collector.add(result)
        return self._collector.floats()

    def _fail(self, number: int, point: Sequence[Any], error: BaseException) -> None:
        if isinstance(error, MemoryError):
            traceback.clear_frames(error.__traceback__)  # they hold what took the memory
        offset = tuple(map(int, self.part.points.indices()[number]))
        named = dict(zip(self._names, point, strict=False))
        self._failures.append(failed(self.part, offset, named, error))
        self._failed.append(number)

    def _drop_last(self) -> None:
        """Forget what a call came to that did not let itself be interrupted."""
        if self._failed and self._failed[-1] == self.settled - 1:
            self._failed.pop()
            self._failures.pop()
        elif self._collector is not None:
            self._collector.drop_last()


class BlockCalls(Calls):
    """One call for each box that a part's points make up, usually one."""

    def _prepare(self) -> None:
        self._values: Values | None = None
        self._is_settled = False

    @property
    def settled(self) -> int:
        return len(self.part.points) if self._is_settled else 0

    def make(self) -> None:
        start, mask = time.monotonic(), self.part.points.box_mask()
        self._heartbeat.begin(self._first)
        gathered: dict[str, NDArray[Any]] = {}
        try:
            for mask_part in _by_number(mask, self._bins):
                if not all(self._call(box, mask.shape, gathered) for box in boxes(mask_part)):
                    break
        except (KeyboardInterrupt, TerminatedError) as error:
            self.interruption = error
            return
        finally:
            self._heartbeat.pause_before(self._first + len(self.part.points))
        if self._heartbeat.stop is Stop.INTERRUPTED:  # the function swallowed it
            self._failures = []
            return
        # a block fails as one: it is one call to the user
        if not self._failures:
            flat = {
                name: array.reshape((mask.size, *array.shape[mask.ndim :]))
                if mask.all()
                else array[mask]
                for name, array in gathered.items()
            }
            seconds = time.monotonic() - start
            self._values = Values(self.part.index, self.part.points, flat, seconds)
        self._is_settled = True

    def pop(self, until: int, now: float) -> tuple[Values | None, list[Failure]]:  # noqa: ARG002
        return (self._values, self._failures) if until >= self.settled > 0 else (None, [])

    def _call(
        self, box: tuple[slice, ...], whole: tuple[int, ...], gathered: dict[str, NDArray[Any]]
    ) -> bool:
        """Compute one box of the part; False if that failed."""
        bins = [axis.take(s) for axis, s in zip(self._bins, box, strict=True)]
        shape = tuple(map(len, bins))
        try:
            returned = self._func(**self._job.function.params, **_block_arguments(bins))
            result = of_block(unpacked(returned), {axis.name: axis.labels() for axis in bins})
            self.schema = self.schema or _inferred(result, self._bins, len(bins))
            arrays = fitted(result, self.schema, shape)
        except BaseException as error:  # the function's own, as a rule
            if is_interruption(error):
                raise
            corner = tuple(s.start for s in box)
            labels = {axis.name: axis.labels() for axis in bins}
            failure = failed(self.part, corner, labels, error)
            self._failures.append(replace(failure, block=self.part.points))
            return False
        for name, array in arrays.items():
            if shape == whole:
                gathered[name] = array
                continue
            if name not in gathered:
                gathered[name] = np.empty(whole + array.shape[len(shape) :], array.dtype)
            gathered[name][box] = array
        return True


def failed(
    part: ChunkPart, offset: tuple[int, ...], point: dict[str, Any], error: BaseException
) -> Failure:
    """An error of the function's as it travels."""
    is_misfit = isinstance(error, MisfitError)
    pickled = None
    if not is_misfit:  # the text of a misfit says everything, and its class is none of the user's
        with contextlib.suppress(Exception):  # some exceptions cannot travel; their text does
            found = packed_to_return(error)
            pickle.loads(found)
            pickled = found
    reason = str(error) if is_misfit else "".join(traceback.format_exception_only(error)).strip()
    text = "" if is_misfit else user_traceback(error)
    return Failure(
        index=part.index,
        offset=offset,
        point=point,
        kind="misfit" if is_misfit else "raised",
        exception="OutputError" if is_misfit else type(error).__name__,
        reason=reason,
        traceback=text,
        pickled=pickled,
    )


def _inferred(result: Unpacked, bins: Sequence[Axis], lead: int = 0) -> Schema:
    """The schema that the first result shows.

    Where ints stand among floats on an axis, an integer may be one only because its argument is:
    ``x * x`` at 0 of ``[0, 0.5, 1]``. It does not decide that all others are integers, too.
    """
    schema = inferred(result, [axis.name for axis in bins], lead)
    return schema.with_floats() if any(axis.has_both for axis in bins) else schema


def _by_number(mask: NDArray[np.bool_], bins: Sequence[Axis]) -> list[NDArray[np.bool_]]:
    """The points of a block in parts none of which has both ints and floats on one axis.

    A block's array has one dtype; in one array with floats an int would be another argument.
    """
    parts = [mask]
    for d, axis in enumerate(bins):
        if axis.is_int is not None and 0 < axis.is_int.sum() < len(axis):
            ints = axis.is_int.reshape([-1 if i == d else 1 for i in range(mask.ndim)])
            parts = [part & kind for part in parts for kind in (ints, ~ints)]
    return [part for part in parts if part.any()]


def _rows(points: Points, bins: Sequence[Axis]) -> Iterator[tuple[tuple[Any, ...], Iterable[Any]]]:
    """The points in C order: values of all axes but the last, and those of the last."""
    columns = [axis.arguments() for axis in bins]
    if not columns:
        yield (), (None,)
    elif points.bits is None:
        for outer in itertools.product(*columns[:-1]):
            yield outer, columns[-1]
    else:
        for index in points.indices().tolist():
            *outer_values, value = map(list.__getitem__, columns, index)
            yield tuple(outer_values), (value,)


def _block_arguments(bins: Sequence[Axis]) -> dict[str, NDArray[Any]]:
    """Every axis as an array that broadcasts against the others: ``(1, n, 1)``."""
    arguments = {}
    for d, axis in enumerate(bins):
        values = np.array(axis.arguments(), object) if axis.kind == "enum" else axis.labels()
        if axis.has_both:  # all of them ints here: see `_by_number`
            values = values.astype("int64")
        arguments[axis.name] = values.reshape([-1 if i == d else 1 for i in range(len(bins))])
    return arguments
