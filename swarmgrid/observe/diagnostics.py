"""The counts of a run."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, repr=False)
class Diagnostics:
    """The counts of a run.

    Every requested point is counted once: ``points_total`` is the sum of the four after it, and of
    those that an error or an interruption kept from being computed.
    """

    __module__ = "swarmgrid"

    points_total: int
    """Points of the requested grid."""
    points_cached: int = 0
    """Points that were computed before."""
    points_computed: int = 0
    """Points that this run computed."""
    points_failed: int = 0
    """Points at which the function failed, now or, with ``retry_failed=False``, before."""
    points_skipped: int = 0
    """Points that ``where=`` left out."""
    chunks_total: int = 0
    """Zarr chunks, or shards, (of each output) that hold the requested points."""
    chunks_written: int = 0
    """Times that such a one was written."""
    bytes_written: int = 0
    """Bytes of data written, compressed."""
    seconds: float = 0.0
    """Wall time of the run."""
    seconds_in_function: float = 0.0
    """Time inside the function, summed over the workers."""
    seconds_overhead: float = 0.0
    """Wall time of all workers together that was not spent inside the function."""
    retries: int = 0
    """Calls repeated because the one before failed."""
    workers_lost: int = 0
    """Worker processes that ended in the middle of a task."""

    def __str__(self) -> str:
        extra = [
            f"{n} {what}"
            for n, what in (
                (self.points_failed, "failed"),
                (self.points_skipped, "left out"),
                (self.workers_lost, "workers lost"),
            )
            if n
        ]
        counts = [f"{self.points_computed} computed", f"{self.points_cached} reused", *extra]
        return f"{self.points_total} points: {', '.join(counts)}; {self.seconds:.2f} s"

    def __repr__(self) -> str:
        return f"<swarmgrid.Diagnostics {self}>"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th>{f.name}</th><td>{getattr(self, f.name):,}</td></tr>" for f in fields(self)
        )
        return f"<table>{rows}</table>"
