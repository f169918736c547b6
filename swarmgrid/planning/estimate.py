"""An estimate of a request's cost, made without calling the function."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from swarmgrid.codecs.words import encodings_in_words
from swarmgrid.errors import InputError, brief
from swarmgrid.format.shard import stored_raw
from swarmgrid.planning.costs import fitted_costs, missing_by_value
from swarmgrid.planning.growth import new_chunking
from swarmgrid.planning.times import Times, check_positive, slurm_time
from swarmgrid.readable import bar, code, count, folded, nbytes, page, short_duration, table

if TYPE_CHECKING:
    import pandas as pd

    from swarmgrid.identity import Part
    from swarmgrid.planning.costs import Costs, Missing
    from swarmgrid.planning.coverage import Coverage
    from swarmgrid.planning.request import Request
    from swarmgrid.records.manifest import Manifest


_AS_STORED = "as stored"
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
    """Time inside the function for the missing points, by what the stored ones took at each value
    of each axis; ``n`` workers need an ``n``-th of it. None while nothing was measured."""
    seconds_band: tuple[float, float] | None = None
    """The same by the quickest and by the slowest tenth of the stored points."""
    depends: Mapping[str, str] = field(default_factory=dict)
    """The content of ``depends=`` now: packages' versions, digests of files and values."""
    encodings: Mapping[str, str] = field(default_factory=dict)
    """The encodings in words, where outputs have or get one of their own."""
    parts: tuple[Part, ...] | None = None
    """The parts of the grid's identity; None: ``explain=True`` did not ask for them."""
    why: str | None = None
    """The reason for a new grid, by the nearest stored one; None: the grid is stored, or
    ``explain=True`` did not ask."""

    times: Mapping[str, Times] = field(default_factory=dict, repr=False, compare=False)
    """By axis what `time_by` shows."""

    def time_by(self, axis: str) -> pd.DataFrame:
        """The time of the missing points by the values of an axis.

        Stored points say what a point costs: a factor for each value of each axis, the median over
        the points that have it. A value that is not stored lies between those beside it, or is
        like the mean of all.

        Parameters
        ----------
        axis : str
            The name of an axis.

        Returns
        -------
        pandas.DataFrame
            A row for each requested value: its missing ``points``, their ``seconds`` inside the
            function, and ``low`` and ``high``, between which four of five of the stored points
            were when the others estimated them.

        Raises
        ------
        InputError
            If there is no such axis, or nothing was measured.
        """
        band = self._check_measured()
        if axis not in self.times:
            raise InputError(
                f"{brief(axis)} is no axis; the axes are {', '.join(self.lengths) or 'none'}"
            )
        return self.times[axis].table(axis, band)

    def slurm_time(self, *, workers: int = 1, safety: float = 1.5) -> str:
        """The time limit for a batch job that computes the missing points: ``"1-02:30:00"``.

        It is the estimate with a margin for safety, and at least the upper end of its band, in
        whole minutes.

        Parameters
        ----------
        workers : int, default 1
            The number of points that are computed at once.
        safety : float, default 1.5
            The factor for safety.

        Raises
        ------
        InputError
            If nothing was measured: compute a few points first.
        """
        check_positive("workers", workers, is_whole=True)
        check_positive("safety", safety, is_whole=False)
        band = self._check_measured()
        at_once = max(1, min(workers, self.points_missing))
        return slurm_time((self.seconds or 0.0) * max(safety, band[1]) / at_once)

    def _check_measured(self) -> tuple[float, float]:
        """The band as factors of the estimate; InputError if there is none."""
        if self.seconds is None or self.seconds_band is None:
            raise InputError(
                "no stored point says what a point takes; compute a few values of each axis "
                "first, and plan again"
            )
        if not self.seconds:
            return 1.0, 1.0
        low, high = self.seconds_band
        return low / self.seconds, high / self.seconds

    def __str__(self) -> str:
        return (
            f"{self._points()}, in {self._objects()}; {self._size()}, {self._time()}\n"
            f"chunks: {self.reason}"
            + "".join(f"\n{name}: {text}" for name, text in self._encoded())
            + "".join(f"\ndepends on {name}: {text}" for name, text in self.depends.items())
            + (f"\n{self.why}" if self.why else "")
            + self._explained()
        )

    def _encoded(self) -> list[tuple[str, str]]:
        return [(f"{name} is stored as", text) for name, text in self.encodings.items()]

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
        text = f"{short_duration(self.seconds)} in the function"
        if self.seconds_band is None or not self.seconds:
            return text
        low, high = map(short_duration, self.seconds_band)
        return f"{text} ({low} to {high})"

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
            *self._encoded(),
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
            encodings=request.layout.encodings.in_words(),
        )
    is_stored = manifest is not None
    schema = coverage.grid.schema
    reason = _AS_STORED if is_stored else new_chunking(request, schema).reason
    found = _of_coverage(coverage, manifest, total, requested)
    return replace(found, reason=reason, depends=request.depends)


def remaining(coverage: Coverage, manifest: Manifest) -> Plan:
    """The plan of what is missing in a stored grid, of which the coverage is as a whole."""
    total = coverage.n_requested
    return _of_coverage(coverage, manifest, total, total)


def _of_coverage(
    coverage: Coverage, manifest: Manifest | None, total: int, requested: int
) -> Plan:
    missing = coverage.n_missing()
    costs = None if manifest is None else fitted_costs(coverage.grid, manifest.rows)
    times = None if costs is None else costs.of_missing(coverage)
    outputs = coverage.grid.schema.outputs
    return Plan(
        points_total=total,
        points_cached=requested - missing,
        points_missing=missing,
        points_skipped=total - requested,
        lengths={axis.name: len(axis) for axis in coverage.grid.axes},
        chunks=coverage.grid.chunk_spec(),
        shards=coverage.grid.shard_spec(),
        reason=_AS_STORED,
        chunks_total=coverage.complete.size,
        chunks_missing=coverage.n_incomplete(),
        nbytes=missing * sum(o.nbytes for o in outputs.values()) if outputs else None,
        seconds=None if times is None else times.total,
        seconds_band=_band(costs, times),
        times={} if times is None else _by_axis(coverage, times),
        encodings=encodings_in_words(coverage.grid.schema, stored_raw(coverage.grid))
        if coverage.grid.schema.encodings
        else {},
    )


def _band(costs: Costs | None, times: Missing | None) -> tuple[float, float] | None:
    if costs is None or times is None:
        return None
    low, high = costs.band
    return low * times.total, high * times.total


def _by_axis(coverage: Coverage, times: Missing) -> dict[str, Times]:
    """The missing points and their times by axis."""
    axes = coverage.selection.axes
    points = missing_by_value(coverage, [np.ones(len(axis.positions)) for axis in axes])
    found = {}
    for d, (axis, chosen) in enumerate(zip(coverage.grid.axes, axes, strict=True)):
        labels = axis.take(chosen.positions).labels()
        found[axis.name] = Times(labels, np.rint(points[d]).astype(np.int64), times.by_value[d])
    return found
