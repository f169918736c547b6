"""Checks that the params and axes of a request fit the function's signature."""

from __future__ import annotations

import functools
import inspect
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from swarmgrid.errors import SignatureError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def check_signature(
    func: Callable[..., Any], params: Iterable[str], axes: Iterable[str], rng: str | None
) -> None:
    """Raise SignatureError unless ``func(**params, **point)`` is a possible call.

    A callable whose signature Python cannot tell, such as some builtins, is taken as it is.
    """
    params, axes = list(params), list(axes)
    both = sorted(set(params) & set(axes))
    if both:
        raise SignatureError(
            f"{both[0]!r} is in both params and axes; a parameter is either fixed or swept: "
            "leave it out of one of them"
        )
    if rng in params or rng in axes:
        raise SignatureError(
            f"{rng!r} is the random generator's parameter (rng={rng!r}); it cannot be in params "
            "or axes"
        )
    _check_called_once(func)
    try:
        signature = inspect.signature(func)
    except (TypeError, ValueError):
        return
    given = [*params, *axes, *([rng] if rng is not None else [])]
    _check_positional(func, signature, given)
    accepted = _accepted(signature)
    for name in given:
        if accepted is not None and name not in accepted:
            what = "rng" if name == rng else "axis" if name in axes else "param"
            raise SignatureError(
                f"{what} {name!r} is no parameter of {_shown(func, signature)}; expected some of "
                f"{', '.join(sorted(accepted)) or 'none'}{_hint(name, accepted, given)}"
            )
    missing = [
        name
        for name, parameter in signature.parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        and name not in given
    ]
    if missing:
        raise SignatureError(
            f"{_shown(func, signature)} needs {missing[0]!r}, which is neither in params nor in "
            f"axes; {_way_to_give(missing[0], func)}"
        )


def may_sweep(func: Callable[..., Any], rng: str | None) -> bool:
    """Whether a function has a parameter, besides the generator, that could be an axis."""
    try:
        return bool(inspect.signature(func).parameters.keys() - {rng})
    except (TypeError, ValueError):
        return True


def _hint(name: str, accepted: Iterable[str], given: Iterable[str]) -> str:
    free = {one.lower(): one for one in sorted(set(accepted) - set(given))}
    close = get_close_matches(name.lower(), free, 1)
    return f". Did you mean {free[close[0]]!r}?" if close else ""


def _check_called_once(func: Callable[..., Any]) -> None:
    """Raise SignatureError where a call returns something that is still to be run."""
    while isinstance(func, functools.partial):
        func = func.func
    inner = getattr(func, "__swarmgrid_function__", func)
    if inspect.iscoroutinefunction(inner):
        raise SignatureError(
            f"{_name(func)} is an async function, whose call returns a coroutine; wrap it: "
            f"lambda **point: asyncio.run({_name(func)}(**point))"
        )
    if inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner):
        raise SignatureError(
            f"{_name(func)} is a generator function, whose call returns an iterator; return an "
            "array, or a dict of arrays, in place of yield"
        )


def _check_positional(
    func: Callable[..., Any], signature: inspect.Signature, given: Iterable[str]
) -> None:
    """Raise SignatureError where a parameter that is needed cannot be given by name."""
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    kinds = {p.kind for p in signature.parameters.values()}
    if kinds == {inspect.Parameter.VAR_POSITIONAL} and (names := ", ".join(given)):
        raise SignatureError(
            f"{_name(func)}(*args) takes its values by position only, and a point's values are "
            f"given by name; wrap it: lambda {names}: {_name(func)}({names})"
        )
    parameters = [p for p in signature.parameters.values() if p.kind not in variadic]
    needed = [p.name for p in parameters if p.default is p.empty or p.name in given]
    positional = [p.name for p in parameters if p.kind is p.POSITIONAL_ONLY and p.name in needed]
    if positional:
        names = ", ".join(needed)
        raise SignatureError(
            f"{_shown(func, signature)} takes {positional[0]!r} by position only, and a point's "
            f"values are given by name; wrap it: lambda {names}: {_name(func)}({names})"
        )


def _accepted(signature: inspect.Signature) -> set[str] | None:
    """The names that can be given; None if any can."""
    parameters = signature.parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}


def _way_to_give(name: str, func: Callable[..., Any]) -> str:
    """The advice on how to pass a value that is missing."""
    if name == "self" and "." in getattr(func, "__qualname__", ""):
        cls, _, method = func.__qualname__.rpartition(".")
        return f"pass the method of an object: func={cls}(...).{method}"
    return f"pass its value, params={{{name!r}: ...}}, or its values, axes={{{name!r}: [...]}}"


def _shown(func: Callable[..., Any], signature: inspect.Signature) -> str:
    name = getattr(func, "__name__", type(func).__name__)
    return f"{name}({', '.join(signature.parameters)})"


def _name(func: Callable[..., Any]) -> str:
    """The name of a function in a program: ``math.sqrt``."""
    module = func.__module__ if inspect.isbuiltin(func) else None
    name: str = getattr(func, "__name__", type(func).__name__)
    return name if module in (None, "builtins") else f"{module}.{name}"
