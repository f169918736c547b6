"""The canonical encoding of a value: the walk over it, and the table that says what is understood.

Every encoding is a frame: a tag, the number of its parts, and each part behind its length, so
that two different values never share one. What the frames of a kind of value hold is said by the
modules that add to the table here. What no entry of the table is for is taken apart as pickle
would do it; see ``reduce``.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from types import CodeType, FunctionType, ModuleType
from typing import Any, TypeAlias, TypeVar

from swarmgrid.errors import IdentityError
from swarmgrid.identity.graph import Entry, Node, Reference, combined, digests, reachable

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
    """Enter ``encoder(value, spot)`` for a family of types; of two the first counts."""

    def enter(encoder: AnyEncoder) -> AnyEncoder:
        _FAMILIES.append((is_member, encoder))
        return encoder

    return enter


def frame(tag: str, *parts: bytes) -> bytes:
    """Return bytes that hold a tag and parts, and from which only these can be read back."""
    framed = [_head(tag, len(parts))]
    for part in parts:
        framed += (len(part).to_bytes(8, "little"), part)
    return b"".join(framed)


@functools.lru_cache(maxsize=1024)
def _head(tag: str, n_parts: int) -> bytes:
    head = tag.encode("ascii")
    return len(head).to_bytes(1, "little") + head + n_parts.to_bytes(8, "little")


@dataclass(frozen=True, slots=True)
class Called:
    """Code that is only called where the walk meets it: nothing reads its annotations.

    A function, a property of such ones, or a class whose objects do not leave the code.
    """

    func: Any


@dataclass(frozen=True, slots=True)
class Narrowed:
    """A namespace of which code does nothing but read some attributes, ``args.lr``."""

    of: Any
    attributes: tuple[str, ...]


_REFERENCE = frame("reference")
_IGNORED = frame("ignored")


@dataclass(slots=True)
class Walk:
    """One walk over a value: what it has met, and what it leaves out."""

    home: str | None = None
    """Top-level module whose code counts as the user's own, wherever it is installed."""
    ignore: Collection[str] = ()
    """Names that do not count: ``args``, or ``module:args``."""
    is_value: bool = False
    """Whether it starts at a value, in which what is inert is refused unless code reaches it."""
    is_comparison: bool = False
    """Whether digests are only compared between processes, where what has none may stand."""
    ignored: set[str] = field(default_factory=set)
    """Those of them that were met."""
    entries: list[Entry] = field(default_factory=list)
    """The named values that count."""
    codes: list[tuple[str, CodeType]] = field(default_factory=list)
    """The code objects of the user's functions, and their places."""
    marks: dict[int, tuple[Any, str]] = field(default_factory=dict)
    numbers: dict[int, int] = field(default_factory=dict)
    closed: dict[int, Called] = field(default_factory=dict)
    """By their ids, the classes whose objects do not leave the code that makes them."""
    nodes: list[Node] = field(default_factory=list)
    looks_up: bool = False
    """Whether code that was met may get at values of other code by a text or through a frame."""
    is_strict: bool = False
    """Whether what is looked up so must not be missed: all that could be read counts."""
    waiting: list[tuple[int, Encoder, str]] = field(default_factory=list)

    def leaves_out(self, name: str) -> bool:
        """Tell whether the user leaves out what has a name."""
        return bool(self.ignore) and bool(is_ignored(name, "", self.ignore))

    def over(self, value: Any, place: str) -> bytes:
        """Encode a value, and the digests of everything that it refers to."""
        encoding = self._over(value, place)
        if not self.looks_up:
            return encoding
        self.is_strict, self.looks_up = True, False  # what was left out before is met now
        for found in (self.ignored, self.marks, self.numbers, self.closed):
            found.clear()
        for met in (self.entries, self.codes, self.nodes, self.waiting):
            met.clear()
        return self._over(value, place)

    def _over(self, value: Any, place: str) -> bytes:
        references: list[Reference] = []
        encoding = Spot(place, self, references).child(value)
        # Describing a node may add further ones, which this loop then reaches.
        for number, describe, there in self.waiting:
            node = self.nodes[number]
            node.encoding = describe(node.value, Spot(there, self, node.references))
        if not references:
            return frame("value", encoding)
        if self.is_value:
            self._refuse_inert(references)
        done = digests(self.nodes)
        return frame("value", encoding, combined(encoding, references, done.__getitem__))

    def _refuse_inert(self, references: list[Reference]) -> None:
        places = {number: place for number, _, place in self.waiting}
        for number in reachable(self.nodes, references, lambda node: not _is_code(node.value)):
            if self.nodes[number].is_inert:
                kind = type(self.nodes[number].value).__qualname__
                Spot(places[number], self, []).refuse(
                    f"a {kind} has no content by which two could be told apart"
                )

    def digest_of_entries(self) -> list[tuple[str, str, str]]:
        """Return ``(place, kind, digest)`` of every named value that counts."""
        done = digests(self.nodes)
        return [
            (one.place, one.kind, combined(one.encoding, one.references, done.__getitem__).hex())
            for one in self.entries
        ]


class Spot:
    """The place that the walk has reached."""

    __slots__ = ("inside", "place", "references", "walk")

    def __init__(
        self, place: str, walk: Walk, references: list[Reference], inside: tuple[int, ...] = ()
    ) -> None:
        self.place = place
        """The value's place, as an expression."""
        self.walk = walk
        self.references = references
        """The objects that the encoding refers to so far, in order."""
        self.inside = inside
        """The ids of the values around this one, outermost first."""

    def child(self, value: Any, step: str = "") -> bytes:
        """Encode a value found one step further."""
        if to_bytes := _LEAVES.get(type(value)):
            return to_bytes(value)
        inside = (*self.inside, id(value))
        spot = Spot(self.place + step, self.walk, self.references, inside)
        if id(value) in self.inside:
            return spot.refuse("it contains itself")
        if len(self.inside) >= MAX_DEPTH:
            return spot.refuse(f"it is nested more than {MAX_DEPTH} deep")
        return _encoder(value)(value, spot)

    def children(self, values: Iterable[Any]) -> list[bytes]:
        """Encode the items of a sequence."""
        return [
            to_bytes(value)
            if (to_bytes := _LEAVES.get(type(value)))
            else self.child(value, f"[{index}]")
            for index, value in enumerate(values)
        ]

    def encode_set(self, values: Iterable[Any]) -> list[bytes]:
        """Encode the elements of a set, in an order that depends on them alone."""
        plain, numbers = [], []
        for value in values:
            references: list[Reference] = []
            encoding = Spot(self.place, self.walk, references, self.inside).child(value)
            if references:
                numbers.append(len(self.walk.nodes))
                self.walk.nodes.append(Node(value, encoding, references))
            else:
                plain.append(encoding)
        if numbers:
            self.references.append(numbers)
        return [*sorted(plain), *[_REFERENCE] * len(numbers)]

    def named(
        self, values: Mapping[str, Any], place: Callable[[str], str], module: str = ""
    ) -> bytes:
        """Encode named values, in the order of the names; ``place`` gives the place of a name.

        Those that the user leaves out by ``ignore`` are encoded as such.
        """
        parts: list[bytes] = []
        for name in sorted(values):
            parts += (name.encode(), self.entry(values[name], place(name), name, module))
        return frame("names", *parts)

    def attributes(self, values: Mapping[str, Any], place: Callable[[str], str]) -> bytes:
        """Encode the attributes of an object, in their order; they are not listed.

        Those that the user leaves out by ``ignore`` might as well not be there.
        """
        parts: list[bytes] = []
        for name, value in values.items():
            there = Spot(place(name), self.walk, self.references)
            if not (self.walk.ignore and self._ignore(name, "")):
                parts += (name.encode(), there.child(value))
        return frame("names", *parts)

    def mark(self, value: Any) -> bytes:
        """Encode an ``object()`` by the place where the walk met it first."""
        return frame(
            "mark", self.walk.marks.setdefault(id(value), (value, self.place))[1].encode()
        )

    def entry(self, value: Any, place: str, name: str = "", module: str = "") -> bytes:
        """Encode a value that is listed among those that count."""
        walk, start = self.walk, len(self.references)
        shown = value.func if isinstance(value, Called) else value
        kind = type(shown.of if isinstance(shown, Narrowed) else shown).__qualname__
        if walk.ignore and self._ignore(name, module):
            encoding, kind = _IGNORED, "ignored"
        else:
            encoding = Spot(place, walk, self.references).child(value)
        walk.entries.append(Entry(place, kind, encoding, tuple(self.references[start:])))
        return encoding

    def _ignore(self, name: str, module: str) -> bool:
        """Note that a name was left out; whether it was."""
        found = is_ignored(name, module, self.walk.ignore)
        self.walk.ignored |= found
        return bool(found)

    def refer(self, value: Any, describe: Encoder) -> bytes:
        """Encode a reference to a value that ``describe`` encodes after the walk."""
        walk = self.walk
        number = walk.numbers.get(id(value))
        if number is None:
            number = walk.numbers[id(value)] = len(walk.nodes)
            walk.nodes.append(Node(value))
            walk.waiting.append((number, describe, self.place))
        self.references.append(number)
        return _REFERENCE

    def inert(self, value: Any, describe: Encoder) -> bytes:
        """Encode what counts by its kind alone; see `swarmgrid.identity.objects`."""
        encoding = self.refer(value, describe)
        self.walk.nodes[self.walk.numbers[id(value)]].is_inert = True
        return encoding

    def refuse(self, reason: str) -> bytes:
        """Raise the error that a value is not understood."""
        if self.walk.is_comparison:
            return frame("opaque")
        raise IdentityError(self.place, reason)


def is_ignored(name: str, module: str, ignore: Collection[str]) -> set[str]:
    """Return what the user leaves out, of the spellings of a name: none of it if it counts."""
    name = name.removeprefix("import ")
    parent, _, last = name.rpartition(".")
    # A name below another module is also that module's.
    spellings = {name, last, f"{module}:{name}"} | ({f"{parent}:{last}"} if parent else set())
    return spellings.intersection(ignore)


def _is_code(value: Any) -> bool:
    """Whether a value is code: what is reached through it is a function's reach."""
    return isinstance(value, FunctionType | type | ModuleType | Called)


def encode(
    value: Any, place: str = "value", *, home: str | None = None, is_reach: bool = False
) -> bytes:
    """Encode a value canonically.

    Parameters
    ----------
    value : object
        Numbers, text, times, arrays, containers, functions, objects: see ``tests/identity``.
    place : str
        The value's name in an error.
    home : str, optional
        Top-level module whose functions count as the user's own although they are installed.
    is_reach : bool, optional
        Whether the value is one that a function reaches, such as a default: there locks, loggers
        and streams are inert. Anywhere else they are refused.

    Raises
    ------
    IdentityError
        The value, or one inside it, has no encoding that is the same in every process.
    """
    return Walk(home, is_value=not is_reach).over(value, place)


def digest(
    value: Any, place: str = "value", *, home: str | None = None, is_reach: bool = False
) -> str:
    """Return 32 hex digits that are the same in every process for the same value; see `encode`."""
    return to_digest(encode(value, place, home=home, is_reach=is_reach))


def to_digest(encoding: bytes) -> str:
    """Return the 32 hex digits of an encoding."""
    return hashlib.blake2b(encoding, digest_size=16).hexdigest()


def _encoder(value: Any) -> Encoder:
    """Return what encodes a value that is no leaf; for ``object`` if nothing else."""
    if hasattr(type(value), "__swarmgrid_token__") and not isinstance(value, type):
        return _token
    if exact := _ENCODERS.get(type(value)):
        return exact
    members = (encoder for is_member, encoder in _FAMILIES if is_member(value))
    return next(members, _ENCODERS[object])


def _token(value: Any, spot: Spot) -> bytes:
    """By what it says of its state; the code of a class of the user's counts all the same."""
    token = spot.child(value.__swarmgrid_token__(), ".__swarmgrid_token__()")
    return frame("token", spot.child(type(value)), token)
