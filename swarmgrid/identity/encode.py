"""The canonical encoding of a value: the walk over it, and the table that says what is understood.

Every encoding is a frame: a tag, the number of its parts, and each part behind its length, so
that two different values never share one. What the frames of a kind of value hold is said by the
modules that add to the table here: ``scalars``, ``arrays``, ``containers``, ``frames``, ``code``.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any, TypeAlias, TypeVar

from swarmgrid.errors import IdentityError
from swarmgrid.identity.elsewhere import frame_of_walk

# Python's own stack holds about three calls a level; a limit of our own is the same everywhere.
MAX_DEPTH = 150

Leaf: TypeAlias = Callable[[Any], bytes]
Encoder: TypeAlias = "Callable[[Any, Spot], bytes]"
AnyEncoder = TypeVar("AnyEncoder", bound=Callable[..., bytes])

_LEAVES: dict[type, Leaf] = {}
_ENCODERS: dict[type, Encoder] = {}
_FAMILIES: list[tuple[Callable[[Any], bool], Encoder]] = []


def leaf(*types: type) -> Callable[[AnyEncoder], AnyEncoder]:
    """Enter ``encoder(value)`` for values of exactly these types, which hold no other values."""

    def enter(encoder: AnyEncoder) -> AnyEncoder:
        _LEAVES.update(dict.fromkeys(types, encoder))
        return encoder

    return enter


def exactly(*types: type) -> Callable[[AnyEncoder], AnyEncoder]:
    """Enter ``encoder(value, spot)`` for values of exactly these types."""

    def enter(encoder: AnyEncoder) -> AnyEncoder:
        _ENCODERS.update(dict.fromkeys(types, encoder))
        return encoder

    return enter


def family(is_member: Callable[[Any], bool]) -> Callable[[AnyEncoder], AnyEncoder]:
    """Enter ``encoder(value, spot)`` for a family of types; families must not overlap."""

    def enter(encoder: AnyEncoder) -> AnyEncoder:
        _FAMILIES.append((is_member, encoder))
        return encoder

    return enter


def frame(tag: str, *parts: bytes) -> bytes:
    """Return bytes that hold a tag and parts, and from which only these can be read back."""
    head = tag.encode("ascii")
    pieces = [len(head).to_bytes(1, "little"), head, len(parts).to_bytes(8, "little")]
    for part in parts:
        pieces += (len(part).to_bytes(8, "little"), part)
    return b"".join(pieces)


def type_name(cls: type) -> str:
    """Return ``module.qualname`` of a class, the same whether its module is imported or run."""
    return f"{module_name(cls.__module__)}.{cls.__qualname__}"


def module_name(name: str) -> str:
    """Return a module's name; of the running script, the name it is imported by."""
    if name not in {"__main__", "__mp_main__"}:
        return name
    if (walk := frame_of_walk()) is not None:
        return walk.main
    main = sys.modules["__main__"]
    spec, file = getattr(main, "__spec__", None), getattr(main, "__file__", None)
    if spec is not None:
        return str(spec.name)
    return PurePath(file).stem if file else "__main__"


@dataclass(slots=True)
class Graph:
    """The functions, classes and instances met on one walk, numbered in the order they were met.

    They refer to one another by number, so they may do so in circles, however long.
    """

    home: str | None = None
    """Top-level module whose code counts as the user's own, wherever it is installed."""
    is_draft: bool = False
    """Whether the walk only serves to find an order: references then go by name."""
    numbers: dict[tuple[int, bool], int] = field(default_factory=dict)
    nodes: list[tuple[Any, Encoder, Spot]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Spot:
    """Where the walk stands."""

    place: str
    """The value's place, as an expression."""
    graph: Graph
    inside: tuple[int, ...] = ()
    """The ids of the values around this one, outermost first."""
    is_lenient: bool = False
    """Whether a value that is not understood goes by its class's name instead of failing."""

    def child(self, value: Any, step: str = "") -> bytes:
        """Encode a value found one step further."""
        if to_bytes := _LEAVES.get(type(value)):
            return to_bytes(value)
        spot = replace(self, place=self.place + step, inside=(*self.inside, id(value)))
        if id(value) in self.inside:
            return spot.refuse(value, "it contains itself")
        if len(self.inside) >= MAX_DEPTH:
            return spot.refuse(value, f"it is nested more than {MAX_DEPTH} deep")
        return _encoder(value)(value, spot)

    def children(self, values: Iterable[Any]) -> list[bytes]:
        """Encode the items of a sequence."""
        return [
            to_bytes(value)
            if (to_bytes := _LEAVES.get(type(value)))
            else self.child(value, f"[{index}]")
            for index, value in enumerate(values)
        ]

    def unordered(self, values: Iterable[Any], step: str = "") -> list[tuple[bytes, Any]]:
        """Return ``(encoding, value)`` in an order that depends on the values alone."""
        draft = replace(self, graph=Graph(self.graph.home, is_draft=True))
        pairs = sorted(
            ((draft.child(value, step), value) for value in values), key=lambda pair: pair[0]
        )
        if self.graph.is_draft:
            self.graph.nodes.extend(draft.graph.nodes)
        elif draft.graph.nodes:
            pairs = [(self.child(value, step), value) for _, value in pairs]
        return pairs

    def at(self, step: str) -> Spot:
        """Return a spot one step further."""
        return replace(self, place=self.place + step)

    def moved(self, place: str, *, is_lenient: bool) -> Spot:
        """Return a spot at another place, with nothing around it."""
        return Spot(place, self.graph, is_lenient=is_lenient)

    def refer(self, value: Any, name: str, describe: Encoder) -> bytes:
        """Encode a reference to a value that ``describe`` encodes after the walk."""
        graph = self.graph
        if graph.is_draft:
            graph.nodes.append((value, describe, self))
            return frame("name", name.encode())
        number = graph.numbers.setdefault((id(value), self.is_lenient), len(graph.numbers))
        if number == len(graph.nodes):
            graph.nodes.append((value, describe, replace(self, inside=())))
        return frame("reference", number.to_bytes(8, "little"))

    def refuse(self, value: Any, reason: str) -> bytes:
        """Encode a value that is not understood, where that is allowed."""
        if self.is_lenient:
            return frame("opaque", type_name(type(value)).encode())
        raise IdentityError(self.place, reason)


def encode(value: Any, place: str = "value", *, home: str | None = None) -> bytes:
    """Encode a value canonically.

    Parameters
    ----------
    value : object
        Numbers, text, times, arrays, containers, functions: see ``tests/identity``.
    place : str
        The value's name in an error.
    home : str, optional
        Top-level module whose functions count as the user's own although they are installed.

    Raises
    ------
    IdentityError
        The value, or one inside it, has no encoding that is the same in every process.
    """
    return frame("value", *(part for _, part in encoded_parts(value, place, home=home)))


def encoded_parts(
    value: Any, place: str = "value", *, home: str | None = None
) -> Iterator[tuple[str, bytes]]:
    """Yield the encoding's parts with their places: the value, and what it refers to."""
    graph = Graph(home)
    yield place, Spot(place, graph).child(value)
    # Describing a node may add further ones, which this loop then reaches.
    for node, describe, spot in graph.nodes:
        yield spot.place, describe(node, spot)


def digest(value: Any, place: str = "value", *, home: str | None = None) -> str:
    """Return 32 hex digits that are the same in every process for the same value; see `encode`."""
    return hashlib.blake2b(encode(value, place, home=home), digest_size=16).hexdigest()


def _encoder(value: Any) -> Encoder:
    """Return what encodes a value that is no leaf; for ``object`` if nothing else."""
    if hasattr(type(value), "__swarmgrid_token__") and not isinstance(value, type):
        return _token
    if exact := _ENCODERS.get(type(value)):
        return exact
    members = (encoder for is_member, encoder in _FAMILIES if is_member(value))
    return next(members, _ENCODERS[object])


def _token(value: Any, spot: Spot) -> bytes:
    token = spot.child(value.__swarmgrid_token__(), ".__swarmgrid_token__()")
    return frame("token", type_name(type(value)).encode(), token)
