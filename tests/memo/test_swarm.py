"""SwarmMemo does what swarm-memo does, and its growth, order and damage are no concern."""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import swarmgrid
from swarmgrid import InputError, SwarmMemo
from swarmgrid.memo.version import code_version
from tests.long import examples
from tests.waiting import PATIENCE, meet

QUICK_START = """
from swarmgrid import SwarmMemo

def enumerate_points(params, split_spec):
  points = []
  for strat in split_spec["strat"]:
    for s in split_spec["s"]:
      points.append((strat, s))
  return points


def exec_fn(params, point):
  strat, s = point
  return {"strat": strat, "s": s, "value": len(strat) + s}


def collate_fn(outputs):
  return outputs


def merge_fn(chunks):
  merged = []
  for chunk in chunks:
    merged.extend(chunk)
  return merged


memo = SwarmMemo(cache_root="./memo_cache", memo_chunk_spec={"strat": 1, "s": 3},
  exec_chunk_size=2, enumerate_points=enumerate_points, exec_fn=exec_fn,
  collate_fn=collate_fn, merge_fn=merge_fn,
)

params = {"alpha": 0.4}
split_spec = {"strat": ["aaa", "bb"], "s": [1, 2, 3, 4]}
output, diag = memo.run(params, split_spec)
print(output)
print(diag)
"""
"""The document's own, but for the first line."""

PARAMS = {"alpha": 0.4}
SPEC = {"strat": ["aaa", "bb"], "s": [1, 2, 3, 4]}


def product_of(params: Any, split_spec: Any) -> list[tuple[Any, ...]]:
    return list(itertools.product(*split_spec.values()))


def exec_fn(params: Any, point: Any) -> dict[str, Any]:
    strat, s = point
    return {"strat": strat, "s": s, "value": len(strat) + s * params["alpha"]}


def merge_fn(chunks: list[list[Any]]) -> list[Any]:
    return list(itertools.chain.from_iterable(chunks))


def new_memo(store: Any, **changes: Any) -> SwarmMemo:
    arguments: dict[str, Any] = {
        "memo_chunk_spec": {"strat": 1, "s": 3},
        "exec_chunk_size": 2,
        "enumerate_points": product_of,
        "exec_fn": exec_fn,
        "collate_fn": list,
        "merge_fn": merge_fn,
        "max_workers": 2,
        "verbose": 0,
    }
    return SwarmMemo(store, **(arguments | changes))


def expected(split_spec: Any) -> list[dict[str, Any]]:
    return [exec_fn(PARAMS, point) for point in product_of(PARAMS, split_spec)]


@pytest.fixture
def in_process() -> Iterator[None]:
    with swarmgrid.set_options(executor="sync"):
        yield


# ---- what the document says


def test_the_quick_start_of_the_document_runs_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    printed = []
    for _ in range(2):
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(QUICK_START, {"__name__": "__main__"})
        printed.append(output.getvalue().splitlines())
    records = [
        {"strat": strat, "s": s, "value": len(strat) + s}
        for strat in ["aaa", "bb"]
        for s in [1, 2, 3, 4]
    ]
    assert [lines[0] for lines in printed] == [str(records)] * 2
    for lines, cached, executed in zip(printed, (0, 4), (4, 0), strict=True):
        assert f"total_chunks=4, cached_chunks={cached}, executed_chunks={executed}" in lines[1]
        assert "merged_points=8, stream_flushes=0" in lines[1]


def test_streaming_computes_what_a_run_then_finds(tmp_path: Path) -> None:
    memo = new_memo(tmp_path)
    done = memo.run_streaming(PARAMS, SPEC)
    assert (done.total_chunks, done.executed_chunks, done.stream_flushes) == (4, 4, 4)
    assert (done.merged_points, done.executed_points) == (0, 8)
    output, found = memo.run(PARAMS, SPEC)
    assert output == expected(SPEC)
    assert (found.cached_chunks, found.executed_chunks, found.stream_flushes) == (4, 0, 0)
    assert memo.run_streaming(PARAMS, SPEC).stream_flushes == 0


@pytest.mark.usefixtures("in_process")
def test_collate_sees_a_chunk_at_a_time_and_merge_all_of_them(tmp_path: Path) -> None:
    spec = {"s": [1, 2, 3, 4, 5], "strat": ["a", "b"]}
    memo = new_memo(
        tmp_path,
        exec_fn=lambda params, point: point[0] * 10 + len(point[1]),
        memo_chunk_spec={"s": {"size": 2}},
        collate_fn=tuple,
        merge_fn=tuple,
    )
    output, done = memo.run({}, spec)
    assert output == ((11, 11, 21, 21), (31, 31, 41, 41), (51, 51))
    assert done.total_chunks == 3


RESULTS: dict[str, Callable[[int], Any]] = {
    "an int": lambda s: s - 2,
    "a float": lambda s: s / 3,
    "a bool": lambda s: s > 1,
    "a string": lambda s: "x" * s,
    "a field called value": lambda s: {"value": s},
    "a field called as the axis": lambda s: {"s": s * 2, "s_": -s},
    "fields of all kinds": lambda s: {"i": s, "f": 0.5, "b": s > 1, "t": "x" * s, "c": 1j * s},
}


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize("case", RESULTS)
@pytest.mark.parametrize("expected_points", [[0, 1, 2, 3], [3, 1]])
def test_results_come_back_with_pythons_own_types(
    tmp_path: Path, case: str, expected_points: list[int]
) -> None:
    result = RESULTS[case]
    memo = new_memo(
        tmp_path,
        memo_chunk_spec={"s": 3},
        enumerate_points=lambda params, split_spec: expected_points,
        exec_fn=lambda params, s: result(s),
    )
    output, _ = memo.run({}, {"s": [0, 1, 2, 3]})

    assert output == [result(s) for s in expected_points]
    assert [repr(one) for one in output] == [repr(result(s)) for s in expected_points]


@pytest.mark.usefixtures("in_process")
def test_arrays_come_back_as_arrays_of_their_dtype(tmp_path: Path) -> None:
    def traces(params: Any, point: Any) -> dict[str, Any]:
        s = point["s"]
        return {"trace": np.full((2, 3), s, "i2"), "words": np.array(["a", "b" * s]), "n": s}

    memo = new_memo(
        tmp_path,
        memo_chunk_spec={},
        exec_fn=traces,
        enumerate_points=lambda params, split_spec: [{"s": s} for s in split_spec["s"]],
    )
    output, _ = memo.run({}, {"s": [1, 2]})
    for s, record in zip([1, 2], output, strict=True):
        assert list(record) == ["trace", "words", "n"]
        np.testing.assert_array_equal(record["trace"], np.full((2, 3), s))
        assert (record["trace"].dtype, record["words"].dtype.kind) == (np.int16, "U")
        assert record["words"].tolist() == ["a", "b" * s]
    output[0]["trace"][:] = -1  # the caller's own
    assert memo.run({}, {"s": [1, 2]})[0][0]["trace"][0, 0] == 1


def test_the_same_cache_is_a_dataset(tmp_path: Path) -> None:
    memo = new_memo(tmp_path)
    with pytest.raises(InputError, match="nothing is stored of exec_fn"):
        memo.dataset(PARAMS, SPEC)
    memo.run(PARAMS, SPEC)
    ds = memo.dataset(PARAMS, SPEC | {"s": [4, 2]})
    assert ds["value"].dims == ("strat", "s")
    assert ds["value"].dtype == np.float64
    assert ds["value"].sel(strat="bb", s=4).item() == 2 + 4 * 0.4
    np.testing.assert_array_equal(ds["s_"], [[4, 2], [4, 2]])
    group = ds.encoding["source"]
    with xr.open_zarr(group) as plain:
        assert plain["value"].load().sel(strat="aaa", s=1).item() == 3 + 0.4
        assert plain["value"].encoding["chunks"] == (1, 3)
        assert plain.attrs["swarmgrid_params"] == '{"alpha": 0.4}'


@pytest.mark.usefixtures("in_process")
def test_the_only_field_has_its_own_name_in_the_dataset(tmp_path: Path) -> None:
    for name, result in {"bare": 1.5, "dict": {"value": 1.5}}.items():
        memo = new_memo(tmp_path / name, exec_fn=lambda params, point, result=result: result)
        assert memo.run({}, SPEC)[0] == [result] * 8
        assert list(memo.dataset({}, SPEC)) == ["value"]


# ---- which points


@pytest.mark.usefixtures("in_process")
def test_part_of_the_product_may_be_enumerated(tmp_path: Path, counter: Any) -> None:
    def pairs(params: Any, split_spec: Any) -> list[tuple[int, int]]:
        return [(a, b) for a in split_spec["a"] for b in split_spec["b"] if a < b]

    def large(params: Any, point: Any) -> dict[str, Any]:
        counter()
        a, b = point
        return {"large": 2**62 + 10 * a + b, "odd": b % 2 == 1, "text": f"{a}{b}"}

    memo = new_memo(
        tmp_path, memo_chunk_spec={"a": 2, "b": 4}, exec_fn=large, enumerate_points=pairs
    )
    for n, computed, chunks in [(4, 6, 2), (4, 0, 2), (6, 9, 5)]:
        spec = {"a": range(n), "b": range(n)}
        output, done = memo.run({}, spec)
        cells = sorted(pairs({}, spec), key=lambda point: (point[0] // 2, point[1] // 4))
        expected_points = [
            {"large": 2**62 + 10 * a + b, "odd": b % 2 == 1, "text": f"{a}{b}"} for a, b in cells
        ]
        assert output == expected_points
        assert (done.executed_points, done.total_chunks) == (computed, chunks)
        assert done.merged_points == len(expected_points)
    assert counter.count == 15


@pytest.mark.usefixtures("in_process")
def test_the_order_of_the_points_is_that_of_the_enumeration(tmp_path: Path) -> None:
    def backwards(params: Any, split_spec: Any) -> list[Any]:
        return product_of(params, split_spec)[::-1]

    memo = new_memo(tmp_path, enumerate_points=backwards)
    assert memo.run(PARAMS, SPEC)[0] == expected(SPEC)[::-1]
    assert memo.run(PARAMS, SPEC)[0] == expected(SPEC)[::-1]


@pytest.mark.parametrize("spec", [{"s": []}, {"s": [1, 2]}])
def test_no_points_are_an_empty_output_and_write_nothing(tmp_path: Path, spec: Any) -> None:
    memo = new_memo(
        tmp_path / "s", memo_chunk_spec={}, enumerate_points=lambda params, split_spec: []
    )
    output, done = memo.run({}, spec)
    assert output == []
    assert (done.total_chunks, done.executed_points, done.merged_points) == (0, 0, 0)
    assert not (tmp_path / "s").exists()


def test_points_mean_what_their_order_says(tmp_path: Path) -> None:
    """The same tuple is another point where the axes come in another order."""

    def difference(params: Any, point: Any) -> int:
        return int(point[0] - point[1])

    a_first = new_memo(tmp_path, memo_chunk_spec={}, exec_fn=difference)
    b_first = new_memo(tmp_path, memo_chunk_spec={}, exec_fn=difference, axis_order=["b", "a"])
    assert a_first.run({}, {"a": [1, 2], "b": [1, 2]})[0] == [0, -1, 1, 0]
    assert b_first.run({}, {"b": [1, 2], "a": [1, 2]})[0] == [0, -1, 1, 0]
    assert b_first.dataset({}, {"b": [1, 2], "a": [1, 2]})["value"].sel(a=2, b=1).item() == -1
    assert a_first.dataset({}, {"a": [1, 2], "b": [1, 2]})["value"].sel(a=2, b=1).item() == 1


@pytest.mark.usefixtures("in_process")
def test_points_that_are_dicts_mean_the_same_in_any_order_of_the_axes(tmp_path: Path) -> None:
    def dicts(params: Any, split_spec: Any) -> list[Any]:
        product = itertools.product(*split_spec.values())
        return [dict(zip(split_spec, point, strict=True)) for point in product]

    memo = new_memo(
        tmp_path,
        exec_fn=lambda params, point: f"{point['strat']}{point['s']}",
        enumerate_points=dicts,
    )
    memo.run({}, {"strat": ["a", "b"], "s": [1, 2, 3]})
    output, done = memo.run({}, {"s": [4, 1], "strat": ["b"]})
    assert output == ["b4", "b1"]
    assert (done.executed_points, done.total_chunks) == (1, 1)
    output, done = memo.run({}, {"s": [4, 3, 2, 1], "strat": ["a", "b"]})
    assert output == ["a4", "a3", "a2", "b4", "b3", "b2", "a1", "b1"]
    assert (done.executed_points, done.executed_chunks) == (1, 1)


REFUSED: dict[str, tuple[dict[str, Any], Any, Any, str]] = {
    "repetitions": (
        {"enumerate_points": lambda params, split_spec: [(a, b, 0) for a, b in [("aaa", 1)]]},
        PARAMS,
        SPEC,
        "one value per axis",
    ),
    "points from elsewhere": (
        {"enumerate_points": lambda params, split_spec: [("aaa", 99)]},
        PARAMS,
        SPEC,
        "99 is not among the values of axis 's'",
    ),
    "duplicate values": ({}, PARAMS, {"strat": ["a"], "s": [1, 1]}, "more than once"),
    "other axes in the order": ({"axis_order": ["s"]}, PARAMS, SPEC, r"axis_order is \['s'\]"),
    "no axes": ({}, PARAMS, {}, "split_spec is {}"),
    "no mapping": ({}, PARAMS, [1, 2], r"split_spec is \[1, 2\]"),
    "a chunk of no axis": ({"memo_chunk_spec": {"q": 1}}, PARAMS, SPEC, "names 'q'"),
    "params of no digest": (
        {},
        {"alpha": (n for n in ())},
        SPEC,
        r"params\['alpha'\] cannot be part",
    ),
    "an axis among the params": ({}, {"s": 1}, SPEC, "'s' is in both params and axes"),
    "hashes of bytes": ({"chunk_hash_fn": lambda *key: b""}, PARAMS, SPEC, "returned b''"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_right_is_refused_before_anything_runs(
    tmp_path: Path, counter: Any, case: str
) -> None:
    changes, params, spec, message = REFUSED[case]
    memo = new_memo(
        tmp_path / "s", **({"exec_fn": lambda params, point: counter()} | dict(changes))
    )
    for call in (memo.run, memo.run_streaming):
        with pytest.raises(InputError, match=message):
            call(params, spec)
    assert counter.count == 0
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"memo_chunk_spec": {"s": 0}}, "chunk length of axis 's' is 0"),
        ({"memo_chunk_spec": {"s": {"n": 2}}}, "expected {'size': n}"),
        ({"merge_fn": None}, "merge_fn is None; expected a function"),
        ({"exec_chunk_size": 0}, "exec_chunk_size is 0"),
    ],
)
def test_a_wrong_constructor_is_refused_at_once(changes: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        new_memo("memory://never", **changes)


@pytest.mark.parametrize("result", [None, [1, 2], {"a": {"b": 1}}, {"a": [1]}, {}, {1: 2}])
def test_what_cannot_be_stored_is_an_error_that_names_the_point(
    tmp_path: Path, result: Any
) -> None:
    memo = new_memo(tmp_path, exec_fn=lambda params, point: result)
    with pytest.raises(swarmgrid.OutputError, match=r"strat='\w+', s=\d\) failed: "):
        memo.run({}, SPEC)


# ---- identity


@pytest.mark.usefixtures("in_process")
def test_the_version_stands_for_the_code_unless_it_is_none(tmp_path: Path) -> None:
    def run(source: str, version: str | None) -> Any:
        names: dict[str, Any] = {"__name__": "user_model"}
        exec(f"def model(params, point): return {source}", names)
        memo = new_memo(tmp_path, exec_fn=names["model"], cache_version=version)
        output, done = memo.run({}, {"strat": ["a"], "s": [1]})
        return output[0], done.executed_points

    assert run("1", "v1") == (1, 1)
    assert run("2", "v1") == (1, 0)
    assert run("2", "v2") == (2, 1)
    assert run("1", None) == (1, 1)
    assert run("2", None) == (2, 1)
    assert run("1", None) == (1, 0)


def scaled_by(factor: float) -> Callable[..., float]:
    def scaled(params: Any, point: Any) -> float:
        return float(point[0] * factor)

    return scaled


def scaled(params: Any, point: Any, factor: float = 1) -> float:
    return float(point[0] * factor)


class Model:
    def __init__(self, factor: float) -> None:
        self.factor = factor
        self.memo: SwarmMemo | None = None

    def scaled(self, params: Any, point: Any) -> float:
        return float(point[0] * self.factor)

    def __call__(self, params: Any, point: Any) -> float:
        return self.scaled(params, point)


OF_ONE_NAME: dict[str, Callable[[float], Callable[..., float]]] = {
    "lambdas": lambda k: [lambda p, s: s[0] * 1.0, lambda p, s: s[0] * 3.0][int(k > 1)],
    "closures": scaled_by,
    "defaults": lambda k: lambda params, s, k=k: s[0] * k,
    "partials": lambda k: functools.partial(scaled, factor=k),
    "methods": lambda k: Model(k).scaled,
    "objects": Model,
    "decorated again": lambda k: functools.wraps(scaled)(scaled_by(k)),
}


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize("version", ["v1", None])
@pytest.mark.parametrize("kind", OF_ONE_NAME)
def test_functions_that_their_name_does_not_tell_apart_never_share_results(
    tmp_path: Path, kind: str, version: str | None
) -> None:
    def run(factor: float, version: str | None) -> tuple[Any, int]:
        exec_fn = OF_ONE_NAME[kind](factor)
        memo = new_memo(tmp_path, exec_fn=exec_fn, cache_version=version, memo_chunk_spec={})
        output, done = memo.run({}, {"s": [1.0, 2.0]})
        return output, done.executed_points

    assert run(1.0, version) == ([1.0, 2.0], 2)
    assert run(3.0, version) == ([3.0, 6.0], 2)
    assert run(1.0, version) == ([1.0, 2.0], 0)
    assert run(3.0, "v2") == ([3.0, 6.0], 2)  # the version counts as well


def twice(func: Callable[..., float]) -> Callable[..., float]:
    return functools.wraps(func)(lambda params, point: 2 * func(params, point))


@twice
def decorated(params: Any, point: Any) -> float:
    return float(point[0])


def test_a_function_at_the_top_level_goes_by_its_name_decorated_or_not() -> None:
    for func in (scaled, decorated, Model, Model.scaled, max, swarmgrid.grid(scaled)):
        assert code_version(func, "v1") == "v1"


@pytest.mark.usefixtures("in_process")
def test_an_object_may_hold_the_memo_of_its_own_method(tmp_path: Path) -> None:
    model = Model(3.0)
    model.memo = new_memo(tmp_path, exec_fn=model.scaled, memo_chunk_spec={})
    for executed in (2, 0):
        output, done = model.memo.run({}, {"s": [1.0, 2.0]})
        assert (output, done.executed_points) == ([3.0, 6.0], executed)


@pytest.mark.usefixtures("in_process")
def test_params_that_look_alike_are_told_apart(tmp_path: Path) -> None:
    one, two = np.zeros(2000), np.zeros(2000)
    two[1000] = 1
    assert repr(one) == repr(two)
    memo = new_memo(tmp_path, exec_fn=lambda params, point: float(params["weights"].sum()))
    assert memo.run({"weights": one}, SPEC)[0] == [0.0] * 8
    assert memo.run({"weights": two}, SPEC)[0] == [1.0] * 8
    with pytest.raises(swarmgrid.IdentityError):
        memo.run({"weights": (n for n in ())}, SPEC)


@pytest.mark.usefixtures("in_process")
def test_a_hash_of_chunks_is_part_of_the_identity(tmp_path: Path) -> None:
    said: dict[str, str] = {"aaa": "x", "bb": "x"}
    keys: list[Any] = []

    def chunk_hash(params: Any, chunk_key: Any, version: str) -> str:
        assert (params, version) == (PARAMS, "v1")
        keys.append(chunk_key)
        return said[dict(chunk_key)["strat"][0]]

    memo = new_memo(tmp_path, chunk_hash_fn=chunk_hash)

    def executed(spec: Any) -> int:
        output, done = memo.run(PARAMS, spec)
        assert output == expected(spec)
        return done.executed_points

    assert executed(SPEC) == 8
    assert keys[0] == (("strat", ("aaa",)), ("s", (1, 2, 3)))
    assert executed(SPEC | {"s": [0, 1, 2, 3, 4]}) == 2  # all hashes alike: it grows
    said["bb"] = "y"
    assert executed(SPEC) == 8
    assert executed(SPEC) == 0
    said.update(aaa="y", bb="x")  # the same hashes, of other chunks
    assert executed(SPEC) == 8
    said["aaa"] = "x"
    assert executed(SPEC) == 0


@pytest.mark.usefixtures("in_process")
def test_other_memo_chunks_find_what_is_stored(tmp_path: Path) -> None:
    new_memo(tmp_path).run(PARAMS, SPEC)
    output, done = new_memo(tmp_path, memo_chunk_spec={"strat": 1, "s": 2}).run(PARAMS, SPEC)
    assert output == expected(SPEC)
    assert (done.total_chunks, done.cached_chunks, done.executed_points) == (4, 4, 0)


@pytest.mark.usefixtures("in_process")
def test_options_that_would_change_the_meaning_are_not_taken_from_outside(tmp_path: Path) -> None:
    outputs = {"other": swarmgrid.Output()}
    with swarmgrid.set_options(vectorized=True, outputs=outputs, chunks=7, version="9", rng=None):
        assert new_memo(tmp_path).run(PARAMS, SPEC)[0] == expected(SPEC)
    assert new_memo(tmp_path).run(PARAMS, SPEC)[1].executed_points == 0


# ---- the known faults of the original


GROWTH: dict[str, tuple[Any, int, int]] = {
    "appended": (SPEC | {"s": [1, 2, 3, 4, 5]}, 2, 2),
    "prepended": (SPEC | {"s": [0, 1, 2, 3, 4]}, 2, 2),
    "inserted": (SPEC | {"s": [1, 2, 7, 3, 4]}, 2, 2),
    "reordered": (SPEC | {"s": [4, 3, 2, 1]}, 0, 0),
    "dropped": (SPEC | {"s": [4, 2]}, 0, 0),
    "another strategy in front": (SPEC | {"strat": ["c", "aaa", "bb"]}, 4, 2),
}


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize("case", GROWTH)
def test_growth_computes_new_points_alone_and_keeps_the_order(
    tmp_path: Path, case: str, counter: Any
) -> None:
    def counting(params: Any, point: Any) -> Any:
        counter()
        return exec_fn(params, point)

    spec, points, chunks = GROWTH[case]
    memo = new_memo(tmp_path / "s", exec_fn=counting)
    memo.run(PARAMS, SPEC)
    output, done = memo.run(PARAMS, spec)
    assert output == expected(spec)
    assert (done.executed_points, done.executed_chunks) == (points, chunks)
    assert done.cached_chunks == done.total_chunks - chunks
    assert done.cached_points + done.executed_points == len(output)
    assert counter.count == 8 + points
    assert memo.run(PARAMS, spec)[0] == output


numbers = itertools.count()


@settings(max_examples=examples(30))
@given(data=st.data())
def test_any_history_of_requests_gives_the_same_as_none(data: st.DataObject) -> None:
    store = f"memory://test-memo-{next(numbers)}"
    computed: set[Any] = set()
    for _ in range(3):
        a = data.draw(st.lists(st.integers(0, 5), unique=True, min_size=1, max_size=4))
        b = data.draw(st.lists(st.sampled_from("uvwx"), unique=True, min_size=1, max_size=3))
        points = data.draw(
            st.permutations(list(itertools.product(a, b))).flatmap(
                lambda p: st.integers(0, len(p)).map(lambda n: p[:n])
            )
        )
        lengths = {"a": data.draw(st.integers(1, 3)), "b": data.draw(st.integers(1, 3))}
        memo = new_memo(
            store,
            memo_chunk_spec=lengths,
            enumerate_points=lambda params, split_spec, points=points: points,
            exec_fn=lambda params, point: {"a": point[0], "both": f"{point[0]}{point[1]}"},
        )
        with swarmgrid.set_options(executor="sync"):
            output, done = memo.run({}, {"a": a, "b": b})
        chunks: dict[Any, list[Any]] = {}
        for point in points:
            cell = a.index(point[0]) // lengths["a"], b.index(point[1]) // lengths["b"]
            record = {"a": point[0], "both": f"{point[0]}{point[1]}"}
            chunks.setdefault(cell, []).append((point, record))
        assert output == [record for chunk in chunks.values() for _, record in chunk]
        old = sum(all(point in computed for point, _ in chunk) for chunk in chunks.values())
        assert (done.total_chunks, done.cached_chunks) == (len(chunks), old)
        assert done.executed_points == len(set(points) - computed)
        computed |= set(points)


def test_one_failing_point_loses_no_other(tmp_path: Path, counter: Any) -> None:
    repaired = tmp_path / "repaired"

    def fragile(params: Any, point: Any) -> Any:
        if point == ("bb", 3) and not repaired.exists():
            raise ArithmeticError("no convergence")
        counter()
        return exec_fn(params, point)

    memo = new_memo(tmp_path / "s", exec_fn=fragile)
    with pytest.raises(swarmgrid.PointError, match=r"strat='bb', s=3\).*no convergence"):
        memo.run(PARAMS, SPEC)
    finished = counter.count
    assert finished > 0
    repaired.touch()
    output, done = memo.run(PARAMS, SPEC)
    assert output == expected(SPEC)
    assert (done.cached_points, counter.count) == (finished, 8)


@pytest.mark.usefixtures("in_process")
def test_a_point_without_a_result_is_never_merged(tmp_path: Path) -> None:
    """Errors that are recorded and passed over, as a grid's may be, leave no record to collate."""
    memo = new_memo(tmp_path, exec_fn=lambda params, point: 1 // (point[1] - 3))
    with (
        swarmgrid.set_options(on_error="record"),
        pytest.raises(swarmgrid.PointError, match="s=3.*there is no result of it in the store"),
    ):
        memo.run({}, SPEC)


KILLED = """
import itertools, os, signal, sys, time
from pathlib import Path
import swarmgrid
from tests.memo.test_swarm import PARAMS, SPEC, exec_fn, new_memo

def deadly(params, point):
    if point == ("bb", 4):
        while not list(Path(sys.argv[1]).rglob("*.seg")):
            time.sleep(0.1)
        time.sleep(3)
        os.kill(os.getpid(), signal.SIGKILL)
    return exec_fn(params, point)

deadly.__module__, deadly.__qualname__ = exec_fn.__module__, exec_fn.__qualname__
with swarmgrid.set_options(executor="sync", flush_interval=0.2):
    new_memo(sys.argv[1], exec_fn=deadly).run(PARAMS, SPEC)
"""


@pytest.mark.long
def test_a_killed_run_and_torn_files_stop_no_later_run(tmp_path: Path) -> None:
    store = tmp_path / "s"
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(store)],
        env={**os.environ, "PYTHONPATH": root},
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    (segment, *_) = (store / "manifest").rglob("*.seg")
    segment.with_name("000000000099-00000000-0123456789abcdef.seg").write_bytes(
        segment.read_bytes()[:-7]
    )
    memo = new_memo(store)
    with swarmgrid.set_options(executor="sync"):
        output, found = memo.run(PARAMS, SPEC)
        assert output == expected(SPEC)
        assert 4 <= found.cached_points < 8
        assert memo.run(PARAMS, SPEC)[1].executed_points == 0


@pytest.mark.usefixtures("in_process")
def test_damaged_data_are_computed_again_within_the_run_that_finds_them(tmp_path: Path) -> None:
    memo = new_memo(tmp_path)
    memo.run(PARAMS, SPEC)
    files = sorted((tmp_path / "data.zarr").rglob("value/c.*"))
    assert len(files) == 4
    files[0].write_bytes(files[0].read_bytes()[:-3])  # torn
    files[1].write_bytes(b"")
    files[3].unlink()
    output, done = memo.run(PARAMS, SPEC)
    assert output == expected(SPEC)
    assert (done.executed_chunks, done.cached_chunks) == (3, 1)
    assert (done.executed_points, done.cached_points) == (5, 3)
    assert memo.run(PARAMS, SPEC)[1].executed_points == 0


def where_run(params: Any, point: Any) -> dict[str, Any]:
    meet(Path(params["folder"]), 2, params["caller"])
    return {"pid": os.getpid(), "x": point[0]}


def test_tasks_of_one_point_run_at_the_same_time_when_streaming(tmp_path: Path) -> None:
    memo = new_memo(
        tmp_path / "s",
        memo_chunk_spec={"x": 8},
        exec_chunk_size=1,
        exec_fn=where_run,
        max_workers=2,
    )
    (tmp_path / "here").mkdir()
    params, spec = {"folder": str(tmp_path / "here"), "caller": os.getpid()}, {"x": range(8)}
    memo.run_streaming(params, spec)
    pids = memo.dataset(params, spec)["pid"].values
    assert len(set(pids.tolist()) - {os.getpid()}) == 2


def slow_at_first(params: Any, point: Any) -> float:
    """Wait, at the first point, until the others are known to be in the store."""
    deadline = time.monotonic() + PATIENCE
    while point[0] == 0 and not Path(params["stored"]).exists():
        if time.monotonic() > deadline:
            return -1.0
        time.sleep(0.05)
    return float(point[0])


def test_a_slow_first_chunk_does_not_delay_the_others(tmp_path: Path) -> None:
    stored, spec = tmp_path / "stored", {"x": [0, 1, 2, 3, 4, 5]}
    params = {"stored": str(stored)}
    memo = new_memo(
        tmp_path / "s", memo_chunk_spec={"x": 1}, exec_fn=slow_at_first, exec_chunk_size=1
    )
    is_done = threading.Event()

    def watch() -> None:
        while not is_done.wait(0.1):
            with contextlib.suppress(swarmgrid.InputError):  # nothing is stored yet
                found = memo.dataset(params, spec)["value"].sel(x=[1, 2, 3, 4, 5])
                if found.notnull().all():
                    stored.touch()
                    return

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with swarmgrid.set_options(flush_interval=1.0):
            assert memo.run_streaming(params, spec).stream_flushes >= 6
    finally:
        is_done.set()
        watcher.join()
    assert memo.run(params, spec)[0] == [0, 1, 2, 3, 4, 5]


# ---- wrappers


wrapping = new_memo("memory://test-memo-wrapped", exec_chunk_size=1)


@wrapping.run_wrap()
def exec_point(params: Any, point: Any, extra: int = 1) -> dict[str, Any]:
    if "here" in params:
        meet(Path(params["here"]), 2)
    return {"x": point[1] * extra + params["extra"], "pid": os.getpid()}


@wrapping.streaming_wrap()
def stream_point(params: Any, point: Any, *, scale: float = 2.0) -> float:
    return point[1] * scale


def test_a_decorated_function_runs_in_many_workers(tmp_path: Path) -> None:
    params = {**PARAMS, "here": str(tmp_path)}
    with swarmgrid.set_options(executor="processes"):
        output, done = exec_point(params, split_spec=SPEC, extra=10)
    assert [record["x"] for record in output] == [s * 10 + 10 for s in SPEC["s"]] * 2  # type: ignore[attr-defined]
    assert os.getpid() not in {record["pid"] for record in output}
    assert len({record["pid"] for record in output}) == 2
    assert exec_point.__name__ == "exec_point"
    assert exec_point.__wrapped__({"extra": 0}, ("a", 3))["x"] == 3  # type: ignore[attr-defined]
    assert done.executed_chunks == 4


@pytest.mark.usefixtures("in_process")
def test_arguments_of_a_wrapped_function_are_params(tmp_path: Path) -> None:
    spec = {"strat": ["a"], "s": [1, 2]}

    def model(params: Any, point: Any, extra: int = 1) -> int:
        return int(point[1] * extra)

    memo = new_memo(tmp_path, exec_fn=model)
    wrapped = memo.run_wrap()(model)
    assert wrapped(PARAMS, split_spec=spec)[0] == [1, 2]
    output, done = wrapped(params=PARAMS, split_spec=spec, extra=1)  # the default, said aloud
    assert (output, done.executed_points) == ([1, 2], 0)
    output, done = wrapped(PARAMS, split_spec=spec, extra=3)
    assert (output, done.executed_points) == ([3, 6], 2)
    output, done = wrapped({**PARAMS, "extra": 3}, split_spec=spec)
    assert (output, done.executed_points) == ([3, 6], 0)
    # By run, the function is not given what merely is among the params.
    assert memo.run({**PARAMS, "extra": 3}, spec)[0] == [1, 2]


@pytest.mark.usefixtures("in_process")
def test_a_wrapped_function_can_stream() -> None:
    done = stream_point(PARAMS, split_spec=SPEC, scale=3.0)
    assert (done.executed_chunks, done.stream_flushes, done.merged_points) == (4, 4, 0)
    assert stream_point(PARAMS, split_spec=SPEC, scale=3.0).cached_chunks == 4
    assert stream_point(PARAMS, split_spec=SPEC).executed_chunks == 4


def test_the_split_spec_goes_by_keyword_alone() -> None:
    with pytest.raises(InputError, match="exec_point needs split_spec="):
        exec_point(PARAMS)
    with pytest.raises(InputError, match="2 arguments by position"):
        exec_point(PARAMS, SPEC, split_spec=SPEC)
