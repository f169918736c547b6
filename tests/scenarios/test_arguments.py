"""A point has one argument, with its type, whatever else was asked for, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import example, given, settings

import swarmgrid
from swarmgrid.space.axis import to_axis
from swarmgrid.space.runs import from_runs, to_runs
from tests.long import examples

if TYPE_CHECKING:
    from collections.abc import Callable

CALLS: list[tuple[Any, int]] = []


def one(x: Any, y: int) -> float:
    CALLS.append((x, y))
    return float(x) + y


def block(x: Any, y: Any) -> Any:
    CALLS.extend((a, b) for a in x.ravel().tolist() for b in y.ravel().tolist())
    return x.astype(float) + y


def called(store: str, requests: list[tuple[Any, Any]], *, vectorized: bool) -> list[Any]:
    """The calls of a history of requests, in order, and that its results are right."""
    CALLS.clear()
    func: Callable[..., Any] = block if vectorized else one
    for x, y in requests:
        ds = swarmgrid.compute(
            axes={"x": x, "y": y},
            func=func,
            store=store,
            version="1",
            executor="sync",
            verbose=0,
            vectorized=vectorized,
        )
        expected = np.add.outer(np.array(x, float), np.array(y, float))
        np.testing.assert_array_equal(ds["value"].values, expected)
    return list(CALLS)


# 1 and 1.0 are one number: a key of these has one spelling
SPELLED = st.dictionaries(st.integers(-3, 3), st.sampled_from([int, float])).flatmap(
    lambda kinds: st.lists(
        st.tuples(
            st.lists(
                st.one_of(
                    st.integers(-3, 3).map(lambda n: kinds.get(n, int)(n)),
                    st.integers(-3, 3).map(lambda n: n + 0.5),
                ),
                min_size=1,
                max_size=4,
                unique=True,
            ),
            st.lists(st.integers(0, 2), min_size=1, max_size=2, unique=True),
        ),
        min_size=1,
        max_size=5,
    )
)
ANY = st.lists(
    st.tuples(
        st.lists(
            st.one_of(st.integers(-2, 2), st.integers(-4, 4).map(lambda n: n / 2)),
            min_size=1,
            max_size=4,
            unique=True,
        ),
        st.lists(st.integers(0, 2), min_size=1, max_size=2, unique=True),
    ),
    min_size=1,
    max_size=5,
)
QUICK = settings(max_examples=examples(20))


@pytest.mark.parametrize("vectorized", [False, True], ids=["points", "blocks"])
@QUICK
@given(requests=SPELLED)
@example(requests=[([1, 2], [0]), ([0.5], [0]), ([1, 2, 0.5], [0, 1])])
@example(requests=[([0.5, 1, 2], [0, 1])])
@example(requests=[([0.5], [0]), ([1, 2], [0]), ([2, 0.5], [1])])
@example(requests=[([0.5, 1.0, 2.0], [0]), ([1.0], [1])])
def test_a_function_gets_every_value_as_it_is_written_in_any_history(
    new_memory_store: Callable[[], str], vectorized: bool, requests: list[tuple[Any, Any]]
) -> None:
    spelling = {x: repr(x) for xs, _ in requests for x in xs}
    calls = called(new_memory_store(), requests, vectorized=vectorized)
    assert {repr(x) for x, _ in calls} == set(spelling.values())
    assert all(repr(x) == spelling[x] for x, _ in calls)
    points = {(x, y) for xs, ys in requests for x in xs for y in ys}
    if vectorized:  # a block may hold a point again, where others of its chunk are missing
        assert set(calls) == points
    else:
        assert len(calls) == len(points)
        assert set(calls) == points


@pytest.mark.parametrize("vectorized", [False, True], ids=["points", "blocks"])
@QUICK
@given(requests=ANY)
@example(requests=[([1], [0]), ([1.0], [0, 1]), ([1.0, 1.5], [2])])
@example(requests=[([1.0], [0]), ([1], [0, 1])])
def test_a_number_written_in_two_ways_is_one_point_with_the_first_of_them(
    new_memory_store: Callable[[], str], vectorized: bool, requests: list[tuple[Any, Any]]
) -> None:
    first: dict[float, str] = {}
    for xs, _ in requests:
        for x in xs:
            first.setdefault(x, repr(x))
    calls = called(new_memory_store(), requests, vectorized=vectorized)
    assert {x: repr(x) for x, _ in calls} == first
    assert all(repr(x) == first[x] for x, _ in calls)
    assert vectorized or len(calls) == len(set(calls))


@pytest.mark.parametrize("numbers", [np.array([0.5, 1, 2]), np.linspace(0, 1, 3)], ids=repr)
def test_the_values_of_an_array_of_floats_are_floats(
    new_memory_store: Callable[[], str], numbers: Any
) -> None:
    calls = called(new_memory_store(), [(numbers, [0])], vectorized=False)
    assert all(type(x) is float for x, _ in calls)


def test_to_look_ints_up_by_floats_makes_no_floats_of_them(
    new_memory_store: Callable[[], str],
) -> None:
    store = new_memory_store()
    called(store, [([1, 2], [0]), ([2.0], [0])], vectorized=False)
    ds = swarmgrid.open(axes=["x", "y"], func=one, store=store, version="1")
    assert ds["x"].dtype == "int64"


def square(x: Any) -> Any:
    return x * x


@pytest.mark.parametrize("vectorized", [False, True], ids=["points", "blocks"])
def test_an_int_among_floats_does_not_decide_that_all_results_are_ints(
    new_memory_store: Callable[[], str], vectorized: bool
) -> None:
    ds = swarmgrid.compute(
        axes={"x": [0, 0.5, 1]},
        func=square,
        store=new_memory_store(),
        executor="sync",
        vectorized=vectorized,
    )
    assert ds["value"].dtype == "float64"
    assert ds["value"].values.tolist() == [0, 0.25, 1]


@given(st.lists(st.booleans()))
def test_the_runs_of_a_mask_give_it_back(mask: list[bool]) -> None:
    runs = to_runs(np.array(mask, bool))
    assert from_runs(runs, len(mask)).tolist() == mask
    assert all(runs[1:])


@pytest.mark.parametrize("runs", [None, [1], [4], [-1, 4], [True, 2], [1.0, 2], "12", [2**70]])
def test_runs_of_another_length_or_none_are_refused(runs: object) -> None:
    with pytest.raises(ValueError, match="swarmgrid_ints"):
        from_runs(runs, 3)


@given(st.lists(st.sampled_from([0, 1, 2, 0.5, 1.5, 7.0]), unique=True, min_size=1))
def test_taking_and_extending_keep_which_values_are_ints(values: list[Any]) -> None:
    axis = to_axis("x", values)
    if axis.kind == "float":
        for k in range(len(values) + 1):
            whole = axis.take(slice(k)).extended(axis.take(np.arange(k, len(values))))
            assert list(map(repr, whole.arguments())) == list(map(repr, values))
