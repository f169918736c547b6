"""A store is found by its URL as long as anything of it is in use."""

from __future__ import annotations

import gc

from swarmgrid.store.location import to_location
from swarmgrid.store.sources import remember, remembered


def test_a_store_is_found_while_the_first_of_two_uses_goes_on() -> None:
    url, options = "s3://sources/path", {"region": "here"}
    first, second = to_location(url, options), to_location(url, dict(options))
    remember(first)
    remember(second)
    del second
    gc.collect()
    assert remembered(url) is first
    other = to_location(url, {"region": "there"})
    remember(other)
    assert remembered(url) is other
    del other, first
    gc.collect()
    assert remembered(url) is None
