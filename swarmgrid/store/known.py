"""Facts about stores that were found out by trying, once per process."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from swarmgrid.store.location import Location

T = TypeVar("T")


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
