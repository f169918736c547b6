"""Evaluate an expensive function over a grid of parameters, once per point, into plain Zarr."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from swarmgrid.api.accessor import enter as _enter

if TYPE_CHECKING:
    from swarmgrid import stores as stores
    from swarmgrid.api.decorator import GridFunction, grid
    from swarmgrid.api.functions import compute, run, stream
    from swarmgrid.api.lookups import open as open  # noqa: A004  # public, not in __all__
    from swarmgrid.api.lookups import plan
    from swarmgrid.api.putting import put_many
    from swarmgrid.codecs.keys import Key
    from swarmgrid.errors import (
        ArchivedError,
        AxisError,
        ChunksError,
        ConflictError,
        DamageError,
        EncryptionError,
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
    from swarmgrid.following.events import (
        Event,
        GridCreated,
        GridDamaged,
        GridDeleted,
        GridGrown,
        MemberJoined,
        MemberLeft,
        PointsComputed,
        PointsFailed,
        PointsRemoved,
        RunFinished,
    )
    from swarmgrid.following.watch import Watch
    from swarmgrid.handle.adopting import Adoption
    from swarmgrid.handle.grid import Grid
    from swarmgrid.handle.history import GridDiff
    from swarmgrid.indexes.grid_index import GridIndex
    from swarmgrid.maintenance.report import Problem, Report
    from swarmgrid.memo.swarm import SwarmMemo
    from swarmgrid.memoized.block import memoize
    from swarmgrid.memoized.state import State
    from swarmgrid.observe.diagnostics import Diagnostics
    from swarmgrid.options import CallOptions, set_options
    from swarmgrid.outputs.outputs import Output
    from swarmgrid.planning.estimate import Plan
    from swarmgrid.records.snapshot import Snapshot
    from swarmgrid.store_api.archiving import archive, thaw
    from swarmgrid.store_api.catalog import Catalog, catalog
    from swarmgrid.store_api.copying import copy
    from swarmgrid.store_api.merging import MergedGrid, Merging, merge
    from swarmgrid.store_api.pruning import prune
    from swarmgrid.store_api.report import report
    from swarmgrid.store_api.scopes import Scope, scope, scopes
    from swarmgrid.store_api.serve import serve
    from swarmgrid.store_api.watching import watch
    from swarmgrid.tiers.policy import TierPolicy
    from swarmgrid.tiers.tiered import Tiered
    from swarmgrid.transfer.joining import Conflict

__version__ = "0.1.0"

_HOMES = {
    **dict.fromkeys(["GridFunction", "grid"], "api.decorator"),
    **dict.fromkeys(["Catalog", "catalog"], "store_api.catalog"),
    **dict.fromkeys(["compute", "run", "stream"], "api.functions"),
    **dict.fromkeys(["open", "plan"], "api.lookups"),
    "Grid": "handle.grid",
    "GridIndex": "indexes.grid_index",
    "Key": "codecs.keys",
    "GridDiff": "handle.history",
    "Snapshot": "records.snapshot",
    "copy": "store_api.copying",
    **dict.fromkeys(["MergedGrid", "Merging", "merge"], "store_api.merging"),
    "Adoption": "handle.adopting",
    "Conflict": "transfer.joining",
    **dict.fromkeys(["archive", "thaw"], "store_api.archiving"),
    "prune": "store_api.pruning",
    "put_many": "api.putting",
    **dict.fromkeys(["Scope", "scope", "scopes"], "store_api.scopes"),
    "report": "store_api.report",
    "serve": "store_api.serve",
    **dict.fromkeys(["CallOptions", "set_options"], "options"),
    **dict.fromkeys(["Problem", "Report"], "maintenance.report"),
    **dict.fromkeys(
        [
            "Event",
            "GridCreated",
            "GridDamaged",
            "GridDeleted",
            "GridGrown",
            "MemberJoined",
            "MemberLeft",
            "PointsComputed",
            "PointsFailed",
            "PointsRemoved",
            "RunFinished",
        ],
        "following.events",
    ),
    "Watch": "following.watch",
    "watch": "store_api.watching",
    "Output": "outputs.outputs",
    "SwarmMemo": "memo.swarm",
    "TierPolicy": "tiers.policy",
    "Tiered": "tiers.tiered",
    "State": "memoized.state",
    "memoize": "memoized.block",
    "Diagnostics": "observe.diagnostics",
    "Plan": "planning.estimate",
}
"""The module of each public name that is not an error: read when the name is first used."""

__all__ = [
    "Adoption",
    "ArchivedError",
    "AxisError",
    "CallOptions",
    "Catalog",
    "ChunksError",
    "Conflict",
    "ConflictError",
    "DamageError",
    "Diagnostics",
    "EncryptionError",
    "Event",
    "FormatError",
    "Grid",
    "GridCreated",
    "GridDamaged",
    "GridDeleted",
    "GridDiff",
    "GridFunction",
    "GridGrown",
    "GridIndex",
    "IdentityError",
    "InputError",
    "Key",
    "LeaseLostError",
    "MemberJoined",
    "MemberLeft",
    "MergedGrid",
    "Merging",
    "Output",
    "OutputError",
    "Plan",
    "PointError",
    "PointsComputed",
    "PointsFailed",
    "PointsRemoved",
    "Problem",
    "Report",
    "RunFinished",
    "Scope",
    "SignatureError",
    "Snapshot",
    "State",
    "StoreError",
    "SwarmMemo",
    "SwarmgridError",
    "TierPolicy",
    "Tiered",
    "UnsafeStoreError",
    "Watch",
    "WorkerError",
    "WorkerLostError",
    "archive",
    "catalog",
    "compute",
    "copy",
    "grid",
    "memoize",
    "merge",
    "plan",
    "prune",
    "put_many",
    "report",
    "run",
    "scope",
    "scopes",
    "serve",
    "set_options",
    "stream",
    "thaw",
    "watch",
]
"""All public names but `open`: ``from swarmgrid import *`` leaves Python's own alone."""


def __getattr__(name: str) -> Any:
    if name == "stores":
        return import_module("swarmgrid.stores")
    if name not in {*__all__, "open"}:
        text = f"module 'swarmgrid' has no attribute {name!r}"
        # With these, Python names the nearest name that there is.
        raise AttributeError(text, name=name, obj=import_module(__name__))
    value = getattr(import_module(f"swarmgrid.{_HOMES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "open"])


_enter()
del _enter
