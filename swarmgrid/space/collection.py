"""The values that a user gives for an axis, as a list or an array."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, KeysView, Mapping
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.errors import AxisError, brief

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray


def one_dimensional(name: str, values: object) -> NDArray[Any] | list[Any]:
    """The values that a user gives for an axis, as a list or an array of one dimension.

    Raises
    ------
    AxisError
        If it is no ordered collection of values that can be read to its end.
    """
    if isinstance(values, (list, tuple)):
        return list(values)
    if isinstance(values, range):
        return np.asarray(values) if len(values) else np.empty(0, "int64")
    is_unordered = isinstance(values, AbstractSet) and not isinstance(values, KeysView)
    if is_unordered or isinstance(values, _UNFIT) or not hasattr(values, "__iter__"):
        raise AxisError(f"axis {name!r} is {brief(values)}; {_expected(values)}")
    if hasattr(values, "__array__"):
        return _one_dimensional_array(name, values)
    iterable: Iterable[Any] = values
    try:
        return _read_once(name, iterable) if isinstance(iterable, Iterator) else list(iterable)
    except AxisError:
        raise
    except Exception as error:
        raise AxisError(f"axis {name!r} cannot be read: {error!r}; pass a list") from error


MAX_READ = 10**7
"""Values of an iterator: it may be one without an end."""


def _read_once(name: str, values: Iterator[Any]) -> list[Any]:
    items = list(itertools.islice(values, MAX_READ + 1))
    if not items:
        raise AxisError(
            f"axis {name!r} is {brief(values)}, which has nothing more to give; it can be read "
            "once. Pass a list"
        )
    if len(items) > MAX_READ:
        raise AxisError(
            f"axis {name!r} is {brief(values)}, which gives more than {MAX_READ} values; pass a "
            "numpy array if there are so many"
        )
    return items


_UNFIT = (str, bytes, bytearray, memoryview, Mapping)
"""Types that can be iterated over, and are no ordered collection of values."""


def _expected(values: object) -> str:
    """The expected form of an axis, and what to write in place of some values."""
    expected = "expected an ordered collection of values, such as a list or a numpy array"
    if isinstance(values, AbstractSet):
        return f"{expected}: sorted(...) makes a list of a set, in an order that lasts"
    if isinstance(values, (str, bytes)):
        return f"{expected}: [{brief(values)}] for this one value"
    if values is not None and not hasattr(values, "__iter__"):
        return f"{expected}: [{brief(values)}] for one value; a fixed one belongs in params"
    return expected


_PLAIN_ARRAYS = (np.ndarray, np.memmap, np.ma.MaskedArray)


def _one_dimensional_array(name: str, values: Any) -> NDArray[Any] | list[Any]:
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise AxisError(f"axis {name!r} has masked values, which cannot be looked up")
    if isinstance(values, np.ndarray) and type(values) not in _PLAIN_ARRAYS:
        raise AxisError(
            f"axis {name!r} is a {type(values).__name__}, which may mean more than its numbers, "
            "such as a unit; an axis does not keep that. Pass np.asarray(...) of it"
        )
    try:
        array = np.asarray(values)
    except Exception as error:  # a Dataset, a tensor on another device, ...
        raise AxisError(
            f"axis {name!r} is a {type(values).__name__}, which makes no numpy array: {error}. "
            "Pass a list or a numpy array of its values"
        ) from error
    if array.ndim != 1:
        raise AxisError(
            f"axis {name!r} has {array.ndim} dimensions, shape {array.shape}; expected one: "
            "pass .ravel() of it for all its values, or an axis for each parameter"
        )
    return array if array.dtype != object and array.dtype.kind != "T" else list(array)


def repeated(values: NDArray[Any]) -> NDArray[Any]:
    """The values that an array holds more than once."""
    if (values[1:] > values[:-1]).all():  # as mostly; to sort a million takes 70 ms
        return values[:0]
    found, counts = np.unique(values, return_counts=True)
    return found[counts > 1]
