"""One output of a grid that lies in two stores."""

from __future__ import annotations

from typing import Any

import numpy as np
from zarr.storage import MemoryStore

import swarmgrid


def product(x: int, y: int) -> int:
    return x * y


def test_points_that_a_request_leaves_out_are_missing_though_a_store_has_them() -> None:
    store = MemoryStore()
    options: dict[str, Any] = {
        "func": product,
        "store": store,
        "executor": "sync",
        "version": "1",
        "verbose": 0,
        "chunks": {"x": 2, "y": 2},
    }
    ys = [1, 2]
    swarmgrid.stream({}, {"x": range(4), "y": ys}, **options)
    with swarmgrid.scope("alice", store):
        swarmgrid.stream({}, {"x": range(6), "y": ys}, **options)
        ds = swarmgrid.compute(
            {}, {"x": range(6), "y": ys}, where=lambda x, y: x % 2 == 0, **options
        )
        expected = np.where(np.arange(6)[:, None] % 2 == 0, np.outer(range(6), ys), np.nan)
        np.testing.assert_array_equal(ds["value"].values, expected)
