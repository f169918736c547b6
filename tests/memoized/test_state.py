"""A State is a mapping of what can be recorded."""

# ruff: noqa: PT012 - a memoized block is what raises, and stands by itself

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import threading
from collections.abc import MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import xarray as xr

import swarmgrid
from swarmgrid import InputError, State
from swarmgrid.memoized import recorded_arrays
from swarmgrid.memoized.object_graph import Pending
from tests.waiting import PATIENCE


def test_it_is_made_and_used_like_a_dict() -> None:
    state = State({"a": 1}, b=[2])
    state["c"] = "three"
    state |= {"d": 4.0}
    assert isinstance(state, MutableMapping)
    assert dict(state) == {"a": 1, "b": [2], "c": "three", "d": 4.0}
    assert (state.pop("a"), "a" in state, len(state)) == (1, False, 3)
    with pytest.raises(KeyError):
        state["a"]
    assert repr(state) == "State({'b': [2], 'c': 'three', 'd': 4.0})"


def test_it_holds_what_is_put_into_it_and_not_a_copy() -> None:
    array = np.zeros(3)
    state = State(array=array)
    state["array"] += 1
    assert array.tolist() == [1, 1, 1]


def test_states_of_equal_values_are_equal() -> None:
    def make(k: float) -> State:
        return State(a=np.array([1.0, np.nan]), b=[k, {"x": xr.DataArray([k])}])

    assert make(1.0) == make(1.0)
    assert make(1.0) != make(2.0)
    assert State(a=1) != {"a": 1}
    both = [1]
    assert State(a=both, b=both) != State(a=[1], b=[1])  # not the same after an append


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ({1, 2}, "set"),
        (object(), "object"),
        (np.ma.array([1]), "MaskedArray"),
        (np.array([object()]), "dtype object"),
        (np.zeros(2, "i4,f8"), "dtype"),
        ({1: "a"}, "strings as keys"),
        (xr.Dataset(), "Dataset"),
        (xr.DataArray([1], {1: ("x", [2])}, ("x",)), "expected a string"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_values_that_cannot_be_recorded_are_refused_at_once(value: Any, what: str) -> None:
    state = State()
    with pytest.raises(InputError, match=what):
        state["a"] = value
        State(state).__swarmgrid_token__()  # what an array holds is seen when it is recorded
    with pytest.raises(InputError, match="string names"):
        state[1] = 2  # type: ignore[index]


def test_it_can_be_pickled_and_copied() -> None:
    state = State(a=np.arange(3), b=[1])
    assert pickle.loads(pickle.dumps(state)) == state
    other = copy.deepcopy(state)
    other["a"][0] = 7
    assert state["a"][0] == 0


def test_it_needs_no_xarray() -> None:
    code = """
import sys, numpy as np, swarmgrid
state = swarmgrid.State(a=np.arange(3))
for _ in range(2):
    with swarmgrid.memoize(swarmgrid.State(a=1), sys.argv[1], hash_by="state") as mem:
        mem.begin()
print(mem.is_hit, {"xarray", "dask", "zarr", "pandas"} & set(sys.modules))
"""
    import tempfile

    with tempfile.TemporaryDirectory() as store:
        done = subprocess.run(
            [sys.executable, "-c", code, store], capture_output=True, text=True, check=True
        )
    assert done.stdout.strip() == "True set()"


SCALARS = [
    *(None, True, 0, -1, 2**63, 2**300, -(10**5000), 0.1, -0.0, float("inf"), float("nan")),
    *(1j, complex(-0.0, float("nan")), "", "é\ud800", b"", b"\x00\xff"),
    *(np.float16(1.5), np.int8(-3), np.bool_(True), np.complex64(1j), np.longdouble(1) / 3),
    *(
        np.str_(""),
        np.str_("é"),
        np.bytes_(b""),
        np.bytes_(b"a"),
        np.datetime64("NaT", "s"),
        np.timedelta64(3, "M"),
    ),
]


@pytest.mark.parametrize("value", SCALARS, ids=lambda value: f"{type(value).__name__}")
def test_a_scalar_comes_back_as_it_was(value: Any, store: str) -> None:
    for is_hit in (False, True):
        state = State()
        with swarmgrid.memoize(state, store, salt=1, hash_by="salt") as mem:
            mem.begin()
            state["a"] = [value]
        assert mem.is_hit is is_hit
        found = state["a"][0]
        assert type(found) is type(value)
        assert (found == value) or (found != found and value != value)
        assert str(np.asarray(found).dtype) == str(np.asarray(value).dtype)


ARRAYS = [
    np.arange(6, dtype="i2").reshape(2, 3),
    np.arange(6, dtype=">f8").reshape(2, 3)[::-1, ::2],
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.zeros((0, 3)),
    np.zeros((2, 0), "U3"),
    np.array(5.0),
    np.array([np.nan, -0.0, np.inf], "f2"),
    np.array([True, False]),
    np.array([1 + 2j], "c8"),
    np.array(["a", "", "ééé"]),
    np.array(["a", "b"], object),
    np.array([["", "é"], ["a" * 9, ""]], object),
    np.zeros((0, 2), object),
    np.array(["a", "b"], np.dtypes.StringDType()),
    np.array([b"ab", b"c"]),
    np.array([b"ab"], "V2"),
    np.array(["2020-01-01", "NaT"], "M8[D]"),
    np.array(["2020-01-01", "NaT"], "M8[ns]"),
    np.array(["2020-01-01"], ">M8[s]"),
    np.array([5, 7], "m8[10ms]"),
    np.array([1, 2], "m8[us]"),
    np.array([2**63], "u8"),
    np.array([1.5], np.longdouble),
    np.array([1.5], np.clongdouble),
]


@pytest.mark.parametrize("value", ARRAYS, ids=lambda value: f"{value.dtype}-{value.shape}")
@pytest.mark.parametrize("chunk_bytes", [2**25, 8])
def test_an_array_comes_back_as_it_was(
    value: Any, chunk_bytes: int, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorded_arrays, "MAX_CHUNK_BYTES", chunk_bytes)
    for is_hit in (False, True):
        state = State()
        with swarmgrid.memoize(state, store, salt=1, hash_by="salt") as mem:
            mem.begin()
            state["array"] = value
            if "10" not in str(value.dtype):  # xarray takes no multiples of units
                state["labelled"] = xr.DataArray(value.copy(), dims=[*"xy"][: value.ndim])
        assert mem.is_hit is is_hit
        assert state["array"].dtype == value.dtype
        assert state["array"].flags.writeable
        np.testing.assert_array_equal(state["array"], value, strict=True)
        if "labelled" in state:
            np.testing.assert_array_equal(state["labelled"].values, xr.DataArray(value).values)


def test_threads_that_read_a_value_still_in_the_store_get_the_same_object() -> None:
    both = threading.Barrier(2, timeout=PATIENCE)

    def build() -> list[int]:
        both.wait()  # each thread reads the store, and neither keeps the other from it
        return [1]

    state = State(x=0)
    state._values["x"] = Pending(["ref", 0], {}, build)
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: state["x"], range(2))
    assert one == [1]
    assert one is other is state["x"]
