"""No mistake of a user's ends in an error from inside: every one is named before anything runs."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import decimal
import fractions
import itertools
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import swarmgrid
from swarmgrid.option_checks import CHECKS
from swarmgrid.option_words import PEERS_WORDS
from swarmgrid.options import Options
from tests.long import examples


def double(x: float) -> float:
    return 2 * x


class Hostile:
    """An object whose every method raises."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    __eq__ = __bool__ = __len__ = __iter__ = __hash__ = __repr__  # type: ignore[assignment]


class ByName:
    """An object that has what is looked for in it, and no more."""

    scatter = map = data_vars = set_if_not_exists = dims = dtype = None

    def __fspath__(self) -> int:
        return 3


@contextlib.contextmanager
def folder_to_work_in() -> Iterator[Path]:
    """An empty current directory, so that no text is the path of something precious."""
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        yield Path(name)


OBJECTS: list[Any] = [
    decimal.Decimal(1),
    fractions.Fraction(1, 2),
    dt.timedelta(seconds=1),
    np.int64(3),
    np.float32(0.5),
    np.True_,
    np.datetime64("NaT", "s"),
    Path("folder"),
    ...,
    NotImplemented,
    pd.NA,
    int,
    len,
    Hostile,
    Hostile(),
    ByName(),
    lambda x: x,
]
harmless_text = st.text(st.sampled_from("ab1:\0é%{}\n s"), max_size=8)  # no path leads away
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**9, 10**9 + 1, 2**63, -(2**63), 10**400]),
    st.floats(),
    st.complex_numbers(),
    harmless_text,
    st.sampled_from(["auto", "10/s", "0/s", "1/fortnight", "2GB", "-1GB", "task", "threads", "x"]),
    st.binary(max_size=4),
    st.integers(0, len(OBJECTS) - 1).map(lambda i: OBJECTS[i]),  # some have no repr
)
keys = st.one_of(st.just("x"), st.sampled_from([None, 3, "y"]), harmless_text)
anything = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(keys, inner, max_size=2),
        st.builds(iter, st.lists(inner, max_size=2)),
        st.builds(np.array, st.lists(st.integers(0, 9), max_size=3)),
    ),
    max_leaves=4,
)
quickly = settings(max_examples=examples(40))
OF_PROCESSES = ("timeout", "memory_limit", "max_tasks_per_child", "isolate", "client", "executor")


def test_every_option_is_checked() -> None:
    assert set(CHECKS) == {field.name for field in fields(Options)}
    defaults = Options()
    for name, check in CHECKS.items():
        assert check(name, getattr(defaults, name)) == getattr(defaults, name)


@pytest.mark.parametrize("name", [name for name in CHECKS if name != "func"])
@quickly
@given(value=anything)
def test_any_value_of_any_option_is_taken_or_named_in_an_input_error(
    name: str, value: Any
) -> None:
    calls = []

    def func(x: float, s: Any = None) -> float:
        calls.append(x)
        return 2 * x

    with folder_to_work_in() as folder:
        options: dict[str, Any] = {"store": folder / "store", "executor": "sync", "verbose": 0}
        if name in OF_PROCESSES:
            del options["executor"]
        is_only_planned = name in (*OF_PROCESSES, "store", "chunks", "shards")
        call = swarmgrid.plan if is_only_planned else swarmgrid.compute
        if name == "view_chunks":  # the dims of outputs that are not declared are not known yet
            options["outputs"] = {"value": swarmgrid.Output()}
        options |= {"func": func, "version": "1", name: value}
        try:
            call({}, {"x": [1.0, 2.0]}, **options)
        except swarmgrid.InputError as error:
            text = str(error)
            assert name in text or name.removesuffix("s") in text, text
            assert len(text) < 1500
            assert calls == []
            assert list(folder.iterdir()) == []


@quickly
@given(value=anything)
def test_any_axes_params_and_where_are_taken_or_refused(value: Any) -> None:
    options: dict[str, Any] = {"func": double, "store": "memory://anything", "executor": "sync"}
    for call in (
        lambda: swarmgrid.plan(value, {"x": [1]}, **options),
        lambda: swarmgrid.plan({"x": value}, {}, **options),
        lambda: swarmgrid.plan({}, value, **options),
        lambda: swarmgrid.plan({}, {"x": value}, **options),
        lambda: swarmgrid.open(value, **options),
        lambda: swarmgrid.open({}, value, **options),
        lambda: swarmgrid.open({}, {"x": value}, **options),
        lambda: swarmgrid.plan(
            {}, {"x": [1]}, where=None if callable(value) else value, **options
        ),
        lambda: swarmgrid.grid(**options).errors(value),
        lambda: swarmgrid.grid(**options).verify(value, value),
    ):
        with contextlib.suppress(swarmgrid.InputError):
            call()


@quickly
@given(value=anything)
def test_any_function_is_taken_or_refused(value: Any) -> None:
    with contextlib.suppress(swarmgrid.InputError):
        swarmgrid.grid(value)
    with contextlib.suppress(swarmgrid.InputError):
        swarmgrid.plan({}, {"x": [1]}, func=value, store="memory://functions")


@quickly
@given(value=anything)
def test_outputs_are_taken_or_refused(value: Any) -> None:
    for field in ("dims", "shape", "dtype", "attrs"):
        with contextlib.suppress(swarmgrid.InputError):
            output = swarmgrid.Output(**{field: value})
            options: Any = {"func": double, "store": "memory://outputs", "executor": "sync"}
            swarmgrid.plan({}, {"x": [1]}, outputs={"value": output}, **options)


@pytest.mark.parametrize(
    "word", [word for words in PEERS_WORDS.values() for word in words.split()]
)
def test_the_words_of_other_packages_lead_to_ours(word: str) -> None:
    (name,) = (name for name, words in PEERS_WORDS.items() if word in words.split())
    with pytest.raises(swarmgrid.InputError, match=f"no option '{word}'; did you mean '{name}'?"):
        swarmgrid.compute({}, {"x": [1]}, func=double, store="memory://words", **{word: 1})
    with pytest.raises(swarmgrid.InputError, match=f"did you mean '{name}'?"):
        swarmgrid.set_options(**{word: 1})
    with pytest.raises(swarmgrid.InputError, match=f"did you mean '{name}'?"):
        swarmgrid.grid(**{word: 1})
    assert not (set(words_of_options()) & {word})


def words_of_options() -> list[str]:
    return [field.name for field in fields(Options)]


@pytest.mark.parametrize(
    ("word", "meant"),
    [("worker", "workers"), ("Store", "store"), ("exec-chunk-size", "exec_chunk_size")],
)
def test_a_misspelt_option_leads_to_ours(word: str, meant: str) -> None:
    with pytest.raises(swarmgrid.InputError, match=f"did you mean '{meant}'"):
        swarmgrid.compute(**{"axes": {"x": [1]}, word: 1})


def test_a_parameter_given_as_an_option_is_named() -> None:
    with pytest.raises(swarmgrid.InputError, match=r"'x'; it is a parameter .* axes=\{'x': "):
        swarmgrid.compute(func=double, x=[1, 2])


def test_set_options_that_fail_change_nothing() -> None:
    with pytest.raises(swarmgrid.InputError, match="rate is 'often'; expected calls per time"):
        swarmgrid.set_options(workers=3, rate="often")
    from swarmgrid.options import current_options

    assert current_options().workers is None


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "retry_failed": ({"retry_failed": "yes"}, "retry_failed is 'yes'; expected True or False"),
    "isolate": ({"isolate": 1}, "isolate is 1; expected True or False"),
    "version": ({"version": ["1"]}, "version is .*; expected a text that is not empty"),
    "empty version": ({"version": ""}, "version is ''; expected a text that is not empty"),
    "bare tolerance": ({"tolerance": 0.1}, r"tolerance is 0.1; expected a mapping .*\{'x': 0.1\}"),
    "tolerance": ({"tolerance": {"x": "a"}}, "tolerance of axis 'x' is 'a'; expected a finite"),
    "view_chunks": ({"view_chunks": "all"}, "view_chunks is 'all'; expected one of 'auto'"),
    "view dims": (
        {"view_chunks": {"z": 1}, "outputs": {"value": swarmgrid.Output()}},
        "view_chunks names 'z', which is no dim; the dims are x",
    ),
    "view sums": (
        {"view_chunks": {"x": (1, 2)}},
        r"lengths \(1, 2\) for dim 'x'; expected lengths that sum up to its own, 1",
    ),
    "view lengths": ({"view_chunks": {"x": 0}}, "view_chunks has 0 for dim 'x'; expected a pos"),
    "on_error": ({"on_error": "records"}, "expected one of .*. Did you mean 'record'?"),
    "lease_seconds": (
        {"lease_seconds": 3601},
        "lease_seconds is 3601; expected seconds above 0, at most 3600: so long a grid is kept",
    ),
    "timeout": ({"timeout": float("inf")}, "timeout is inf; expected seconds above 0, at most"),
    "storage_options": ({"storage_options": 3}, "storage_options is 3; expected a mapping"),
    "rng": ({"rng": 3}, "rng is 3; expected the name of a parameter"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_option_says_what_came_and_what_was_expected(case: str) -> None:
    options, message = WRONG[case]
    with pytest.raises(swarmgrid.InputError, match=message):
        swarmgrid.compute({}, {"x": [1.0]}, func=double, store="memory://wrong", **options)
    if case not in {"view dims", "view sums"}:  # which the axes decide
        with pytest.raises(swarmgrid.InputError, match=message):
            swarmgrid.grid(double, **options)


def test_numpy_numbers_are_options_as_python_numbers_are() -> None:
    options: dict[str, Any] = {
        "workers": np.int64(2),
        "timeout": np.float32(2),
        "retries": np.int8(),
    }
    found = Options().updated({**options, "retry_failed": np.False_})
    assert [type(getattr(found, n)) for n in (*options, "retry_failed")] == [int, float, int, bool]


# ---- axes


def test_forgotten_axes_are_an_error(tmp_path: Path) -> None:
    message = r"axes is not given.*compute\(params, axes=\{'x': ...\}\).*pass axes=\{\}"
    for call in (swarmgrid.compute, swarmgrid.run, swarmgrid.stream, swarmgrid.plan):
        with pytest.raises(swarmgrid.InputError, match=message):
            call({"x": np.arange(4)}, func=double, store=tmp_path)
    for params in (None, {}):
        with pytest.raises(swarmgrid.InputError, match="axes is not given"):
            swarmgrid.grid(lambda x=1: x, store=tmp_path).compute(params)
    assert list(tmp_path.iterdir()) == []
    ds = swarmgrid.compute({"x": np.arange(4)}, {}, func=double, store=tmp_path, executor="sync")
    np.testing.assert_array_equal(ds["value"], [0, 2, 4, 6])


AXES: dict[str, tuple[Any, str]] = {
    "pairs": ([("x", [1, 2])], "axes is .*; expected a mapping from names to values"),
    "the function": (
        double,
        "compute has a function, <function.*, in the place of axes; write compute",
    ),
    "a scalar": ({"x": 3.5}, r"\[3.5\] for one value; a fixed one belongs in params"),
    "a text": ({"x": "abc"}, r"\['abc'\] for this one value"),
    "a set": ({"x": {1, 2}}, r"sorted\(...\) makes a list of a set"),
    "a used iterator": ({"x": iter([])}, "nothing more to give; it can be read once. Pass a list"),
    "no end": ({"x": itertools.count()}, "gives more than .* values"),
    "nested": ({"x": [[1, 2], [3, 4]]}, r"holds \[1, 2\], a list"),
    "a large integer": ({"x": [0.5, 10**400]}, "mixes floats with the integer 1000"),
    "a Dataset": ({"x": xr.Dataset({"a": ("x", [1])})}, "expected an ordered collection"),
    "an error of its own": ({"x": Hostile()}, "axis 'x' cannot be read: RuntimeError"),
}


@pytest.mark.parametrize("case", AXES)
def test_wrong_axes_say_what_to_write(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from swarmgrid.space import collection

    monkeypatch.setattr(collection, "MAX_READ", 1000)
    axes, message = AXES[case]
    with pytest.raises(swarmgrid.InputError, match=message):
        swarmgrid.compute({}, axes, func=double, store="memory://axes")


# ---- functions


async def later(x: float) -> float:
    return await asyncio.sleep(0, x)


def one_by_one(x: float) -> Iterator[float]:
    yield x


@pytest.mark.parametrize(
    ("func", "axes", "message"),
    [
        (later, {"x": [1]}, r"later is an async function.*asyncio.run\(later\(\*\*point\)\)"),
        (one_by_one, {"x": [1]}, "one_by_one is a generator function.*in place of yield"),
        (
            double,
            {"X": [1]},
            "axis 'X' is no parameter of .*expected some of x. Did you mean 'x'?",
        ),
        (lambda rate: 1, {"rat": [1]}, "Did you mean 'rate'?"),
    ],
)
def test_functions_that_cannot_be_called_say_why(
    func: Callable[..., Any], axes: dict[str, Any], message: str
) -> None:
    with pytest.raises(swarmgrid.SignatureError, match=message):
        swarmgrid.compute({}, axes, func=func, store="memory://functions")


# ---- grids of grids


def test_a_grid_decorated_again_has_the_new_options(tmp_path: Path) -> None:
    one = swarmgrid.grid(double, store=tmp_path / "one", version="1", executor="sync")
    two = swarmgrid.grid(one, store=tmp_path / "two")
    two.compute({}, {"x": [1, 2]})
    assert [p.name for p in tmp_path.iterdir()] == ["two"]
    one.compute({}, {"x": [1]})
    assert one.open({})["value"].sizes == {"x": 1}
    assert two.open({})["value"].sizes == {"x": 2}
    assert two.open({}).attrs["swarmgrid_version"] == "1"
    assert two(3) == 6


def test_the_options_of_a_grid_hold_where_it_is_passed_as_func(tmp_path: Path) -> None:
    one = swarmgrid.grid(double, store=tmp_path / "one", version="7", executor="sync")
    ds = swarmgrid.compute({}, {"x": [1]}, func=one)
    assert ds.attrs["swarmgrid_version"] == "7"
    swarmgrid.compute({}, {"x": [1]}, func=one, store=tmp_path / "two")
    assert {p.name for p in tmp_path.iterdir()} == {"one", "two"}


def test_attributes_of_a_function_hide_nothing_of_its_grid() -> None:
    def func(x: float) -> float:
        return x

    func.compute = func._options = func.__swarmgrid_options__ = "mine"  # type: ignore[attr-defined]
    func.unit = "m"  # type: ignore[attr-defined]
    made = swarmgrid.grid(func, store="memory://attributes", executor="sync")
    assert made.unit == "m"  # type: ignore[attr-defined]
    assert made.compute({}, {"x": [1.5]})["value"].item() == 1.5


# ---- stores

STORES: dict[str, tuple[Any, str]] = {
    "one slash": ("s3:/bucket/x", "is no URL; expected s3://bucket/x. For a folder .* ./s3:/"),
    "no slash": ("memory:x", "is no URL; expected memory://x"),
    "no bucket": ("s3:///x", "names no bucket; expected s3://bucket/path"),
    "a typo": ("s33://bucket/x", "has the scheme 's33'; expected .*Did you mean s3://?"),
    "a NUL": ("a\0b", "cannot be a directory: "),
    "too long": ("a" * 5000, "cannot be a directory: .*too long"),
    "a home": ("~nobody-of-this-name/x", "cannot be a directory: "),
    "empty": ("", "expected a path, a URL"),
    "bytes": (b"store", "store is b'store', a bytes; expected a path"),
}


@pytest.mark.parametrize("case", STORES)
def test_a_wrong_store_is_named(case: str) -> None:
    store, message = STORES[case]
    with folder_to_work_in() as folder:
        with pytest.raises(swarmgrid.InputError, match=message):
            swarmgrid.compute({}, {"x": [1]}, func=double, store=store)
        assert list(folder.iterdir()) == []


def test_a_scheme_may_be_in_capitals() -> None:
    from swarmgrid.store.location import to_location

    assert to_location("S3://bucket/Path/").url == "s3://bucket/Path"
    assert to_location("Memory://x").url == "memory://x"


def test_paths_are_relative_to_the_folder_of_the_call_or_to_home(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with folder_to_work_in() as folder:
        monkeypatch.setenv("HOME", str(folder / "home"))
        for store in ("here", Path("path"), "~/there"):
            swarmgrid.compute({}, {"x": [1]}, func=double, store=store, executor="sync")
        assert sorted(p.name for p in folder.iterdir()) == ["here", "home", "path"]
        assert (folder / "home/there/data.zarr").is_dir()


# ---- SwarmMemo, memoize and State

MEMO: dict[str, Any] = {
    "cache_root": "memory://mistakes-memo",
    "memo_chunk_spec": {"a": 1},
    "exec_chunk_size": 2,
    "enumerate_points": lambda params, split_spec: [(a,) for a in split_spec["a"]],
    "exec_fn": lambda params, point: point[0],
    "collate_fn": sum,
    "merge_fn": list,
    "chunk_hash_fn": None,
    "cache_version": "v1",
    "max_workers": None,
    "axis_order": None,
    "verbose": 0,
}


@pytest.mark.parametrize("name", MEMO)
@quickly
@given(value=anything)
def test_any_argument_of_a_memo_is_taken_or_refused(name: str, value: Any) -> None:
    with folder_to_work_in(), contextlib.suppress(swarmgrid.SwarmgridError):
        swarmgrid.SwarmMemo(**{**MEMO, name: value})


@quickly
@given(value=anything)
def test_any_call_of_a_memo_and_of_memoize_is_taken_or_refused(value: Any) -> None:
    memo = swarmgrid.SwarmMemo(**MEMO)
    state = swarmgrid.State(a=1)
    for call in (
        lambda: memo.dataset(value, {"a": [1]}),
        lambda: memo.dataset({}, value),
        lambda: swarmgrid.State(value),
        lambda: swarmgrid.memoize(value, "memory://mistakes"),
        lambda: swarmgrid.memoize(state, value),
        lambda: swarmgrid.memoize(state, "memory://mistakes", hash_by=value),
        lambda: swarmgrid.memoize(state, "memory://mistakes", mode=value),
        lambda: swarmgrid.memoize(state, "memory://mistakes", storage_options=value),
    ):
        with folder_to_work_in(), contextlib.suppress(swarmgrid.SwarmgridError):
            call()


def test_more_dims_than_readers_can_have_are_refused(tmp_path: Path) -> None:
    def f(**point: int) -> np.ndarray[Any, Any]:
        return np.zeros((1,) * point["n"])

    for n_axes, n_own in ((33, 0), (20, 13)):
        axes: dict[str, Any] = {f"a{i}": [1] for i in range(n_axes - 1)}
        with pytest.raises(swarmgrid.InputError, match="33 dims; expected at most 32"):
            swarmgrid.compute(
                axes={**axes, "n": [n_own]}, func=f, store=tmp_path, version="1", executor="sync"
            )
    axes = {f"a{i}": [1] for i in range(19)}
    ds = swarmgrid.compute(
        axes={**axes, "n": [12]}, func=f, store=tmp_path, version="1", executor="sync", verbose=0
    )
    assert ds["value"].values.ndim == 32
