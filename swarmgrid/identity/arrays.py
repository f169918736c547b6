"""The encodings of numpy's scalars, arrays and dtypes."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from swarmgrid.identity import plain
from swarmgrid.identity.encode import Spot, exactly, family, frame

_PYTHONS_OWN = (np.dtype("int64"), np.dtype("float64"), np.dtype("complex128"), np.dtype(bool))


def as_python(value: Any) -> Any:
    """Return the Python value of a numpy scalar that calculates alike; others unchanged.

    A float32 rounds otherwise than a float, and an int8 overflows: they are values of their own.
    """
    if type(value) in {np.str_, np.bytes_}:
        return value.item()
    is_number = isinstance(value, np.number | np.bool) and type(value) is value.dtype.type
    return value.item() if is_number and value.dtype in _PYTHONS_OWN else value


@family(lambda value: isinstance(value, np.generic))
def _scalar(value: np.generic, spot: Spot) -> bytes:
    """Apart from the Python value of its kind: it overflows, and divides by zero."""
    return frame("scalar", spot.child(type(value)), _array(np.asarray(value), spot))


@exactly(np.ndarray, np.memmap)
def _array(array: np.ndarray[Any, Any], spot: Spot) -> bytes:
    """By dtype, shape, elements, and the order of the axes in memory, by which sums round.

    A file that is mapped to memory counts as the array that is read from it.
    """
    shape = b"".join(plain.int_bytes(size) for size in array.shape)
    parts = [shape, *_layout(array)]
    if array.dtype.names is not None:  # the padding between fields holds anything
        fields = [spot.child(np.asarray(array[name]), f"[{name!r}]") for name in array.dtype.names]
        return frame("fields", _plain_dtype(array.dtype, spot), frame("names", *fields), *parts)
    if array.dtype.kind in "OT":
        items = frame("items", *spot.children(array.flat))
        return frame("objects", array.dtype.kind.encode(), items, *parts)
    native = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
    elements = _hash(_canonical(native.reshape(-1)))
    return frame("array", native.dtype.str.encode(), elements, *parts)


def _layout(array: np.ndarray[Any, Any]) -> list[bytes]:
    """Return what tells of memory that is laid out otherwise than a new array's."""
    order = memory_order(array)
    in_order = [] if order is None else [frame("order", bytes(order))]
    return in_order + ([] if array.dtype.isnative else [b"swapped"])


def memory_order(array: np.ndarray[Any, Any]) -> list[int] | None:
    """Return the axes from the longest step in memory to the shortest; None: as they are."""
    sizes = list(zip(array.shape, array.strides, strict=True))
    if any(size == 0 for size in array.shape):
        return None
    axes = [axis for axis, (size, _) in enumerate(sizes) if size > 1]
    order = sorted(axes, key=lambda axis: -abs(sizes[axis][1]))
    return None if order == axes else order


def _is_subclass(value: Any) -> bool:
    return isinstance(value, np.ndarray) and not isinstance(value, np.ma.MaskedArray)


@family(_is_subclass)
def _subclass(array: np.ndarray[Any, Any], spot: Spot) -> bytes:
    """By class, elements and attributes: pickle would copy the elements to say the same."""
    attributes = spot.attributes(vars(array), lambda name: f"{spot.place}.{name}")
    return frame("array of", spot.child(type(array)), _array(np.asarray(array), spot), attributes)


@exactly(np.ma.MaskedArray)
def _masked(array: np.ma.MaskedArray[Any, Any], spot: Spot) -> bytes:
    """By the data under the mask, too: ``np.asarray`` shows them."""
    mask = spot.child(np.ma.getmaskarray(array))
    settings = spot.child(array.fill_value, ".fill_value"), spot.child(array.hardmask)
    return frame("masked", spot.child(np.asarray(array)), mask, *settings)


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
