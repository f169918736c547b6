"""Calls the function: point by point, or a block at a time; and what comes of it."""

from __future__ import annotations

import itertools
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, MutableSequence, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import cloudpickle
import numpy as np

from swarmgrid.identity import point_seed
from swarmgrid.space.points import Points, boxes
from swarmgrid.work.collect import Collector
from swarmgrid.work.job import BEGUN, SINCE, STOP, Failure, TerminatedError, Values
from swarmgrid.work.unpack import MisfitError, fitted, inferred, unpacked

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from swarmgrid.space.axis import Axis
    from swarmgrid.space.outputs import Schema
    from swarmgrid.work.job import Job, Piece

Pulse = MutableSequence[float]
"""What a worker shows while it works; see `swarmgrid.work.job`."""
BACKOFF_SECONDS = 0.1
"""The pause before the first retry; it doubles with each, up to `MAX_BACKOFF_SECONDS`."""
MAX_BACKOFF_SECONDS = 10.0


@dataclass(slots=True)
class Outcome:
    """What came of one piece."""

    values: Values | None
    schema: Schema | None
    failures: list[Failure] = field(default_factory=list)
    left: Points | None = None
    """The points that were not begun; None if all were."""
    retries: int = 0
    interruption: BaseException | None = None
    """Ctrl-C or SIGTERM."""


def called_by_point(
    job: Job,
    piece: Piece,
    bins: Sequence[Axis],
    schema: Schema | None,
    pulse: Pulse,
    deadline: float,
) -> Outcome:
    """The results of a piece's points, in C order, one call each.

    Parameters
    ----------
    job, piece : Job, Piece
        What to call, and for which points.
    bins : sequence of Axis
        The axes, with the values of the piece's box only.
    schema : Schema or None
        What results must look like; None: as the first does.
    pulse : mutable sequence of float
        Shows which point is being computed, and says when to stop.
    deadline : float
        When to stop, by ``time.monotonic``; one point is computed at least.
    """
    names = [axis.name for axis in job.axes]
    arguments, call = dict(job.params), _with_retries(job)
    collector = None if schema is None else Collector(schema, len(piece.points))
    found = Outcome(None, schema)
    failed: list[int] = []
    begun = first = int(pulse[BEGUN])
    start = now = time.monotonic()
    for point in _points(piece.points, bins):
        if begun > first and (now > deadline or pulse[STOP]):
            break
        pulse[BEGUN], pulse[SINCE] = begun, now
        begun += 1
        arguments.update(zip(names, point, strict=True))
        try:
            if job.rng is not None:
                arguments[job.rng] = _generator(job, names, point)
            result = call(arguments, found)
            if collector is None:
                schema = inferred(unpacked(result))
                collector = Collector(schema, len(piece.points))
            collector.add(result)
        except (KeyboardInterrupt, TerminatedError) as error:
            found.interruption = error
            begun -= 1
            break
        except (Exception, SystemExit) as error:  # noqa: BLE001  # any error is the function's
            failed.append(begun - first - 1)
            offset = _offset(piece.points, failed[-1])
            found.failures.append(_failure(piece, offset, names, point, error))
            if job.on_error == "raise":
                break
        now = time.monotonic()
    pulse[BEGUN] = begun
    done = np.arange(len(piece.points)) < begun - first
    left = ~done
    done[failed] = False
    found.schema = schema
    found.left = piece.points.subset(left)
    points = piece.points.subset(done)
    if points is not None and collector is not None:
        found.values = Values(piece.index, points, collector.arrays(), now - start)
    return found


def called_by_block(
    job: Job,
    piece: Piece,
    bins: Sequence[Axis],
    schema: Schema | None,
    pulse: Pulse,
    deadline: float,  # noqa: ARG001  # a block is one call
) -> Outcome:
    """The results of a piece, one call for each box that its points make up."""
    mask = piece.points.box_mask()
    call, found = _with_retries(job), Outcome(None, schema)
    gathered: dict[str, NDArray[Any]] = {}
    start = pulse[SINCE] = time.monotonic()
    for box in boxes(mask):
        parts = [axis.with_values(axis.values[s]) for axis, s in zip(bins, box, strict=True)]
        shape = tuple(map(len, parts))
        try:
            result = unpacked(call({**job.params, **_block_arguments(parts)}, found))
            found.schema = found.schema or inferred(result, len(shape))
            arrays = fitted(result, found.schema, shape)
        except TerminatedError:
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001
            names = [axis.name for axis in parts]
            corner = tuple(s.start for s in box)
            labels = [axis.labels() for axis in parts]
            found.failures.append(_failure(piece, corner, names, labels, error))
            break
        for name, array in arrays.items():
            if name not in gathered:
                gathered[name] = np.empty(mask.shape + array.shape[len(shape) :], array.dtype)
            gathered[name][box] = array
    pulse[BEGUN] += len(piece.points)
    if not found.failures:
        flat = {name: array[mask] for name, array in gathered.items()}
        found.values = Values(piece.index, piece.points, flat, time.monotonic() - start)
    return found


def _with_retries(job: Job) -> Callable[[Mapping[str, Any], Outcome], Any]:
    """The function, called again after a pause when it fails and the job allows that."""
    func = job.call()
    if not job.retries:
        return lambda arguments, _: func(**arguments)
    from tenacity import Retrying, stop_after_attempt, wait_exponential

    retrying = Retrying(
        stop=stop_after_attempt(job.retries + 1),
        wait=wait_exponential(BACKOFF_SECONDS, MAX_BACKOFF_SECONDS),
        reraise=True,
    )

    def call(arguments: Mapping[str, Any], found: Outcome) -> Any:
        for attempt in retrying:
            with attempt:
                found.retries += attempt.retry_state.attempt_number > 1
                return func(**arguments)
        return None

    return call


def _points(points: Points, bins: Sequence[Axis]) -> Iterator[tuple[Any, ...]]:
    """The axis values of every point, in C order."""
    columns = [axis.arguments() for axis in bins]
    if points.bits is None:
        return itertools.product(*columns)
    indices = points.indices().tolist()
    return (tuple(map(list.__getitem__, columns, index)) for index in indices)


def _offset(points: Points, ordinal: int) -> tuple[int, ...]:
    """The index within the chunk of one of a piece's points."""
    return tuple(map(int, points.indices()[ordinal]))


def _block_arguments(parts: Sequence[Axis]) -> dict[str, NDArray[Any]]:
    """Every axis as an array that broadcasts against the others: ``(1, n, 1)``."""
    arguments = {}
    for d, axis in enumerate(parts):
        values = np.array(axis.arguments(), object) if axis.kind == "enum" else axis.labels()
        arguments[axis.name] = values.reshape([-1 if i == d else 1 for i in range(len(parts))])
    return arguments


def _generator(job: Job, names: Sequence[str], point: Sequence[Any]) -> np.random.Generator:
    whole = (int(v) if isinstance(v, float) and v.is_integer() else v for v in point)
    seed = point_seed(job.path.grid, dict(zip(names, whole, strict=True)))
    return np.random.default_rng(seed)


def _failure(
    piece: Piece,
    offset: tuple[int, ...],
    names: Sequence[str],
    point: Sequence[Any],
    error: BaseException,
) -> Failure:
    try:
        pickled = cloudpickle.dumps(error)
        cloudpickle.loads(pickled)
    except Exception:  # noqa: BLE001  # some exceptions cannot travel; their text does
        pickled = None
    is_misfit = isinstance(error, MisfitError)
    reason = str(error) if is_misfit else "".join(traceback.format_exception_only(error)).strip()
    own = error.__traceback__
    while own is not None and own.tb_frame.f_globals.get("__name__", "").split(".")[0] in {
        "swarmgrid",
        "tenacity",
    }:
        own = own.tb_next  # the reader wants the function's frames, not ours
    text = "" if is_misfit else "".join(traceback.format_exception(type(error), error, own))
    return Failure(
        index=piece.index,
        offset=offset,
        point=dict(zip(names, point, strict=True)),
        exception="OutputError" if is_misfit else type(error).__name__,
        reason=reason,
        traceback=text,
        pickled=pickled,
    )
