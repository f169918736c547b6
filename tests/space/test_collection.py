"""Values that are given more than once."""

from __future__ import annotations

from collections import Counter
from typing import NoReturn

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmgrid.format.grid import StoredAxis
from swarmgrid.format.growing import grown_axis
from swarmgrid.space.axis import to_axis
from swarmgrid.space.collection import repeated
from swarmgrid.space.selection import AxisSelection


@given(st.sampled_from([int, float, str]), st.lists(st.integers(-2, 2), max_size=6), st.booleans())
def test_values_that_are_there_more_than_once_are_found(
    kind: type, numbers: list[int], is_sorted: bool
) -> None:
    values = [kind(n) for n in (sorted(numbers) if is_sorted else numbers)]
    found = repeated(np.array([*values, None], object)[:-1] if kind is str else np.array(values))
    assert found.tolist() == sorted(v for v, n in Counter(values).items() if n > 1)


@pytest.mark.parametrize("values", [np.linspace(0, 1, 100), np.arange(100), [*"abcd"]])
def test_values_in_order_are_not_sorted(values: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """To sort a million of them takes as long as all else of a warm call."""

    def refuse(*_: object, **__: object) -> NoReturn:
        pytest.fail("values that are in order were sorted")

    for name in ("sort", "unique", "argsort"):
        monkeypatch.setattr(np, name, refuse)
    axis = to_axis("x", values)
    grown, places = grown_axis(StoredAxis.new(axis, 3), axis)
    assert grown.axis.values is axis.values
    assert AxisSelection(places, 3).bins.tolist() == [*range(-(-len(axis) // 3))]
