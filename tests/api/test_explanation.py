"""A new grid says why it is one: by the code, values, params, axes and version that differ."""

from __future__ import annotations

import importlib
import json
import linecache
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from zarr.storage import MemoryStore

import swarmgrid
from swarmgrid.records import code_record
from swarmgrid.store.layout import GridPath
from swarmgrid.store.location import to_location

OPTIONS: dict[str, Any] = {"executor": "sync", "verbose": 0}
SOURCE = """
SCALE = 3

def helper(x):
    # a comment
    return x * 2

class Model:
    power = 1

    def run(self, x):
        return x ** self.power

def simulate(x, alpha):
    return helper(x) * alpha * SCALE + Model().run(x)
"""


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """Imports a module of some source anew, as the next process would."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def import_(source: str) -> Any:
        (tmp_path / "explained_model.py").write_text(source)
        sys.modules.pop("explained_model", None)
        importlib.invalidate_caches()
        linecache.clearcache()
        return importlib.import_module("explained_model").simulate

    yield import_
    sys.modules.pop("explained_model", None)


AXES = {"x": range(3)}
EDITS: dict[str, tuple[str, str, str]] = {
    "a helper": ("x * 2", "x * 3",
        "`helper` in explained_model.py changed (-return x * 2, +return x * 3)"),
    "a constant": ("SCALE = 3", "SCALE = 4", "global 'SCALE' of simulate changed"),
    "a method": ("return x ** self.power", "return x + self.power",
        "`Model.run` in explained_model.py changed (-return x ** self.power, +return x + self"),
    "an attribute": ("power = 1", "power = 2", "attribute 'power' of Model changed"),
    "the function": ("* alpha *", "/ alpha *",
        "`simulate` in explained_model.py changed (-return"),
}  # fmt: skip


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_is_named_with_its_lines(load: Any, edit: str) -> None:
    old, new, expected = EDITS[edit]
    store = MemoryStore()
    call: dict[str, Any] = {"store": store, **OPTIONS}
    func = load(SOURCE)
    swarmgrid.stream({"alpha": 0.4}, AXES, func=func, **call)
    before = swarmgrid.GridFunction(func, **call).grid({"alpha": 0.4})
    func = load(SOURCE.replace(old, new))
    plan = swarmgrid.plan({"alpha": 0.4}, AXES, func=func, explain=True, **call)
    assert plan.why is not None
    assert plan.why.startswith(f"new grid because {expected}")
    assert plan.why.endswith(f"; the nearest grid {before.id[:12]}... has 3 points")
    assert plan.why in str(plan)
    swarmgrid.stream({"alpha": 0.4}, AXES, func=func, **call)
    after = swarmgrid.GridFunction(func, **call).grid({"alpha": 0.4})
    assert str(after.why(before)).startswith(expected)
    difference = after.why(before)
    assert (difference.params, difference.axes, difference.versions) == (None, None, None)
    assert swarmgrid.plan({"alpha": 0.4}, AXES, func=func, explain=True, **call).why is None
    assert swarmgrid.plan({"alpha": 9.0}, AXES, func=func, **call).why is None


def test_comments_layout_and_machines_are_no_differences_and_are_not_kept(
    load: Any, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    call: dict[str, Any] = {"store": store, **OPTIONS}
    swarmgrid.stream({"alpha": 0.4}, AXES, func=load(SOURCE), **call)
    func = load("\n\n" + SOURCE.replace("# a comment", "# another"))
    assert swarmgrid.plan({"alpha": 0.4}, AXES, func=func, **call).points_missing == 0
    (grid,) = swarmgrid.catalog(store)
    parts = code_record.read_code(to_location(store).open(), GridPath("simulate", grid.id))
    assert {part.file for part in parts if part.kind == "code"} == {"explained_model.py"}
    kept = json.dumps([[p.path, p.file, p.source] for p in parts])
    assert str(tmp_path) not in kept
    assert "comment" not in kept
    assert str(grid.why(grid)) == "they are alike in all that is known of them"


def test_params_axes_and_versions_are_named_and_the_nearest_grid_is_that_with_fewest_differences(
    load: Any,
) -> None:
    call: dict[str, Any] = {"store": MemoryStore(), "func": load(SOURCE), **OPTIONS}
    swarmgrid.stream(
        {"alpha": 0.1}, {"x": range(50)}, **{**call, "func": load(SOURCE + "\nA = 1\n")}
    )
    swarmgrid.stream({"alpha": 0.4}, AXES, **call)

    def why(params: Any, axes: Any, **options: Any) -> str:
        found = swarmgrid.plan(params, axes, explain=True, **call, **options).why
        assert found is not None
        return found

    assert "because param alpha is 0.5, not 0." in why({"alpha": 0.5}, AXES)
    assert "alpha is no param any more" in why({}, {"x": [1], "alpha": [1.0]})
    assert "the axes are x, alpha, not x" in why({}, {"x": [1], "alpha": [1.0]})
    assert "the version is 2, not code-" in why({"alpha": 0.4}, AXES, version="2")
    empty = {**call, "store": MemoryStore()}
    plan = swarmgrid.plan({"alpha": 1.0}, AXES, explain=True, **empty)
    assert plan.why == "new grid: the store has no other grid of simulate"


def test_grids_with_a_version_keep_no_code_and_say_what_else_differs() -> None:
    store = MemoryStore()
    call: dict[str, Any] = {"func": lambda x, a: x, "store": store, **OPTIONS}
    for version, a in (("1", 1), ("2", 2)):
        swarmgrid.stream({"a": a}, AXES, version=version, **call)
    catalog = swarmgrid.catalog(store)
    name = catalog.rows[0].function
    one, two = catalog[name, {"a": 1}], catalog[name, {"a": 2}]
    assert two.why(one).reasons() == ["the version is 2, not 1", "param a is 2, not 1"]
    with pytest.raises(swarmgrid.InputError, match="expected a swarmgrid.Grid"):
        two.why("one")  # type: ignore[arg-type]
    one.drop()
    with pytest.raises(swarmgrid.InputError, match="nothing is stored"):
        two.why(one)


def test_a_record_that_is_damaged_is_found_and_stops_nothing(load: Any, tmp_path: Path) -> None:
    call: dict[str, Any] = {"store": tmp_path / "s", "func": load(SOURCE), **OPTIONS}
    swarmgrid.stream({"alpha": 0.4}, AXES, **call)
    (grid,) = swarmgrid.catalog(tmp_path / "s")
    record = tmp_path / "s" / "manifest" / grid.id / code_record.NAME
    whole = record.read_bytes()
    for wrong in (b"", b"torn", whole[:-9], whole + b"x" * 0 + b""):
        record.write_bytes(wrong)
        assert grid.why(grid).reasons() == []
        assert grid.verify().is_clean is (wrong == whole)
    record.write_bytes(b"torn")
    grid.repair()
    assert not record.exists()
    swarmgrid.stream({"alpha": 0.4}, {"x": range(5)}, **call)  # the next run keeps it again
    assert record.read_bytes() == whole
