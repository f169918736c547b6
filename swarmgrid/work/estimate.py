"""What a request would cost, found out without calling the function."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from swarmgrid.work.plan import n_wanted, new_chunk_shape

if TYPE_CHECKING:
    from swarmgrid.storage.manifest import Manifest
    from swarmgrid.work.coverage import Coverage
    from swarmgrid.work.request import Request


@dataclass(frozen=True, slots=True)
class Plan:
    """What a request would compute; made by `swarmgrid.plan`, which calls nothing."""

    points_total: int
    """Points of the requested grid."""
    points_cached: int
    """Points that are computed already."""
    points_missing: int
    """Points that would be computed."""
    points_skipped: int
    """Points that ``where=`` leaves out."""
    chunks: Mapping[str, int]
    """The chunk length of every axis. Of a new grid, whose outputs nobody knows yet, it is what
    scalar outputs would get."""
    chunks_total: int
    """Chunks that hold the requested points."""
    chunks_missing: int
    """Chunks that would be written."""
    nbytes: int | None
    """Uncompressed bytes of the missing points; None while the outputs are not known."""
    seconds: float | None
    """Time inside the function for the missing points, by what the stored ones took; ``n``
    workers need an ``n``-th of it. None while nothing was measured."""

    def __str__(self) -> str:
        size = "unknown size" if self.nbytes is None else f"{_bytes(self.nbytes)} uncompressed"
        time = "unknown time" if self.seconds is None else f"{self.seconds:.3g} s in the function"
        shape = ", ".join(f"{name}: {n}" for name, n in self.chunks.items())
        return (
            f"{self.points_missing} of {self.points_total} points to compute "
            f"({self.points_cached} cached, {self.points_skipped} left out), in "
            f"{self.chunks_missing} of {self.chunks_total} chunks ({shape}); {size}, {time}"
        )

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th>{f.name}</th><td>{getattr(self, f.name)}</td></tr>" for f in fields(self)
        )
        return f"<table>{rows}</table>"


def planned(request: Request, coverage: Coverage | None, manifest: Manifest | None) -> Plan:
    """The plan of a request.

    Parameters
    ----------
    request : Request
        The request.
    coverage : Coverage or None
        What is computed of it; None where nothing is stored and the outputs are not known.
    manifest : Manifest or None
        The manifest, which knows what points took.
    """
    total, wanted = math.prod(request.shape), n_wanted(request)
    if coverage is None:
        shape = new_chunk_shape(request)
        chunks = math.prod(-(-n // c) for n, c in zip(request.shape, shape, strict=True))
        return Plan(
            points_total=total,
            points_cached=0,
            points_missing=wanted,
            points_skipped=total - wanted,
            chunks=dict(zip(request.names, shape, strict=True)),
            chunks_total=chunks,
            chunks_missing=chunks,
            nbytes=None,
            seconds=None,
        )
    missing = coverage.n_missing()
    cost = manifest.seconds_per_point() if manifest is not None else None
    outputs = coverage.grid.schema.outputs
    return Plan(
        points_total=total,
        points_cached=wanted - missing,
        points_missing=missing,
        points_skipped=total - wanted,
        chunks=coverage.grid.chunk_spec(),
        chunks_total=coverage.complete.size,
        chunks_missing=coverage.n_incomplete(),
        nbytes=missing * sum(o.nbytes for o in outputs.values()) if outputs else None,
        seconds=None if cost is None else cost * missing,
    )


def _bytes(n: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if n < 1000:
            return f"{n:.3g} {unit}"
        n /= 1000
    return f"{n:.3g} TB"
