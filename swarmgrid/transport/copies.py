"""Copies of the params for each call, made of what a call could change in place."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import fractions
import io
import pathlib
import pickle
import types
import uuid
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.transport.whole import array_taken_apart, taken_apart

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


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


def copies_of(params: Mapping[str, Any]) -> Callable[[], dict[str, Any]] | None:
    """A function that makes anew the params that a call could change; None: there are none.

    Lists, dicts, objects and the like are copied. Arrays share their memory, and are read-only:
    no call may cost what copying a gigabyte does.
    """
    mutable = {name: value for name, value in params.items() if not is_constant(value)}
    bare = {name: value for name, value in mutable.items() if type(value) is np.ndarray}
    small = {name: v for name, v in mutable.items() if name not in bare and _PickledValues.fits(v)}
    arrays = _PickledValues(bare)()
    views = {name: array.view for name, array in arrays.items() if not array.flags.writeable}
    others = {n: v for n, v in bare.items() if n not in views and _PickledValues.fits(v)}
    if small or others:
        make = _PickledValues({**small, **others})
        return lambda: {**make(), **{name: view() for name, view in views.items()}}
    return (lambda: {name: view() for name, view in views.items()}) if views else None


def is_constant(value: object) -> bool:
    """Whether no call can change a value, or its class answers for that with a token."""
    if isinstance(value, _CONSTANT):
        # fields of a structured scalar can be set, those of numpy's other scalars cannot
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


class _PickledValues:
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
        if type(obj) is not np.ndarray:
            return taken_apart(obj) or NotImplemented
        if (parts := array_taken_apart(obj)) is not None:
            return parts
        if not obj.flags.forc and not obj.dtype.hasobject:
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
