"""Strings as numpy holds them, where that loses nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def to_text(values: NDArray[Any]) -> NDArray[Any]:
    """Strings in numpy's own dtype, or as the objects that they are where one ends with a null.

    numpy's have one width and are filled up with nulls: those at the end of a string are lost.
    """
    if not values.size:
        return np.empty(values.shape, "U1")
    may_end_so = "\0" in "".join(values.flat)
    is_lost = may_end_so and any(text.endswith("\0") for text in values.flat)
    return values if is_lost else values.astype(str)
