"""A function may change its arguments in place: no other call, and no caller, sees it."""

from __future__ import annotations

import copy
import dataclasses
import enum
import os
import threading
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.storage import MemoryStore

import swarmgrid
from swarmgrid.transport.copies import MAX_COPIED_NBYTES, copies_of, is_constant
from tests.long import examples


@dataclasses.dataclass
class Config:
    size: Any
    name: str = "a"


class Pair(NamedTuple):
    low: Any
    high: Any


def changed(value: Any) -> float:
    """Change all that can be reached from a value; what was reached, as a number."""
    match value:
        case list():
            total = 1.0 + sum(map(changed, value))
            value.append(1.0)
        case dict():
            total = 2.0 + sum(map(changed, list(value.values())))
            value["more"] = 1.0
        case set():
            total = 3.0 + len(value)
            value.add("more")
        case tuple():
            total = 4.0 + sum(map(changed, value))
        case Config():
            total = 5.0 + changed(value.size)
            value.size = 17.0
        case np.ndarray():
            total = float(value.sum())
            if value.size:
                with pytest.raises(ValueError, match="read-only"):
                    value[...] = 1
                with pytest.raises(ValueError, match="WRITEABLE"):
                    value.flags.writeable = True
        case _:
            total = float(value)
    return total


numbers = st.integers(-5, 5) | st.floats(-2, 2)
arrays = st.builds(
    lambda n, step, order: np.arange(4.0 * n).reshape(2, -1, order=order)[:, ::step],
    st.integers(0, 3),
    st.sampled_from([1, 2, -1]),
    st.sampled_from("CF"),
)
values = st.recursive(
    numbers | arrays,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
        st.sets(st.integers(0, 9), max_size=3),
        st.tuples(inner, inner),
        st.builds(Pair, inner, inner),
        st.builds(Config, inner),
    ),
    max_leaves=6,
)


@settings(max_examples=examples(5))
@given(st.lists(values, min_size=1, max_size=3), st.sampled_from(["points", "retries", "blocks"]))
def test_what_a_call_changes_of_its_params_no_other_call_sees(given_: list[Any], how: str) -> None:
    failed: set[int] = set()

    def func(x: Any, p: Any, q: Any = 0, r: Any = 0) -> Any:
        total = changed(p) + changed(q) + changed(r)
        if how == "retries" and x not in failed:
            failed.add(x)
            raise OSError("once")
        return x + total

    params = dict(zip("pqr", given_, strict=False))
    before = copy.deepcopy(params)
    expected = sum(changed(_thawed(value)) for value in copy.deepcopy(given_))
    options: dict[str, Any] = {"vectorized": how == "blocks", "retries": int(how == "retries")}
    options |= {"func": func, "store": MemoryStore(), "version": "1", "executor": "sync"}
    options["ignore"] = ["failed"]
    grown = swarmgrid.compute(params, {"x": [0, 1]}, chunks=2, **options)
    grown = swarmgrid.compute(params, {"x": range(4)}, **options)
    np.testing.assert_allclose(grown["value"], np.arange(4) + expected)
    assert swarmgrid.plan(params, {"x": range(4)}, **options).points_missing == 0
    assert repr(params) == repr(before)


def _thawed(value: Any) -> Any:
    """A value whose arrays are read-only in the way that those of params are."""
    match value:
        case np.ndarray():
            return np.frombuffer(value.tobytes(), value.dtype).reshape(value.shape)
        case list() | tuple():
            items = [_thawed(item) for item in value]
            return Pair(*items) if isinstance(value, Pair) else type(value)(items)
        case dict():
            return {key: _thawed(item) for key, item in value.items()}
        case Config():
            return Config(_thawed(value.size))
    return value


FRAMES: dict[str, Any] = {
    "frame": pd.DataFrame({"u": [1.0, 2.0]}),
    "labelled": xr.DataArray([1.0, 2.0], dims="t"),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_what_a_call_changes_of_labelled_params_no_other_call_sees(kind: str) -> None:
    (made,) = [copies_of({"a": FRAMES[kind]})]
    assert made is not None
    first = made()["a"]
    first.attrs["more"] = 1
    with pytest.raises(ValueError, match="read-only"):
        (first.to_numpy() if kind == "frame" else first.values)[...] = 5
    assert "more" not in made()["a"].attrs
    assert float(made()["a"].sum().sum() if kind == "frame" else made()["a"].sum()) == 3.0
    assert "more" not in FRAMES[kind].attrs


def test_an_array_that_is_written_to_is_an_error_that_says_what_to_do() -> None:
    def func(x: int, a: Any) -> float:
        a += x
        return float(a.sum())

    a = np.zeros(3)
    store = MemoryStore()
    with pytest.raises(swarmgrid.PointError, match="read-only\n.*change a copy of them"):
        swarmgrid.compute({"a": a}, {"x": [1]}, func=func, store=store, executor="sync")
    a += 1  # the caller's stays writeable
    assert a.tolist() == [1, 1, 1]


def test_large_arrays_share_their_memory() -> None:
    a = np.zeros(2**20)
    made = copies_of({"a": a, "b": {"a": a[::-1]}, "c": [a]})
    assert made is not None
    assert np.shares_memory(made()["a"], a)
    assert np.shares_memory(made()["c"][0], a)
    assert np.shares_memory(made()["b"]["a"], made()["b"]["a"])


class Shade(enum.Enum):
    DARK = 1


class Token:
    def __swarmgrid_token__(self) -> str:
        return "token"


@dataclasses.dataclass(frozen=True)
class Rigid:
    size: int = 1


CONSTANTS = [
    1,
    2.5,
    1j,
    True,
    None,
    "a",
    b"a",
    (1, ("a",)),
    frozenset("a"),
    np.float32(1),
    Shade.DARK,
]
CONSTANTS += [Rigid(), Token(), np.sin, abs, Rigid, range(3), np.datetime64(1, "s"), Pair(1, 2)]


def named(value: object) -> str:
    """What a value is shown as, but for its address: workers of pytest-xdist compare the ids."""
    return repr(value).partition(" at 0x")[0]


@pytest.mark.parametrize("value", CONSTANTS, ids=named)
def test_what_no_call_can_change_costs_nothing(value: Any) -> None:
    assert is_constant(value)
    assert copies_of({"a": value, "b": 1}) is None


CHANGEABLE = [[], {}, set(), bytearray(b"a"), ([],), Config(1), Pair([], 1), np.zeros(1)]
CHANGEABLE += [np.zeros(1, "i4,f8")[0], Rigid([])]  # type: ignore[arg-type]


@pytest.mark.parametrize("value", CHANGEABLE, ids=named)
def test_what_a_call_can_change_is_its_own(value: Any) -> None:
    made = copies_of({"a": value})
    assert made is not None
    assert made()["a"] is not made()["a"]
    assert repr(made()["a"]) == repr(value)


def test_what_cannot_be_copied_at_little_cost_is_shared() -> None:
    large = ["a" * 10] * 1 + [str(i) for i in range(MAX_COPIED_NBYTES // 4)]
    assert copies_of({"a": large, "b": threading.Event(), "c": [threading.Lock()]}) is None
    held = {"n": [1], "f": lambda x: x, "token": Token()}
    made = copies_of({"a": held, "b": threading.Lock()})
    assert made is not None
    assert made().keys() == {"a"}
    own = made()["a"]
    assert own["n"] is not held["n"]
    assert [own[n] for n in ("f", "token")] == [held[n] for n in ("f", "token")]


def test_what_a_block_changes_of_its_axes_no_other_sees() -> None:
    tried: list[int] = []

    def func(x: Any, when: Any) -> Any:
        result = x * 10.0 + (when - np.datetime64("2000-01-01", "ns")) / np.timedelta64(1, "ns")
        x += 1000
        when[...] = np.datetime64("1970-01-01")
        tried.append(1)
        if len(tried) % 2:
            raise OSError("once")
        return result

    when = np.datetime64("2000-01-01", "ns") + np.arange(3)
    options: dict[str, Any] = {"func": func, "store": MemoryStore(), "version": "1", "retries": 1}
    options |= {"vectorized": True, "chunks": {"x": 2, "when": 2}, "executor": "sync"}
    x = np.arange(3)
    swarmgrid.compute(axes={"x": x[:2], "when": when[:1]}, **options)
    ds = swarmgrid.compute(axes={"x": x, "when": when}, **options)
    np.testing.assert_array_equal(ds["value"], x[:, None] * 10.0 + np.arange(3))
    np.testing.assert_array_equal(ds["x"], [0, 1, 2])
    assert x.tolist() == [0, 1, 2]


def draw(x: int, rng: np.random.Generator, folder: str = "", how: str = "") -> dict[str, float]:
    value, child = rng.normal(), rng.spawn(1)[0].normal()
    if folder:
        path = Path(folder, str(x))
        if not path.exists():
            path.touch()
            if how == "crash":
                os._exit(3)
            raise OSError("once")
    return {"value": value, "child": child}


@pytest.mark.parametrize("how", ["retry", "crash"])
def test_a_retry_draws_the_same_random_numbers(tmp_path: Path, how: str) -> None:
    def func(x: int, rng: np.random.Generator) -> dict[str, float]:
        return draw(x, rng, str(tmp_path / "tried"), how) if is_flaky else draw(x, rng)

    options: dict[str, Any] = {"func": func, "rng": "rng", "version": "1"}
    options["ignore"] = ["is_flaky"]
    options["axes"] = {"x": range(1 if how == "crash" else 3)}
    options |= {"retries": 1} if how == "retry" else {"executor": "processes", "workers": 1}
    (tmp_path / "tried").mkdir()
    is_flaky = False
    calm = swarmgrid.compute(store=tmp_path / "calm", **{**options, "executor": "sync"}).load()
    is_flaky = True
    flaky = swarmgrid.compute(store=tmp_path / "flaky", **options).load()
    assert len(list((tmp_path / "tried").iterdir())) == len(options["axes"]["x"])
    for name in ("value", "child"):
        np.testing.assert_array_equal(flaky[name], calm[name])


def test_results_that_are_one_array_used_again_are_kept_as_they_were() -> None:
    buffer, text = np.zeros(3), np.array(["", ""], object)

    def func(x: int, a: Any) -> dict[str, Any]:
        buffer[:] = x
        text[:] = str(x)
        return {"buffer": buffer, "part": buffer[1:], "text": text, "param": a, "item": a[:1]}

    a = np.arange(3.0)
    options: dict[str, Any] = {"func": func, "store": MemoryStore(), "version": "1"}
    ds = swarmgrid.compute({"a": a}, {"x": range(5)}, executor="sync", **options)
    assert (
        ds["buffer"].values[:, 0].tolist() == ds["part"].values[:, 1].tolist() == [0, 1, 2, 3, 4]
    )
    assert ds["text"].values[:, 1].tolist() == list("01234")
    assert (ds["param"].values == a).all()
    assert (ds["item"].values == 0).all()


@pytest.mark.parametrize("executor", ["sync", "threads"])
def test_blocks_that_are_one_array_used_again_are_kept_as_they_were(executor: str) -> None:
    buffer = np.zeros((2, 2))
    lock = threading.Lock()

    def func(x: Any) -> Any:
        with lock:
            buffer[: x.size] = x[:, None]
            return buffer[: x.size] if executor == "sync" else buffer[: x.size].copy()

    options: dict[str, Any] = {"func": func, "store": MemoryStore(), "version": "1", "chunks": 2}
    ds = swarmgrid.compute(axes={"x": range(7)}, vectorized=True, executor=executor, **options)
    assert ds["value"].values[:, 1].tolist() == list(range(7))
