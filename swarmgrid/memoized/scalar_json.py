"""Values that hold no others, as JSON and back, exactly."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

Node = Any
"""A JSON value: None, a bool, a string, a number, or a dict of one tagged item."""

_DTYPE = re.compile(r"[<>|=][biufcmMSU]\d{1,9}(\[\d{0,9}[A-Za-z]{1,7}\])?", re.ASCII)
_MAX_BITS = 64
"""Larger integers are written in hexadecimal: Python limits the length of decimal ones."""


def is_scalar(value: object) -> bool:
    """Whether a value is a number, a string, bytes, a bool, None or a numpy scalar of these."""
    if isinstance(value, np.generic):
        return value.dtype.kind in "biufcmMSU"
    return value is None or type(value) in {bool, int, float, complex, str, bytes}


def to_node(value: Any) -> Node:
    """The JSON value of a scalar."""
    if isinstance(value, np.generic):
        array = np.asarray(value)  # of an empty text, one of a single zero: not value.dtype
        return {"numpy": [array.dtype.str, array.tobytes().hex()]}
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, int):
        return value if value.bit_length() <= _MAX_BITS else {"int": hex(value)}
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": str(value)}
    if isinstance(value, complex):
        return {"complex": [to_node(value.real), to_node(value.imag)]}
    return {"bytes": value.hex()}


def from_node(node: Node) -> Any:
    """The scalar of a JSON value.

    Raises
    ------
    ValueError
        If it is not one of a scalar.
    """
    if not isinstance(node, dict):
        return node
    ((tag, content),) = node.items()
    if tag == "numpy":
        dtype, data = content
        # one of objects would take the bytes for addresses in memory
        if not isinstance(dtype, str) or not _DTYPE.fullmatch(dtype):
            raise ValueError(f"{dtype!r} is no dtype of a scalar")
        value = np.dtype(dtype)
        if value.itemsize != len(data) // 2:
            raise ValueError(f"{len(data) // 2} bytes are no {dtype}")
        return np.ndarray((), value, bytes.fromhex(data))[()]  # of no bytes, too
    if tag == "int":
        return int(content, 16)
    if tag == "float":
        return float(content)
    if tag == "complex":
        return complex(*map(from_node, content))
    if tag == "bytes":
        return bytes.fromhex(content)
    raise ValueError(f"{tag!r} is no kind of scalar")
