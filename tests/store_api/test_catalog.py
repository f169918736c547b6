"""The catalog of a store: what it lists, finds and shows, and what it costs."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from zarr.storage import MemoryStore

import swarmgrid
from swarmgrid.inventory import objects
from swarmgrid.inventory.row import GridRow
from swarmgrid.store.location import to_location
from swarmgrid.store_api.catalog import Catalog
from tests.conftest import CallCounter
from tests.scenarios.test_costs import CountingStore

OPTIONS: dict[str, Any] = {"executor": "sync", "verbose": 0}


def simulate(x: int, s: str, alpha: float, model: Any = None) -> float:
    return x * alpha + len(s)


def growth(t: float) -> float:
    if t > 2:
        raise ValueError("too late")
    return t


@pytest.fixture
def store() -> MemoryStore:
    """Three grids of two functions, with tags, a failure and a point that is missing."""
    made = MemoryStore()
    axes = {"x": range(5), "s": ["a", "bb"]}
    for alpha, site in ((0.2, "a"), (0.4, "b")):
        swarmgrid.stream(
            {"alpha": alpha},
            axes,
            func=simulate,
            store=made,
            tags={"site": site, "n": 1},
            **OPTIONS,
        )
    swarmgrid.stream({}, {"t": [0.5, 1, 3]}, func=growth, store=made, on_error="record",
        where=lambda t: t != 1, **OPTIONS)  # fmt: skip
    return made


def test_a_catalog_has_each_grid_once_and_leads_to_its_handle(store: MemoryStore) -> None:
    catalog = swarmgrid.catalog(store)
    assert len(catalog) == len(list(catalog)) == 3
    assert all(isinstance(grid, swarmgrid.Grid) for grid in catalog)
    assert {grid.function for grid in catalog} == {"simulate", "growth"}
    with swarmgrid.set_options(store=store):
        assert len(swarmgrid.catalog()) == 3


def test_a_grid_is_found_by_id_and_by_params(store: MemoryStore) -> None:
    catalog = swarmgrid.catalog(store)
    grid = catalog["simulate", {"alpha": 0.4}]
    assert grid.dataset()["value"].sel(x=2, s="bb").item() == 2.8
    for key in (grid.id, grid.id[:12], f"simulate/{grid.id[:20]}"):
        assert catalog[key].id == grid.id
        assert key in catalog
    assert catalog["growth/"].function == "growth"
    assert catalog["growth", {}].function == "growth"
    for wrong, message in [
        (
            "simulate/",
            r"2 grids .* fit 'simulate/'; there are simulate/\w{12} \(alpha=0.2\), .* more dig",
        ),
        (("simulate", {"alpha": 7}), r"no grid .* there are growth/.*, simulate/.*alpha=0.4"),
        ("ffffffffffff", "no grid"),
        (("simulate", {}), "2 grids"),
        (("simulate", {"alpha": np.array([0.2, 0.4])}), "no grid .* there are growth/"),
        (3, "names no grid"),
        ("not an id", "names no grid"),
    ]:
        with pytest.raises(swarmgrid.InputError, match=message):
            catalog[wrong]  # type: ignore[index]
    assert "ffffffffffff" not in catalog
    with pytest.raises(swarmgrid.InputError, match="it is empty"):
        swarmgrid.catalog(MemoryStore())["simulate", {}]


def test_params_that_another_grid_has_besides_others_mean_the_grid_that_has_just_these() -> None:
    store = MemoryStore()
    for params in ({"alpha": 1.0}, {"alpha": 1.0, "model": "m"}):
        swarmgrid.stream(params, {"x": [1], "s": ["a"]}, func=lambda **v: 1, store=store,
            version="1", **OPTIONS)  # fmt: skip
    catalog = swarmgrid.catalog(store)
    name = catalog.rows[0].function
    one = catalog[name, {"alpha": 1.0}]
    assert one.id != catalog[name, {"model": "m"}].id


def test_queries_find_grids_by_everything_that_a_row_says(store: MemoryStore) -> None:
    catalog = swarmgrid.catalog(store)

    def alphas(query: Any, **options: Any) -> list[Any]:
        found = catalog.query(query, **options)
        assert isinstance(found, Catalog)
        return sorted((row.params.get("alpha") for row in found.rows), key=str)

    assert alphas({"params.alpha": {"$gte": 0.3}, "tags.site": {"$in": ["a", "b"]}}) == [0.4]
    assert alphas(None, function="simulate") == [0.2, 0.4]
    assert alphas({"axes.x.size": 5, "axes.x.max": 4, "axes.s.kind": "str"}) == [0.2, 0.4]
    assert alphas({"points.failed": {"$gt": 0}}) == [None]
    assert alphas({"points": {"total": 3, "computed": 1, "failed": 1, "missing": 1}}) == [None]
    assert alphas({"outputs.value.dtype": "float64", "function": {"$regex": "^sim"}}) == [0.2, 0.4]
    assert alphas({"written": {"$gt": 1e9}, "bytes": {"$gt": 0}, "chunks": 1}) == [0.2, 0.4, None]
    with pytest.raises(swarmgrid.InputError, match="Did you mean 'params'"):
        catalog.query({"parms.alpha": 1})
    with pytest.raises(swarmgrid.InputError, match="function is 3"):
        catalog.query(function=3)  # type: ignore[arg-type]


def test_a_table_has_a_row_for_each_grid(store: MemoryStore) -> None:
    table = swarmgrid.catalog(store).to_dataframe()
    assert table.index.name == "grid"
    assert list(table.columns) == [
        "function", "version", "params.alpha", "axes", "points", "computed", "failed", "missing",
        "bytes", "chunks", "created", "written", "seconds", "archive", "tags.site", "tags.n",
    ]  # fmt: skip
    assert table["computed"].tolist() == [1, 10, 10]
    assert table["missing"].tolist() == [1, 0, 0]
    assert sorted(table["params.alpha"].tolist()[1:]) == [0.2, 0.4]
    assert table["axes"].tolist()[1] == "x (5: 0 … 4), s (2: a … bb)"
    assert (table["written"] >= table["created"]).all()
    assert (pd.Timestamp.now("UTC") - table["written"] < pd.Timedelta("1h")).all()
    assert swarmgrid.catalog(MemoryStore()).to_dataframe().empty


def test_a_tree_has_each_grid_and_reads_nothing_before_it_is_used() -> None:
    store = CountingStore()
    swarmgrid.stream(
        {"alpha": 1.0}, {"x": [1, 2], "s": ["a"]}, func=simulate, store=store, **OPTIONS
    )
    catalog = swarmgrid.catalog(store)
    store.forget()
    tree = catalog.datatree()
    assert not any("/value/c." in key for _, key in store.requests)
    (node,) = tree["simulate"].children.values()
    assert node["value"].values.tolist() == [[2.0], [3.0]]
    assert isinstance(tree, xr.DataTree)


def test_tags_are_kept_changed_and_removed_without_computing(counter: CallCounter) -> None:
    def counted(x: int) -> int:
        counter()
        return x

    store = MemoryStore()
    call: dict[str, Any] = {"func": counted, "version": "1", "store": store, **OPTIONS}
    swarmgrid.stream({}, {"x": [1]}, tags={"a": 1, "b": "x"}, **call)
    (grid,) = swarmgrid.catalog(store)
    assert grid.tags == {"a": 1, "b": "x"}
    swarmgrid.stream({}, {"x": [1]}, tags={"a": 2}, **call)  # nothing is to be computed
    assert grid.tags == swarmgrid.catalog(store).rows[0].tags == {"a": 2, "b": "x"}
    swarmgrid.stream({}, {"x": [1, 2]}, tags={"c": True}, **call)
    swarmgrid.stream({}, {"x": [1, 2, 3]}, **call)
    assert grid.tag({"b": None}, d=[1, "y"]) == {"a": 2, "c": True, "d": [1, "y"]}
    assert grid.tags == swarmgrid.catalog(store).rows[0].tags == {"a": 2, "c": True, "d": [1, "y"]}
    assert counter.count == 3
    assert grid.verify().is_clean
    assert grid.verify().notes == ()


def test_tags_of_a_run_that_fails_are_kept_with_what_it_computed() -> None:
    store = MemoryStore()
    with pytest.raises(swarmgrid.PointError):
        swarmgrid.stream(
            {}, {"t": [1, 3]}, func=growth, store=store, chunks=1, tags={"a": 1}, **OPTIONS
        )
    (row,) = swarmgrid.catalog(store).rows
    assert (row.points_computed, row.tags) == (1, {"a": 1})


def test_tags_that_are_none_are_refused_before_anything_is_computed(tmp_path: Path) -> None:
    with pytest.raises(swarmgrid.InputError, match="tag 'a' is {}"):
        swarmgrid.stream({}, {"t": [1]}, func=growth, store=tmp_path, tags={"a": {}}, **OPTIONS)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(swarmgrid.InputError, match="nothing is stored"):
        swarmgrid.GridFunction(growth, store=tmp_path).grid({}).tag(a=1)


# ---- how it looks, and what it costs


def many_rows(n: int) -> tuple[GridRow, ...]:
    return tuple(
        GridRow(
            f"{i:032x}", "simulate", "simulate", "code-1", f'{{"alpha": {i}}}',
            '{"x": ["int", 9, 0, 8]}', '{"value": ["float64"]}', '{"site": "a"}',
            points_total=9, points_computed=i % 10, chunks=1, nbytes=i**3, seconds=i,
            created=10**9, written=10**9, checksum="x", time_ns=i,
        )
        for i in range(n)
    )  # fmt: skip


def test_a_repr_shows_the_first_grids_whatever_their_number_and_looks_at_no_others() -> None:
    rows = many_rows(50_000)
    catalog = Catalog(to_location(MemoryStore()), rows, 2e9)
    text, page = repr(catalog), catalog._repr_html_()
    assert len(text.splitlines()) == 13
    assert "50,000 grids" in text
    assert "49,990 more" in text
    assert "49,990 more" in page
    read = [i for i, row in enumerate(rows) if "params" in row.__dict__]
    assert read == list(range(10))  # params are JSON until they are looked at
    assert len(page) < 20_000


def test_what_stands_in_a_grid_cannot_break_the_page_or_the_table() -> None:
    row = GridRow(
        "0" * 32, "f", "<b>\x1b[31m", "", '{"a": "<script>alert(1)</script>"}',
        tags_text=json.dumps({"<i>": "\n" * 99 + "x" * 99}),
    )  # fmt: skip
    catalog = Catalog(to_location("memory://catalog-page"), (row,), 2e9)
    page, text = catalog._repr_html_(), repr(catalog)
    assert not re.search("<(b|script|i)>", page)
    assert "\x1b" not in page + text
    assert len(text.splitlines()) == 3


def test_an_empty_catalog_says_so() -> None:
    assert repr(swarmgrid.catalog(MemoryStore())).endswith(": 0 grids>")


def test_ten_thousand_grids_take_ten_requests_however_their_rows_came(monkeypatch: Any) -> None:
    store = CountingStore()
    blobs = to_location(store).open()
    rows = many_rows(10_000)
    sizes = itertools.chain([4000, 3000, 1500, 700, 400, 200, 100, 60, 30], itertools.repeat(1))
    done = 0
    while done < len(rows):  # as runs leave them: all but the last ones merged
        n = next(sizes)
        objects.write_rows(blobs, rows[done : done + n])
        done += n
        chosen = objects.to_compact(blobs.names(objects.FOLDER))
        if chosen:
            objects.compact(blobs, chosen)
    store.forget()
    catalog = swarmgrid.catalog(store)
    assert len(catalog) == 10_000
    assert len(store.requests) <= objects.MAX_OBJECTS + 1
    assert store.rounds <= 2
    assert store.nbytes_read < 2**20
    found = catalog.query({"params.alpha": {"$lt": 5}, "tags.site": "a"})
    assert [row.params["alpha"] for row in found.rows] == [0, 1, 2, 3, 4]


def test_a_catalog_needs_neither_zarr_nor_xarray_nor_dask(tmp_path: Path) -> None:
    swarmgrid.stream({}, {"t": [1]}, func=growth, store=tmp_path, **OPTIONS)
    code = (
        "import sys, swarmgrid\n"
        f"catalog = swarmgrid.catalog({str(tmp_path)!r})\n"
        "print(len(catalog.query({'points.total': 1})), len(repr(catalog)) > 50)\n"
        "print(sorted({'zarr', 'xarray', 'dask', 'pandas'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split("\n")[:2] == ["1 True", "[]"]


def test_numbers_of_a_query_may_be_numpys(store: MemoryStore) -> None:
    catalog = swarmgrid.catalog(store)
    assert len(catalog.query({"params.alpha": {"$gte": np.float64(0.3)}})) == 1
    assert len(catalog.query({"params.alpha": {"$in": np.array([0.2, 0.4])}})) == 2


def test_a_page_has_no_column_without_content() -> None:
    page = Catalog(to_location(MemoryStore()), many_rows(3), 2e9)._repr_html_()
    assert "params" in page
    assert "archived in" not in page
