"""Namespaces, such as that of argparse, of which code does nothing but read some attributes."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from types import CodeType, SimpleNamespace
from typing import Any

from swarmgrid.identity.encode import Narrowed, Spot, exactly, frame, is_ignored
from swarmgrid.user_code import instructions

_TYPES: tuple[type, ...] = (argparse.Namespace, SimpleNamespace)
_NAMESPACES: dict[type, Any] = {one: one.__getattribute__ for one in _TYPES}
"""Types of which an attribute is a value, and nothing else, as long as they read it this way.

A subclass may compute it.
"""


def narrowed(values: Mapping[str, Any], code: CodeType) -> dict[str, Any]:
    """Return named values, those namespaces narrowed of which code does nothing but read.

    Of ``args`` in ``args.lr * x`` counts ``args.lr`` alone. Where ``args`` itself is handed on,
    looked up by a text, or asked for what is no attribute of its own, all of it counts. The same
    holds where its class was given attributes, which come before its own.
    """
    return {
        name: _narrowed(name, one, code) if type(one) in _NAMESPACES else one
        for name, one in values.items()
    }


def _narrowed(name: str, value: Any, code: CodeType) -> Any:
    label = tuple(name.split("."))
    used = [one for one in instructions.used_names(code) if one[: len(label)] == label]
    if not used or any(len(chain) == len(label) for chain in used):
        return value
    texts = instructions.names_in_text(code) | instructions.dotted_in_text(code)
    if any(one[: len(label)] == label for one in texts):
        return value
    read = {chain[len(label)] for chain in used}
    if any(name not in vars(value) or hasattr(type(value), name) for name in read):
        return value
    if type(value).__getattribute__ != _NAMESPACES[type(value)]:
        return value
    return Narrowed(value, tuple(sorted(read)))


@exactly(Narrowed)
def _narrowed_namespace(value: Narrowed, spot: Spot) -> bytes:
    own, place, walk = vars(value.of), spot.place, spot.walk
    for name in own:  # to leave out what does not count is no mistake
        walk.ignored |= is_ignored(name, "", walk.ignore)
    read = {name: own[name] for name in value.attributes}
    return frame("namespace", spot.attributes(read, lambda name: f"{place}.{name}"))
