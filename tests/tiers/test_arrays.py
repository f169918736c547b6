"""Memory that holds decoded chunks: each as of the rows that it was held against."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.storage import MemoryStore

import swarmgrid
from swarmgrid import InputError, Tiered, TierPolicy
from tests.long import examples
from tests.tiers.test_tiered import CountingStore, fill, opened, product


@pytest.fixture
def home() -> CountingStore:
    return CountingStore(MemoryStore())


def test_what_was_read_once_is_neither_read_nor_decoded_again(
    home: CountingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(home)
    store = Tiered(home, ram=("1MB", "decoded"))
    expected = np.outer(np.arange(40), [1, 2])
    assert (opened(store)["value"].values == expected).all()
    assert len(home.reads) == 10

    def no_codec(*_: Any) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr("swarmgrid.view.near.decoded_chunk", no_codec)
    found = opened(store)["value"].values
    assert (found == expected).all()
    found[:] = 0  # what a reader was given is its own
    assert (opened(store).sel(x=[3, 17])["value"].values == expected[[3, 17]]).all()
    assert len(home.reads) == 10
    ram = store.metrics()["ram"]
    assert (ram.hits, ram.misses, ram.copies) == (12, 10, 10)


@settings(max_examples=examples(15))
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["fill", "through", "read", "old", "delete"]), st.integers(0, 11)
        ),
        max_size=10,
    )
)
def test_whatever_is_written_in_between_no_value_is_stale(steps: list[tuple[str, int]]) -> None:
    home = MemoryStore()
    store = Tiered(home, ram=(2000, "decoded"))
    options: dict[str, Any] = {
        "func": product,
        "executor": "sync",
        "version": "1",
        "verbose": 0,
        "chunks": {"x": 4, "y": 1},
    }
    swarmgrid.stream({}, {"x": [0], "y": [1]}, store=home, **options)
    known, olds = {0}, []
    for step, x in steps:
        if step in {"fill", "through"}:
            target = home if step == "fill" else store
            swarmgrid.stream({}, {"x": [x], "y": [1]}, store=target, **options)
            known.add(x)
        elif step == "delete" and known != {x} and x in known:
            swarmgrid.Grid.open(home, "product/").delete(x=[x])
            known.remove(x)
            olds.clear()  # their points are gone by right
        ds = opened(store, 12, (1,))
        if step == "old":
            olds.append((ds, set(known)))
        for of, there in [(ds, known), *olds]:
            values = of["value"].copy().values.ravel()
            assert {i for i in range(12) if not np.isnan(values[i])} == there
            assert all(values[i] == i for i in there)


def test_texts_count_with_their_bytes() -> None:
    def name(x: int) -> str:
        return "long" * 250 + str(x)

    home = MemoryStore()
    options: dict[str, Any] = {"executor": "sync", "version": "1", "verbose": 0}
    swarmgrid.stream({}, {"x": range(20)}, func=name, store=home, chunks={"x": 1}, **options)
    store = Tiered(home, ram=(5000, "decoded"))
    ds = swarmgrid.open({}, {"x": range(20)}, func=name, store=store, version="1")
    assert ds["value"].values.tolist() == [name(x) for x in range(20)]
    ram = store.metrics()["ram"]
    assert 1 <= ram.copies <= 4
    assert ram.nbytes <= 5000


def test_prefetch_pins_pools_and_spans_hold_for_decoded_chunks(home: CountingStore) -> None:
    fill(home)
    chunk = opened(home).isel(x=slice(0, 4))
    nbytes = 4 * 256 * 8  # a whole chunk, though few of its points are computed
    store = Tiered(
        home,
        ram=(4 * nbytes, "decoded"),
        pools={"few": nbytes},
        policy=TierPolicy(watermark=1, promote_after=2, read_ahead=0),
    )
    chunk = opened(store).isel(x=slice(0, 4))
    store.prefetch(chunk)
    assert store.metrics()["ram"].copies == 0  # read once
    store.prefetch(chunk)
    assert store.metrics()["ram"].copies == 1
    home.reads.clear()
    with store.pinned(chunk):
        opened(store).load()
        opened(store).load()
        home.reads.clear()
        chunk.copy().load()
        assert home.reads == []
    store.clear_copies()
    with store.pool("few"):
        opened(store).load()
        opened(store).load()
    assert store.metrics()["ram"].nbytes <= nbytes


def test_a_form_that_there_is_not_is_told() -> None:
    for given_options, match in [
        ({"ram": ("1MB", "zip")}, "the form of ram has the codec 'zip', which is not installed"),
        ({"ram": ("1MB", "stored", 1)}, "expected bytes, and maybe the form"),
        ({"ram": ("1MB", "decoded"), "shared": True}, "holds bytes that processes share"),
    ]:
        with pytest.raises(InputError, match=match):
            Tiered(MemoryStore(), **given_options)  # type: ignore[arg-type]


def flat(x: int) -> Any:
    return np.zeros((2, 3) if DEEP else (3, 2))


DEEP: list[bool] = []


def test_a_grid_that_is_made_anew_with_arrays_of_another_shape_has_these() -> None:
    home = MemoryStore()
    store = Tiered(home, ram=("1MB", "decoded"))
    f = swarmgrid.GridFunction(
        flat, store=home, executor="sync", version="1", verbose=0, ignore={"DEEP"}
    )
    near = swarmgrid.GridFunction(flat, store=store, executor="sync", version="1", verbose=0)
    f.stream(axes={"x": [1, 2]})
    assert near.open(axes={"x": [1, 2]})["value"].values.shape == (2, 3, 2)
    f.grid().drop()
    DEEP.append(True)
    try:
        f.stream(axes={"x": [1, 2]})
        assert near.open(axes={"x": [1, 2]})["value"].values.shape == (2, 2, 3)
    finally:
        DEEP.clear()
