"""Axis values as the bytes that their digests are of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.space.axis import MAX_EXACT

if TYPE_CHECKING:
    from numpy.typing import NDArray


def canonical_bytes(values: NDArray[Any]) -> bytes:
    """Axis values as bytes to hash: floats that are all whole numbers as the integers they are."""
    if values.dtype == object:
        return b"".join(b"%d:%s" % (len(b), b) for b in (v.encode() for v in values))
    if values.dtype.kind == "f":
        # so that an axis of ints keeps its digests when a float makes it one of floats
        whole = (np.abs(values) <= MAX_EXACT).all() and (values == np.trunc(values)).all()
        return b"i" + values.astype("<i8").tobytes() if whole else b"f" + values.tobytes()
    return values.dtype.kind.encode() + values.tobytes()
