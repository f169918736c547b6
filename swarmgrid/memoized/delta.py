"""The changes by a block: the difference of two graphs, as values that can be stored."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from swarmgrid.memoized.object_graph import ObjectGraph
from swarmgrid.memoized.object_records import Path, Record, nodes_in, reference, text
from swarmgrid.memoized.scalar_json import Node, from_node

_KINDS = {"list", "dict", "array", "variable", "dataarray"}
MAX_DEPTH = 900
"""The deepest nesting of new objects in each other: they are made by recursion."""


@dataclass(frozen=True, slots=True)
class Delta:
    """The net change of a state during a block."""

    changed: dict[str, Node]
    """The new values, by name."""
    removed: list[str]
    """The names that are gone."""
    order: list[str] | None
    """All names in their order, where that is not the old order and then the new names."""
    records: dict[int, Record]
    """The objects that are new, and the old ones that were changed in place."""
    old: dict[int, Path]
    """The paths of the old objects that matter, when the block began."""

    def to_json(self) -> dict[str, Any]:
        """The delta as it is stored."""
        return {
            "changed": [[name, node] for name, node in self.changed.items()],
            "removed": self.removed,
            "order": self.order,
            "objects": [[number, record.to_json()] for number, record in self.records.items()],
            "old": [[number, list(path)] for number, path in self.old.items()],
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Delta:
        """A stored delta."""
        return cls(
            dict(stored["changed"]),
            stored["removed"],
            stored["order"],
            {number: Record.from_json(record) for number, record in stored["objects"]},
            {number: tuple(path) for number, path in stored["old"]},
        )

    def check(self, arrays: Collection[int]) -> None:
        """Raise ValueError where the delta is none that `difference` makes.

        Parameters
        ----------
        arrays : collection of int
            The numbers of the arrays that are recorded with it.
        """
        texts = [*self.changed, *self.removed, *(self.order or ())]
        nodes = [*self.changed.values()]
        for number, record in self.records.items():
            nodes += record.children.values()
            if record.kind not in _KINDS or not isinstance(record.meta, dict):
                raise ValueError(f"object {number} is of no known kind")
            if record.kind == "array" and number not in arrays:
                raise ValueError(f"the array {number} is not recorded")
        known = self.records.keys() | self.old.keys()
        named = {number for node in nodes for number in checked_references(node)}
        if not named <= known:
            raise ValueError("it names objects that are not there")
        if not all(type(n) is int for n in known) or not all(type(t) is str for t in texts):
            raise ValueError("it has names or numbers of other types")
        self._check_circles()

    def _check_circles(self) -> None:
        """Raise ValueError where new objects hold each other, or lie too deep in each other."""
        below = {
            n: {k for c in self.records[n].children.values() for k in references(c)} & self.new
            for n in self.new
        }
        for _ in range(MAX_DEPTH):
            if not below:
                return
            leaves = {n for n, inner in below.items() if not inner}
            below = {n: inner - leaves for n, inner in below.items() if n not in leaves}
        raise ValueError("its objects hold each other")

    @property
    def new(self) -> set[int]:
        """The numbers of the objects that a replay makes."""
        return set(self.records) - set(self.old)

    def reach(self, node: Node) -> set[int]:
        """The numbers of the new objects, and the old ones, below a node."""
        found: set[int] = set()
        pending = [node]
        while pending:
            for number in references(pending.pop()):
                if number not in found:
                    found.add(number)
                    if number not in self.old:
                        pending += self.records[number].children.values()
        return found


def checked_references(node: Node) -> Iterator[int]:
    """The nodes that `references` yields; ValueError for one that is none."""
    if isinstance(node, list):
        raise ValueError("a list is no node")
    if isinstance(node, dict) and "tuple" in node:
        for inner in node["tuple"]:
            yield from checked_references(inner)
    elif isinstance(node, dict) and "ref" in node:
        yield node["ref"]
    else:
        from_node(node)


def difference(before: ObjectGraph, after: ObjectGraph) -> Delta:
    """The changes that make a state that is as ``before`` into one that is as ``after``."""
    changed = {
        name: node
        for name, node in after.roots.items()
        if name not in before.roots or text(node) != text(before.roots[name])
    }
    records = {
        number: record
        for number, record in sorted(after.records.items())
        if number not in before.records or text(record) != text(before.records[number])
    }
    kept = [name for name in before.roots if name in after.roots]
    natural = kept + [name for name in after.roots if name not in before.roots]
    children = [node for record in records.values() for node in record.children.values()]
    named = {number for node in [*changed.values(), *children] for number in references(node)}
    return Delta(
        changed,
        [name for name in before.roots if name not in after.roots],
        None if natural == list(after.roots) else list(after.roots),
        records,
        {n: before.paths[n] for n in sorted(named | set(records)) if n in before.paths},
    )


def references(node: Node) -> Iterator[int]:
    """The numbers of the objects that a node names."""
    if (number := reference(node)) is not None:
        yield number
    for inner in nodes_in(node):
        yield from references(inner)


def unshared(delta: Delta) -> set[str]:
    """The names whose new values share no object with anything else: each can be made alone."""
    places: Iterable[tuple[str | None, Node]] = [
        *delta.changed.items(),
        *((None, {"ref": number}) for number in delta.records if number in delta.old),
        *(
            (None, child)
            for number in delta.records
            if number in delta.old
            for child in delta.records[number].children.values()
        ),
    ]
    reached = [(name, delta.reach(node)) for name, node in places]
    counts: dict[int, int] = {}
    for _, numbers in reached:
        for number in numbers:
            counts[number] = counts.get(number, 0) + 1
    return {
        name
        for name, numbers in reached
        if name is not None
        and all(counts[number] == 1 and number not in delta.old for number in numbers)
    }
