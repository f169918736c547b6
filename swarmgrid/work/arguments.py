"""What every call, a repeated one too, gets for itself: random numbers, and what it may change."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import fractions
import functools
import io
import pathlib
import pickle
import types
import uuid
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.identity import point_seed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from swarmgrid.work.job import Job

MAX_COPIED_NBYTES = 2**20
"""A param that holds more than this beside numpy's memory is not copied for every call: that takes
about a millisecond per MiB."""
_CONSTANT = (
    *(int, float, complex, str, bytes, range, type(None), type(...), Enum, np.generic, np.dtype),
    *(dt.date, dt.time, dt.timedelta, dt.tzinfo, decimal.Decimal, fractions.Fraction, uuid.UUID),
    *(
        pathlib.PurePath,
        np.ufunc,
        type,
        types.ModuleType,
        types.FunctionType,
        types.BuiltinFunctionType,
    ),
)
_CODE = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType)
"""Types of what pickle finds by name, if it can be found."""


def with_own_arguments(func: Callable[..., Any], job: Job) -> Callable[..., Any]:
    """The function, called with a generator and params that no other call has seen.

    Where nothing of that is needed it is the function itself: a call costs a microsecond.

    Parameters
    ----------
    func : callable
        What takes a point by name, or a block.
    job : Job
        Says which parameter receives a generator, which params there are, and whether axes are
        arrays.
    """
    copies, rng, grid = job.copies, job.rng, job.path.grid
    names = [axis.name for axis in job.axes]
    labelled = _label_values(job)
    if copies is None and rng is None and not job.vectorized and not labelled:
        return func

    def call(**arguments: Any) -> Any:
        if rng is not None:
            arguments[rng] = _generator(grid, names, arguments)
        if job.vectorized:  # they are views of the axes, which name and place the values
            arguments |= {name: arguments[name].copy() for name in names}
        for name, to_value in labelled.items():
            arguments[name] = to_value(arguments[name])
        if copies is None:
            return func(**arguments)
        arguments |= copies()
        try:
            return func(**arguments)
        except ValueError as error:
            if "read-only" in str(error):
                error.add_note("Arrays in params are read-only; change a copy of them: a.copy()")
            raise

    return call


def _label_values(job: Job) -> dict[str, Callable[[Any], Any]]:
    """By axis of labels, what makes the value of a label, or the values of an array of them.

    Labels travel, name points and seed generators; the function alone sees what they stand for.
    """
    found: dict[str, Callable[[Any], Any]] = {}
    for axis in job.axes:
        if axis.objects is not None:
            copies = {label: copies_of({"": value}) for label, value in axis.objects.items()}
            found[axis.name] = functools.partial(_value_of, axis.objects, copies)
    return found


def _value_of(
    objects: Mapping[str, Any],
    copies: Mapping[str, Callable[[], dict[str, Any]] | None],
    label: Any,
) -> Any:
    if isinstance(label, np.ndarray):
        values = np.empty(label.shape, object)
        for index in np.ndindex(label.shape):
            values[index] = _value_of(objects, copies, str(label[index]))
        return values
    make = copies[label]
    return objects[label] if make is None else make()[""]


def copies_of(params: Mapping[str, Any]) -> Callable[[], dict[str, Any]] | None:
    """What makes anew, for each call, the params that a call could change; None: there are none.

    Lists, dicts, objects and the like are copied. Arrays share their memory, and are read-only:
    no call may cost what copying a gigabyte does.
    """
    mutable = {name: value for name, value in params.items() if not is_constant(value)}
    bare = {name: value for name, value in mutable.items() if type(value) is np.ndarray}
    small = {name: v for name, v in mutable.items() if name not in bare and _Snapshot.fits(v)}
    arrays = _Snapshot(bare)()
    views = {name: array.view for name, array in arrays.items() if not array.flags.writeable}
    others = {n: v for n, v in bare.items() if n not in views and _Snapshot.fits(v)}  # of objects
    if small or others:
        make = _Snapshot({**small, **others})
        return lambda: {**make(), **{name: view() for name, view in views.items()}}
    return (lambda: {name: view() for name, view in views.items()}) if views else None


def is_constant(value: object) -> bool:
    """Whether no call can change a value, or its class answers for that with a token."""
    if isinstance(value, _CONSTANT):
        return not isinstance(value, np.void)
    if isinstance(value, (tuple, frozenset)):
        return all(map(is_constant, value)) and not getattr(value, "__dict__", None)
    if hasattr(type(value), "__swarmgrid_token__"):
        return True
    if dataclasses.is_dataclass(value):
        parameters = getattr(type(value), "__dataclass_params__", None)
        fields = (getattr(value, field.name, None) for field in dataclasses.fields(value))
        return bool(getattr(parameters, "frozen", False)) and all(map(is_constant, fields))
    return False


class _Snapshot:
    """Values as they are now, made again by every call.

    By pickling, with the memory of arrays left where it is: that takes a fifth of the time of
    `copy.deepcopy`.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        try:
            self._data, buffers, self._shared = _pickled(values, ())
        except (pickle.PicklingError, AttributeError, TypeError):  # classes of a notebook, lambdas
            self._data, buffers, self._shared = _pickled(values, _CODE)
        self._buffers = [buffer.raw().toreadonly() for buffer in buffers]

    def __call__(self) -> dict[str, Any]:
        values: dict[str, Any]
        if self._shared:
            file = io.BytesIO(self._data)
            values = _Unpickler(file, self._shared, self._buffers).load()
        else:
            values = pickle.loads(self._data, buffers=self._buffers)
        return values

    @classmethod
    def fits(cls, value: Any) -> bool:
        """Whether a value can be made again by every call, at a cost that is small."""
        try:
            whole = cls({"": value})
        except Exception:  # noqa: BLE001  # whatever a class's own __reduce__ raises
            return False  # a lock, a file: no value, but a thing that there is once
        return len(whole._data) <= MAX_COPIED_NBYTES


def _pickled(
    values: Mapping[str, Any], shared: tuple[type, ...]
) -> tuple[bytes, list[pickle.PickleBuffer], list[Any]]:
    """Values as bytes, the memory of their arrays, and what of them is handed on as it is."""
    file = io.BytesIO()
    buffers: list[pickle.PickleBuffer] = []
    pickler = _Pickler(file, 5, buffer_callback=buffers.append)
    pickler.shared_types = shared
    pickler.dump(dict(values))
    return file.getvalue(), buffers, pickler.shared


class _Pickler(pickle.Pickler):
    shared_types: tuple[type, ...] = ()

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.shared: list[Any] = []

    def persistent_id(self, obj: Any) -> int | None:
        """The number of what is handed on as it is."""
        if isinstance(obj, self.shared_types) or hasattr(type(obj), "__swarmgrid_token__"):
            self.shared.append(obj)
            return len(self.shared) - 1
        return None

    def reducer_override(self, obj: Any) -> Any:
        """Leave the memory of every array where it is, or where one copy of it is."""
        if type(obj) is np.ndarray and not obj.flags.forc and not obj.dtype.hasobject:
            return np.ascontiguousarray(obj).__reduce_ex__(5)
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def __init__(
        self, file: io.BytesIO, shared: Sequence[Any], buffers: Sequence[memoryview]
    ) -> None:
        super().__init__(file, buffers=buffers)
        self._shared = shared

    def persistent_load(self, pid: Any) -> Any:
        return self._shared[pid]


def _generator(grid: str, names: Sequence[str], arguments: Mapping[str, Any]) -> Any:
    """The point's generator: made anew, it draws the same at every try."""
    point = {name: arguments[name] for name in names}
    whole = {n: int(v) if isinstance(v, float) and v.is_integer() else v for n, v in point.items()}
    return np.random.default_rng(point_seed(grid, whole))
