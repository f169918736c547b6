"""The stores that Datasets come from, by URL: a URL says no options and no object."""

from __future__ import annotations

import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from swarmgrid.store.location import Location

_in_use: weakref.WeakValueDictionary[tuple[str, int], Location] = weakref.WeakValueDictionary()
"""Those of Datasets that are not read to their end, with their tiers; the latest last. Of two of
a store, either may be gone first."""
_urls: dict[str, Location] = {}
"""The latest of each URL, for Datasets that hold all their values: as many as there are stores."""
_objects: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()
"""The store objects of users, which are theirs to keep."""


def remember(location: Location) -> None:
    """Let a store be found by its URL."""
    key = location.url, id(location)
    _in_use.pop(key, None)
    _in_use[key] = location
    if location.store is None:
        _urls[location.url] = replace(location, tiers=None)
    elif location.below is None and type(location.store).__weakrefoffset__:
        _objects[location.url] = location.store


def remembered(url: str) -> Location | None:
    """The store of a URL that something in this process came from, as far as it is still there."""
    for location in reversed(list(_in_use.values())):
        if location.url == url:
            return location
    store = _objects.get(url)
    if store is not None:
        from swarmgrid.store.location import to_location

        return to_location(store)
    return _urls.get(url)
