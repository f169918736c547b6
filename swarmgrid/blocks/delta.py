"""What a block has changed: the difference of two snapshots, as values that can be stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from swarmgrid.blocks.graph import Snapshot
from swarmgrid.blocks.records import Path, Record, nodes_in, reference, text
from swarmgrid.blocks.scalars import Node


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
    """Where the old objects that matter were when the block began."""

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


def difference(before: Snapshot, after: Snapshot) -> Delta:
    """What has to be done to a state that is as ``before`` to make it as ``after``."""
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
