"""`ls` shows the grids that are asked for, in the order asked for."""

from __future__ import annotations

import pytest

from tests.cli.shell import shell


def alphas(*arguments: str) -> list[float]:
    """The params of the grids that are listed."""
    grids = shell("ls", *arguments, "--json").document["grids"]
    return [grid["params"]["alpha"] for grid in grids]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], [0.2, 0.4, 0.6]),
        (["--where", "params.alpha>=0.3"], [0.4, 0.6]),
        (["--where", "params.alpha>=0.3", "--where", "params.alpha<0.5"], [0.4]),
        (["--tag", "site=north"], [0.2, 0.6]),
        (["--function", "simulate"], [0.2, 0.4, 0.6]),
        (["--function", "simul"], []),
        (["--where", "points.failed>0"], [0.4]),
        (["--where", '{"$or": [{"params.alpha": 0.2}, {"params.alpha": 0.6}]}'], [0.2, 0.6]),
        (["--sort", "-params.alpha"], [0.6, 0.4, 0.2]),
        (["--sort", "points.total"], [0.6, 0.2, 0.4]),
        (["--sort", "-points.total", "-n", "2"], [0.4, 0.2]),
        (["--sort", "tags.site", "--limit", "1"], [0.2]),
        (["--check"], [0.2, 0.4, 0.6]),
    ],
)
def test_the_grids_asked_for(arguments: list[str], expected: list[float], store: str) -> None:
    assert alphas(store, *arguments) == expected


def test_the_table_is_whole_where_it_is_piped(store: str) -> None:
    done = shell("ls", store)
    head, *rows = done.out.splitlines()
    assert head.split()[:4] == ["function", "grid", "params", "axes"]
    assert len(rows) == 3
    assert "alpha=0.4" in done.out
    assert "8 of 9" in done.out
    assert "\x1b" not in done.out


def test_a_grid_has_the_documented_fields(store: str) -> None:
    (grid,) = shell("ls", store, "--where", "params.alpha=0.4", "--json").document["grids"]
    assert {*grid} == {
        *("grid", "function", "version", "params", "axes", "outputs", "points", "chunks", "bytes"),
        *("seconds", "created", "written", "tags", "damaged", "archived", "archive"),
    }
    assert grid["points"] == {"total": 9, "computed": 8, "failed": 1, "missing": 0}
    assert grid["axes"] == {"s": {"kind": "int", "size": 9, "min": 0, "max": 8}}


@pytest.mark.parametrize("arguments", [["--sort", "alpha"], ["--where", "alpha>1"], ["-n", "-1"]])
def test_a_mistake_is_named(arguments: list[str], store: str) -> None:
    done = shell("ls", store, *arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err


def test_grids_are_searched_by_words(store: str) -> None:
    grids = shell("ls", store, "--search", "north simulate", "--json").document["grids"]
    assert [grid["params"]["alpha"] for grid in grids] == [0.2, 0.6, 0.4]
    assert grids[0]["score"] == grids[1]["score"] > grids[2]["score"] > 0
    assert alphas(store, "--search", "north", "--sort", "-params.alpha") == [0.6, 0.2]
    assert shell("ls", store, "--search", "unknown").code == 3
    assert "expected some words" in shell("ls", store, "--search", "...").err
