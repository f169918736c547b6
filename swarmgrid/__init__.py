"""Evaluate an expensive function over a grid of parameters, once per point, into plain Zarr."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from swarmgrid.blocks.block import memoize
    from swarmgrid.blocks.state import State
    from swarmgrid.bound import Grid, grid
    from swarmgrid.errors import (
        AxisError,
        ChunksError,
        DamageError,
        FormatError,
        IdentityError,
        InputError,
        LeaseLostError,
        OutputError,
        PointError,
        SignatureError,
        StoreError,
        SwarmgridError,
        UnsafeStoreError,
        WorkerError,
        WorkerLostError,
    )
    from swarmgrid.face import compute, open, plan, run, stream  # noqa: A004
    from swarmgrid.memo.swarm import SwarmMemo
    from swarmgrid.options import set_options
    from swarmgrid.space.outputs import Output
    from swarmgrid.work.diagnostics import Diagnostics
    from swarmgrid.work.estimate import Plan

__version__ = "0.1.0"

_HOMES = {
    **dict.fromkeys(["Grid", "grid"], "bound"),
    **dict.fromkeys(["compute", "open", "plan", "run", "stream"], "face"),
    **dict.fromkeys(["set_options"], "options"),
    "Output": "space.outputs",
    "SwarmMemo": "memo.swarm",
    "State": "blocks.state",
    "memoize": "blocks.block",
    "Diagnostics": "work.diagnostics",
    "Plan": "work.estimate",
}
"""The module of each public name that is not an error: read when the name is first used."""

__all__ = [
    "AxisError",
    "ChunksError",
    "DamageError",
    "Diagnostics",
    "FormatError",
    "Grid",
    "IdentityError",
    "InputError",
    "LeaseLostError",
    "Output",
    "OutputError",
    "Plan",
    "PointError",
    "SignatureError",
    "State",
    "StoreError",
    "SwarmMemo",
    "SwarmgridError",
    "UnsafeStoreError",
    "WorkerError",
    "WorkerLostError",
    "compute",
    "grid",
    "memoize",
    "open",
    "plan",
    "run",
    "set_options",
    "stream",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'swarmgrid' has no attribute {name!r}")
    value = getattr(import_module(f"swarmgrid.{_HOMES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
