"""The estimate of costs: exact where costs are products, and honest about its error."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.storage import MemoryStore

import swarmgrid
from swarmgrid.format.grid import StoredAxis, StoredGrid
from swarmgrid.format.segment import Row, Rows
from swarmgrid.outputs.outputs import Output, Schema
from swarmgrid.planning.costs import Costs, fitted_costs
from swarmgrid.planning.coverage import Coverage
from swarmgrid.records.manifest import Manifest
from swarmgrid.space.axis import to_axes
from swarmgrid.space.points import Points
from swarmgrid.space.selection import AxisSelection, Selection
from swarmgrid.store.layout import GridPath
from tests.long import examples

S, X = ["a", "b", "c"], list(range(8))


def grid_of(chunks: tuple[int, int], x: Any = X) -> StoredGrid:
    axes = to_axes({"s": S, "x": x})
    stored = tuple(StoredAxis.new(axis, n) for axis, n in zip(axes, chunks, strict=True))
    return StoredGrid(GridPath("f", "0" * 32), stored, Schema({"v": Output()}))


def rows_of(costs: np.ndarray, computed: np.ndarray, chunks: tuple[int, int]) -> Rows:
    """The manifest rows of computed points: one for each chunk that has some."""
    rows = []
    for index in np.ndindex(*(-(-n // c) for n, c in zip(costs.shape, chunks, strict=True))):
        box = tuple(slice(i * c, (i + 1) * c) for i, c in zip(index, chunks, strict=True))
        mask = np.zeros(chunks, bool)
        mask[tuple(map(slice, computed[box].shape))] = computed[box]
        if mask.any():
            seconds = float(costs[box][computed[box]].sum())
            rows.append(Row(b"\0" * 16, tuple(index), Points.from_mask(mask), (0,), seconds))
    return Rows.from_rows(rows, 2, 1)


def coverage_of(grid: StoredGrid, rows: Rows, asked: Any = None) -> Coverage:
    axes = (
        AxisSelection(np.arange(len(a)), n)
        for a, n in zip(grid.axes, grid.chunk_shape, strict=True)
    )
    selection = Selection(tuple(axes))
    return Coverage(grid, selection, asked, *Manifest(rows, {}).coverage(selection))


FACTORS = st.lists(st.floats(0.01, 100), min_size=11, max_size=11)
MASKS = st.lists(st.booleans(), min_size=24, max_size=24).map(lambda b: np.array(b).reshape(3, 8))


def connected(mask: np.ndarray) -> np.ndarray:
    """The mask with one row and one column filled: every factor is known then."""
    mask = mask.copy()
    mask[0] = True
    mask[:, 0] = True
    return mask


@settings(max_examples=examples(50))
@given(FACTORS, MASKS, st.none() | MASKS)
def test_costs_that_are_products_are_found_whatever_is_computed(
    factors: list[float], mask: np.ndarray, asked: Any
) -> None:
    costs = np.outer(factors[:3], factors[3:])
    computed = connected(mask)
    grid, rows = grid_of((1, 1)), rows_of(costs, computed, (1, 1))
    found = fitted_costs(grid, rows)
    assert found is not None
    coverage = coverage_of(grid, rows, asked)
    missing = found.of_missing(coverage)
    expected = np.where(computed if asked is None else computed | ~asked, 0, costs)
    assert missing.total == pytest.approx(expected.sum(), rel=1e-3)
    for d in (0, 1):
        np.testing.assert_allclose(missing.by_value[d], expected.sum(axis=1 - d), rtol=1e-3)


@settings(max_examples=examples(50))
@given(
    st.lists(st.floats(0, 1e4), min_size=24, max_size=24),
    MASKS,
    MASKS,
    st.tuples(st.integers(1, 3), st.integers(1, 8)),
)
def test_an_estimate_is_never_negative_and_grows_with_what_is_asked_for(
    seconds: list[float], computed: np.ndarray, asked: np.ndarray, chunks: tuple[int, int]
) -> None:
    grid = grid_of(chunks)
    rows = rows_of(np.array(seconds).reshape(3, 8), computed, chunks)
    found = fitted_costs(grid, rows)
    if found is None:
        assert not computed.any()
        return
    few = found.of_missing(coverage_of(grid, rows, asked))
    more = found.of_missing(coverage_of(grid, rows, asked | np.roll(asked, 1)))
    whole = found.of_missing(coverage_of(grid, rows))
    most = 1 + 1e-9  # sums in other orders
    assert 0 <= few.total <= more.total * most + 1e-12
    assert more.total <= whole.total * most + 1e-12
    for missing in (few, more, whole):
        assert all((values >= 0).all() for values in missing.by_value)
        sums = [float(values.sum()) for values in missing.by_value]
        assert sums == pytest.approx([missing.total] * 2)
    low, high = found.band
    assert 0 <= low <= 1 <= high
    assert np.isfinite([low, high, whole.total]).all()


def test_a_few_slow_points_do_not_move_the_other_factors() -> None:
    costs = np.outer([1, 10, 100], np.ones(40))
    costs[0, 3] = costs[1, 7] = 1e5
    grid = grid_of((1, 1), range(40))
    found = fitted_costs(grid, rows_of(costs, np.ones((3, 40), bool), (1, 1)))
    assert found is not None
    np.testing.assert_allclose(found.factors[0] / found.factors[0][0], [1, 10, 100], rtol=1e-6)


@pytest.mark.parametrize("chunks", [(1, 1), (1, 5), (3, 2)])
def test_the_band_covers_most_points_that_were_not_seen(chunks: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    n = 60
    true = np.outer([1.0, 2.0, 7.0], np.linspace(1, 5, n))
    noisy = true * rng.lognormal(0, 0.4, true.shape)
    blocks = np.kron(rng.random((3, n // 2)) < 0.6, np.ones((1, 2), bool))
    computed = np.ones_like(blocks) if chunks[0] > 1 else blocks
    grid = grid_of(chunks, range(n))
    rows = rows_of(noisy, computed, chunks)
    found = fitted_costs(grid, rows)
    assert found is not None
    estimate = found.base * np.outer(*found.factors)
    ratios = (noisy / estimate)[~computed] if not computed.all() else (noisy / estimate).ravel()
    inside = ((ratios >= found.band[0]) & (ratios <= found.band[1])).mean()
    if chunks == (1, 1):
        assert 0.7 < inside < 0.9
    total = found.of_missing(coverage_of(grid, rows)).total
    missing = noisy[~computed].sum()
    assert found.band[0] * total <= missing <= found.band[1] * total


def test_values_that_are_not_stored_lie_between_those_beside_them() -> None:
    grid = grid_of((1, 1), [0, 10, 5, 100])
    costs = np.outer([1, 1, 1], [1.0, 100.0, 0, 0])
    computed = np.array([[True, True, False, False]] * 2 + [[False] * 4])
    found = fitted_costs(grid, rows_of(costs, computed, (1, 1)))
    assert found is not None
    np.testing.assert_allclose(found.base * found.factors[1], [1, 100, 10, 100], rtol=1e-6)
    assert found.factors[0][2] == pytest.approx(found.factors[0][0])


def test_a_million_rows_are_looked_at_in_part() -> None:
    n = 200_000
    axes = to_axes({"s": ["a"], "x": range(n)})
    stored = tuple(StoredAxis.new(axis, 1) for axis in axes)
    grid = StoredGrid(GridPath("f", "0" * 32), stored, Schema({"v": Output()}))
    one = Rows.from_rows([Row(b"\0" * 16, (0, 0), Points((1, 1)), (0,), 0.25)], 2, 1)
    rows = one.subset(np.zeros(n, np.intp))
    rows.index[:, 1] = np.arange(n)
    found = fitted_costs(grid, rows)
    assert isinstance(found, Costs)
    assert found.factors[1].shape == (n,)
    np.testing.assert_allclose(found.base * found.factors[1], 0.25)


def waiting(s: str, x: int) -> int:
    return x


def planned(**asked: Any) -> tuple[swarmgrid.Plan, Any]:
    options: dict[str, Any] = {"func": waiting, "executor": "sync", "verbose": 0}
    store = MemoryStore()
    swarmgrid.stream({}, {"s": ["a", "b"], "x": range(4)}, store=store, **options)
    axes = {"x": [0, 9, 1], "s": ["b", "a"], **asked}
    return swarmgrid.plan({}, axes, store=store, **options), store


def test_a_plan_tells_the_time_by_axis_in_the_order_of_the_request() -> None:
    plan, _ = planned()
    table = plan.time_by("x")
    assert table.index.tolist() == [0, 9, 1]
    assert table.index.name == "x"
    assert table["points"].tolist() == [0, 2, 0]
    assert plan.seconds is not None
    assert plan.seconds_band is not None
    assert table["seconds"].sum() == pytest.approx(plan.seconds)
    assert plan.time_by("s")["points"].tolist() == [1, 1]
    assert (table["low"] <= table["seconds"]).all()
    assert (table["seconds"] <= table["high"]).all()
    assert " to " in str(plan)
    with pytest.raises(swarmgrid.InputError, match="'y' is no axis; the axes are"):
        plan.time_by("y")


def test_without_stored_points_there_is_no_time() -> None:
    plan = swarmgrid.plan({}, {"s": ["a"], "x": [1]}, func=waiting, store=MemoryStore())
    for call in (lambda: plan.time_by("x"), plan.slurm_time):
        with pytest.raises(swarmgrid.InputError, match="no stored point says"):
            call()


@pytest.mark.parametrize(
    ("seconds", "workers", "safety", "text"),
    [
        (0.0, 1, 1.5, "00:01:00"),
        (60.0, 1, 1.0, "00:01:00"),
        (60.0, 1, 1.5, "00:02:00"),
        (3600.0 * 100, 4, 1.5, "1-13:30:00"),
        (3600.0 * 100, 400, 1.5, "15:00:00"),
        (3600.0 * 24, 1, 1.0, "1-00:00:00"),
    ],
)
def test_the_time_limit_of_a_batch_job(
    seconds: float, workers: int, safety: float, text: str
) -> None:
    plan, _ = planned()
    given_ = {name: getattr(plan, name) for name in plan.__dataclass_fields__}
    given_ |= {"seconds": seconds, "seconds_band": (seconds, seconds), "points_missing": 10}
    assert swarmgrid.Plan(**given_).slurm_time(workers=workers, safety=safety) == text


@pytest.mark.parametrize(
    "given_", [{"workers": 0}, {"workers": 1.5}, {"safety": 0}, {"safety": "x"}]
)
def test_options_that_make_no_sense_are_refused(given_: Any) -> None:
    plan, _ = planned()
    with pytest.raises(swarmgrid.InputError, match="expected a"):
        plan.slurm_time(**given_)
