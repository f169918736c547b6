"""Any value can be on an axis, under a label: the function receives it, and it is identity."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

import swarmgrid
from tests.long import examples


def described(x: int, item: Any) -> str:
    return f"{x} {item!r}"


def options(store: Any, **more: Any) -> dict[str, Any]:
    return {"func": described, "store": store, "executor": "sync", **more}


def test_the_function_receives_the_values_and_the_coordinate_has_the_labels(
    tmp_path: Path,
) -> None:
    values = {"none": None, "four": 4, "pair": (1, "a"), "list": [1, [2]], "class": int}
    ds = swarmgrid.compute({}, {"x": [7], "item": values}, **options(tmp_path))
    assert ds["item"].dtype.kind == "U"
    assert list(ds["item"].values) == list(values)
    for label, value in values.items():
        assert ds["value"].sel(item=label, x=7).item() == described(7, value)


def width(x: int, kind: Any) -> float:
    return -1.0 if kind is None else x * float(np.sum(kind))


def widths(store: Any, **more: Any) -> dict[str, Any]:
    return {"func": width, "store": store, "executor": "sync", **more}


def test_a_labelled_axis_grows_and_is_looked_up_by_its_labels(tmp_path: Path) -> None:
    first = {"none": None, "two": 2}
    swarmgrid.compute({}, {"x": [1, 2], "kind": first}, **widths(tmp_path))
    grown = {"array": np.arange(4), "two": 2, "none": None}
    ds, done = swarmgrid.run({}, {"x": [2, 3], "kind": grown}, **widths(tmp_path))
    assert (done.points_cached, done.points_computed) == (2, 4)
    np.testing.assert_array_equal(ds["value"], [[12, 4, -1], [18, 6, -1]])
    stored = swarmgrid.open({}, {"kind": ["none", "two"], "x": [1]}, **widths(tmp_path))
    np.testing.assert_array_equal(stored["value"], [[-1], [2]])
    plain = xr.open_zarr(Path(ds.encoding["source"]), chunks=None)
    assert list(plain["kind"].values) == ["none", "two", "array"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"none": 0}, "the label 'none' of axis 'kind' stands for another value here"),
        ({"none": None, "two": 2.5}, "the label 'two'"),
        (["none"], "Labels are a mapping from texts to values"),
        ([1], "holds int values here and label values"),
        ({1: None}, r"has the label 1; expected a mapping from texts"),
        ({"x": (i for i in ())}, r"axes\['kind'\]\['x'\] cannot be part of a cache key"),
        ({"\ud800": 1}, "UTF-8"),
        ([None], r"Give any other value a label: axes=\{'kind': \{'none': ...\}\}"),
    ],
)
def test_a_label_never_stands_for_two_values(tmp_path: Path, values: Any, message: str) -> None:
    swarmgrid.compute({}, {"x": [1], "kind": {"none": None, "two": 2}}, **widths(tmp_path))
    for call in (swarmgrid.compute, swarmgrid.plan):
        with pytest.raises(swarmgrid.InputError, match=message):
            call({}, {"x": [1], "kind": values}, **widths(tmp_path))
    ds, done = swarmgrid.run({}, {"x": [1], "kind": {"two": 2}}, **widths(tmp_path))
    assert done.points_computed == 0
    assert ds["value"].item() == 2


plain_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.text("ab", max_size=2),
    st.tuples(st.booleans()),
)


@settings(max_examples=examples(25))
@given(requests=st.lists(st.dictionaries(st.sampled_from("abc"), plain_values), max_size=5))
def test_every_answer_is_of_the_value_asked_for(
    requests: list[dict[str, Any]], new_memory_store_of_module: Callable[[], str]
) -> None:
    store = new_memory_store_of_module()
    known: dict[str, Any] = {}
    for request in requests:
        is_same = all(repr(known.get(label, v)) == repr(v) for label, v in request.items())
        try:
            ds = swarmgrid.compute({}, {"value": request}, **{**options(store), "func": repr_of})
        except swarmgrid.AxisError:
            assert not is_same
            continue
        assert is_same
        known |= request
        if request:
            assert list(ds["text"].values) == [repr(value) for value in request.values()]


def repr_of(value: Any) -> dict[str, str]:
    return {"text": repr(value)}


@pytest.fixture(scope="module")
def new_memory_store_of_module() -> Any:
    from swarmgrid.store import location

    made: list[str] = []

    def make() -> str:
        made.append(f"memory://labelled-{len(made)}")
        return made[-1]

    yield make
    for url in made:
        location._memory.pop(url, None)


def test_a_value_that_the_function_changes_is_as_it_was_at_every_point(tmp_path: Path) -> None:
    def appended(x: int, items: list[int]) -> int:
        items.append(x)
        return len(items)

    value = [1, 2]
    axes = {"x": [1, 2, 3], "items": {"list": value}}
    ds = swarmgrid.compute({}, axes, func=appended, store=tmp_path, executor="sync")
    np.testing.assert_array_equal(ds["value"], [[3], [3], [3]])
    assert value == [1, 2]


def test_values_travel_to_workers(tmp_path: Path) -> None:
    def applied(x: int, how: Callable[[float], float]) -> float:
        return how(x)

    axes = {"x": [1.0, 2.0], "how": {"double": lambda x: 2 * x, "square": lambda x: x * x}}
    ds = swarmgrid.compute({}, axes, func=applied, store=tmp_path, executor="processes", workers=1)
    np.testing.assert_array_equal(ds["value"], [[2, 1], [4, 4]])


def test_a_block_gets_an_array_of_the_values(tmp_path: Path) -> None:
    def block(x: np.ndarray, kind: np.ndarray) -> np.ndarray:
        assert kind.dtype == object
        assert kind.shape == (1, 3)
        return x * np.array([[0 if k is None else np.sum(k) for k in kind[0]]])

    axes = {"x": [1, 2], "kind": {"none": None, "pair": [3, 4], "array": np.arange(3)}}
    ds = swarmgrid.compute({}, axes, **widths(tmp_path, func=block, vectorized=True))
    np.testing.assert_array_equal(ds["value"], [[0, 7, 3], [0, 14, 6]])


def test_conditions_and_generators_know_labelled_axes(tmp_path: Path) -> None:
    def drawn(kind: Any, rng: np.random.Generator) -> float:
        return rng.random()

    axes = {"kind": {"none": None, "two": 2}}
    made = widths(tmp_path, func=drawn, rng="rng", version="1")
    ds = swarmgrid.compute({}, axes, where=lambda kind: kind is None, **made)
    assert np.isnan(ds["value"].values).tolist() == [False, True]
    whole = swarmgrid.compute({}, {"kind": {"two": 2, "none": None}}, **made)
    assert whole["value"].sel(kind="none") == ds["value"].sel(kind="none")
    shutil.rmtree(tmp_path)
    again = swarmgrid.compute({}, axes, **made)
    xr.testing.assert_equal(again.sel(kind=["two", "none"])["value"], whole["value"])
    mask = xr.DataArray([True], dims="kind", coords={"kind": ["two"]})
    with pytest.raises(swarmgrid.InputError, match="no value at kind='none'"):
        swarmgrid.plan({}, axes, where=mask, **made)


def test_a_point_that_fails_is_named_by_its_label(tmp_path: Path) -> None:
    def inverse(kind: Any) -> float:
        return 1 / kind

    grid = swarmgrid.grid(inverse, store=tmp_path, executor="sync")
    with pytest.raises(swarmgrid.PointError, match=r"inverse\(kind='none'\) failed: TypeError"):
        grid.compute({}, {"kind": {"none": None}})
    ds = grid.compute({}, {"kind": {"four": 4, "none": None}}, on_error="record")
    np.testing.assert_array_equal(ds["value"], [0.25, np.nan])
    assert grid.errors({}, ["kind"])["kind"].tolist() == ["none"]


def test_what_labels_stand_for_is_part_of_what_is_checked(tmp_path: Path) -> None:
    ds = swarmgrid.compute({}, {"kind": {"none": None, "two": 2}, "x": [1]}, **widths(tmp_path))
    folder = Path(ds.encoding["source"])
    digests = zarr.open_array(folder / "kind", mode="r").attrs["swarmgrid_labels"]
    assert len(set(digests)) == 2
    for document in (folder / "zarr.json", folder / "kind/zarr.json"):
        document.write_text(document.read_text().replace(digests[0], digests[1][::-1]))
    with pytest.raises(swarmgrid.StoreError):
        swarmgrid.open({}, **widths(tmp_path))["value"].load()


# ---- members of enums

LEVEL = """
import enum
FACTOR = {factor}
def helped(value):
    return value * FACTOR
class Mixed:
    def mixed(self):
        return {mixed}
class Level(Mixed, enum.Enum):
    LOW = {low}
    HIGH = {high}
    {more}
    def scaled(self):
        return helped(self.value)
"""


def levels(**edits: Any) -> Any:
    """The members of an enum, as its file says after some edits."""
    values = {"low": 1, "high": 2, "more": "", "factor": 1, "mixed": 0} | edits
    names: dict[str, Any] = {"__name__": "levels"}
    exec(LEVEL.format(**values), names)
    return names["Level"]


def of_level(level: Any) -> float:
    return float(level.scaled() + level.mixed())


@settings(max_examples=examples(30))
@given(
    edits=st.fixed_dictionaries(
        {},
        optional={
            "low": st.sampled_from([1, 3]),
            "high": st.sampled_from([2, 4]),
            "more": st.sampled_from(["", "MIDDLE = 9", "# a comment"]),
            "factor": st.sampled_from([1, 10]),
            "mixed": st.sampled_from([0, 100]),
        },
    ),
    is_pinned=st.booleans(),
)
def test_a_member_never_stands_for_two_values(
    edits: dict[str, Any], is_pinned: bool, new_memory_store_of_module: Callable[[], str]
) -> None:
    call = {"func": of_level, "store": new_memory_store_of_module(), "executor": "sync"}
    if is_pinned:
        call["version"] = "1"
    old, new = levels(), levels(**edits)
    swarmgrid.compute({}, {"level": list(old)}, **call)
    values = {"low": 1, "high": 2} | edits
    is_same = (values["low"], values["high"]) == (1, 2)
    if not is_pinned:  # a version stands for code, and not for values
        is_same &= edits.get("factor", 1) == 1 and edits.get("mixed", 0) == 0
    try:
        ds = swarmgrid.compute({}, {"level": list(new)}, **call)
    except swarmgrid.AxisError:
        assert not is_same
    else:
        assert is_same
        assert list(ds["level"].values) == [member.name for member in new]
        if not is_pinned:
            assert list(ds["value"].values) == [of_level(member) for member in new]
    assert swarmgrid.open({}, ["level"], **call).sizes["level"] >= 2  # needs no class


def test_the_errors_of_members_name_the_ways_out(new_memory_store: Callable[[], str]) -> None:
    call: dict[str, Any] = {
        "func": of_level, "store": new_memory_store(), "executor": "sync",
    }  # fmt: skip
    swarmgrid.compute({}, {"level": list(levels())}, **call)
    edited = levels(low=7)
    with pytest.raises(
        swarmgrid.AxisError,
        match="the member of Level 'LOW' of axis 'level' stands for another value .* depends=",
    ):
        swarmgrid.plan({}, {"level": [edited.LOW]}, **call)
    assert swarmgrid.compute({}, {"level": [edited.HIGH]}, **call)["value"].item() == 2
    with pytest.raises(swarmgrid.AxisError, match="methods or attributes of Level"):
        swarmgrid.plan({}, {"level": list(levels(factor=3))}, **call)
    ds = swarmgrid.compute({}, {"level": list(edited)}, depends={"levels": 2}, **call)
    assert list(ds["value"].values) == [7, 2]
