"""The knowledge of this process about stores: facts found out by trying, and what bytes mean."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable

    from swarmgrid.store.location import Location

T = TypeVar("T")

MAX_KEPT = 32
"""The most entries; a process that reads more grids in turn examines their bytes each time."""
MAX_NBYTES = 2**16
"""The most bytes of an entry. What takes more is examined each time, so that nothing large stays
in memory."""


class Known(Generic[T]):
    """Facts about each store: forgotten with the store object, because its id is used again."""

    def __init__(self) -> None:
        self._urls: dict[tuple[str, str], T] = {}
        self._objects: dict[int, tuple[weakref.ref[object], T]] = {}

    def get(self, location: Location) -> T | None:
        """The fact about a store; None if there is none."""
        if location.store is None:
            return self._urls.get(_address(location))
        made_of, fact = self._objects.get(id(location.store), (None, None))
        return fact if made_of is not None and made_of() is location.store else None

    def put(self, location: Location, fact: T) -> None:
        """Remember a fact, unless a store object cannot be referred to weakly."""
        if location.store is None:
            self._urls[_address(location)] = fact
            return
        number = id(location.store)
        try:
            made_of = weakref.ref(location.store, lambda _: self._objects.pop(number, None))
        except TypeError:
            return
        self._objects[number] = made_of, fact

    def clear(self) -> None:
        """Forget everything."""
        self._urls.clear()
        self._objects.clear()


def _address(location: Location) -> tuple[str, str]:
    """A URL with its options: one bucket name stands for several where endpoints differ."""
    return location.url, repr(sorted(location.options.items(), key=lambda item: str(item[0])))


class Understood(Generic[T]):
    """The last results of a function of stored bytes that has no other input and no effect.

    So bytes that are the same as before need not be examined again. They are read again all the
    same, and compared: what changes in a store is seen. All callers share a result, so it must be
    such that none of them can change it.
    """

    def __init__(self) -> None:
        self._kept: dict[Hashable, T] = {}

    def get(self, data: bytes, of: Hashable) -> T | None:
        """The result for some bytes ``of`` something; None if it is not kept."""
        return self._kept.get((of, data)) if len(data) <= MAX_NBYTES else None

    def put(self, data: bytes, of: Hashable, result: T, nbytes: int) -> None:
        """Keep a result, which takes so many bytes, in the place of the oldest one."""
        if max(len(data), nbytes) > MAX_NBYTES:
            return
        # replaced, not changed: threads need no lock, which a fork could leave taken for ever; at
        # worst one of two results is not kept
        last = [*self._kept.items()][1 - MAX_KEPT :]
        self._kept = dict([*last, ((of, data), result)])

    def clear(self) -> None:
        """Forget everything."""
        self._kept = {}
