"""The stores that Datasets in use come from, by URL: a URL says no options and no object."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swarmgrid.store.location import Location

_locations: weakref.WeakValueDictionary[str, Location] = weakref.WeakValueDictionary()


def remember(location: Location) -> None:
    """Let a store be found by its URL as long as something of it is in use."""
    # an equal one stays: of two Datasets of a store, the later one may be gone first
    if _locations.get(location.url) != location:
        _locations[location.url] = location


def remembered(url: str) -> Location | None:
    """The store of a URL, if something of it is in use."""
    return _locations.get(url)
