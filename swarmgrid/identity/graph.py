"""The functions, classes and objects that a walk meets, with digests of all they refer to.

Values may refer to one another in circles. Outside of a circle a digest is that of the value's own
encoding and the digests of what it refers to. In a circle, digests are refined round by round
until no round tells more values apart, as the states of an automaton are minimized (Moore 1956).
Which objects are one and which are only equal does not count, and neither does the order in which
the walk meets them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Reference: TypeAlias = int | list[int]
"""The number of a node; a list holds those of a set's elements, whose order does not count."""
MAX_ROUNDS = 64
"""A long chain of equal objects needs a round for every link; beyond, their order counts."""


@dataclass(slots=True)
class Node:
    """A value with an encoding of its own, which holds a mark for every reference."""

    value: Any
    """Held, because its id stands for it during the walk."""
    encoding: bytes = b""
    references: list[Reference] = field(default_factory=list)
    is_inert: bool = False
    """Whether it says nothing of a function that reaches it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A named value that counts, as the walk met it."""

    place: str
    kind: str
    encoding: bytes
    references: tuple[Reference, ...]


def digests(nodes: list[Node]) -> list[bytes]:
    """Return 16 bytes for every node, which say everything that can be reached from it."""
    done: list[bytes] = [b""] * len(nodes)
    for circle in _components([_flat(node.references) for node in nodes]):
        (first, *others) = circle
        if others or first in _flat(nodes[first].references):
            _refine(nodes, circle, done)
        else:
            done[first] = combined(
                nodes[first].encoding, nodes[first].references, done.__getitem__
            )
    return done


def reachable(
    nodes: list[Node], references: list[Reference], is_passed: Callable[[Node], bool]
) -> Iterator[int]:
    """Yield the numbers of the nodes that references lead to, and on from those passed."""
    pending, seen = _flat(references), set[int]()
    while pending:
        number = pending.pop()
        if number not in seen:
            seen.add(number)
            yield number
            if is_passed(nodes[number]):
                pending += _flat(nodes[number].references)


def combined(encoding: bytes, references: Any, digest_of: Callable[[int], bytes]) -> bytes:
    """Return 16 bytes for an encoding and the digests of what it refers to."""
    hashed = hashlib.blake2b(len(encoding).to_bytes(8, "little") + encoding, digest_size=16)
    for reference in references:
        if isinstance(reference, int):
            hashed.update(b"one" + digest_of(reference))
        else:
            hashed.update(b"set" + len(reference).to_bytes(8, "little"))
            hashed.update(b"".join(sorted(map(digest_of, reference))))
    return hashed.digest()


def _refine(nodes: list[Node], circle: list[int], done: list[bytes]) -> None:
    """Set the digests of values that refer to one another in a circle."""
    colours = dict.fromkeys(circle, b"")
    for round_ in range(MAX_ROUNDS + 2):

        def digest_of(number: int, colours: dict[int, bytes] = colours) -> bytes:
            return colours.get(number) or done[number]

        refined = {n: combined(nodes[n].encoding, nodes[n].references, digest_of) for n in circle}
        if len({*refined.values()}) == len({*colours.values()}):
            break
        if round_ == MAX_ROUNDS:
            refined = {n: combined(refined[n], [], digest_of) + str(n).encode() for n in circle}
        colours = refined
    # Equal colours mean equal content by now, so that the pairs describe the whole circle.
    pairs = sorted({colours[n] + refined[n] for n in circle})
    whole = hashlib.blake2b(b"".join(pairs), digest_size=16).digest()
    for n in circle:
        done[n] = combined(colours[n] + whole, [], digest_of)


def _flat(references: list[Reference]) -> list[int]:
    return [n for one in references for n in ([one] if isinstance(one, int) else one)]


def _components(edges: list[list[int]]) -> Iterator[list[int]]:
    """Yield the strongly connected components, after those that they refer to (Tarjan 1972)."""
    order: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    waiting: set[int] = set()
    for root in range(len(edges)):
        # Python's own stack is too short for a linked list.
        path = [] if root in order else [(root, iter(edges[root]))]
        while path:
            node, following = path[-1]
            if node not in order:
                order[node] = low[node] = len(order)
                stack.append(node)
                waiting.add(node)
            for other in following:
                if other not in order:
                    path.append((other, iter(edges[other])))
                    break
                if other in waiting:
                    low[node] = min(low[node], order[other])
            else:
                path.pop()
                if path:
                    low[path[-1][0]] = min(low[path[-1][0]], low[node])
                if low[node] == order[node]:
                    component: list[int] = []
                    while node not in component[-1:]:
                        component.append(stack.pop())
                    waiting.difference_update(component)
                    yield component
