"""`show` is about one grid, `errors` about the points that failed."""

from __future__ import annotations

from typing import Any

from tests.cli.shell import shell


def ids(store: str) -> dict[float, str]:
    """The id of each grid, by its param."""
    grids = shell("ls", store, "--json").document["grids"]
    return {grid["params"]["alpha"]: grid["grid"] for grid in grids}


def test_one_grid_is_shown_by_any_of_its_names(store: str) -> None:
    known = ids(store)
    for names in ([known[0.4]], [known[0.4][:14]], [f"simulate/{known[0.4][:14]}"],
                  ["--where", "params.alpha=0.4"]):  # fmt: skip
        found: Any = shell("show", store, *names, "--json").document
        assert found["grid"] == known[0.4]
    assert found["outputs"] == {"value": {"dtype": "float64", "dims": [], "shape": []}}
    assert found["chunk_lengths"]["s"] >= 9
    assert found["group"] == f"data.zarr/simulate/{known[0.4]}"
    text = shell("show", store, known[0.4]).out
    assert "8 of 9 computed, 1 failed" in text
    assert "site=south" in text


def test_a_name_of_several_grids_is_an_error_that_lists_them(store: str) -> None:
    done = shell("show", store, "simulate")
    assert done.code == 2
    assert all(grid[:12] in done.err for grid in ids(store).values())
    assert shell("show", store, "other").code == 3
    assert shell("show", store, "").code == 2


def test_failures_are_found(store: str) -> None:
    done = shell("errors", store)
    assert done.code == 1
    assert "ValueError: seven" in done.out
    found = shell("errors", store, "--json").document
    assert found["failed"] == 1
    (grid,) = found["grids"]
    (failure,) = grid["failures"]
    assert failure["point"] == {"s": 7}
    assert (failure["exception"], failure["attempt"]) == ("ValueError", 1)
    assert 'raise ValueError("seven")' in failure["traceback"]
    assert 'raise ValueError("seven")' in shell("errors", store, "--traceback").out
    none = shell("errors", store, "-n", "0")
    assert (none.code, none.out, none.err) == (1, "", "... and 1 more\n")


def test_without_failures_nothing_is_found(store: str) -> None:
    done = shell("errors", store, "--where", "params.alpha=0.2")
    assert (done.code, done.out) == (0, "no point has failed\n")
    done = shell("errors", store, ids(store)[0.2], "--json")
    assert (done.code, done.document["grids"]) == (0, [])
