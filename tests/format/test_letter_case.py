"""Names that differ by the case of letters alone, in stores that ignore it and in others."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from zarr.storage import MemoryStore

import swarmgrid
from swarmgrid.format.letter_case import differing_by_case

calls: list[float] = []


class Folded(MutableMapping[str, Any]):
    """Objects by key, as on a file system that ignores case and keeps the first spelling."""

    def __init__(self) -> None:
        self._items: dict[str, tuple[str, Any]] = {}

    def __getitem__(self, key: str) -> Any:
        return self._items[key.casefold()][1]

    def __setitem__(self, key: str, value: Any) -> None:
        first, _ = self._items.get(key.casefold(), (key, None))
        self._items[key.casefold()] = (first, value)

    def __delitem__(self, key: str) -> None:
        del self._items[key.casefold()]

    def __iter__(self) -> Iterator[str]:
        return iter([key for key, _ in self._items.values()])

    def __len__(self) -> int:
        return len(self._items)


@pytest.fixture
def folding() -> MemoryStore:
    """A store that ignores case."""
    return MemoryStore(Folded())


def of_outputs(t: float) -> dict[str, float]:
    calls.append(t)
    return {"T": t * 2, "v": t}


def of_axes(n: int, N: int) -> int:  # noqa: N803
    calls.append(n)
    return n * N


def of_coords(t: float) -> xr.Dataset:
    calls.append(t)
    return xr.Dataset({"v": ("k", [t, t])}, coords={"k": [1, 2], "V": 3})


CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "axis and output": (of_outputs, {"t": [1.0, 2.0]}),
    "two axes": (of_axes, {"n": [1, 2], "N": [3]}),
    "output and coordinate": (of_coords, {"t": [1.0, 2.0]}),
}
OPTIONS: dict[str, Any] = {"version": "1", "executor": "sync", "verbose": 0}


@pytest.mark.parametrize("case", CASES)
def test_a_store_that_ignores_case_refuses_them_and_keeps_nothing(
    case: str, folding: MemoryStore
) -> None:
    func, axes = CASES[case]
    calls.clear()
    for _ in range(2):
        with pytest.raises(swarmgrid.InputError, match="case of letters alone.*Rename one"):
            swarmgrid.compute(axes=axes, func=func, store=folding, **OPTIONS)
    if case == "two axes":  # known before the first point
        assert calls == []
    assert [key for key in folding._store_dict if not key.startswith("locks/")] == []


def test_declared_names_are_refused_before_anything_is_computed(folding: MemoryStore) -> None:
    calls.clear()
    outputs = {"T": swarmgrid.Output(), "v": swarmgrid.Output()}
    with pytest.raises(swarmgrid.InputError, match="'t' and 'T'"):
        swarmgrid.compute(
            axes={"t": [1.0]}, func=of_outputs, store=folding, outputs=outputs, **OPTIONS
        )
    assert calls == []


@pytest.mark.parametrize("case", CASES)
def test_another_store_has_them_all(case: str, tmp_path: Path) -> None:
    func, axes = CASES[case]
    ds = swarmgrid.compute(axes=axes, func=func, store=tmp_path, **OPTIONS).load()
    name, values = next(iter(ds.data_vars.items()))
    opened = xr.open_zarr(ds.encoding["source"])
    np.testing.assert_array_equal(opened[name], values)
    assert [path.name for path in (tmp_path / "locks").glob("probe*")] == []


def test_a_grid_that_came_from_another_store_is_not_written_to(folding: MemoryStore) -> None:
    store = MemoryStore()
    swarmgrid.compute(axes={"t": [1.0]}, func=of_outputs, store=store, **OPTIONS)
    for key, data in store._store_dict.items():
        folding._store_dict[key] = data
    with pytest.raises(swarmgrid.SwarmgridError):
        swarmgrid.compute(axes={"t": [1.0, 2.0]}, func=of_outputs, store=folding, **OPTIONS).load()


def simulate(x: int) -> int:
    return x + 1


def Simulate(x: int) -> int:  # noqa: N802
    return x + 2


def test_functions_that_differ_by_case_have_grids_of_their_own(folding: MemoryStore) -> None:
    for func, n in ((simulate, 1), (Simulate, 2)):
        options: dict[str, Any] = {"func": func, "store": folding, **OPTIONS}
        ds = swarmgrid.compute(axes={"x": [1, 2]}, **options)
        assert ds["value"].values.tolist() == [1 + n, 2 + n]
        assert swarmgrid.open(func=func, store=folding, version="1")["value"].values[0] == 1 + n


@given(st.lists(st.text(max_size=3), unique=True, max_size=4))
def test_names_differ_by_case_as_their_folded_forms_are_equal(names: list[str]) -> None:
    pair = differing_by_case(names)
    folded = [unicodedata.normalize("NFD", n).casefold() for n in names]
    folded = [unicodedata.normalize("NFC", n) for n in folded]
    assert (pair is None) == (len(set(folded)) == len(names))
    if pair is not None:
        assert pair[0] != pair[1]
        assert folded[names.index(pair[0])] == folded[names.index(pair[1])]
