"""Counts of a call of a SwarmMemo, in memo chunks and points."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class MemoDiagnostics:
    """Counts of one call of a `SwarmMemo`."""

    total_chunks: int
    """Memo chunks that hold a requested point."""
    cached_chunks: int
    """Those of which every requested point was stored before."""
    executed_chunks: int
    """The others: some of their points were computed."""
    cached_points: int
    """Requested points that were stored before."""
    executed_points: int
    """Requested points that were computed: what the call cost."""
    merged_points: int
    """Points in the merged output; none for a call that returns no output."""
    stream_flushes: int
    """Memo chunks that a call without output completed in the store."""

    def and_again(self, later: MemoDiagnostics) -> MemoDiagnostics:
        """The counts of two fillings of the same request together."""
        executed = min(self.executed_chunks + later.executed_chunks, self.total_chunks)
        points = self.cached_points + self.executed_points
        computed = min(self.executed_points + later.executed_points, points)
        return replace(
            self,
            executed_chunks=executed,
            cached_chunks=self.total_chunks - executed,
            executed_points=computed,
            cached_points=points - computed,
        )
