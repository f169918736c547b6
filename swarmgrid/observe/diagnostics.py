"""The counts of a run."""

from __future__ import annotations

from dataclasses import dataclass

from swarmgrid.readable import bar, count, duration, nbytes, page, short_duration, table


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
    changed: tuple[str, ...] = ()
    """The places of the function's own state that calls in workers changed."""

    def __str__(self) -> str:
        extra = [
            f"{count(n)} {what}"
            for n, what in (
                (self.points_failed, "failed"),
                (self.points_skipped, "left out"),
                (self.workers_lost, "workers lost"),
            )
            if n
        ]
        counts = [
            f"{count(self.points_computed)} computed",
            f"{count(self.points_cached)} reused",
            *extra,
        ]
        took = f"{self.seconds:.2f} s" if self.seconds < 9.95 else duration(self.seconds)
        return f"{count(self.points_total)} points: {', '.join(counts)}; {took}"

    def __repr__(self) -> str:
        return f"<swarmgrid.Diagnostics {self}>"

    def _repr_html_(self) -> str:
        rows = [
            ("computed", count(self.points_computed)),
            ("reused", count(self.points_cached)),
            ("failed", count(self.points_failed)),
            ("left out", count(self.points_skipped)),
            ("time", short_duration(self.seconds)),
            ("inside the function", f"{short_duration(self.seconds_in_function)}, all workers"),
            ("beside it", f"{short_duration(self.seconds_overhead)}, all workers"),
            ("written", f"{nbytes(self.bytes_written)} in {count(self.chunks_written)} chunks"),
            ("calls repeated", count(self.retries)),
            ("workers lost", count(self.workers_lost)),
        ]
        always = {"computed", "reused", "time", "written"}
        shown = [row for row in rows if row[0] in always or not row[1].startswith("0")]
        return page(
            "Diagnostics",
            f"{count(self.points_total)} points",
            bar(
                self.points_total,
                old=self.points_cached,
                good=self.points_computed,
                bad=self.points_failed,
            ),
            table(shown),
        )
