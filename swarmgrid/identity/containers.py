"""The encodings of containers and paths."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import PurePath
from types import MappingProxyType
from typing import Any

from swarmgrid.identity.encode import Spot, exactly, family, frame


@exactly(list)
def _list(value: list[Any], spot: Spot) -> bytes:
    return frame("list", *spot.children(value))


@exactly(tuple)
def _tuple(value: tuple[Any, ...], spot: Spot) -> bytes:
    return frame("tuple", *spot.children(value))


@exactly(deque)
def _deque(value: deque[Any], spot: Spot) -> bytes:
    return frame("deque", spot.child(value.maxlen), *spot.children(value))


@exactly(slice)
def _slice(value: slice, spot: Spot) -> bytes:
    return frame("slice", *spot.children((value.start, value.stop, value.step)))


@exactly(set, frozenset)
def _set(value: AbstractSet[Any], spot: Spot) -> bytes:
    return frame("set", *spot.unordered(value))


@exactly(dict)
def _dict(value: Mapping[Any, Any], spot: Spot) -> bytes:
    """In its order, which a loop over it sees."""
    parts: list[bytes] = []
    for key, item in value.items():
        parts += (spot.child(key, " (key)"), spot.child(item, step(key)))
    return frame("mapping", *parts)


@exactly(OrderedDict, Counter, MappingProxyType)
def _mapping(value: Mapping[Any, Any], spot: Spot) -> bytes:
    """Apart from a dict: they compare and look up differently."""
    return frame(type(value).__name__, _dict(value, spot))


@exactly(defaultdict)
def _defaultdict(value: defaultdict[Any, Any], spot: Spot) -> bytes:
    factory = spot.child(value.default_factory, ".default_factory")
    return frame("defaultdict", factory, _dict(value, spot))


def _is_library_path(value: Any) -> bool:
    return isinstance(value, PurePath) and type(value).__module__.partition(".")[0] == "pathlib"


@family(_is_library_path)
def _path(value: PurePath, spot: Spot) -> bytes:
    return frame("path", spot.child(value.as_posix()))


def step(key: Any) -> str:
    """Return the subscript of a key whose text is known to be short and plain."""
    return f"[{key!r}]" if type(key) in {str, int, float, bool, bytes} else "[...]"
