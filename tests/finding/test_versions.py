"""Grids whose code has changed since can be read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import swarmgrid
from swarmgrid import InputError

METHODS = ["errors", "verify", "grid"]


def made(factor: float) -> Callable[..., Any]:
    """The function of one name, in different states of its code."""

    def area(width: float, height: float = 1.0) -> float:
        return width * height * factor

    return area


@pytest.fixture
def versions(tmp_path: Path) -> list[str]:
    """The versions of three states of a function; ``made(1.0)`` is the present one."""
    found = []
    for factor in (3.0, 2.0, 1.0):
        axes = {"width": [1.0, 2.0, 0.0]}
        ds = swarmgrid.compute(made(factor), {}, axes, store=tmp_path, executor="sync")
        found.append(ds.attrs["swarmgrid_version"])
    return found


@pytest.mark.parametrize("digits", [4, 5, 13, 32])
def test_a_version_opens_what_other_code_computed(
    versions: list[str], tmp_path: Path, digits: int
) -> None:
    func = swarmgrid.grid(made(1.0), store=tmp_path)
    for version, factor in zip(versions, (3.0, 2.0, 1.0), strict=True):
        given = version[: len("code-") + digits]
        every = func.open(version=given)
        assert every["value"].values.tolist() == [factor, 2 * factor, 0]
        assert every.attrs["swarmgrid_version"] == version
        some = swarmgrid.open(made(1.0), {}, {"width": [2.0]}, store=tmp_path, version=given)
        assert some["value"].values.tolist() == [2 * factor]
        assert func.grid(version=given).state().version == version
        assert func.verify(version=given).points == 3
        assert len(func.errors(version=given)) == 0


def test_a_grid_opens_without_the_function(versions: list[str], tmp_path: Path) -> None:
    grid = swarmgrid.grid(made(1.0), store=tmp_path).grid(version=versions[0])
    for name in (grid.id, grid.id[:12], f"area/{grid.id}"):
        found = swarmgrid.Grid.open(tmp_path, name)
        assert found.dataset()["value"].values.tolist() == [3.0, 6.0, 0.0]
        assert found.state().version == versions[0]


@pytest.mark.usefixtures("versions")
def test_an_unknown_version_names_those_that_are_stored(tmp_path: Path) -> None:
    func = swarmgrid.grid(made(1.0), store=tmp_path)
    for given in ("code-ffffffff", "code-0000"):
        with pytest.raises(
            InputError, match=r"no version .*; stored: code-[0-9a-f]{32} \(1 grids"
        ):
            func.open(version=given)


@pytest.mark.parametrize("name", ["compute", "run", "stream", "plan"])
def test_nothing_is_computed_under_the_version_of_other_code(
    versions: list[str], tmp_path: Path, name: str
) -> None:
    def never(width: float) -> float:
        raise AssertionError

    for version in (*versions, versions[0][:12]):
        with pytest.raises(InputError, match="names the code that a stored grid was computed"):
            getattr(swarmgrid, name)(
                never, {}, {"width": [7.0]}, version=version, store=tmp_path, executor="sync"
            )


OTHER = ["code-1", "code-abc", "code-xyzw", "code", "1", None, "Code-12345"]


@pytest.mark.parametrize("version", OTHER)
def test_other_versions_are_names_as_ever(version: str | None, tmp_path: Path) -> None:
    options: Any = {"version": version, "store": tmp_path, "executor": "sync"}
    swarmgrid.compute(made(1.0), {}, {"width": [7.0]}, **options)
    assert swarmgrid.open(made(1.0), {}, **options).sizes["width"] == 1


@pytest.mark.usefixtures("versions")
def test_an_edited_function_is_told_what_is_stored(tmp_path: Path) -> None:
    func = swarmgrid.grid(made(9.0), store=tmp_path)
    for call in (func.open, lambda: func.open({}, {"width": [1.0]}), func.verify):
        with pytest.raises(InputError, match=r"nothing is stored of area") as caught:
            call()
        text = str(caught.value)
        assert text.count("area/") == 3
        assert text.count("version='code-") == 3
        assert "Grid.open(store, id)" in text
    with pytest.raises(InputError) as caught:
        swarmgrid.grid(made(9.0), store=tmp_path / "empty").open()
    assert "Stored of" not in str(caught.value)


def test_params_and_the_way_of_the_call_still_count(tmp_path: Path) -> None:
    options: Any = {"store": tmp_path, "executor": "sync"}
    swarmgrid.compute(made(3.0), {"height": 2.0}, {"width": [1.0]}, **options)
    version = swarmgrid.compute(made(3.0), {"height": 4.0}, {"width": [1.0]}, **options).attrs[
        "swarmgrid_version"
    ]
    new = swarmgrid.grid(made(1.0), store=tmp_path)
    assert new.open({"height": 2.0}, version=version)["value"].item() == 6.0
    assert new.open({"height": 4.0}, version=version)["value"].item() == 12.0
    for wrong in ({}, {"height": 2}, {"height": 3.0}):
        with pytest.raises(InputError, match=r'height\\?": 2\.0'):
            new.open(wrong, version=version)


def scaled(factor: float, height: float, *, mode: str = "fast") -> Callable[..., Any]:
    """A function whose code differs by a constant and by the defaults of its parameters."""

    def area(width: float, height: float = height, mode: str = mode) -> float:
        return width * height * factor

    return area


def test_a_version_stands_for_the_defaults_of_its_code(tmp_path: Path) -> None:
    options: Any = {"store": tmp_path, "executor": "sync"}
    old, new = scaled(3.0, 2.0), scaled(3.0, 5.0)
    ds = swarmgrid.compute(old, {}, {"width": [1.0]}, **options)
    swarmgrid.compute(old, {"mode": "slow"}, {"width": [2.0], "height": [7.0]}, **options)
    version = ds.attrs["swarmgrid_version"]
    assert not any("default" in name for name in ds.attrs)
    for given in (version, version[:10]):
        for axes in (None, ["width"], {"width": [1.0]}):
            found = swarmgrid.open(new, {}, axes, version=given, **options)
            assert found["value"].values.tolist() == [6.0]
        swept = swarmgrid.open(new, {"mode": "slow"}, version=given, **options)
        assert swept["value"].values.tolist() == [[42.0]]
        assert swarmgrid.grid(new, **options).verify(version=given).points == 1
    with pytest.raises(InputError, match="nothing is stored"):
        swarmgrid.open(new, {"height": 5.0}, version=version, **options)
    with pytest.raises(InputError, match="nothing is stored"):
        swarmgrid.open(new, {}, version="other", **options)
    swarmgrid.compute(new, {}, {"width": [1.0]}, **options)
    assert swarmgrid.open(new, {}, **options)["value"].values.tolist() == [15.0]
    assert swarmgrid.open(new, {}, version=version, **options)["value"].values.tolist() == [6.0]


def with_depth(*, is_new: bool) -> Callable[..., Any]:
    """A function whose parameters have changed."""
    if is_new:

        def area(width: float, height: float = 3.0, mode: str = "fast") -> float:
            return width * height
    else:

        def area(width: float, depth: float = 2.0) -> float:  # type: ignore[misc]
            return width * depth

    return area


def test_a_parameter_that_is_new_or_gone_does_not_hide_old_grids(tmp_path: Path) -> None:
    options: Any = {"store": tmp_path, "executor": "sync"}
    ds = swarmgrid.compute(with_depth(is_new=False), {}, {"width": [1.0]}, **options)
    version = ds.attrs["swarmgrid_version"]
    new = with_depth(is_new=True)
    assert swarmgrid.open(new, {}, version=version, **options)["value"].item() == 2.0


def test_the_version_of_the_present_code_says_nothing_new(
    versions: list[str], tmp_path: Path
) -> None:
    calls = []

    def count(width: float) -> float:
        calls.append(width)
        return width

    options: Any = {"store": tmp_path, "executor": "sync"}
    present = swarmgrid.grid(made(1.0), **options)
    for given in (versions[-1], versions[-1][:12]):
        ds, done = present.run({}, {"width": [1.0, 2.0]}, version=given)
        assert (done.points_cached, ds.attrs["swarmgrid_version"]) == (2, versions[-1])
        assert present.plan({}, {"width": [1.0, 8.0]}, version=given).points_missing == 1
    present.run({}, {"width": [8.0]}, version=versions[-1])
    assert present.plan({}, {"width": [1.0, 8.0]}).points_missing == 0
    with pytest.raises(InputError, match=r"the present code is code-[0-9a-f]{32}"):
        swarmgrid.compute(count, {}, {"width": [1.0]}, version=versions[-1], **options)
    assert not calls
