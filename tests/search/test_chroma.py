"""Points go to a collection of ChromaDB with their axis values, each under one id."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import xarray as xr
from zarr.storage import MemoryStore

import swarmgrid


class Collection:
    """Keeps what it is handed as ChromaDB does, and refuses what that refuses."""

    def __init__(self, at_most: int = 7) -> None:
        self.records: dict[str, tuple[np.ndarray, dict[str, Any], str | None]] = {}
        self.batches: list[int] = []
        self._client = self
        self._at_most = at_most

    def get_max_batch_size(self) -> int:
        return self._at_most

    def upsert(
        self,
        ids: list[str],
        embeddings: Any = None,
        metadatas: Any = None,
        documents: Any = None,
        images: Any = None,
        uris: Any = None,
    ) -> None:
        assert 0 < len(ids) == len({*ids}) <= self._at_most
        assert len(embeddings) == len(metadatas) == len(ids)
        self.batches.append(len(ids))
        for i, one in enumerate(ids):
            assert type(one) is str
            assert embeddings[i].dtype == np.float32
            assert metadatas[i]
            for name, value in metadatas[i].items():
                assert type(name) is str
                assert type(value) in {str, int, float, bool}
                assert not isinstance(value, float) or math.isfinite(value)
            document = None if documents is None else documents[i]
            assert document is None or type(document) is str
            self.records[one] = (embeddings[i], metadatas[i], document)


def spectrum(a: float, day: np.datetime64, kind: str) -> dict[str, Any]:
    if a == 3:
        raise ValueError("no spectrum")
    return {"spectrum": np.array([a, len(kind), 1.0]), "name": f"{kind} at {a:g}", "peak": a / 2}


DAYS = np.array(["2026-01-01", "2026-02-01"], "datetime64[ns]")


def filled(store: Any, a: Any = (1, 2, 3), kind: Any = ("red", "blue")) -> xr.Dataset:
    return swarmgrid.compute(
        axes={"a": a, "day": DAYS, "kind": kind}, func=spectrum, store=store, version="1",
        executor="sync", verbose=0, on_error="record",
    )  # fmt: skip


def test_points_have_their_vectors_axis_values_and_texts() -> None:
    ds, collection = filled(MemoryStore()), Collection()
    assert ds.swarmgrid.to_chroma(collection, "spectrum", document="name") == 8
    assert collection.batches == [7, 1]
    assert len(collection.records) == 8  # those that failed are left out
    grid = ds.swarmgrid.grid.id
    for vector, metadata, text in collection.records.values():
        point = ds.sel(a=metadata["a"], day=metadata["day"], kind=metadata["kind"])
        np.testing.assert_array_equal(vector, point["spectrum"])
        assert text == point["name"].item()
        assert metadata["swarmgrid_grid"] == grid
        assert metadata["swarmgrid_output"] == "spectrum"
        assert {*metadata} == {"a", "day", "kind", "swarmgrid_grid", "swarmgrid_output"}


def test_a_point_whose_text_is_missing_has_no_document() -> None:
    texts = np.array(["a", None, np.nan, "", "nan"], object)
    ds = xr.Dataset({"v": (("x", "f"), np.eye(5)), "t": ("x", texts)}, {"x": range(5)})
    collection = Collection()
    assert ds.swarmgrid.to_chroma(collection, "v", document="t") == 5
    found = {record[1]["x"]: record[2] for record in collection.records.values()}
    assert found == {0: "a", 1: None, 2: None, 3: "", 4: "nan"}
    vectors = {record[1]["x"]: record[0].tolist() for record in collection.records.values()}
    assert vectors == dict(enumerate(np.eye(5).tolist()))
    one = Collection()
    assert (
        ds.isel(x=0).assign(t="of all").swarmgrid.to_chroma(one, "v", dim="f", document="t") == 1
    )
    assert [record[2] for record in one.records.values()] == ["of all"]


def test_the_only_vectors_need_no_name() -> None:
    ds, collection, named = filled(MemoryStore()), Collection(), Collection()
    assert ds.swarmgrid.to_chroma(collection) == ds.swarmgrid.to_chroma(named, "spectrum") == 8
    assert {*collection.records} == {*named.records}
    with pytest.raises(swarmgrid.InputError, match="expected one of 'spectrum', 'more'"):
        ds.assign(more=ds["spectrum"] * 2).swarmgrid.to_chroma(collection)
    with pytest.raises(swarmgrid.InputError, match="expected one of 'name', 'peak'"):
        ds.drop_vars("spectrum").swarmgrid.to_chroma(collection)


def test_an_id_is_that_of_the_point_in_whatever_part_of_a_grid() -> None:
    store, collection = MemoryStore(), Collection(100)
    ds = filled(store)
    ds.swarmgrid.to_chroma(collection, "spectrum")
    first = {*collection.records}
    ds.swarmgrid.to_chroma(collection, "spectrum")
    ds.load().isel(a=[1, 0]).swarmgrid.to_chroma(collection, "spectrum", batch_size=2)
    ds.sel(a=2).swarmgrid.to_chroma(collection, "spectrum", dim="spectrum_dim_0")
    # another order, more values, and the axis is one of floats now
    grown = filled(store, (2.5, 2, 1), ("blue", "red", "green"))
    assert grown["a"].dtype == float
    assert grown.swarmgrid.to_chroma(collection, "spectrum") == 18
    assert first <= {*collection.records}
    assert len(collection.records) == 18
    other = filled(MemoryStore()).assign(other=ds["spectrum"] * 2)
    other.swarmgrid.to_chroma(collection, "other")
    assert len(collection.records) == 26


def test_any_dataset_is_handed_over_with_values_that_chroma_takes() -> None:
    ds = xr.Dataset(
        {"v": (("x", "t", "n", "f"), np.arange(48.0).reshape(3, 2, 4, 2))},
        {
            "x": [np.nan, np.inf, 2.0],
            "t": np.array([1, 2], "timedelta64[s]"),
            "flag": True,
            "big": 2**63 + 1,
        },
    )
    ds["v"][0, 0, 0, 1] = np.nan
    ds["v"][1, 0, 0, 0] = np.inf
    collection = Collection(100)
    assert ds.swarmgrid.to_chroma(collection, "v", dim="f") == 22
    assert len(collection.records) == 22
    _, metadata, _ = next(iter(collection.records.values()))
    assert metadata == {
        "x": "nan", "t": metadata["t"], "n": 1, "flag": True, "big": str(2**63 + 1),
        "swarmgrid_output": "v",
    }  # fmt: skip
    assert ds.isel(x=0, t=0).swarmgrid.to_chroma(collection, "v", dim=["n", "f"]) == 0


def test_a_collection_that_does_not_say_how_much_it_takes_gets_a_thousand() -> None:
    sizes: list[int] = []

    class Plain:
        def upsert(self, ids: Any, embeddings: Any, metadatas: Any) -> None:
            sizes.append(len(ids))

    ds = xr.Dataset({"v": (("x", "f"), np.ones((2500, 2)))})
    assert ds.swarmgrid.to_chroma(Plain(), "v") == 2500
    assert sizes == [1000, 1000, 500]


def test_mistakes_are_told() -> None:
    ds = filled(MemoryStore())
    for collection, output, options, match in [
        (object(), "spectrum", {}, r"collection of ChromaDB.*swarmgrid-zarr\[chroma\]"),
        (Collection(), "spectra", {}, "no output 'spectra'"),
        (Collection(), "spectrum", {"batch_size": 0}, "batch_size is 0"),
        (Collection(), "spectrum", {"document": "text"}, "document is 'text'"),
        (Collection(), "spectrum", {"document": ["name"]}, r"document is \['name'\]"),
        (Collection(), "spectrum", {"document": 3}, "document is 3"),
        (Collection(), "spectrum", {"batch_size": "2"}, "batch_size is '2'"),
        (Collection(), "spectrum", {"dim": 3}, "dim is 3"),
        (None, "spectrum", {}, "collection is None"),
        (Collection(), "spectrum", {"document": "spectrum"}, "document is 'spectrum'"),
        (Collection(), "spectrum", {"dim": "z"}, "dim is 'z'"),
    ]:
        with pytest.raises(swarmgrid.InputError, match=match):
            ds.swarmgrid.to_chroma(collection, output, **options)
    large = xr.Dataset({"v": (("x", "f"), np.full((2, 2), 1e200))})
    with pytest.raises(swarmgrid.InputError, match="too large for float32"):
        large.swarmgrid.to_chroma(Collection(), "v")


@pytest.mark.long
def test_chroma_itself_finds_what_the_exact_search_finds() -> None:
    chromadb = pytest.importorskip("chromadb")
    client = chromadb.EphemeralClient()
    collection = client.create_collection("spectra", configuration={"hnsw": {"space": "l2"}})
    ds = filled(MemoryStore())
    for _ in range(2):
        assert ds.swarmgrid.to_chroma(collection, "spectrum", document="name") == 8
    assert collection.count() == 8
    query = [2.2, 3.1, 1.0]
    found = collection.query(query_embeddings=[query], n_results=3)
    exact = ds.swarmgrid.nearest("spectrum", query, k=3, metric="euclidean")
    np.testing.assert_allclose(np.sqrt(found["distances"][0]), exact["distance"], rtol=1e-5)
    assert {*found["documents"][0][:2]} == {*exact["name"].values[:2].tolist()}
    few = collection.query(query_embeddings=[query], n_results=9, where={"kind": "blue"})
    assert len(few["ids"][0]) == 4
