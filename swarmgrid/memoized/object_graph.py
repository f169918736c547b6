"""The content of a state at one moment: values as JSON, the objects they share, a digest.

Everything that can be changed in place (a list, a dict, an array, ...) is an *object* and has a
number; values refer to objects by number. So a state in which two names share an array differs
from one in which they hold equal ones, and a list changed in place from a list put in its place.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from swarmgrid.errors import InputError
from swarmgrid.identity import digest
from swarmgrid.memoized import scalar_json
from swarmgrid.memoized.object_records import Path, Record, array_record, nodes_in, reference
from swarmgrid.memoized.scalar_json import Node

MAX_DEPTH = 100
MAX_OVERLAP_WORK = 10_000
"""The work numpy may do to find memory that two arrays share: beyond, they count as sharing."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A recorded value of a state that was not read yet."""

    node: Node
    records: Mapping[int, Record]
    """The objects of the recording."""
    build: Callable[[], Any]
    """A function that reads it from the store."""


@dataclass(frozen=True, slots=True)
class ObjectGraph:
    """A state at one moment."""

    roots: dict[str, Node]
    """Its values, by name, in their order."""
    records: dict[int, Record]
    """Its objects, by number."""
    values: dict[int, Any]
    """The objects themselves. Holding them keeps their ids from being used again."""
    paths: dict[int, Path]
    """The path at which each object was first met."""

    def digest(self) -> str:
        """Return 32 hex digits that equal states share, by the rules of `identity`."""
        records = [
            [record.kind, _identity(record), *map(_plain, _in_order(record))]
            for _, record in sorted(self.records.items())
        ]
        return digest(
            ["state", {name: _plain(node) for name, node in sorted(self.roots.items())}, records]
        )


def object_graph(roots: Mapping[str, Any], before: ObjectGraph | None = None) -> ObjectGraph:
    """The content of a state now.

    Parameters
    ----------
    roots : mapping
        Its values, by name.
    before : ObjectGraph, optional
        The earlier content: objects that are still there keep their numbers.

    Raises
    ------
    InputError
        If a value is of a kind that cannot be recorded, contains itself, or is an array that
        shares a part of its memory with another.
    """
    walk = _Walk(before)
    # by name: numbers of objects, and the digest, do not depend on the order of the names
    nodes = {root: walk.node(roots[root], (root,)) for root in sorted(roots)}
    walk.check_memory()
    walk.look_at_detached()
    found = {root: nodes[root] for root in roots}
    values = {**(before.values if before else {}), **walk.values}
    return ObjectGraph(found, walk.records, values, walk.paths)


class _Walk:
    def __init__(self, before: ObjectGraph | None) -> None:
        self._before = before
        self._numbers = {id(v): n for n, v in before.values.items()} if before else {}
        self._next = max(before.values, default=-1) + 1 if before else 0
        self.records: dict[int, Record] = {}
        self.values: dict[int, Any] = {}
        self.paths: dict[int, Path] = {}
        self._open: set[int] = set()

    def node(self, value: Any, path: Path) -> Node:
        """The node of a live value."""
        if scalar_json.is_scalar(value):
            return scalar_json.to_node(value)
        if isinstance(value, Pending):
            return self._add_stored(value, value.node, {}, path)
        if id(value) in self._open or len(path) > MAX_DEPTH:
            raise InputError(f"{self._place(path)} contains itself, or is nested too deep")
        self._open.add(id(value))
        node = self._object(value, path)
        self._open.discard(id(value))
        return node

    def _object(self, value: Any, path: Path) -> Node:
        if type(value) is tuple:  # cannot be changed: kept by value
            return {"tuple": [self.node(one, (*path, i)) for i, one in enumerate(value)]}
        number = self._numbers.get(id(value))
        if number is not None and number in self.records:
            return {"ref": number}
        parts = to_record(value, self._place(path))
        if number is None or not self._is_same(number, value, parts):
            number = self._new(value)
        self.values[number], self.paths[number] = value, path
        self.records[number] = parts  # now, so that objects below have higher numbers
        self.records[number] = parts.mapped(lambda step, one: self.node(one, (*path, step)))
        return {"ref": number}

    def _is_same(self, number: int, value: Any, parts: Record) -> bool:
        """Whether a replay can do in place what has happened to an object since before."""
        assert self._before is not None
        earlier = self._before.records.get(number)
        if parts.kind != "array" or earlier is None or parts == earlier:
            return True
        layout = [(one.meta["dtype"], one.meta["shape"]) for one in (parts, earlier)]
        return type(value) is np.ndarray and layout[0] == layout[1]

    def _new(self, value: Any) -> int:
        number, self._next = self._next, self._next + 1
        self._numbers[id(value)] = number
        return number

    def _add_stored(self, pending: Pending, node: Node, seen: dict[int, int], path: Path) -> Node:
        """Add a value that is still in the store, without reading it, and return its node."""
        if inner := nodes_in(node):
            return {"tuple": [self._add_stored(pending, one, seen, path) for one in inner]}
        target = reference(node)
        if target is None:
            return node
        if target not in seen:
            seen[target], self._next = self._next, self._next + 1
            record = pending.records[target]
            self.records[seen[target]] = record
            self.records[seen[target]] = record.mapped(
                lambda _, one: self._add_stored(pending, one, seen, path)
            )
        return {"ref": seen[target]}

    def look_at_detached(self) -> None:
        """Look at the objects that were taken out of the state: others may still hold them."""
        if (before := self._before) is None:
            return
        for number in before.paths.keys() - self.records.keys():
            value = before.values[number]
            kept = dict(self.records)
            try:
                self.node(value, before.paths[number])
            except InputError:  # it is no part of the state: it may hold what it likes
                self.records = kept
                self._open.clear()

    def check_memory(self) -> None:
        """Raise InputError where two arrays are views of the same memory."""
        spans = sorted(
            (*np.lib.array_utils.byte_bounds(value), number)
            for number, value in self.values.items()
            if type(value) is np.ndarray and value.nbytes
        )
        for i, (_, end, number) in enumerate(spans):
            for start, _, other in spans[i + 1 :]:
                if start >= end:
                    break
                if _share_memory(self.values[number], self.values[other]):
                    raise InputError(
                        f"{self._place(self.paths[number])} and {self._place(self.paths[other])} "
                        "are views of the same memory, which a replay cannot restore; put a "
                        "copy there"
                    )

    def _place(self, path: Path) -> str:
        return "state" + "".join(f"[{step!r}]" for step in path)


def to_record(value: Any, place: str) -> Record:
    """An object as a record whose children are live values.

    Raises
    ------
    InputError
        If it is of a kind that cannot be recorded.
    """
    if type(value) is list:
        return Record("list", children=dict(enumerate(value)))
    if type(value) is dict:
        if wrong := [key for key in value if type(key) is not str]:
            raise InputError(f"{place} has the key {wrong[0]!r}; expected strings as keys")
        return Record("dict", children=dict(value))
    if type(value) is np.ndarray:
        return array_record(value, place)
    if "xarray" in sys.modules:  # code that holds such an object has imported it
        from swarmgrid.memoized import labelled

        if (record := labelled.to_record(value, place)) is not None:
            return record
    raise InputError(
        f"{place} is of the type {type(value).__qualname__}; expected a number, a string, bytes, "
        "bool, None, a numpy array, a DataArray, or a list, tuple or dict of these"
    )


def check_value(value: Any, place: str) -> None:
    """Raise InputError where a value is of a kind that no state can hold; looks one level deep."""
    if not (scalar_json.is_scalar(value) or type(value) in {list, dict, tuple, np.ndarray}):
        to_record(value, place)


def _share_memory(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> bool:
    try:
        return bool(np.shares_memory(a, b, max_work=MAX_OVERLAP_WORK))  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True


def _in_order(record: Record) -> list[Node]:
    visited: list[Node] = []
    record.mapped(lambda _, node: visited.append(node))
    return visited


def _identity(record: Record) -> Any:
    """The part of a record that counts: of an array its digest, which covers dtype and shape."""
    if record.kind == "array":
        return record.meta["digest"]
    return [record.meta, sorted(record.children) if record.kind == "dict" else None]


def _plain(node: Node) -> Any:
    """A node with the value of a scalar, so that a numpy scalar counts as Python's own."""
    if (number := reference(node)) is not None:
        return ["object", number]
    if isinstance(node, dict) and "tuple" in node:
        return ["tuple", *map(_plain, node["tuple"])]
    return ["scalar", scalar_json.from_node(node)]
