"""Similarity search finds what a plain numpy search finds."""

from __future__ import annotations

import math
from decimal import Context, Decimal, localcontext
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import example, given, settings
from hypothesis import strategies as st
from zarr.storage import MemoryStore

import swarmgrid
from swarmgrid.search import nearest as module
from swarmgrid.search import ranking

METRICS = ["cosine", "euclidean", "dot"]


def plain_of_any_size(
    vectors: np.ndarray, query: np.ndarray, metric: str
) -> tuple[np.ndarray, np.ndarray]:
    """The distances, and by how much they may be off.

    By decimals of forty digits, whose exponents have no end.
    """
    found, errors = [], []
    with localcontext(Context(prec=40)):
        asked = [*map(Decimal, query.tolist())]
        for row in vectors.tolist():
            pairs = [*zip(map(Decimal, row), asked, strict=True)]
            error = sum((abs(a * b) for a, b in pairs), Decimal(0))
            one = -sum((a * b for a, b in pairs), Decimal(0))
            if metric == "euclidean":
                one = error = sum(((a - b) ** 2 for a, b in pairs), Decimal(0)).sqrt()
            elif metric == "cosine":
                squares = zip(*((a * a, b * b) for a, b in pairs), strict=True)
                size = math.prod(sum(numbers).sqrt() for numbers in squares)
                one, error = (1 + one / size if size else Decimal("nan")), Decimal(1)
            found.append(float(one))
            errors.append(float(error) * 1e-14 + 2e-323)
    return np.array(found), np.array(errors)


def plain(vectors: np.ndarray, query: np.ndarray, metric: str) -> np.ndarray:
    """The distances, in double precision, as anyone would write them."""
    vectors = vectors.astype(float)
    with np.errstate(all="ignore"):
        if metric == "euclidean":
            found = np.sqrt(((vectors - query) ** 2).sum(1))
        elif metric == "dot":
            found = -(vectors * query).sum(1)
        else:
            sizes = np.sqrt((vectors**2).sum(1)) * np.sqrt((query**2).sum())
            found = np.clip(1 - (vectors * query).sum(1) / sizes, 0, 2)
    return np.where(np.isfinite(found) & ~np.isnan(vectors).any(1), found, np.nan)


def dataset(vectors: np.ndarray) -> xr.Dataset:
    m = len(vectors)
    return xr.Dataset(
        {"v": (("x", "f"), vectors), "number": ("x", np.arange(m))},
        {"x": np.arange(m) * 10},
    )


@given(data=st.data(), metric=st.sampled_from(METRICS))
def test_the_hits_are_those_of_numpy(data: st.DataObject, metric: Any) -> None:
    m, n = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 5))
    dtype = data.draw(st.sampled_from(["float16", "float32", "float64", "int16"]))
    kind = data.draw(st.sampled_from(["ties", "random", "close", "huge"]))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    if kind == "ties":
        values = rng.integers(-2, 3, (m, n)).astype(float)
    elif kind == "close":
        values = 1 + rng.normal(size=(m, n)) * 1e-7
    else:
        values = rng.normal(size=(m, n)) * (100 if dtype == "int16" else 1)
    if kind == "huge" and dtype != "int16":
        values *= {"float16": 1e4, "float32": 1e25, "float64": 1e150}[dtype]
    vectors = values.astype(dtype)
    if dtype != "int16":
        vectors[rng.random((m, n)) < 0.1] = np.nan
    k = data.draw(st.integers(1, 8))
    query = vectors[rng.integers(m)].astype(float) + data.draw(st.sampled_from([0, 0.5]))
    if not np.isfinite(query).all() or (metric == "cosine" and not query.any()):
        query = np.ones(n)
    expected = plain(vectors, query, metric)
    order = np.lexsort((np.arange(m), expected))
    order = order[np.isfinite(expected[order])][:k]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK_NBYTES", data.draw(st.sampled_from([2**26, 64])))
        patch.setattr(ranking, "TILE_NBYTES", data.draw(st.sampled_from([2**22, 1])))
        hits = dataset(vectors).swarmgrid.nearest("v", query, k=k, metric=metric)
    assert np.array_equal(hits["distance"].values, expected[order])
    if len(order):
        assert hits["x"].values.tolist() == (order * 10).tolist()
        assert hits["number"].values.tolist() == order.tolist()
        assert np.array_equal(hits["v"].values, vectors[order])


@given(
    exponents=st.lists(st.integers(-323, 307), min_size=1, max_size=8),
    spread=st.sampled_from([0, 20, 300]),
    query_exponent=st.integers(-323, 307),
    metric=st.sampled_from(METRICS),
    seed=st.integers(0, 2**32 - 1),
)
@example([200, 0, -170], 0, 0, "cosine", 0)
@example([200, 0, -170], 0, -170, "euclidean", 0)
@settings(max_examples=40)
def test_vectors_of_any_size_have_their_distances(
    exponents: list[int], spread: int, query_exponent: int, metric: Any, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    own = np.clip(np.array(exponents)[:, None] - rng.integers(0, spread + 1, (1, 3)), -323, 307)
    vectors = rng.integers(-3, 4, (len(exponents), 3)) * 10.0**own
    query = np.array([1.0, -2.0, 3.0]) * 10.0**query_exponent
    expected, error = plain_of_any_size(vectors, query, metric)
    there = np.sort(expected[np.isfinite(expected)])
    k = int(rng.integers(1, len(exponents) + 1))
    hits = dataset(vectors).swarmgrid.nearest("v", query, k=k, metric=metric)
    places, distances = hits["number"].values, hits["distance"].values
    assert len({*places.tolist()}) == len(places) == min(k, len(there))
    assert (distances[1:] >= distances[:-1]).all()
    assert (np.abs(distances - expected[places]) <= error[places]).all()
    worst = error.max()  # of any that may have gone first
    for distance, nearest in zip(distances, there, strict=False):
        assert distance <= nearest + (1e-13 * nearest if metric == "euclidean" else worst)


@pytest.mark.parametrize("metric", METRICS)
def test_vectors_that_single_precision_cannot_tell_apart_are_ranked(metric: Any) -> None:
    rng = np.random.default_rng(7)
    vectors = (1 + rng.normal(size=(3000, 64)) * 1e-4).astype(np.float32)
    query = 1 + rng.normal(size=64) * 1e-4
    hits = dataset(vectors).swarmgrid.nearest("v", query, k=10, metric=metric)
    expected = plain(vectors, query, metric)
    order = np.lexsort((np.arange(3000), expected))[:10]
    assert hits["number"].values.tolist() == order.tolist()


def spectrum(a: float, b: float) -> dict[str, Any]:
    if a == 3 and b == 1:
        raise ValueError("no spectrum")
    x = np.linspace(0, 1, 16)
    return {"spectrum": np.exp(-(((x - a / 10) / (0.05 + b / 20)) ** 2)), "peak": a / 10}


@pytest.fixture
def grid() -> xr.Dataset:
    return swarmgrid.compute(
        axes={"a": range(10), "b": [0, 1, 2]}, func=spectrum, store=MemoryStore(), version="1",
        executor="sync", verbose=0, on_error="record", chunks={"a": 4, "b": 2},
    )  # fmt: skip


def test_a_grid_is_searched_with_its_axes_and_outputs(grid: xr.Dataset) -> None:
    measured = spectrum(7.1, 2)["spectrum"]
    hits = grid.swarmgrid.nearest("spectrum", measured, k=3, metric="euclidean")
    assert (int(hits["a"][0]), int(hits["b"][0])) == (7, 2)
    assert hits["peak"][0] == pytest.approx(0.7)
    assert hits["spectrum"].dims[0] == "hit"
    assert hits.sizes["hit"] == 3
    assert (np.diff(hits["distance"]) >= 0).all()


def test_a_point_that_failed_is_never_a_hit(grid: xr.Dataset) -> None:
    hits = grid.swarmgrid.nearest("spectrum", np.ones(16), k=100)
    assert hits.sizes["hit"] == 29
    assert (3, 1) not in list(zip(hits["a"].values, hits["b"].values, strict=True))


def test_several_queries_have_a_row_each(grid: xr.Dataset) -> None:
    asked = np.stack([spectrum(2, 0)["spectrum"], spectrum(8, 2)["spectrum"]])
    hits = grid.swarmgrid.nearest("spectrum", asked, k=2)
    assert hits["distance"].dims == ("query", "hit")
    assert hits["a"].values[:, 0].tolist() == [2, 8]
    assert hits["spectrum"].dims[:2] == ("query", "hit")


def test_a_loaded_part_of_a_dataset_is_searched(grid: xr.Dataset) -> None:
    assert dict(grid.swarmgrid.nearest("spectrum", np.zeros((0, 16))).sizes)["query"] == 0
    part = grid.sel(a=slice(2, 5)).load()
    hits = part.swarmgrid.nearest("spectrum", spectrum(9, 0)["spectrum"], k=1, metric="euclidean")
    assert hits["a"].values.tolist()[0] in range(2, 6)


def test_mistakes_are_told_before_anything_is_read(grid: xr.Dataset) -> None:
    for arguments, options, match in [
        (("spectra", [1]), {}, "no output 'spectra'; expected one of 'spectrum', 'peak'"),
        ((["spectrum"], [1]), {}, "(?s)no output .*; expected one of"),
        ((grid["spectrum"], [1]), {}, "(?s)no output .*; expected one of"),
        (("spectrum", [[1, 2], [1]]), {}, "or several of one length"),
        (("spectrum", [1, 2]), {}, r"shape \(2,\); expected \(16,\)"),
        (("spectrum", np.zeros(16)), {}, "vector of zeros"),
        (("spectrum", np.full(16, np.nan)), {}, "not finite"),
        (("spectrum", np.ma.masked_less(np.arange(16.0), 3)), {}, "missing or not finite"),
        (("spectrum", np.ones((2, 2, 16))), {}, r"shape \(2, 2, 16\); expected \(16,\)"),
        (("spectrum", 1.0), {}, r"shape \(\); expected \(16,\)"),
        (("spectrum", "abc"), {}, "expected one vector of numbers"),
        (("spectrum", grid), {}, "(?s)query is .*; expected one vector of numbers"),
        (("spectrum", np.ones(16)), {"k": 0}, "k is 0"),
        (("spectrum", np.ones(16)), {"metric": "l2"}, "metric is 'l2'"),
        (("spectrum", np.ones(16)), {"dim": "c"}, "dim is 'c'"),
    ]:
        with pytest.raises(swarmgrid.InputError, match=match):
            grid.swarmgrid.nearest(*arguments, **options)
    complex_one = xr.Dataset({"z": (("x", "f"), np.ones((2, 2), complex))})
    with pytest.raises(swarmgrid.InputError, match="expected real numbers; search the real"):
        complex_one.swarmgrid.nearest("z", [1, 1])


def test_other_variables_do_not_say_what_a_vector_is() -> None:
    def image(a: float, b: float) -> dict[str, Any]:
        one = np.add.outer(np.arange(3.0) ** a, np.arange(4.0) * b)
        dims = ("y", "x")
        return {"image": xr.DataArray(one, dims=dims), "mask": xr.DataArray(one > 1, dims=dims)}

    ds = swarmgrid.compute(
        image, axes={"a": [1, 2, 3], "b": [1, 2]}, store=MemoryStore(), executor="sync", verbose=0
    )
    query = ds["image"].sel(a=2, b=2)
    expected = plain(ds["image"].values.reshape(6, 12), query.values.ravel(), "euclidean")
    for one in (
        ds,
        ds[["image"]],
        ds.assign(mean=ds["image"].mean("b"), of_a=ds["a"] * 2, whole=1.0),
        ds.transpose("x", "a", "y", "b").load(),
        ds.chunk(),
    ):
        for asked in (query, query.T, query.values, query.drop_vars(["a", "b"])):
            hits = one.swarmgrid.nearest("image", asked, k=6, metric="euclidean")
            assert (int(hits["a"][0]), int(hits["b"][0])) == (2, 2)
            np.testing.assert_allclose(hits["distance"], np.sort(expected))
    part, asked = ds.isel(y=2), query.isel(y=2)
    row = part.swarmgrid.nearest("image", asked, k=1, metric="euclidean")
    assert (row["distance"].dims, int(row["a"][0])) == (("hit",), 2)
    assert ds.sel(a=2, b=2).swarmgrid.nearest("image", query)["distance"].shape == (1,)


def test_the_dims_of_a_query_go_by_name_and_its_coordinates_are_those_of_the_output() -> None:
    f = np.array([-0.3, 0.0, 0.1 + 0.2])
    ds = xr.Dataset(
        {"v": (("x", "f"), np.eye(3)), "number": ("x", [0, 1, 2])},
        {"f": f, "x": [1, 2, 3]},
    )
    many = xr.DataArray(np.eye(3)[:2].T, dims=("f", "sample"))
    assert ds.swarmgrid.nearest("v", many, k=1)["x"].values.tolist() == [[1], [2]]
    close = xr.DataArray([0, 1.0, 0], {"f": [-0.3, 1e-17, 0.3]}, ["f"])
    assert ds.swarmgrid.nearest("v", close, k=1)["x"].item() == 2
    for wrong in (close.assign_coords(f=[1, 2, 3]), close.sortby("f", ascending=False)):
        with pytest.raises(swarmgrid.InputError, match="other values of the coordinate 'f'"):
            ds.swarmgrid.nearest("v", wrong)
        assert ds.swarmgrid.nearest("v", wrong.values, k=1)["x"].item() == 2
    other = xr.DataArray([0, 1.0, 0], dims="frequency")
    assert ds.swarmgrid.nearest("v", other, k=1)["x"].item() == 2
    texts = ds.assign_coords(f=["a", "b", "c"])
    with pytest.raises(swarmgrid.InputError, match="other values of the coordinate 'f'"):
        texts.swarmgrid.nearest("v", close)
    with pytest.raises(swarmgrid.InputError, match=r"query has the dims \('f',\); expected"):
        ds.expand_dims(g=2).swarmgrid.nearest("v", close, dim=["f", "g"])


@pytest.mark.parametrize("kind", ["float64", "int64", "bool", "uint8"])
def test_single_numbers_are_searched_and_bools_of_which_some_are_missing(kind: str) -> None:
    def number(a: int, b: int) -> dict[str, Any]:
        if a == 1 and b == 2:
            raise ValueError("no number")
        value = np.dtype(kind).type((a * b) % 5)
        return {"number": value, "vector": np.array([value, value]), "name": "x"}

    ds = swarmgrid.compute(
        number, axes={"a": [0, 1, 2], "b": [1, 2, 3, 4]}, store=MemoryStore(), executor="sync",
        verbose=0, on_error="record",
    )  # fmt: skip
    values = np.array([a * b % 5 for a in range(3) for b in (1, 2, 3, 4)]).astype(kind) + 0.0
    values[5] = np.nan
    distances = np.sort(np.abs(values - 2.2))[:-1]
    hits = ds.swarmgrid.nearest("number", 2.2, k=20, metric="euclidean")
    np.testing.assert_allclose(hits["distance"], distances)
    np.testing.assert_allclose(np.abs(hits["number"].astype(float) - 2.2), distances)
    many = ds.swarmgrid.nearest("number", [2.2, 0], k=20, metric="euclidean", dim=())
    np.testing.assert_array_equal(many["distance"][0], hits["distance"])
    two = ds.swarmgrid.nearest("vector", [2.2, 2.2], k=20, metric="euclidean")
    np.testing.assert_allclose(two["distance"], distances * np.sqrt(2))
    along = ds.swarmgrid.nearest("number", np.ones(4), k=5, metric="euclidean")
    assert along["a"].values.tolist() == ([2, 0] if kind == "bool" else [0, 2])
    with pytest.raises(swarmgrid.InputError, match="single numbers have no direction"):
        ds.swarmgrid.nearest("number", 2.2)
    with pytest.raises(swarmgrid.InputError, match=r"\(3,\); expected \(4,\).*dim=\(\) searches"):
        ds.swarmgrid.nearest("number", [1, 2, 3])
    with pytest.raises(swarmgrid.InputError, match=r"shape \(\); expected \(2,\)"):
        ds.swarmgrid.nearest("vector", 2.2)
    with pytest.raises(swarmgrid.InputError, match="values of the type str; expected real"):
        ds.swarmgrid.nearest("name", [1, 2, 3, 4])


def test_any_part_of_a_grid_is_searched_in_boxes_of_whole_chunks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(size=(7, 3, 11, 4)).astype(np.float32)
    ds = xr.Dataset({"v": (("a", "f", "b", "c"), values.transpose(0, 3, 2, 1))})
    query = rng.normal(size=4)
    whole = ds.swarmgrid.nearest("v", query, k=300, dim="f")
    chunks = {"a": 3, "b": 2, "c": 2}
    lazy = ds.chunk(chunks)
    lazy["v"].encoding["preferred_chunks"] = chunks
    seen: list[int] = []
    vectors = module._vectors

    def counted(part: Any, n: int) -> Any:
        seen.append(part.size)
        return vectors(part, n)

    monkeypatch.setattr(module, "_vectors", counted)
    for nbytes in (1, 3 * 2 * 2 * 4 * 8 * 3, 2**13):
        seen.clear()
        monkeypatch.setattr(module, "BLOCK_NBYTES", nbytes)
        xr.testing.assert_identical(lazy.swarmgrid.nearest("v", query, k=300, dim="f"), whole)
        xr.testing.assert_identical(ds.swarmgrid.nearest("v", query, k=300, dim="f"), whole)
        assert max(seen) * 8 <= max(nbytes, 3 * 2 * 2 * 4 * 8)


def test_memory_stays_flat_on_a_short_first_axis_and_for_many_queries() -> None:
    rng = np.random.default_rng(4)
    values = rng.normal(size=(2, 4000, 3))
    ds = xr.Dataset({"v": (("a", "b", "f"), values)})
    queries = rng.normal(size=(40, 3))
    whole = ds.swarmgrid.nearest("v", queries, k=2)
    for i, query in enumerate(queries):
        one = ds.swarmgrid.nearest("v", query, k=2)
        xr.testing.assert_identical(whole.isel(query=i), one)


def test_hits_are_read_when_they_are_used(grid: xr.Dataset) -> None:
    hits = grid.swarmgrid.nearest("spectrum", spectrum(7, 2)["spectrum"], k=40)
    assert not hits["spectrum"].variable._in_memory
    np.testing.assert_array_equal(
        hits["spectrum"].isel(hit=[3, 1], spectrum_dim_0=slice(2, 9, 3)),
        hits["spectrum"].values[[3, 1], 2:9:3],
    )
    for i in range(hits.sizes["hit"]):
        point = grid.sel(a=hits["a"][i], b=hits["b"][i])
        np.testing.assert_array_equal(hits["spectrum"][i], point["spectrum"])
        assert hits["peak"][i] == point["peak"]


@pytest.mark.parametrize("metric", METRICS)
def test_many_vectors_are_looked_at_in_parts_that_stay_in_the_cache(metric: Any) -> None:
    rng = np.random.default_rng(5)
    vectors = rng.normal(size=(33_007, 65)).astype(np.float32)
    assert vectors.nbytes > 2 * ranking.TILE_NBYTES
    vectors[7::501] = np.nan
    vectors[[11, 30_000]] = vectors[20_000]  # equal ones, the first of which goes first
    query = vectors[20_000].astype(float) + 1e-3 * rng.normal(size=65)
    hits = dataset(vectors).swarmgrid.nearest("v", query, k=9, metric=metric)
    expected = plain(vectors, query, metric)
    order = np.lexsort((np.arange(len(vectors)), expected))[:9]
    assert hits["number"].values.tolist() == order.tolist()
    np.testing.assert_array_equal(hits["distance"], expected[order])


def test_hits_have_the_outputs_in_their_order_and_axes_of_any_kind() -> None:
    names = ["a", "bcd", "ef"]
    ds = xr.Dataset(
        {"zeta": ("s", [1, 2, 3]), "v": (("s", "f"), np.eye(3)), "b": ("s", [1.0, 2.0, 3.0])},
        {"s": names, "f": [10, 20, 30], "day": ("s", np.arange(3).astype("M8[D]")), "one": 1},
        {"about": "a test"},
    )
    hits = ds.swarmgrid.nearest("v", [0, 0.1, 1.0], k=2)
    assert list(hits.data_vars) == ["distance", "zeta", "v", "b"]
    assert {*hits.coords} == {"s", "f", "day", "one"}
    assert hits["s"].values.tolist() == ["ef", "bcd"]
    assert hits["s"].dtype == ds["s"].dtype
    assert hits["day"].values.tolist() == ds["day"].values[[2, 1]].tolist()
    assert hits.attrs == ds.attrs
    assert list(hits.xindexes) == ["f"]
    hits.attrs["more"] = 1
    assert ds.attrs == {"about": "a test"}


def test_fewer_hits_than_asked_for_are_missing_values() -> None:
    values = np.array([[1.0, 0], [np.nan, 1], [0, 0], [0, 1]])
    ds = xr.Dataset(
        {
            "v": (("x", "f"), values),
            "whole": ("x", [1, 2, 3, 4]),
            "word": ("x", ["a", "b", "c", "d"]),
            "day": ("x", np.array(["2026-01-01"] * 4, "datetime64[ns]")),
        },
        {"f": [10, 20]},
    )
    hits = ds.swarmgrid.nearest("v", [[1, 1], [1, 0]], k=3)
    assert dict(hits.sizes) == {"query": 2, "hit": 2, "f": 2}
    none = ds.isel(x=[1, 2]).swarmgrid.nearest("v", [1.0, 0])
    assert dict(none.sizes) == {"hit": 0, "f": 2}
    assert hits["f"].values.tolist() == [10, 20]
    assert hits.sel(f=20)["v"].shape == (2, 2)
    for name in ("whole", "word", "day"):
        assert none[name].shape == (0,)
        assert none[name].dtype == ds[name].dtype


def test_hits_have_the_coordinates_of_their_points_however_the_dataset_is_laid_out() -> None:
    ds = xr.Dataset(
        {"v": (("a", "b", "f"), np.eye(6).reshape(3, 2, 6)), "w": (("f", "g"), np.ones((6, 2)))},
        {"a": [0, 1, 2], "b": [0, 1], "e": ("a", [10, 11, 12]), "name": ("b", ["x", "y"])},
    )
    for one in (
        ds,
        ds.stack(z=("b", "a")),
        ds.stack(z=("a", "b"), create_index=False).set_xindex("name"),
        ds.set_xindex("e").set_xindex("name"),
        ds.swap_dims(a="e").reset_coords("a"),
        ds.stack(z=("b", "a")).assign_coords(f=range(6)),
    ):
        for query, at in ((np.eye(6)[3], 3), (np.eye(6)[[3, 4]], [3, 4])):
            hits = one.swarmgrid.nearest("v", query, k=1, dim="f")
            a, b = np.divmod(np.reshape(at, (*np.shape(at), 1)), 2)
            dims = hits["distance"].dims
            expected = {"a": a, "b": b, "e": a + 10, "name": np.array(["x", "y"])[b]}
            assert {name: hits[name].dims for name in expected} == dict.fromkeys(expected, dims)
            for name, values in expected.items():
                assert hits[name].values.tolist() == values.tolist()
            assert {*hits.xindexes} <= {"f"}


def test_where_nothing_is_hit_the_axes_and_outputs_are_there(grid: xr.Dataset) -> None:
    full = grid.swarmgrid.nearest("spectrum", np.ones(16))
    for ds in (grid, grid.load()):
        none = ds.isel(a=slice(0, 0)), ds.isel(a=[3], b=[1])
        for part in none:
            hits = part.swarmgrid.nearest("spectrum", np.ones(16))
            assert (hits["a"].shape, hits["spectrum"].shape) == ((0,), (0, 16))
            assert hits.load()["peak"].dtype == float
            assert [*hits.variables] == [*full.variables]
            two = part.swarmgrid.nearest("spectrum", np.ones((2, 16)))
            assert (two["b"].shape, two.load()["spectrum"].shape) == ((2, 0), (2, 0, 16))
        no_query = ds.swarmgrid.nearest("spectrum", np.zeros((0, 16)))
        assert (no_query["a"].shape, no_query.load()["spectrum"].shape) == ((0, 0), (0, 0, 16))


def test_coordinates_of_a_query_are_those_of_other_places_or_the_same() -> None:
    f = 2.4e9 + 100 * np.arange(8.0)
    days = np.arange("2026-01-01", "2026-01-09", dtype="M8[D]")
    ids = np.arange(10**6, 10**6 + 8)
    missing = np.append(f[:-1], np.nan)
    for there, same, others in [
        (f, [f + 0.5, f + 0], [f + 2000, f[::-1], f.astype("f4"), f + 2]),
        (f[:1], [f[:1] * (1 + 1e-9)], [f[:1] * 1.01]),
        (ids, [ids.astype(float), ids.astype("i4")], [ids + 1, ids[::-1], ids + 0.5]),
        (ids.astype(float), [ids], [ids + 1]),
        (missing, [missing], [f]),
        (f, [], [missing]),
        (days, [days.astype("M8[ns]")], [days + np.timedelta64(1, "D"), ids]),
        (days.astype("M8[ns]") + np.timedelta64(5, "ns"), [], [days]),
        (ids.astype("U"), [ids.astype(object).astype("U")], [(ids + 1).astype("U"), ids]),
    ]:
        n = len(there)
        ds = xr.Dataset({"v": (("x", "f"), np.eye(n)), "p": ("x", [1] * n)}, {"f": there})
        for one in same:
            query = xr.DataArray(np.eye(n)[0], {"f": one}, ["f"])
            assert ds.swarmgrid.nearest("v", query, k=1)["distance"].item() == 0
        for one in others:
            query = xr.DataArray(np.eye(n)[0], {"f": one}, ["f"])
            with pytest.raises(swarmgrid.InputError, match="other values of the coordinate 'f'"):
                ds.swarmgrid.nearest("v", query)


def test_own_dims_that_were_renamed_or_selected_away_are_still_the_vector() -> None:
    def images(a: float, b: float) -> dict[str, Any]:
        m = np.arange(6.0).reshape(2, 3) * a + b
        return {"m": xr.DataArray(m, dims=("y", "x")), "w": xr.DataArray(m[1], dims="x"), "p": a}

    ds = swarmgrid.compute(
        images, axes={"a": [0, 1, 2], "b": [1, 2]}, store=MemoryStore(), executor="sync", verbose=0
    )
    query = images(2, 1)["m"].values
    for part in (
        ds,
        ds.rename(y="r"),
        ds.rename(x="r").transpose("r", ...),
        ds.rename(y="r", x="s", a="alpha").rename(alpha="a"),
        ds.rename(y="r").sel(b=1).expand_dims("b"),
        ds.rename(a="alpha").rename(alpha="a").transpose("x", ...),
    ):
        for one in (part, part.load(), part[["m"]]):
            hits = one.swarmgrid.nearest("m", query, k=1, metric="euclidean")
            assert (hits["distance"].dims, hits["a"].item()) == (("hit",), 2)
    for part in (
        ds.isel(y=1),
        ds.isel(y=1).rename(x="f").transpose("f", ...),
        ds[["m", "w"]].isel(y=1).rename(x="f").transpose("f", ...),
        ds.sel(b=1).isel(y=1)[["m"]].rename(x="f").transpose("f", ...),
    ):
        hits = part.swarmgrid.nearest("m", query[1], k=1, metric="euclidean")
        assert (hits["distance"].dims, hits["a"].item()) == (("hit",), 2)
        with pytest.raises(swarmgrid.InputError, match=r"shape \(2,\); expected \(3,\)"):
            part.swarmgrid.nearest("m", [1, 2])
    numbers = ds.isel(y=1, x=2).swarmgrid.nearest("m", 11.0, k=1, metric="euclidean")
    assert numbers["a"].item() == 2
    for part in (
        ds.isel(y=1).rename(a="alpha"),
        ds.isel(y=1).stack(z=("a", "b")),
        ds.rename(y="r").stack(z=("a", "b")),
    ):
        with pytest.raises(swarmgrid.InputError, match="of its own ones.*say which dims make"):
            part.swarmgrid.nearest("m", query)
    hits = ds.isel(y=1).rename(a="alpha").swarmgrid.nearest("m", query[1], k=1, dim="x")
    assert hits["distance"].item() == pytest.approx(0)


class Nothing:
    """What is of no use anywhere, and compares with nothing."""

    def __eq__(self, other: object) -> bool:
        raise ValueError("no truth")

    __hash__ = None  # type: ignore[assignment]


BAD = [
    None, 3, -1, 2.5, np.nan, "no such name", "", b"v", ["v"], [["v"]], {"v": 1}, {1, 2}, (),
    np.array(["cosine", "dot"]), np.array([1, 2]), np.array(3), np.bool_(1), True, object(),
    1j, Ellipsis, np.datetime64("NaT", "ns"), xr.Dataset(), xr.DataArray([1, 2]), Nothing(), len,
]  # fmt: skip


@pytest.mark.parametrize("name", ["output", "query", "k", "metric", "dim"])
def test_no_bad_argument_raises_an_error_that_is_not_ours(name: str, grid: xr.Dataset) -> None:
    good = {"output": "spectrum", "query": np.ones(16), "k": 2, "metric": "dot", "dim": None}
    refused = 0
    for value in BAD:
        try:
            grid.swarmgrid.nearest(**good | {name: value})
        except swarmgrid.InputError:
            refused += 1
    assert refused >= len(BAD) - 4


def test_a_text_has_no_vectors_whatever_is_asked_and_an_empty_dataset_no_outputs() -> None:
    ds = swarmgrid.compute(
        lambda a, b: {"name": f"{a}{b}"}, axes={"a": [1, 2], "b": [1, 2]}, store=MemoryStore(),
        executor="sync", verbose=0, version="1",
    )  # fmt: skip
    for query in ([1], [1, 2], "1", 1.0):
        with pytest.raises(swarmgrid.InputError, match="type str; expected real numbers"):
            ds.swarmgrid.nearest("name", query)
    with pytest.raises(swarmgrid.InputError, match="no output 'v'; the Dataset has no outputs"):
        xr.Dataset().swarmgrid.nearest("v", [1])
    empty = dataset(np.ones((2, 0)))
    with pytest.raises(swarmgrid.InputError, match="the length of 'f' is 0"):
        empty.swarmgrid.nearest("v", [], metric="euclidean")
