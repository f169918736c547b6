"""What is measured: a function, the axes that it is swept over, and the phases of its life."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import points

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Axes = dict[str, NDArray[np.float64]]

COLD, OPEN, WARM, EXTEND = "cold", "open", "warm", "extend"


@dataclass(frozen=True, slots=True)
class Work:
    """One sweep: the grid is the product of axes ``a`` and ``b``."""

    case: str
    func: Callable[..., Any]
    axes: Axes
    extended: Axes
    """The axes with ten percent more values of ``a``."""
    chunks: dict[str, int]
    """Points per chunk on each axis."""
    inner: tuple[int, ...] = ()
    """The shape of one point's output."""
    vectorized: bool = False

    @property
    def n_points(self) -> int:
        """Points of the grid, before it is extended."""
        return self.axes["a"].size * self.axes["b"].size

    @property
    def is_cheap(self) -> bool:
        """Whether handing a point to another process costs more than computing it."""
        return self.case != "sleep"

    def shape(self, axes: Axes) -> tuple[int, ...]:
        """The shape of the result over these axes."""
        return (axes["a"].size, axes["b"].size, *self.inner)

    def expected(self, axes: Axes) -> Any:
        """The right result, computed by numpy at once."""
        a, b = axes["a"][:, None], axes["b"]
        if self.vectorized:
            return points.wave(a, b)
        formula: Any = points.trace if self.inner else points.trivial
        return formula(a[..., None], b[:, None]) if self.inner else formula(a, b)

    def agrees(self, axes: Axes, values: Any) -> bool:
        """Whether a result is right: to the bit, or to the last digits of numpy's sine."""
        expected = self.expected(axes)
        if np.shape(values) != expected.shape:
            return False
        if self.vectorized:
            return bool(np.allclose(values, expected, rtol=1e-13, atol=1e-10))
        return bool(np.array_equal(values, expected))


@dataclass(frozen=True, slots=True)
class Case:
    """A sweep that may be of any size."""

    name: str
    title: str
    func: Callable[..., Any]
    counted: Callable[..., Any]
    n_points: int
    n_quick: int
    row: int
    """Values on axis ``b``."""
    chunk_rows: int = 1
    """Values of ``a`` in a chunk; all of ``b`` are."""
    inner: tuple[int, ...] = ()
    vectorized: bool = False
    phases: tuple[str, ...] = (COLD, OPEN, WARM)
    sizes: tuple[int, ...] = field(default=())
    """Numbers of points up to ``n_points``, where growth is measured."""

    def work(self, n_points: int, *, counted: bool = False) -> Work:
        """The sweep of about so many points."""
        row = min(self.row, max(1, n_points // 10))
        n = max(1, n_points // row)
        first = np.arange(n + max(1, n // 10), dtype=np.float64)
        b = np.arange(row, dtype=np.float64)
        return Work(
            case=self.name,
            func=self.counted if counted else self.func,
            axes={"a": first[:n], "b": b},
            extended={"a": first, "b": b},
            chunks={"a": min(self.chunk_rows, n), "b": row},
            inner=self.inner,
            vectorized=self.vectorized,
        )


_ALL_PHASES = (COLD, OPEN, WARM, EXTEND)
_TRIVIAL = (points.trivial, points.counted_trivial)

CASES = {
    case.name: case
    for case in (
        Case(
            "small",
            "f(a, b) -> float that costs nothing, 100 points a chunk",
            *_TRIVIAL,
            n_points=2_000,
            n_quick=500,
            row=100,
            phases=_ALL_PHASES,
        ),
        Case(
            "trivial",
            "f(a, b) -> float that costs nothing, 1,000 points a chunk",
            *_TRIVIAL,
            n_points=100_000,
            n_quick=5_000,
            row=1_000,
            phases=_ALL_PHASES,
        ),
        Case(
            "arrays",
            "f(a, b) -> 1,000 float64, 100 points a chunk",
            points.trace,
            points.counted_trace,
            n_points=10_000,
            n_quick=200,
            row=100,
            inner=(points.LENGTH,),
        ),
        Case(
            "sleep",
            "f(a, b) -> float that sleeps 10 ms, 20 points a chunk",
            points.sleeper,
            points.counted_sleeper,
            n_points=400,
            n_quick=20,
            row=20,
            phases=(COLD,),
        ),
        Case(
            "vectorized",
            "sin(a) * b by blocks, 1,000,000 points a chunk",
            points.wave,
            points.counted_wave,
            n_points=10_000_000,
            n_quick=100_000,
            row=10_000,
            chunk_rows=100,
            vectorized=True,
        ),
        Case(
            "growth",
            "f(a, b) -> float that costs nothing, 1,000 points a chunk",
            *_TRIVIAL,
            n_points=1_000_000,
            n_quick=10_000,
            row=1_000,
            phases=(COLD, WARM),
            sizes=(1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000),
        ),
    )
}
