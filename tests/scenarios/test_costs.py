"""What a call may cost in requests, bytes and calls of the function: counted, not timed."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from zarr.storage import MemoryStore

import swarmgrid
from swarmgrid.store.directory import FileBlobs
from tests.conftest import CallCounter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class CountingStore(MemoryStore):
    """A store that knows its requests, and how many of them were answered at the same time."""

    def __init__(self) -> None:
        super().__init__()
        self.forget()

    def forget(self) -> None:
        self.requests: list[tuple[str, str]] = []
        self.nbytes_read = self.rounds = self._n_under_way = 0

    async def _counted(self, kind: str, key: str, answer: Any) -> Any:
        self.requests.append((kind, re.sub(r"[0-9a-f]{16,32}", "<id>", key)))
        self.rounds += not self._n_under_way  # a round begins when nothing else is under way
        self._n_under_way += 1
        try:
            await asyncio.sleep(0.001)
            return await answer
        finally:
            self._n_under_way -= 1

    async def get(self, key: str, *args: Any, **kwargs: Any) -> Any:
        found = await self._counted("get", key, super().get(key, *args, **kwargs))
        self.nbytes_read += 0 if found is None else len(found)
        return found

    async def set(self, key: str, *args: Any, **kwargs: Any) -> None:
        await self._counted("set", key, super().set(key, *args, **kwargs))

    async def set_if_not_exists(self, key: str, value: Any) -> None:
        await self._counted("create", key, super().set_if_not_exists(key, value))

    async def delete(self, key: str) -> None:
        await self._counted("delete", key, super().delete(key))

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        found = [name async for name in super().list_dir(prefix)]

        async def answer() -> list[str]:
            return found

        for name in await self._counted("list", prefix, answer()):
            yield name


def table(a: int, b: float) -> dict[str, float]:
    return {"total": a + b, "product": a * b}


AXES: dict[str, Any] = {"a": range(20), "b": np.linspace(0, 1, 30)}
OPTIONS: dict[str, Any] = {"func": table, "version": "1", "executor": "sync", "verbose": 0}


@pytest.fixture
def filled() -> CountingStore:
    """A store with 2 x 3 chunks of two outputs."""
    store = CountingStore()
    swarmgrid.stream(axes=AXES, store=store, chunks={"a": 10, "b": 10}, **OPTIONS)
    store.forget()
    return store


def test_a_warm_call_takes_four_rounds_of_requests_and_reads_no_data(
    filled: CountingStore,
) -> None:
    ds = swarmgrid.compute(axes=AXES, store=filled, **OPTIONS)
    assert dict(ds.sizes) == {"a": 20, "b": 30}
    assert filled.rounds <= 4
    kinds = Counter(kind for kind, _ in filled.requests)
    assert kinds == {"list": 1, "get": 4}  # the group, two coordinates, one segment
    assert not any("/total/" in key or "/product/" in key for _, key in filled.requests)


def test_the_number_of_chunks_does_not_change_what_a_warm_call_reads(
    filled: CountingStore,
) -> None:
    more = {"a": range(20), "b": np.linspace(0, 1, 300)}
    swarmgrid.stream(axes=more, store=filled, **OPTIONS)
    filled.forget()
    swarmgrid.compute(axes=more, store=filled, **OPTIONS)
    kinds = Counter(kind for kind, _ in filled.requests)
    assert kinds["list"] == 1
    assert kinds["get"] <= 6
    assert filled.rounds <= 4


def test_a_slice_reads_the_chunks_that_it_touches_all_at_once(filled: CountingStore) -> None:
    ds = swarmgrid.compute(axes=AXES, store=filled, **OPTIONS)
    filled.forget()
    ds["total"].isel(a=slice(0, 5)).load()
    read = [key.rpartition("/")[2] for _, key in filled.requests]
    assert sorted(read) == ["c.0.0", "c.0.1", "c.0.2"]
    assert filled.rounds == 1
    filled.forget()
    ds["product"].isel(a=3, b=3).load()
    assert len(filled.requests) == 1
    assert filled.nbytes_read < 10 * 10 * 8 + 100


def memo_of(store: CountingStore, **options: Any) -> swarmgrid.SwarmMemo:
    return swarmgrid.SwarmMemo(
        store,
        {"a": 2, "b": 3},
        4,
        enumerate_points=lambda _, spec: [
            (a, b) for a in spec["a"] for b in spec["b"] if (a + b) % 3 or options.get("is_whole")
        ],
        exec_fn=scaled,
        collate_fn=list,
        merge_fn=list,
        verbose=0,
    )


def scaled(params: dict[str, Any], point: tuple[int, int]) -> int:
    return params["scale"] * (point[0] + 10 * point[1])


@pytest.mark.parametrize("is_whole", [True, False])
def test_a_warm_memo_looks_at_the_store_once(is_whole: bool) -> None:
    store, spec = CountingStore(), {"a": range(4), "b": range(6)}
    memo, chunks = memo_of(store, is_whole=is_whole), {"a": 2, "b": 3}
    n_of_a_grid = len(requests_of_a_run(spec, chunks))
    with swarmgrid.set_options(executor="sync"):
        first, _ = memo.run({"scale": 2}, spec)
        a_second_look = 2  # at an empty store, for chunks that only a new grid takes
        assert len(store.requests) <= n_of_a_grid + a_second_look + 4
        store.forget()
        done = memo.run_streaming({"scale": 2}, spec)
        assert done.executed_points == 0
        assert Counter(kind for kind, _ in store.requests) == {"list": 1, "get": 4}
        store.forget()
        again, _ = memo.run({"scale": 2}, spec)
    assert again == first
    chunks = [key for _, key in store.requests if "/value/c." in key]
    assert sorted(key.rpartition("/")[2] for key in chunks) == ["c.0.0", "c.0.1", "c.1.0", "c.1.1"]
    assert len(store.requests) == 5 + len(chunks)


def requests_of_a_run(axes: dict[str, Any], chunks: dict[str, int]) -> list[tuple[str, str]]:
    store = CountingStore()
    swarmgrid.stream(axes=axes, store=store, chunks=chunks, shards=False, **OPTIONS)
    return store.requests


def test_a_chunk_more_costs_its_own_writes_and_nothing_else() -> None:
    few = requests_of_a_run({"a": range(20), "b": range(30)}, {"a": 10, "b": 10})
    many = requests_of_a_run({"a": range(20), "b": range(90)}, {"a": 10, "b": 10})
    more = Counter(many) - Counter(few)
    assert all(key.startswith("data.zarr/table/<id>/") for _, key in more), more
    assert Counter(kind for kind, _ in more) == {"set": 2 * 12}


def test_a_run_reads_what_no_other_process_has_changed_once_before_it_computes() -> None:
    store = CountingStore()
    swarmgrid.stream(axes=AXES, store=store, where=lambda a: a < 15, **OPTIONS)
    store.forget()
    swarmgrid.stream(axes=AXES, store=store, **OPTIONS)
    is_data = [kind == "set" and "/total/c." in key for kind, key in store.requests]
    read = [key for kind, key in store.requests[: is_data.index(True)] if kind == "get"]
    assert sum("/a/c." in key for key in read) == sum(key.endswith(".seg") for key in read) == 1


def test_a_longer_axis_costs_what_is_new(filled: CountingStore) -> None:
    swarmgrid.stream(
        axes={**AXES, "a": range(25)}, store=filled, chunks={"a": 10, "b": 10}, **OPTIONS
    )
    data = [(k, key) for k, key in filled.requests if re.search(r"/(total|product)/c\.", key)]
    assert sorted(data) == sorted(
        ("set", f"data.zarr/table/<id>/{name}/c.2.{i}")
        for name in ("total", "product")
        for i in range(3)
    )


def test_a_short_axis_that_grows_costs_a_part_of_computing_everything_anew() -> None:
    shapes: list[tuple[int, ...]] = []

    def block(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        shapes.append(np.broadcast_shapes(a.shape, b.shape))
        return a + 0.5 * b

    written = []
    stores = {"grown": CountingStore(), "anew": CountingStore()}
    options = {**OPTIONS, "func": block, "vectorized": True}
    swarmgrid.stream(axes={"a": range(50_000), "b": range(10)}, store=stores["grown"], **options)
    for store in stores.values():
        store.forget()
        shapes.clear()
        swarmgrid.stream(axes={"a": range(50_000), "b": range(11)}, store=store, **options)
        chunks = [key for kind, key in store.requests if kind == "set" and "/value/c." in key]
        assert len(chunks) == len(set(chunks)) == len(shapes)  # one box, one call, one write each
        written.append(len(chunks))
    assert written[0] <= written[1] / 2


@pytest.mark.parametrize("executor", ["sync", "processes"])
def test_files_beside_the_data_are_few_however_many_chunks_there_are(
    tmp_path: Path, executor: str
) -> None:
    counts = []
    for n in (40, 400):
        store = tmp_path / str(n)
        swarmgrid.stream(
            axes={"a": range(n), "b": range(10)},
            store=store,
            chunks={"a": 1, "b": 10},
            shards=False,
            **{**OPTIONS, "executor": executor, "workers": 2},
        )
        files = [path for path in store.rglob("*") if path.is_file()]
        data = [path for path in files if path.parent.name in {"total", "product"}]
        assert len([path for path in data if path.name.startswith("c.")]) == 2 * n
        counts.append(len(files) - 2 * n)
    assert counts[1] <= counts[0] + 7


def test_a_tenfold_grid_of_cheap_points_costs_no_more_manifest_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    put = FileBlobs.put

    def counting(self: FileBlobs, key: str, data: bytes) -> None:
        written.append(key)
        put(self, key, data)

    monkeypatch.setattr(FileBlobs, "put", counting)
    for n in (100, 1000):
        written.clear()
        swarmgrid.stream(
            axes={"a": range(n), "b": range(10)},
            store=tmp_path / str(n),
            chunks={"a": 10, "b": 10},
            **OPTIONS,
        )
        segments = [key for key in written if key.endswith(".seg")]
        assert 1 <= len(segments) <= 3
        chunks = [key for key in written if re.search(r"/(total|product)/c\.", key)]
        assert len(chunks) == len(set(chunks)) == 2 * n // 10  # none is written twice


@pytest.mark.parametrize("executor", [None, "sync", "threads", "processes"])
def test_a_point_is_called_once_however_its_grid_is_divided(
    tmp_path: Path, counter: CallCounter, executor: str | None
) -> None:
    def counted(a: int, b: int) -> float:
        counter()
        return a + 0.5 * b

    options: dict[str, Any] = {"func": counted, "version": "1", "verbose": 0, "workers": 2}
    for number, chunks in enumerate([None, {"a": 1, "b": 3}, {"a": 30, "b": 30}]):
        before = counter.count
        _, done = swarmgrid.run(
            axes={"a": range(30), "b": range(20)},
            store=tmp_path / str(number),
            chunks=chunks,
            executor=executor,
            **options,
        )
        assert counter.count - before == done.points_computed == 600
