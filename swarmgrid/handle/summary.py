"""The stored part of a grid in figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from swarmgrid.readable import Html, bar, code, count, page, table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swarmgrid.outputs.outputs import Output


@dataclass(frozen=True, slots=True)
class GridSummary:
    """The stored part of a grid at one instant; made by `Grid.state`."""

    __module__ = "swarmgrid"

    function: str
    """The function's name."""
    grid: str
    """The grid id."""
    params: str
    """The params as a JSON text, for people; empty: not known."""
    version: str
    """The version that stands for the function's code, or ``code-`` and its fingerprint."""
    lengths: Mapping[str, int]
    """The number of values on every axis, in stored order."""
    chunks: Mapping[str, int]
    """The chunk length of every axis."""
    shards: Mapping[str, int] | None
    """The shard length of every axis; None where every chunk is an object of its own."""
    outputs: Mapping[str, Output]
    """The dims, shape, dtype and attributes of every output, as of one point."""
    encodings: Mapping[str, str]
    """The encoding of every output in words: the dtype, the codecs, and its lossy parts."""
    points_total: int
    """Points of the product of all axes."""
    points_computed: int
    """Points that are computed."""
    points_failed: int
    """Points, or blocks of a vectorized function, at which it failed and that are not computed
    since: the rows of `Grid.errors`."""
    archive: str = ""
    """The archive that has the values; empty: they are here."""

    def _repr_html_(self) -> str:
        return page("GridSummary", self.function, *self._contents())

    def _contents(self) -> list[Html]:
        """A bar of the points, and tables."""
        done, total = self.points_computed, self.points_total
        failed = f", {count(self.points_failed)} failed" if self.points_failed else ""
        rows = [
            ("points", f"{count(done)} of {count(total)} computed{failed}"),
            ("params", code(self.params)),
            ("version", code(self.version)),
            *([("archived in", code(self.archive))] if self.archive else []),
        ]
        axes = [
            (code(name), count(n), count(self.chunks[name])) for name, n in self.lengths.items()
        ]
        outputs = [
            (
                *(code(name), one.dtype, ", ".join(map("{}: {}".format, one.dims, one.shape))),
                self.encodings[name],
            )
            for name, one in self.outputs.items()
        ]
        return [
            bar(total, good=done, bad=min(self.points_failed, total - done)),
            table(rows),
            table(axes, head=("axis", "values", "per chunk")),
            table(outputs, head=("output", "dtype", "own dims", "stored as")),
        ]
