"""Objects as records: what each is, and which values and other objects it holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from swarmgrid.identity import digest
from swarmgrid.memoized import recorded_arrays
from swarmgrid.memoized.scalar_json import Node

Step = str | int
Path = tuple[Step, ...]
"""The path to an object: the name in the state, then a step for each object on the way."""


@dataclass(frozen=True, slots=True)
class Record:
    """One object, apart from the objects that it holds."""

    kind: str
    """``list``, ``dict``, ``tuple``, ``array``, ``variable`` or ``dataarray``."""
    meta: dict[str, Any] = field(default_factory=dict)
    """Its own properties, without its children: JSON."""
    children: dict[Step, Any] = field(default_factory=dict)
    """Its children, in its own order: values, or their nodes."""

    def mapped(self, change: Callable[[Step, Any], Any]) -> Record:
        """The record with other children; they are visited in an order that all equals share."""
        steps = sorted(self.children) if self.kind == "dict" else list(self.children)
        changed = {step: change(step, self.children[step]) for step in steps}
        return Record(self.kind, self.meta, {step: changed[step] for step in self.children})

    def to_json(self) -> list[Any]:
        """The record as it is stored."""
        return [self.kind, self.meta, [[step, node] for step, node in self.children.items()]]

    @classmethod
    def from_json(cls, stored: list[Any]) -> Record:
        """A stored record."""
        kind, meta, children = stored
        return cls(kind, meta, dict(children))


def text(value: Any) -> str:
    """A node or record as text: equal texts are equal to the last bit, unlike ``1 == True``."""
    return json.dumps(value.to_json() if isinstance(value, Record) else value)


def reference(node: Node) -> int | None:
    """The number that a node refers to, if it is a reference."""
    return node["ref"] if isinstance(node, dict) and "ref" in node else None


def nodes_in(node: Node) -> Iterable[Node]:
    """The nodes of a tuple, which is kept by value."""
    return node["tuple"] if isinstance(node, dict) and "tuple" in node else ()


def array_record(values: np.ndarray[Any, Any], place: str) -> Record:
    """The record of an array."""
    recorded_arrays.check_storable(values, place)
    meta = {
        "dtype": recorded_arrays.dtype_text(values.dtype),
        "shape": list(values.shape),
        "digest": digest(values),
    }
    return Record("array", meta)
