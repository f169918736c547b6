"""An estimate of a request's cost, made without calling the function."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from swarmgrid.planning.growth import new_chunking
from swarmgrid.readable import bar, code, count, folded, nbytes, page, short_duration, table

if TYPE_CHECKING:
    from swarmgrid.format.manifest import Manifest
    from swarmgrid.identity import Part
    from swarmgrid.planning.coverage import Coverage
    from swarmgrid.planning.request import Request


UNKNOWN = "; the size and the cost of the first points may change that"
"""The reason, if the outputs are unknown and the user left the chunks of an axis to us."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The work of a request, estimated; made by `swarmgrid.plan`, which calls nothing."""

    __module__ = "swarmgrid"

    points_total: int
    """Points of the requested grid."""
    points_cached: int
    """Points that are computed already."""
    points_missing: int
    """Points that would be computed."""
    points_skipped: int
    """Points that ``where=`` leaves out."""
    lengths: Mapping[str, int]
    """The number of values on every axis, those that the request would add included."""
    chunks: Mapping[str, int]
    """The chunk length of every axis. Of a new grid, whose outputs are not known yet, it is what
    scalar outputs would get."""
    shards: Mapping[str, int] | None
    """The shard length of every axis; None where every chunk is an object of its own."""
    reason: str
    """The reason for the chunks and shards."""
    chunks_total: int
    """Chunks that hold the requested points; in a sharded grid shards."""
    chunks_missing: int
    """Chunks, or shards, that would be written."""
    nbytes: int | None
    """Uncompressed bytes of the missing points; None while the outputs are not known."""
    seconds: float | None
    """Time inside the function for the missing points, by what the stored ones took; ``n``
    workers need an ``n``-th of it. None while nothing was measured."""
    depends: Mapping[str, str] = field(default_factory=dict)
    """The content of ``depends=`` now: packages' versions, digests of files and values."""
    parts: tuple[Part, ...] | None = None
    """The parts of the grid's identity; None: ``explain=True`` did not ask for them."""
    why: str | None = None
    """The reason for a new grid, by the nearest stored one; None: the grid is stored, or
    ``explain=True`` did not ask."""

    def __str__(self) -> str:
        return (
            f"{self._points()}, in {self._objects()}; {self._size()}, {self._time()}\n"
            f"chunks: {self.reason}"
            + "".join(f"\ndepends on {name}: {text}" for name, text in self.depends.items())
            + (f"\n{self.why}" if self.why else "")
            + self._explained()
        )

    def _points(self) -> str:
        return (
            f"{count(self.points_missing)} of {count(self.points_total)} points to compute "
            f"({count(self.points_cached)} cached, {count(self.points_skipped)} left out)"
        )

    def _objects(self) -> str:
        objects = f"chunks ({self._along(self.chunks)})"
        if self.shards is not None:
            objects = f"shards ({self._along(self.shards)}) of {objects}"
        return f"{count(self.chunks_missing)} of {count(self.chunks_total)} {objects}"

    def _size(self) -> str:
        return "unknown size" if self.nbytes is None else f"{nbytes(self.nbytes)} uncompressed"

    def _time(self) -> str:
        if self.seconds is None:
            return "unknown time"
        return f"{short_duration(self.seconds)} in the function"

    def _explained(self) -> str:
        """The parts that count, as a table."""
        if self.parts is None:
            return ""
        width = max((len(part.path) for part in self.parts), default=0)
        kinds = max((len(part.kind) for part in self.parts), default=0)
        rows = (f"\n  {p.path:<{width}}  {p.kind:<{kinds}}  {p.digest[:12]}" for p in self.parts)
        return "\nwhat counts:" + "".join(rows)

    def _along(self, chunks: Mapping[str, int]) -> str:
        """Chunk lengths; one with room for more says how many values there are."""
        return ", ".join(
            f"{name}: {count(n)}"
            + (f" (all {count(self.lengths[name])} now)" if n > self.lengths[name] else "")
            for name, n in chunks.items()
        )

    def _repr_html_(self) -> str:
        rows = [
            ("points", self._points()),
            ("objects", self._objects()),
            ("why so", self.reason),
            ("size", self._size()),
            ("time", self._time()),
            *((f"depends on {name}", text) for name, text in self.depends.items()),
            *([("why new", self.why)] if self.why else []),
        ]
        done = bar(self.points_total, old=self.points_cached)
        parts = [done, table(rows)]
        if self.parts is not None:
            found = [(code(p.path), p.kind, code(p.digest[:12])) for p in self.parts]
            listed = table(found, head=("what counts", "kind", "digest"))
            parts.append(folded(f"what names the grid: {count(len(found))} parts", listed))
        return page("Plan", f"{count(self.points_missing)} points to compute", *parts)


def planned(request: Request, coverage: Coverage | None, manifest: Manifest | None) -> Plan:
    """The plan of a request.

    Parameters
    ----------
    request : Request
        The request.
    coverage : Coverage or None
        The computed part of it; None where nothing is stored and the outputs are not known.
    manifest : Manifest or None
        The manifest, which knows what points took.
    """
    domain = request.domain
    total, requested = math.prod(domain.shape), domain.n_requested
    if coverage is None:
        chunking = new_chunking(request, None)
        shape, shards = chunking.stored, None
        if chunking.shards is not None:
            shards = dict(zip(domain.names, chunking.shards, strict=True))
        chunks = math.prod(-(-n // c) for n, c in zip(domain.shape, shape, strict=True))
        is_open = (
            len(request.layout.chunks) < len(domain.names) and not request.function.vectorized
        )
        return Plan(
            points_total=total,
            points_cached=0,
            points_missing=requested,
            points_skipped=total - requested,
            lengths=dict(zip(domain.names, domain.shape, strict=True)),
            chunks=dict(zip(domain.names, chunking.chunks, strict=True)),
            shards=shards,
            reason=chunking.reason + (UNKNOWN if is_open else ""),
            chunks_total=chunks,
            chunks_missing=chunks,
            nbytes=None,
            seconds=None,
            depends=request.depends,
        )
    missing = coverage.n_missing()
    cost = manifest.seconds_per_point() if manifest is not None else None
    outputs = coverage.grid.schema.outputs
    is_stored = manifest is not None
    reason = "as stored" if is_stored else new_chunking(request, coverage.grid.schema).reason
    return Plan(
        points_total=total,
        points_cached=requested - missing,
        points_missing=missing,
        points_skipped=total - requested,
        lengths={axis.name: len(axis) for axis in coverage.grid.axes},
        chunks=coverage.grid.chunk_spec(),
        shards=coverage.grid.shard_spec(),
        reason=reason,
        chunks_total=coverage.complete.size,
        chunks_missing=coverage.n_incomplete(),
        nbytes=missing * sum(o.nbytes for o in outputs.values()) if outputs else None,
        seconds=None if cost is None else cost * missing,
        depends=request.depends,
    )
