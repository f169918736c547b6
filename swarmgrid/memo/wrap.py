"""The arguments of a wrapped function as params."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from swarmgrid.errors import InputError, SignatureError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


def to_params(
    func: Callable[..., Any], args: tuple[Any, ...], given: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The params of a call of ``func(params, point, **extras)``, and its extras with defaults.

    What the params hold takes the place of a default.

    Parameters
    ----------
    func : callable
        The function; its first two parameters are the params and the point.
    args : tuple
        The arguments given by position: the params, or nothing.
    given : mapping
        The arguments given by keyword.

    Raises
    ------
    SignatureError
        If the arguments do not fit the function.
    InputError
        If the params are no mapping, or hold what is given as a keyword argument, too.
    """
    signature = inspect.signature(func)
    params_name, point_name = _first_two(func, signature)
    if args and params_name in given:
        raise SignatureError(f"{params_name!r} was given both positional and keyword")
    if len(args) > 1:
        raise SignatureError(
            f"{func.__name__} was given {len(args)} arguments by position; expected {params_name} "
            "alone, split_spec and all others by keyword"
        )
    if point_name in given:
        raise SignatureError(f"{point_name!r} is not given: it comes from enumerate_points")
    keywords = {point_name: None, **given} | ({params_name: args[0]} if args else {})
    params = _checked(keywords.get(params_name, {}), given.keys() - {params_name})
    named = [n for n, p in signature.parameters.items() if p.kind is not p.VAR_KEYWORD]
    keywords = {name: params[name] for name in named[2:] if name in params} | keywords
    try:
        arguments = signature.bind(**keywords)
    except TypeError as error:
        raise SignatureError(f"{func.__name__}: {error}") from None
    arguments.apply_defaults()
    extras = {name: arguments.arguments[name] for name in named[2:]}
    for name in signature.parameters.keys() - set(named):
        extras |= arguments.arguments[name]
    return params, extras


def _first_two(func: Callable[..., Any], signature: inspect.Signature) -> list[str]:
    by_name = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = list(signature.parameters.values())
    is_variable = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    if is_variable or [p.kind for p in parameters[:2]] != [by_name, by_name]:
        raise SignatureError(
            f"{func.__name__}{signature} cannot be wrapped; expected parameters for the params "
            "and the point, then those that are given by keyword"
        )
    return [p.name for p in parameters[:2]]


def _checked(params: object, given: Iterable[str]) -> dict[str, Any]:
    if not hasattr(params, "keys"):
        raise InputError(f"params is {params!r}; expected a mapping from names to values")
    found: dict[str, Any] = dict(params)  # type: ignore[call-overload]
    both = sorted(found.keys() & set(given))
    if both:
        raise InputError(f"{both[0]!r} is in params and a keyword argument; pass it once")
    return found
