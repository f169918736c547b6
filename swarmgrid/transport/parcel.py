"""A job as it travels: the caller's code by value, and what a worker holds it against."""

from __future__ import annotations

import pickle
import traceback
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import cloudpickle

from swarmgrid.errors import IdentityError, InputError, WorkerError
from swarmgrid.identity import Frame, fingerprint_parts, module_name
from swarmgrid.space.function import PointFunction
from swarmgrid.transport.arrival import Arrivals, ModuleLabel, Unpacker
from swarmgrid.transport.packing import Luggage, packed
from swarmgrid.transport.surroundings import Surroundings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swarmgrid.transport.messages import Job


@dataclass(frozen=True, slots=True)
class Slip:
    """The note in front of the code: what must be there to unpack it, and what must result."""

    function: str
    """The function's name."""
    surroundings: Surroundings
    modules: tuple[ModuleLabel, ...]
    hindrance: str
    """The reason why the code goes by reference; empty: it goes by value."""
    main: str
    """The name by which the caller's script would be imported."""
    parts: Mapping[str, str]
    """The digests of what counts for the function's fingerprint, by place; empty: not known."""
    missing: frozenset[str]
    """The names that cannot travel, of modules that are used as values."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """The function, the params and the store of a run, as they stood when it began.

    Points that the calling process computes may change what the function uses.
    """

    function: str
    code: bytes
    luggage: Luggage | None
    """None: it goes by reference."""
    hindrance: str
    """The reason why it goes by reference."""
    parts: Mapping[str, str]
    main: str = field(default_factory=lambda: module_name("__main__"))
    surroundings: Surroundings = field(default_factory=Surroundings.here)

    def to_bytes(self, job: Job) -> bytes:
        """The job as it travels."""
        # these are in `code`, as they stood when the run began
        light = replace(job, function=_NOTHING, grid=None, parcel=None)  # type: ignore[arg-type]
        luggage = self.luggage
        rest = cloudpickle.dumps(light) if luggage is None else packed(light, luggage)
        modules = () if luggage is None else tuple(luggage.modules.values())
        slip = Slip(
            self.function,
            self.surroundings,
            modules,
            self.hindrance,
            self.main,
            self.parts,
            frozenset() if luggage is None else frozenset(luggage.missing),
        )
        return pickle.dumps((slip, self.code, rest), pickle.HIGHEST_PROTOCOL)


def to_parcel(job: Job) -> Parcel:
    """Pack what of a job may hold the user's own code.

    Raises
    ------
    InputError
        If it cannot travel, naming the part at fault.
    """
    contents = job.function, job.grid, job.axes
    luggage, here = Luggage(), Frame(module_name("__main__"))
    try:
        code = packed(contents, luggage)
        parts = _parts(job, replace(here, missing=frozenset(luggage.missing)))
        return Parcel(job.grid.path.function, code, luggage, "", parts)
    except Exception as error:  # noqa: BLE001  # any class may raise anything
        hindrance = f"{type(error).__name__}: {error}"
    code = _by_reference(job, contents)  # the worker's check decides whether that is the same
    return Parcel(job.grid.path.function, code, None, hindrance, _parts(job, here))


def unpack_job(data: bytes, *, is_own_process: bool) -> Job:
    """A job that arrived.

    Parameters
    ----------
    data : bytes
        The result of `Parcel.to_bytes`.
    is_own_process : bool
        Whether this process does nothing but this job: it takes on the caller's surroundings.

    Raises
    ------
    WorkerError
        If the function cannot be loaded, or is not what the caller has.
    """
    slip, code, rest = pickle.loads(data)
    try:
        if is_own_process:
            # before the code: what it imports is found by the caller's folder and search path
            slip.surroundings.enter()
        arrivals = Arrivals(slip.modules, is_own_process=is_own_process)
        with arrivals.arriving():
            function, grid, _ = Unpacker(code, arrivals).load()
            light: Job = Unpacker(rest, arrivals).load()
    except Exception as error:  # noqa: BLE001  # whatever an import or a class may raise
        raise WorkerError(
            slip.function,
            f"it cannot be loaded there: {type(error).__name__}: {error}. Make what it needs "
            "importable there, or use executor='threads'",
            traceback.format_exc(),
        ) from None
    job = replace(light, function=function, grid=grid)
    modules = None if slip.hindrance else arrivals.by_name
    frame = Frame(slip.main, modules, slip.missing)
    parts = _parts(job, frame)
    _check(slip, parts)
    return replace(job, watch=Watch(job, frame, parts))


class Watch:
    """Finds out once, in a worker, what calls change of what counts for the fingerprint.

    A mutable default, a counter or a list that calls change is seen by later calls of the process.

    Parameters
    ----------
    job : Job
        The job, as it arrived.
    frame : Frame
        The facts that the walk over its code uses.
    parts : mapping
        The digests of what counts, before any call.
    """

    def __init__(self, job: Job, frame: Frame, parts: Mapping[str, str]) -> None:
        self._job, self._frame, self._parts = job, frame, parts

    def changes(self) -> tuple[str, ...]:
        """Return the places of what has changed; nothing from the second time on."""
        before, self._parts = self._parts, {}
        after = _parts(self._job, self._frame) if before else {}
        names = [name for name in after if after[name] != before.get(name, after[name])]
        return tuple(name for name in names if "'" in name)


def _check(slip: Slip, parts: Mapping[str, str]) -> None:
    """Raise WorkerError if the function is not what the caller has."""
    names = [name for name in slip.parts if parts.get(name) != slip.parts[name]]
    if not names:
        return
    names = names[:-1] or names  # the last is the whole of them
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    why = "its own packages are others there"
    if slip.hindrance:
        why = (
            "it was set or edited after its module was imported, and the function is imported "
            f"anew there, because it cannot be pickled ({slip.hindrance})"
        )
    raise WorkerError(
        slip.function,
        f"what they have differs from what the caller has in {shown}: {why}. Pass what differs "
        "as a param, or use executor='threads'",
    )


def _parts(job: Job, by: Frame) -> dict[str, str]:
    """The digests of what counts; none where the function has none, and goes by a version."""
    try:
        return fingerprint_parts(job.call(), by, job.function.ignore)
    except IdentityError:
        return {}


def _by_reference(job: Job, contents: Any) -> bytes:
    try:
        return bytes(cloudpickle.dumps(contents))
    except Exception as error:
        for what, part in (
            ("the function", job.function.func),
            *job.function.params.items(),
            ("store", job.grid.location),
        ):
            try:
                cloudpickle.dumps(part)
            except Exception as reason:  # noqa: BLE001  # any class may raise anything
                raise InputError(
                    f"{what} cannot be sent to worker processes: {reason}. Make what it needs "
                    "inside the function, or use executor='threads'"
                ) from error
        raise InputError(f"the run cannot be sent to worker processes: {error}") from error


def _nothing() -> None:
    """Stand for the function in a job that travels beside it."""


_NOTHING = PointFunction(_nothing)
