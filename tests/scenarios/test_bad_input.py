"""Bad input gets an error that says what was wrong and what to do, before anything is written."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import math
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import swarmgrid
from swarmgrid.leases import preflight
from tests.long import first


def simulate(alpha: float, s: int, strat: str = "a") -> float:
    return alpha * s + len(strat)


def locked(s: int, lock: Any = None) -> float:
    with lock:
        return float(s)


class Guard:
    """What has an identity, and does not travel."""

    def __enter__(self) -> None: ...

    def __exit__(self, *error: object) -> None: ...

    def __reduce__(self) -> str:
        raise TypeError("a guard stays where it is")

    def __swarmgrid_token__(self) -> str:
        return ""


GOOD: dict[str, Any] = {"params": {"alpha": 0.5}, "axes": {"s": [1, 2, 3]}, "func": simulate}

CASES: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "unknown axis": (
        {"axes": {"s": [1], "beta": [1]}},
        swarmgrid.SignatureError,
        r"axis 'beta' is no parameter of simulate\(alpha, s, strat\); expected some of alpha, s",
    ),
    "unknown param": (
        {"params": {"alpha": 1.0, "gamma": 2}},
        swarmgrid.SignatureError,
        "param 'gamma' is no parameter of simulate",
    ),
    "missing parameter": (
        {"params": {}},
        swarmgrid.SignatureError,
        r"simulate\(alpha, s, strat\) needs 'alpha', which is neither in params nor in axes",
    ),
    "name in both": (
        {"params": {"alpha": 1.0, "s": 2}},
        swarmgrid.SignatureError,
        "'s' is in both params and axes; a parameter is either fixed or swept",
    ),
    "duplicate ints": (
        {"axes": {"s": [1, 2, 1]}},
        swarmgrid.AxisError,
        "axis 's' holds 1 more than once; expected each value once",
    ),
    "duplicate zeros": ({"axes": {"s": [0.0, -0.0]}}, swarmgrid.AxisError, "more than once"),
    "duplicate strings": (
        {"axes": {"s": ["a", "a"]}},
        swarmgrid.AxisError,
        "'a'.* more than once",
    ),
    "mixed kinds": (
        {"axes": {"s": [1, "a"]}},
        swarmgrid.AxisError,
        "axis 's' mixes values of the kinds int, str; expected one",
    ),
    "bools among ints": ({"axes": {"s": [1, True]}}, swarmgrid.AxisError, "kinds bool, int"),
    "NaN": ({"axes": {"s": [1.0, float("nan")]}}, swarmgrid.AxisError, "axis 's' holds NaN"),
    "None": ({"axes": {"s": [None]}}, swarmgrid.AxisError, "holds None, a NoneType; expected int"),
    "a scalar axis": (
        {"axes": {"s": 3}},
        swarmgrid.AxisError,
        "axis 's' is 3; expected an ordered collection of values",
    ),
    "a string axis": ({"axes": {"s": "abc"}}, swarmgrid.AxisError, "expected an ordered"),
    "a set axis": ({"axes": {"s": {1, 2}}}, swarmgrid.AxisError, "expected an ordered"),
    "two dimensions": (
        {"axes": {"s": np.zeros((2, 2))}},
        swarmgrid.AxisError,
        r"axis 's' has 2 dimensions, shape \(2, 2\); expected one",
    ),
    "a large int": ({"axes": {"s": [2**63]}}, swarmgrid.AxisError, "does not fit 64 bits"),
    "axes no mapping": ({"axes": ["s"]}, swarmgrid.InputError, "axes is .*; expected a mapping"),
    "unhashable param": (
        {"params": {"alpha": {"model": [1, (one for one in "ab")]}}},
        swarmgrid.IdentityError,
        r"params\['alpha'\]\['model'\]\[1\] cannot be part of a cache key",
    ),
    "a lock in params": (
        {"params": {"alpha": threading.Lock()}},
        swarmgrid.IdentityError,
        r"params\['alpha'\] cannot",
    ),
    "a logger in depends": (
        {"depends": {"log": [logging.getLogger("a")]}},
        swarmgrid.IdentityError,
        r"depends\['log'\]\[0\] cannot .*a Logger has no content",
    ),
    "a stream in params": (
        {"axes": {"s": [1]}, "params": {"alpha": 1.0, "strat": {"out": sys.stdout}}},
        swarmgrid.IdentityError,
        r"params\['strat'\]\['out'\] cannot",
    ),
    "a lock for a label": (
        {"axes": {"s": {"a": threading.Lock()}}},
        swarmgrid.IdentityError,
        r"axes\['s'\]\['a'\] cannot",
    ),
    "a zero chunk": (
        {"chunks": {"s": 0}},
        swarmgrid.ChunksError,
        "the chunk length of axis 's' is 0; expected at least 1",
    ),
    "a negative chunk": ({"chunks": {"s": {"size": -3}}}, swarmgrid.ChunksError, "is -3"),
    "a fractional chunk": ({"chunks": {"s": 1.5}}, swarmgrid.ChunksError, "expected an integer"),
    "an unknown chunk axis": (
        {"chunks": {"t": 3}},
        swarmgrid.ChunksError,
        "chunks names 't', which is no axis; the axes are s",
    ),
    "a chunk that is too large": (
        {"chunks": {"s": 2**40}, "outputs": {"value": swarmgrid.Output()}},
        swarmgrid.ChunksError,
        "expected at most 2147483647. Ask for chunks=",
    ),
    "a shard that holds no whole chunks": (
        {"chunks": {"s": 3}, "shards": {"s": 50}},
        swarmgrid.ChunksError,
        "the shard length of axis 's' is 50; expected a multiple of its chunk length 3, such as",
    ),
    "an unknown shard axis": ({"shards": {"t": 3}}, swarmgrid.ChunksError, "shards names 't'"),
    "shards by a wish": ({"shards": True}, swarmgrid.ChunksError, "shards is True; expected a"),
    "a shard that is too large": (
        {"shards": {"s": 2**40}, "outputs": {"value": swarmgrid.Output()}},
        swarmgrid.ChunksError,
        "a shard of .* expected at most 2147483647. Ask for shards=",
    ),
    "a wrong executor": (
        {"executor": "fork"},
        swarmgrid.InputError,
        "executor is 'fork'; expected one of 'processes', 'threads', 'sync'",
    ),
    "no workers": ({"workers": 0}, swarmgrid.InputError, "workers is 0; expected a positive"),
    "a wrong option": (
        {"chunk": {"s": 3}},
        swarmgrid.InputError,
        "there is no option 'chunk'; did you mean 'chunks'",
    ),
    "no function": (
        {"func": None},
        swarmgrid.InputError,
        "there is no function; pass it first or as func=",
    ),
    "a function that is none": ({"func": 3}, swarmgrid.InputError, "func is 3; expected a func"),
    "a wrong client": ({"client": 3}, swarmgrid.InputError, "expected a dask.distributed.Client"),
    "a wrong where": ({"where": [True]}, swarmgrid.InputError, "where is .*; expected a function"),
    "a where over no axis": (
        {"where": xr.DataArray([True], dims="q")},
        swarmgrid.InputError,
        "where has the dim 'q', which is no axis",
    ),
    "a where of numbers": (
        {"where": xr.DataArray([1, 2, 3], dims="s")},
        swarmgrid.InputError,
        "where has the dtype int64; expected bool",
    ),
    "a where that lacks a value": (
        {"where": xr.DataArray([True, True], dims="s", coords={"s": [1, 3]})},
        swarmgrid.InputError,
        "where has no value at s=2; expected one for each value of the axis",
    ),
    "a where with a value twice": (
        {"where": xr.DataArray([True] * 4, dims="s", coords={"s": [1, 2, 3, 3]})},
        swarmgrid.InputError,
        "where has s=3 more than once",
    ),
    "a where of other parameters": (
        {"where": lambda s, q: True},
        swarmgrid.InputError,
        r"where cannot be called: <lambda>\(s, q\) needs 'q', which is neither in params nor in",
    ),
    "a where without a return": (
        {"where": lambda s: None},
        swarmgrid.InputError,
        r"where returned None at s=1; expected True or False. Does it lack a return\?",
    ),
    "a where of arrays": (
        {"where": lambda s: np.array([s > 1, True])},
        swarmgrid.InputError,
        r"where returned array\(.*\) at s=1; expected True or False",
    ),
    "a where by position": (
        {"where": lambda s, /: s > 1},
        swarmgrid.InputError,
        "where cannot be called: .* takes 's' by position only.*; wrap it: lambda s:",
    ),
    "a where of unknown parameters": (
        {"where": np.isfinite},
        swarmgrid.InputError,
        "where .*(does not say what its parameters are|cannot be called)",
    ),
    "a function of the standard library": (
        {"func": math.sqrt, "params": {}, "axes": {"x": [1.0]}},
        swarmgrid.SignatureError,
        r"sqrt\(x.*\) takes 'x' by position only.*; wrap it: lambda x: math\.sqrt\(x\)",
    ),
    "rng among the params": (
        {"rng": "alpha"},
        swarmgrid.SignatureError,
        "'alpha' is the random generator's parameter",
    ),
    "rng that the function lacks": ({"rng": "gen"}, swarmgrid.SignatureError, "rng 'gen' is no"),
    "rng of a block": (
        {"rng": "strat", "vectorized": True},
        swarmgrid.InputError,
        "rng and vectorized exclude each other",
    ),
    "a tolerance of a string axis": (
        {"axes": {"s": ["a"]}, "tolerance": {"s": 0.1}},
        swarmgrid.AxisError,
        "tolerance names 's', which is no axis of floats",
    ),
    "outputs that are none": (
        {"outputs": {"value": "f8"}},
        swarmgrid.InputError,
        r"outputs\['value'\] is 'f8'; expected a swarmgrid.Output",
    ),
    "an output named like an axis": (
        {"outputs": {"s": swarmgrid.Output()}},
        swarmgrid.InputError,
        "'s' is both an axis and an output",
    ),
    "a function that does not travel": (
        {"func": functools.partial(locked, lock=Guard()), "version": "1", "params": {}},
        swarmgrid.InputError,
        "the function cannot be sent to worker processes: .*executor='threads'",
    ),
    "an unknown scheme": ({"store": "ftp://x/y"}, swarmgrid.InputError, "scheme 'ftp'"),
    "a store of a wrong type": ({"store": 3}, swarmgrid.InputError, "store is 3, a int; expected"),
    "no store": ({"store": None}, swarmgrid.InputError, "there is no store; pass store="),
}


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_call_is_refused_and_writes_nothing(tmp_path: Path, case: str) -> None:
    changes, kind, message = CASES[case]
    call = {**GOOD, "store": tmp_path / "s", **changes}
    with pytest.raises(kind, match=message):
        swarmgrid.compute(**call)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("case", first(30, CASES))
def test_a_wrong_call_leaves_a_stored_grid_alone(tmp_path: Path, case: str) -> None:
    changes, kind, _ = CASES[case]
    swarmgrid.compute(**GOOD, store=tmp_path / "s")
    before = contents(tmp_path)
    with pytest.raises(kind):
        swarmgrid.compute(**{**GOOD, "store": tmp_path / "s", **changes})
    assert contents(tmp_path) == before


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def too_large(s: int, mode: str) -> bool:
    return bool(1 / (s - 2) > 0) and mode == "fast"


def test_an_error_in_a_condition_says_where_it_came_from(tmp_path: Path) -> None:
    axes = {"s": [1, 2], "mode": {"quick": "fast"}}
    expected = (
        "where, the function too_large, failed at s=2, mode='quick': ZeroDivisionError: division "
        "by zero; expected True or False"
    )
    with pytest.raises(swarmgrid.InputError, match=expected) as caught:
        swarmgrid.compute(
            {}, axes, func=lambda s, mode: s, store=tmp_path / "store", where=too_large
        )
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert not (tmp_path / "store").exists()


def test_options_of_the_decorator_are_given_by_name() -> None:
    bind: Any = swarmgrid.grid
    with pytest.raises(swarmgrid.InputError, match="grid got 'cache' by position.*store="):
        bind(too_large, "cache")


def test_a_store_that_is_a_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "results.npy"
    file.write_bytes(b"precious")
    with pytest.raises(
        swarmgrid.StoreError, match=r"results.npy' is a file; expected a directory"
    ):
        swarmgrid.compute(**GOOD, store=file)
    assert file.read_bytes() == b"precious"


@pytest.mark.parametrize("level", ["store", "grid"])
def test_a_store_of_a_newer_format_is_refused(tmp_path: Path, level: str) -> None:
    ds = swarmgrid.compute(**GOOD, store=tmp_path / "s")
    group = Path(ds.encoding["source"])
    document = (tmp_path / "s/data.zarr" if level == "store" else group) / "zarr.json"
    content = json.loads(document.read_text())
    content["attributes"]["swarmgrid_format"] = 99
    document.write_text(json.dumps(content))
    before = contents(tmp_path)
    axes = {"s": [1, 2, 3, 4], "strat": ["a"]} if level == "store" else {"s": [1, 2, 3, 4]}
    with pytest.raises(
        swarmgrid.FormatError, match="format version 99; this swarmgrid reads up to"
    ):
        swarmgrid.compute({"alpha": 0.5}, axes, func=simulate, store=tmp_path / "s")
    assert contents(tmp_path) == before


def test_a_read_only_zarr_store_is_refused(tmp_path: Path) -> None:
    from zarr.storage import LocalStore

    with pytest.raises(swarmgrid.StoreError, match="cannot be written.*read-only"):
        swarmgrid.compute(**GOOD, store=LocalStore(tmp_path / "s", read_only=True))
    assert not (tmp_path / "s").exists()


@contextlib.contextmanager
def without_the_right_to_write(folder: Path) -> Iterator[None]:
    if os.geteuid() == 0:  # root may write anywhere: become nobody for a while
        for parent in [folder, *folder.parents]:
            if parent.owner() == "root" and parent.stat().st_mode & 0o077 == 0:
                parent.chmod(0o755)
        os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(0)
    else:
        folder.chmod(0o555)
        try:
            yield
        finally:
            folder.chmod(0o755)


@pytest.fixture
def own_folder() -> Iterator[Path]:
    """A folder outside of pytest's, whose next session withdraws the permissions of its root."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def test_a_directory_that_may_not_be_written_is_refused(own_folder: Path) -> None:
    store = own_folder / "s"
    swarmgrid.compute(**GOOD, store=store)
    before = contents(store)
    preflight._admitted.clear()
    with without_the_right_to_write(store):
        ds = swarmgrid.compute(**GOOD, store=store)
        np.testing.assert_array_equal(ds["value"], [1.5, 2.0, 2.5])
        with pytest.raises(swarmgrid.StoreError, match="cannot be written: .*denied"):
            swarmgrid.compute(**{**GOOD, "axes": {"s": [9]}}, store=store)
    assert contents(store) == before


def test_other_chunks_than_the_stored_ones_are_refused(tmp_path: Path) -> None:
    swarmgrid.compute(**GOOD, store=tmp_path / "s", chunks={"s": 2})
    before = contents(tmp_path)
    with pytest.raises(swarmgrid.ChunksError, match=r"stored grid has chunks=\{'s': 2\}. Leave"):
        swarmgrid.compute(**GOOD, store=tmp_path / "s", chunks={"s": 3})
    assert contents(tmp_path) == before
    swarmgrid.compute(**GOOD, store=tmp_path / "s")
    swarmgrid.compute(**GOOD, store=tmp_path / "s", chunks={"s": 2})


OTHERS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "other shards": (
        {"chunks": {"s": 2}, "shards": {"s": 4}},
        {"shards": {"s": 8}},
        r"shards=\{'s': 8\} was asked for, but the stored grid has shards=\{'s': 4\}. Leave",
    ),
    "other chunks in shards": (
        {"chunks": {"s": 2}, "shards": {"s": 4}},
        {"chunks": {"s": 4}},
        r"chunks=\{'s': 4\} was asked for, but the stored grid has chunks=\{'s': 2\}. Leave",
    ),
    "no shards": (
        {"chunks": {"s": 2}, "shards": {"s": 4}},
        {"shards": False},
        r"shards=False was asked for, but the stored grid has shards=\{'s': 4\}",
    ),
    "shards": (
        {"chunks": {"s": 2}},
        {"shards": {"s": 2}},
        r"shards=\{'s': 2\} was asked for, but the stored grid has shards=False",
    ),
}


@pytest.mark.parametrize(("stored", "asked", "message"), OTHERS.values(), ids=OTHERS)
def test_other_shards_than_the_stored_ones_are_refused(
    tmp_path: Path, stored: dict[str, Any], asked: dict[str, Any], message: str
) -> None:
    swarmgrid.compute(**GOOD, store=tmp_path / "s", **stored)
    before = contents(tmp_path)
    for call in (swarmgrid.compute, swarmgrid.plan):
        with pytest.raises(swarmgrid.ChunksError, match=message):
            call(**GOOD, store=tmp_path / "s", **asked)
    assert contents(tmp_path) == before
    for same in ({}, stored, {"shards": stored.get("shards", False)}):
        swarmgrid.compute(**GOOD, store=tmp_path / "s", **same)


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({"value": swarmgrid.Output(dtype="i8")}, "'value' is declared as int64 .* as float64"),
        ({"value": swarmgrid.Output(("t",), (3,))}, r"of dims \('t',\) and shape \(3,\), but"),
        ({"other": swarmgrid.Output()}, "'other' is declared as float64 .* has it as absent"),
    ],
)
def test_other_outputs_than_the_stored_ones_are_refused(
    tmp_path: Path, outputs: Any, message: str
) -> None:
    swarmgrid.compute(**GOOD, store=tmp_path / "s")
    before = contents(tmp_path)
    with pytest.raises(swarmgrid.InputError, match=message):
        swarmgrid.compute(**GOOD, store=tmp_path / "s", outputs=outputs)
    assert contents(tmp_path) == before
    swarmgrid.compute(**GOOD, store=tmp_path / "s", outputs={"value": swarmgrid.Output()})


def test_nothing_stored_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(swarmgrid.InputError, match="nothing is stored of simulate"):
        swarmgrid.open({"alpha": 0.5}, func=simulate, store=tmp_path / "s")
    assert list(tmp_path.iterdir()) == []


def test_an_int_axis_becomes_a_float_axis_only_without_loss(tmp_path: Path) -> None:
    def run(values: list[Any]) -> xr.Dataset:
        return swarmgrid.compute({"alpha": 1.0}, {"s": values}, func=simulate, store=tmp_path)

    run([1, 2**60])
    before = contents(tmp_path)
    with pytest.raises(
        swarmgrid.AxisError, match="1152921504606846976, which is no exact float64"
    ):
        run([0.5])
    assert contents(tmp_path) == before
