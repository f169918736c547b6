"""Namespaces, such as that of argparse, of which code does nothing but read some attributes."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from types import CodeType, SimpleNamespace
from typing import Any

from swarmgrid.identity import instructions
from swarmgrid.identity.encode import Narrowed, Spot, exactly, frame, is_ignored

_NAMESPACES = {argparse.Namespace, SimpleNamespace}
"""Types of which an attribute is a value, and nothing else: a subclass may compute it."""


def narrowed(values: Mapping[str, Any], code: CodeType) -> dict[str, Any]:
    """Return named values, those namespaces narrowed of which code does nothing but read.

    Of ``args`` in ``args.lr * x`` counts ``args.lr`` alone. Where ``args`` itself is handed on,
    looked up by a text, or asked for what is no attribute of its own, all of it counts.
    """
    return {
        name: _narrowed(name, one, code) if type(one) in _NAMESPACES else one
        for name, one in values.items()
    }


def _narrowed(name: str, value: Any, code: CodeType) -> Any:
    label = tuple(name.split("."))
    used = [one for one in instructions.used_names(code) if one[: len(label)] == label]
    texts = [one for one in instructions.names_in_text(code) if one[: len(label)] == label]
    own = vars(value)
    if texts or not used or any(len(c) == len(label) or c[len(label)] not in own for c in used):
        return value
    return Narrowed(value, tuple(sorted({chain[len(label)] for chain in used})))


@exactly(Narrowed)
def _narrowed_namespace(value: Narrowed, spot: Spot) -> bytes:
    own, place, walk = vars(value.of), spot.place, spot.walk
    for name in own:  # to leave out what does not count is no mistake
        walk.ignored |= is_ignored(name, "", walk.ignore)
    read = {name: own[name] for name in value.attributes}
    return frame("namespace", spot.attributes(read, lambda name: f"{place}.{name}"))
