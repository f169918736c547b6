"""The ways to write a call, and the signatures that help and editors show."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import swarmgrid
from swarmgrid import SignatureError
from swarmgrid.option_checks import CHECKS
from swarmgrid.options import CallOptions, Options, OptionTypes

FUNCTIONS = ("compute", "run", "stream", "plan", "open")
METHODS = (*FUNCTIONS, "errors", "verify", "repair", "convert", "grid")


def area(width: float, height: float) -> float:
    return width * height


def other(width: float, height: float) -> float:
    return width + height


def options_of(func: Any) -> dict[str, inspect.Parameter]:
    found = inspect.signature(func).parameters
    return {name: one for name, one in found.items() if name in CallOptions.__annotations__}


@pytest.mark.parametrize(
    "func",
    [
        *(getattr(swarmgrid, name) for name in FUNCTIONS),
        *(getattr(swarmgrid.GridFunction, name) for name in METHODS),
        *(getattr(swarmgrid.grid(area), name) for name in METHODS),
        swarmgrid.grid,
        swarmgrid.set_options,
        swarmgrid.GridFunction,
    ],
)
def test_a_signature_shows_every_option_with_its_default(func: Any) -> None:
    found, defaults = options_of(func), Options()
    assert {*found} - {"func"} == {*OptionTypes.__annotations__}
    for name, one in found.items():
        if name != "func" or func is not swarmgrid.GridFunction:
            assert one.default == getattr(defaults, name), name
    assert not [one for one in inspect.signature(func).parameters.values() if one.kind == 4]


def test_every_option_is_declared_checked_and_described_once() -> None:
    names = {*CallOptions.__annotations__}
    assert names == {*CHECKS} == {*Options.__dataclass_fields__}
    doc = inspect.getdoc(swarmgrid.compute) or ""
    described = re.findall(r"^(\w+(?:, \w+)*) : ", doc, re.MULTILINE)
    assert names <= {name for line in described for name in line.split(", ")}
    assert list(options_of(swarmgrid.compute))[:2] == ["func", "store"]


@pytest.mark.parametrize("name", ["run", "stream", "plan", "open", "compute"])
def test_help_says_what_goes_in_and_what_comes_out(name: str) -> None:
    doc = inspect.getdoc(getattr(swarmgrid, name)) or ""
    for section in ("Parameters\n-", "Returns\n-", "Examples\n-", "where" * (name != "open")):
        assert section in doc


def test_words_that_an_option_takes_are_in_its_type() -> None:
    for name, words in {
        "executor": ("processes", "threads", "sync"),
        "on_error": ("raise", "record"),
        "durability": ("process", "power"),
        "verbose": ("0", "1", "2"),
        "gc": ("task",),
        "view_chunks": ("auto",),
    }.items():
        note = str(options_of(swarmgrid.compute)[name].annotation)
        assert note.startswith("Literal[")
        assert all(word in note for word in words)


WAYS = [
    lambda function, p, a, o: function(p, a, func=area, **o),
    lambda function, p, a, o: function(p, axes=a, func=area, **o),
    lambda function, p, a, o: function(params=p, axes=a, func=area, **o),
    lambda function, p, a, o: function(area, p, a, **o),
    lambda function, p, a, o: function(area, p, axes=a, **o),
    lambda function, p, a, o: function(area, axes=a, params=p, **o),
    lambda function, p, a, o: function(swarmgrid.grid(area, retries=2), axes=a, params=p, **o),
    lambda function, p, a, o: getattr(swarmgrid.grid(area), function.__name__)(p, a, **o),
]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_function_may_stand_first(name: str, tmp_path: Path) -> None:
    function = getattr(swarmgrid, name)
    options = {"store": tmp_path, "executor": "sync"}
    params, axes = {"height": 2.0}, {"width": [1.0, 3.0]}
    swarmgrid.compute(params, axes, func=area, **options)
    results = [way(function, params, axes, options) for way in WAYS]
    for one in results:
        if name in {"compute", "open"}:
            assert one["value"].values.tolist() == [2.0, 6.0]
        elif name == "run":
            assert one[0]["value"].values.tolist() == [2.0, 6.0]
        else:
            assert (one.points_total, one.points_cached) == (2, 2)


def test_the_functions_may_be_global(tmp_path: Path) -> None:
    with swarmgrid.set_options(func=other, store=tmp_path, executor="sync"):
        assert swarmgrid.compute({"height": 2.0}, {"width": [1.0]})["value"].item() == 3.0
        assert swarmgrid.compute(area, {"height": 2.0}, {"width": [1.0]})["value"].item() == 2.0


WRONG = [
    pytest.param((area,), {"func": other}, "two functions", id="twice"),
    pytest.param(({}, area), {}, "in the place of axes", id="second"),
    pytest.param(({}, {}, area), {}, "in the place of an argument after axes", id="third"),
    pytest.param((area, other), {}, "in the place of params", id="two"),
    pytest.param((area, {}), {"params": {}}, "params twice", id="params"),
    pytest.param(({}, {"width": [1]}), {"axes": {}}, "axes twice", id="axes"),
    pytest.param(({}, {}, "cache"), {}, "3 arguments by position", id="a store"),
    pytest.param((area, {}, {}, "cache"), {}, "3 arguments by position", id="and the function"),
]


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(("args", "options", "words"), WRONG)
def test_a_mixture_of_the_ways_is_one_clear_error(
    name: str, args: Any, options: Any, words: str
) -> None:
    with pytest.raises(SignatureError, match=words) as caught:
        getattr(swarmgrid, name)(*args, store="memory://calls", **options)
    assert f"{name}(params, axes, func=" in str(caught.value)


@given(
    st.lists(st.sampled_from([area, {}, {"width": [1]}, None, 3, "x", [1]]), max_size=4),
    st.fixed_dictionaries(
        {},
        optional={
            "func": st.sampled_from([area, None, "f"]),
            "params": st.sampled_from([{}, None, area]),
            "axes": st.sampled_from([{"width": [1], "height": [2]}, None, [1]]),
        },
    ),
)
def test_whatever_is_given_a_call_works_or_says_what_to_write(args: Any, named: Any) -> None:
    try:
        plan = swarmgrid.plan(*args, store="memory://any-call", **named)
    except swarmgrid.InputError as error:
        text = str(error)
    else:
        text = f"expected {plan}"
    assert re.search(r"expected|pass|write|needs|leave it out", text)


def test_a_decorated_function_knows_its_last_run() -> None:
    @swarmgrid.grid(store="memory://last-run", executor="sync")
    def inverse(x: float) -> float:
        return 1 / x

    assert inverse.last_run is None
    _, done = inverse.run(axes={"x": [1.0, 2.0]})
    assert inverse.last_run is done
    inverse.compute(axes={"x": [1.0, 2.0]})
    assert (inverse.last_run.points_cached, inverse.last_run.points_computed) == (2, 0)
    with pytest.raises(swarmgrid.PointError):
        inverse.stream(axes={"x": [4.0, 0.0]})
    assert (inverse.last_run.points_computed, inverse.last_run.points_failed) == (1, 1)
    assert swarmgrid.grid(inverse).last_run is None
    swarmgrid.compute(inverse, axes={"x": [5.0]})
    assert inverse.last_run.points_computed == 1
