"""What is measured: a function, the axes that it is swept over, and the phases of its life."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import points

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Axes = dict[str, NDArray[np.float64]]

COLD, OPEN, WARM, EXTEND, TENTH = "cold", "open", "warm", "extend", "tenth"
"""All computed; the same call again, until it returns and until all is read; ten percent more
values of ``a``; and, as the floor of that, those values computed alone."""
BARE, ZARR, OWN = "bare pool", "zarr alone", "swarmgrid"
"""The floors, by which everything is divided, and the library that is measured."""
CHECKED_VALUES = 2_000_000
"""So many values are compared at once: results may be a good part of the memory."""


@dataclass(frozen=True, slots=True)
class Work:
    """One sweep: the grid is the product of axes ``a`` and ``b``."""

    case: str
    func: Callable[..., Any]
    formula: Callable[..., Any]
    """The right result of ``(a, b)`` that broadcast; the least one where points are timed."""
    axes: Axes
    extended: Axes
    """The axes with ten percent more values of ``a``."""
    chunks: dict[str, int]
    """Points per chunk on each axis."""
    lot: int
    """Points that a bare pool sends at once."""
    inner: tuple[int, ...] = ()
    """The shape of one point's output."""
    vectorized: bool = False
    is_timed: bool = False
    """Whether the value of a point is how long it took."""

    @property
    def n_points(self) -> int:
        """Points of the grid, before it is extended."""
        return self.axes["a"].size * self.axes["b"].size

    @property
    def is_cheap(self) -> bool:
        """Whether handing a point to another process costs more than computing it."""
        return self.lot >= math.prod(self.chunks.values())

    @property
    def tenth(self) -> Axes:
        """The axes with only those values of ``a`` that the extended ones have more."""
        return {"a": self.extended["a"][self.axes["a"].size :], "b": self.axes["b"]}

    def shape(self, axes: Axes) -> tuple[int, ...]:
        """The shape of the result over these axes."""
        return (axes["a"].size, axes["b"].size, *self.inner)

    def expected(self, axes: Axes) -> Any:
        """The right result, computed by numpy at once."""
        a, b = axes["a"][:, None], axes["b"]
        if self.inner:
            return self.formula(a[..., None], b[:, None])
        return np.broadcast_to(self.formula(a, b), self.shape(axes))

    def agrees(self, axes: Axes, values: Any) -> bool:
        """Whether a result is right: to the bit, or to the last digits of numpy's sine."""
        if np.shape(values) != self.shape(axes):
            return False
        step = max(1, CHECKED_VALUES // math.prod(self.shape(axes)[1:]))
        return all(
            self._agrees({"a": axes["a"][i : i + step], "b": axes["b"]}, values[i : i + step])
            for i in range(0, axes["a"].size, step)
        )

    def _agrees(self, axes: Axes, values: Any) -> bool:
        expected = self.expected(axes)
        if self.is_timed:
            return bool((values >= expected * 0.9999).all())
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
    formula: Callable[..., Any]
    n_points: int
    n_quick: int
    row: int
    """Values on axis ``b``."""
    chunk_rows: int = 1
    """Values of ``a`` in a chunk; all of ``b`` are."""
    lot: int | None = None
    """Points that a bare pool sends at once; None: a chunk."""
    inner: tuple[int, ...] = ()
    vectorized: bool = False
    is_timed: bool = False
    phases: tuple[str, ...] = (COLD, OPEN, WARM)
    sizes: tuple[int, ...] = field(default=())
    """Numbers of points up to ``n_points``, where growth is measured."""
    only: tuple[str, ...] = ()
    """The contenders that take part; none named: all."""

    @property
    def has_probes(self) -> bool:
        """Whether its calls and memory are of interest."""
        return not self.is_timed

    def work(self, n_points: int, *, counted: bool = False) -> Work:
        """The sweep of about so many points."""
        row = min(self.row, max(1, n_points // 10))
        n = max(1, n_points // row)
        first = np.arange(n + max(1, n // 10), dtype=np.float64)
        b = np.arange(row, dtype=np.float64)
        chunks = {"a": min(self.chunk_rows, n), "b": row}
        return Work(
            case=self.name,
            func=self.counted if counted else self.func,
            formula=self.formula,
            axes={"a": first[:n], "b": b},
            extended={"a": first, "b": b},
            chunks=chunks,
            lot=self.lot or math.prod(chunks.values()),
            inner=self.inner,
            vectorized=self.vectorized,
            is_timed=self.is_timed,
        )

    def nbytes(self, n_points: int) -> int:
        """The size of the result."""
        return n_points * math.prod(self.inner) * 8


_ALL_PHASES = (COLD, OPEN, WARM, EXTEND, TENTH)
_TRIVIAL = (points.trivial, points.counted_trivial, points.trivial)
_WHOLE = 1_000_000_000


def _lasting(
    name: str,
    title: str,
    func: Callable[..., Any],
    seconds: Any,
    n_points: int,
    row: int,
    **more: Any,
) -> Case:
    """Points that take their time: twenty seconds of work, for two workers."""
    options: dict[str, Any] = {"is_timed": True, "phases": (COLD,), "only": (BARE, OWN), **more}
    return Case(
        name,
        title,
        func,
        func,
        seconds if callable(seconds) else lambda a, b: seconds + (a + b) * 0.0,
        n_points=n_points,
        row=row,
        **options,
    )


_CASES = (
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
        points.trace,
        n_points=10_000,
        n_quick=200,
        row=100,
        inner=(points.LENGTH,),
        sizes=(1_000, 10_000),
    ),
    Case(
        "sleep",
        "f(a, b) -> float that sleeps 10 ms, 20 points a chunk",
        points.sleeper,
        points.counted_sleeper,
        points.trivial,
        n_points=400,
        n_quick=20,
        row=20,
        lot=5,
        phases=(COLD,),
    ),
    _lasting(
        "1ms",
        "points of 1 ms, 100 a chunk",
        points.last_1ms,
        0.001,
        20_000,
        100,
        lot=20,
        n_quick=600,
    ),
    _lasting(
        "1ms-one-chunk",
        "points of 1 ms, all in one chunk",
        points.last_1ms,
        0.001,
        20_000,
        100,
        chunk_rows=_WHOLE,
        lot=20,
        n_quick=600,
        only=(OWN,),
    ),
    _lasting(
        "10ms", "points of 10 ms, 20 a chunk", points.last_10ms, 0.01, 2_000, 20, lot=5, n_quick=60
    ),
    _lasting(
        "10ms-one-chunk",
        "points of 10 ms, all in one chunk",
        points.last_10ms,
        0.01,
        2_000,
        20,
        chunk_rows=_WHOLE,
        lot=5,
        n_quick=60,
        only=(OWN,),
    ),
    _lasting("1s", "points of 1 s, 2 a chunk", points.last_1s, 1.0, 20, 2, lot=1, n_quick=1),
    _lasting(
        "1s-one-chunk",
        "points of 1 s, all in one chunk",
        points.last_1s,
        1.0,
        20,
        2,
        chunk_rows=_WHOLE,
        lot=1,
        n_quick=1,
        only=(OWN,),
    ),
    _lasting(
        "mixed",
        "points of 2 ms to 200 ms, 31 a chunk",
        points.last_mixed,
        points.mixed_seconds,
        465,
        points.MIXED,
        lot=1,
        n_quick=20,
    ),
    Case(
        "vectorized",
        "sin(a) * b by blocks, 1,000,000 points a chunk",
        points.wave,
        points.counted_wave,
        points.wave,
        n_points=100_000_000,
        n_quick=100_000,
        row=10_000,
        chunk_rows=100,
        vectorized=True,
    ),
    Case(
        "growth",
        "f(a, b) -> float that costs nothing, 1,000 points a chunk",
        *_TRIVIAL,
        n_points=10_000_000,
        n_quick=10_000,
        row=1_000,
        phases=(COLD, WARM),
        sizes=(1_000, 10_000, 100_000, 1_000_000, 10_000_000),
        only=(BARE, ZARR, OWN),
    ),
    Case(
        "chunks",
        "f(a, b) -> float that costs nothing, 3 points a chunk",
        *_TRIVIAL,
        n_points=300_000,
        n_quick=3_000,
        row=3,
        lot=3_000,
        phases=(COLD, OPEN, WARM),
        sizes=(300, 3_000, 30_000, 300_000),
        only=(BARE, OWN),
    ),
)
CASES = {case.name: case for case in _CASES}
