"""An array as a JSON document and back, exactly: the wire between a foreign reader and a test.

Imports numpy only: the readers load it where nothing else of this repository can be imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def to_json(values: np.ndarray, dims: Sequence[str | None]) -> dict[str, Any]:
    """Document with dtype, shape, dims and flat values.

    Times are their int64 counts (NaT the smallest), complex numbers are pairs.
    """
    flat = values.ravel()
    if values.dtype.kind in "mM":
        flat = flat.astype(np.int64)
    elif values.dtype.kind == "c":
        flat = np.stack([flat.real, flat.imag], axis=-1)
    dtype = "string" if values.dtype.kind in "TO" else values.dtype.str
    return {
        "dtype": dtype,
        "shape": list(values.shape),
        "dims": list(dims),
        "values": flat.tolist(),
    }


def from_json(document: dict[str, Any]) -> np.ndarray:
    """Array of a document; numbers that JSON cannot say ("NaN", 64-bit ones) may be strings."""
    shape, values = document["shape"], document["values"]
    if document["dtype"] == "string":
        return np.array(values, dtype=np.dtypes.StringDType()).reshape(shape)
    dtype = np.dtype(document["dtype"])
    if dtype.kind in "mM":
        return np.array(values, dtype=np.int64).view(dtype).reshape(shape)
    if dtype.kind == "c":
        pairs = np.array(values, dtype=np.float64).reshape(-1, 2)
        return pairs.view(np.complex128).astype(dtype).reshape(shape)
    if dtype.kind in "iu":
        return np.array([int(v) for v in values], dtype=dtype).reshape(shape)
    if dtype.kind == "f":
        return np.array([float(v) for v in values], dtype=dtype).reshape(shape)
    return np.array(values, dtype=dtype).reshape(shape)
