"""The arguments of a wrapped function, and what is refused among them."""

from __future__ import annotations

from typing import Any

import pytest

from swarmgrid import InputError, SignatureError
from swarmgrid.memo.wrap import to_params


def exec_point(params: Any, point: Any, extra: int = 1, *, seed: int = 0) -> float:
    return float(extra + seed)


def open_point(p: Any, q: Any, **rest: Any) -> float:
    return 0.0


def test_defaults_count_as_arguments() -> None:
    assert to_params(exec_point, ({"a": 1},), {}) == ({"a": 1}, {"extra": 1, "seed": 0})
    assert to_params(exec_point, (), {"params": {}, "seed": 5}) == ({}, {"extra": 1, "seed": 5})
    assert to_params(open_point, ({},), {"x": 1, "y": 2}) == ({}, {"x": 1, "y": 2})
    assert to_params(open_point, (), {"p": {"b": 1}}) == ({"b": 1}, {})


def strict_point(params: Any, point: Any, *, extra: int, **rest: Any) -> float:
    return float(extra)


def test_a_value_in_params_takes_the_place_of_a_default() -> None:
    given_once = ({"extra": 5}, {"extra": 5, "seed": 0})
    assert to_params(exec_point, ({"extra": 5},), {}) == given_once
    assert to_params(exec_point, (), {"params": {"extra": 5}}) == given_once
    assert to_params(exec_point, ({"extra": 5},), {"seed": 0}) == given_once
    assert to_params(strict_point, ({"extra": 5, "rest": 1},), {"more": 2}) == (
        {"extra": 5, "rest": 1},
        {"extra": 5, "more": 2},
    )


REFUSED: dict[str, tuple[Any, tuple[Any, ...], dict[str, Any], str]] = {
    "twice": (exec_point, ({},), {"params": {}}, "'params' was given both positional and keyword"),
    "all by position": (exec_point, ({}, {"s": [1]}), {}, "2 arguments by position; expected"),
    "the point": (exec_point, ({},), {"point": 1}, "'point' is not given"),
    "unknown": (exec_point, ({},), {"sed": 1}, "exec_point: .*'sed'"),
    "no params": (exec_point, (), {}, "exec_point: missing a required argument: 'params'"),
    "in both": (exec_point, ({"extra": 2},), {"extra": 2}, "'extra' is in params and a keyword"),
    "in both, unnamed": (open_point, ({"x": 2},), {"x": 2}, "'x' is in params and a keyword"),
    "not given": (strict_point, ({},), {}, "missing a required argument: 'extra'"),
    "no mapping": (exec_point, (3,), {}, "params is 3; expected a mapping"),
    "no point": (lambda params: 0, ({},), {}, "cannot be wrapped"),
    "variable": (lambda params, point, *rest: 0, ({},), {}, "cannot be wrapped"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_arguments_that_do_not_fit_are_refused(case: str) -> None:
    func, args, given, message = REFUSED[case]
    with pytest.raises(InputError, match=message):
        to_params(func, args, given)


def test_a_call_that_does_not_fit_is_a_type_error_too() -> None:
    with pytest.raises(SignatureError):
        to_params(exec_point, ({},), {"sed": 1})
