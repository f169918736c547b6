"""What the golden stores hold: functions, requests, and what comes of them by formula."""

from __future__ import annotations

import enum
from typing import Any

import numpy as np
import xarray as xr

FORMAT = "format-1"
"""The folder of the format as of today. A later format gets a folder of its own beside it."""
BASE = np.datetime64("2001-02-03T00:00:00", "ns")


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


def grown(x: float, s: str) -> xr.Dataset:
    """Grown in both axes, promoted from ints; a failure at x = 9."""
    if x == 9:
        raise ValueError("nine")
    t = np.arange(3.0)
    return xr.Dataset(
        {"mean": float(x) * len(s), "trace": ("t", float(x) + t), "name": s * 2},
        coords={"t": ("t", t, {"units": "m"}), "label": "golden"},
        attrs={"title": "golden"},
    )


def sharded(i: int, j: int) -> dict[str, int]:
    """In shards, some points left out."""
    return {"number": 100 * i + j}


def kinds(colour: Colour, when: Any, flag: bool, wait: Any) -> dict[str, Any]:
    """An axis of every other kind; outputs of times, bools, complex numbers."""
    return {
        "later": BASE + wait,
        "off": not flag,
        "turned": np.complex64(complex(colour.value, int(flag))),
        "small": np.uint8(colour.value),
    }


def memo_points(params: Any, split: Any) -> list[tuple[Any, ...]]:
    return [(a, b) for a in split["a"] for b in split["b"]]


def memo_value(params: Any, point: Any) -> int:
    return int(point[0] * point[1] * params["scale"])


GROWN = {"x": [1, 2, 3, 0.5], "s": ["a", "bb"]}
SHARDED = {"i": range(12), "j": range(4)}
KINDS: dict[str, Any] = {
    "colour": [Colour.BLUE, Colour.RED],
    "when": np.array(["2000-01-01", "1999-12-31"], "M8[ns]"),
    "flag": [True, False],
    "wait": np.array([1, 2], "m8[s]").astype("m8[ns]"),
}
MEMO = {"a": [1, 2], "b": [1, 2, 3]}
