"""The encodings of numpy's scalars, arrays and dtypes."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from swarmgrid.identity import scalars
from swarmgrid.identity.encode import Spot, exactly, family, frame

_PYTHONS_OWN = (np.dtype("int64"), np.dtype("float64"), np.dtype("complex128"))


@family(lambda value: isinstance(value, np.generic))
def _scalar(value: np.generic, spot: Spot) -> bytes:
    """As the Python value of its kind, where Python calculates with that alike.

    A float32 rounds otherwise than a float, and an int8 overflows: they are values of their own.
    """
    if isinstance(value, np.datetime64 | np.timedelta64):
        return time_bytes(value, spot)
    if value.dtype.kind in "bUS" or value.dtype in _PYTHONS_OWN:
        return spot.child(value.item())
    return frame("scalar", _array(np.asarray(value), spot))


def time_bytes(value: np.datetime64 | np.timedelta64, spot: Spot) -> bytes:
    """Encode a time in any of numpy's units, the same for every unit."""
    if np.isnat(value):
        return scalars.nat_bytes()
    unit, step = np.datetime_data(value.dtype)
    count = int(value.astype(np.int64)) * step
    if isinstance(value, np.timedelta64):
        return _duration(count, unit)
    if unit in {"Y", "M"}:
        days = value.astype("datetime64[D]")
        if days.astype(value.dtype) != value:
            return spot.refuse("it is too far from the present to be counted in days")
        unit, count = "D", int(days.astype(np.int64))
    return scalars.instant_bytes(count * scalars.ATTOSECONDS[unit])


def _duration(count: int, unit: str) -> bytes:
    if unit in {"Y", "M"}:
        return scalars.months_bytes(count * (12 if unit == "Y" else 1))
    if unit == "generic":
        return frame("timedelta without unit", scalars.int_bytes(count))
    return scalars.duration_bytes(count * scalars.ATTOSECONDS[unit])


@exactly(np.ndarray, np.memmap, np.recarray)
def _array(array: np.ndarray[Any, Any], spot: Spot) -> bytes:
    """By dtype, shape and elements; byte order and memory layout do not count."""
    shape = b"".join(scalars.int_bytes(size) for size in array.shape)
    if array.dtype.names is not None:  # the padding between fields holds anything
        fields = [spot.child(np.asarray(array[name]), f"[{name!r}]") for name in array.dtype.names]
        names = [name.encode() for name in array.dtype.names]
        return frame("fields", shape, frame("names", *names), *fields)
    if array.dtype.kind in "OT":
        return frame("objects", array.dtype.kind.encode(), shape, *spot.children(array.flat))
    plain = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
    return frame("array", plain.dtype.str.encode(), shape, _hash(_canonical(plain.reshape(-1))))


def _is_subclass(value: Any) -> bool:
    return isinstance(value, np.ndarray) and not isinstance(value, np.ma.MaskedArray)


@family(_is_subclass)
def _subclass(array: np.ndarray[Any, Any], spot: Spot) -> bytes:
    """By class, elements and attributes: pickle would copy the elements to say the same."""
    attributes = spot.named(vars(array), lambda name: f"{spot.place}.{name}")
    return frame("array of", spot.child(type(array)), _array(np.asarray(array), spot), attributes)


@exactly(np.ma.MaskedArray)
def _masked(array: np.ma.MaskedArray[Any, Any], spot: Spot) -> bytes:
    """By what is visible: the data under the mask does not count."""
    mask = np.ma.getmaskarray(array)
    visible = np.asarray(array)
    if array.dtype.names is None:
        visible = np.where(mask, np.zeros((), array.dtype), visible)
    settings = spot.child(array.fill_value, ".fill_value"), spot.child(array.hardmask)
    return frame("masked", spot.child(visible), spot.child(mask), *settings)


@exactly(type(np.ma.masked))
def _masked_constant(_value: Any, _spot: Spot) -> bytes:
    return frame("masked constant")


@family(lambda value: isinstance(value, np.dtype))
def _dtype(dtype: np.dtype[Any], spot: Spot) -> bytes:
    """By what it stores; the byte order counts, as it does for a file."""
    if dtype.metadata:
        notes = spot.child(dict(dtype.metadata), ".metadata")
        return frame("dtype", b"with metadata", notes, _plain_dtype(dtype, spot))
    return _plain_dtype(dtype, spot)


def _plain_dtype(dtype: np.dtype[Any], spot: Spot) -> bytes:
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return frame("dtype", b"subarray", spot.child(base), spot.child(shape))
    if dtype.fields is None:
        return frame("dtype", b"plain", dtype.str.encode())
    layout = [[name, *entry[:2]] for name, entry in sorted(dtype.fields.items())]
    return frame("dtype", b"fields", spot.child([dtype.itemsize, dtype.names, layout]))


def _canonical(flat: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the elements with one kind of NaN only, and zeros where a long double has no bits."""
    if flat.dtype.kind not in "fc":
        return flat
    reals = flat.view(flat.real.dtype)
    is_nan = np.isnan(reals)
    if is_nan.any():
        reals = np.where(is_nan, np.asarray(np.nan, reals.dtype), reals)
    if reals.itemsize > 8 and np.finfo(reals.dtype).nmant == 63:
        reals = reals.copy()
        reals.view(np.uint8).reshape(-1, reals.itemsize)[:, 10:] = 0
    return reals


def _hash(flat: np.ndarray[Any, Any]) -> bytes:
    data: Any = flat.view(np.uint8) if flat.nbytes else b""
    return hashlib.blake2b(data, digest_size=32).digest()
