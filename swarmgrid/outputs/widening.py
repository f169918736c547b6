"""The conversion of an output to a wider dtype, in which no value changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.space.axis import MAX_EXACT

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NUMBERS = {
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
    *("float16", "float32", "float64", "complex64", "complex128"),
}


def is_wider(new: str, old: str) -> bool:
    """Whether an output of the dtype ``old`` may become one of ``new``, and never go back.

    So the dtypes say which of two states of a grid is the later one.
    """
    return new != old and {new, old} <= _NUMBERS and np.can_cast(old, new)


def wider(old: str, other: np.dtype[Any]) -> str | None:
    """The dtype that an output must become to take another's values, too; None: there is none."""
    if not {old, other.name} <= _NUMBERS:
        return None
    both = np.result_type(np.dtype(old), other).name
    return both if is_wider(both, old) else None


def inexact(values: NDArray[Any], new: str) -> NDArray[np.bool_]:
    """A mask of the values that a wider dtype would change: only large integers as floats."""
    wrong = np.zeros(values.shape, bool)
    want = np.dtype(new)
    if values.dtype.kind not in "iu" or want.kind not in "fc":
        return wrong
    real = np.dtype(want.type(0).real.dtype)
    # Python's ints: to cast a float of 2**63 back is undefined
    large = (values > MAX_EXACT) | (values < -MAX_EXACT)
    numbers = values[large].tolist()
    wrong[large] = [int(real.type(number)) != number for number in numbers]
    return wrong
