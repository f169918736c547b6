"""An event's points, and their values as they are stored now."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import swarmgrid
from swarmgrid import Event, InputError, PointsComputed, PointsFailed
from tests.following import grids
from tests.following.grids import OPTIONS, new_store, stream, told

labels = st.lists(st.integers(0, 4), min_size=1, max_size=3, unique=True)


def stacked(store: str, axes: dict[str, Any]) -> None:
    def digits(a: int, b: int) -> int:
        return 10 * a + b

    swarmgrid.stream(digits, axes=axes, store=store, **OPTIONS)


@settings(max_examples=3)
@given(labels, labels, labels, labels, st.booleans())
def test_the_values_are_those_of_the_events_own_points(
    a: list[int], b: list[int], new_a: list[int], new_b: list[int], is_turned: bool
) -> None:
    store = new_store()
    stacked(store, {"a": a, "b": b})
    events = [event for event in told(store) if isinstance(event, PointsComputed)]
    for event in events:
        assert event.dataset()["value"].dtype.kind == "i"
    swarmgrid.Grid.open(store, "digits/").drop()
    stacked(store, {"b": new_b, "a": new_a} if is_turned else {"a": new_a, "b": new_b})
    for event in events:
        found = event.dataset()
        for name, own in event.points.items():
            np.testing.assert_array_equal(found[name], own)
        at = zip(*(event.points[name].tolist() for name in "ab"), strict=True)
        expected = [10.0 * x + y if x in new_a and y in new_b else np.nan for x, y in at]
        np.testing.assert_array_equal(found["value"], expected)


def test_of_a_grid_with_other_axes_there_are_none() -> None:
    def one(x: Any) -> float:
        return 1.0

    store = new_store()
    swarmgrid.stream(one, axes={"x": [1, 2]}, store=store, **OPTIONS)
    event = next(event for event in told(store) if isinstance(event, PointsComputed))
    swarmgrid.Grid.open(store, "one/").drop()
    with pytest.raises(InputError, match=r"was deleted after this event$"):
        event.dataset()
    swarmgrid.stream(one, axes={"x": ["a"]}, store=store, **OPTIONS)
    with pytest.raises(InputError, match="made anew with other axes: axis 'x' holds int"):
        event.dataset()


def test_a_dim_of_an_output_is_not_taken_for_that_of_the_points() -> None:
    def spectrum(x: int) -> xr.DataArray:
        return xr.DataArray(np.arange(3.0) * x, dims="point")

    store = new_store()
    swarmgrid.stream(spectrum, axes={"x": [1, 2]}, store=store, **OPTIONS)
    event = next(event for event in told(store) if isinstance(event, PointsComputed))
    with pytest.raises(InputError, match="has a dim 'point' of its own"):
        event.dataset()


def failed_beyond(function: Any, first: Any, then: Any, **options: Any) -> PointsFailed:
    """The event of a failure that ends a run, at a point for which the grid has no place."""
    store, seen = new_store(), list[Event]()
    options = OPTIONS | {"on_error": "raise"} | options
    swarmgrid.stream(function, axes=first, store=store, **options)
    with pytest.raises(swarmgrid.PointError):
        swarmgrid.stream(function, axes=then, store=store, on_event=seen.append, **options)
    (event,) = [event for event in seen if isinstance(event, PointsFailed)]
    return event


def test_a_failed_point_beyond_the_grid_has_its_labels_and_no_values() -> None:
    grids.BAD.add(7)
    event = failed_beyond(grids.simulate, {"x": [1]}, {"x": [7]})
    assert event.points["x"].tolist() == [7]
    assert '"points": {"x": [7]}' in event.to_json()
    with pytest.raises(InputError, match="had no place for these points"):
        event.dataset()


def test_of_a_failed_block_the_first_point_is_told() -> None:
    @swarmgrid.grid(vectorized=True)
    def bounded(x: Any, when: Any) -> Any:
        if np.max(x) > 2:
            raise ValueError("no")
        return x * 1.0 + 0 * when.astype(int)

    days = np.array(["2026-01-01", "2026-01-02"], "M8[ns]")
    first, then = {"x": [1], "when": days}, {"x": [7, 9], "when": days}
    event = failed_beyond(bounded, first, then)
    assert event.n_points > 1
    assert event.point == {"x": 7, "when": days[0]}
    assert [found.tolist() for found in event.points.values()] == [[7], [days[0].item()]]
    store = new_store()
    for axes in (first, then):
        bounded.stream(axes=axes, store=store, **OPTIONS)
    stored = next(event for event in told(store) if isinstance(event, PointsFailed))
    assert stored.point == event.point
    assert len(stored.points["x"]) == stored.n_points


def test_events_are_members_of_sets() -> None:
    store, seen = new_store(), list[Event]()
    grids.BAD.add(3)
    stream(store, range(3))
    stream(store, range(4), on_event=seen.append)
    events = [*told(store), *seen]
    assert {"grid created", "grid grown", "failed", "points computed"} <= {*grids.kinds(events)}
    assert {*events} == {replace(event) for event in events}
