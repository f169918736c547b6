"""Stores on bad days: tables that are too busy, readers that were killed, places to read."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import swarmgrid
from swarmgrid.errors import StoreError
from swarmgrid.stores import LMDB, Condition, DynamoDB, SQLite, dynamodb
from tests.long import examples
from tests.stores.key_value import FEW
from tests.waiting import PATIENCE

FAST: dict[str, Any] = {"executor": "sync", "version": "1", "verbose": 0}


def square(x: int) -> int:
    return x * x


# ---- DynamoDB: what was not read is not missing, and a busy moment is waited for

Answers = Callable[[str, Any], tuple[int, Any]]


@functools.cache
def a_table() -> DynamoDB:
    pytest.importorskip("boto3")
    keys = {"aws_access_key_id": "me", "aws_secret_access_key": "me"}
    return DynamoDB("grids", prefix="a", region_name="eu-west-1", **keys)


@contextmanager
def table_of(answers: Answers) -> Iterator[tuple[DynamoDB, list[float]]]:
    """A store whose requests get these answers instead of a server's; and the waits it makes."""
    store = a_table()
    from botocore.awsrequest import AWSResponse

    def answer(request: Any, **_: Any) -> Any:
        method = request.headers["X-Amz-Target"].decode().rpartition(".")[2]
        status, content = answers(method, json.loads(request.body))
        body = SimpleNamespace(stream=lambda **_: iter([json.dumps(content).encode()]))
        return AWSResponse(request.url, status, {}, body)

    events = store._client.get().meta.events
    events.register("before-send.dynamodb", answer)
    waits: list[float] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dynamodb, "time", SimpleNamespace(sleep=waits.append))
        yield store, waits
    events.unregister("before-send.dynamodb", answer)


def item(key: str) -> Any:
    return {"store": {"S": "a"}, "key": {"S": key}, "value": {"B": "MQ=="}}


@settings(max_examples=examples(25))
@given(n=st.integers(1, 60), read=st.lists(st.integers(0, 60), max_size=20))
def test_objects_that_a_busy_table_leaves_out_are_asked_for_again(n: int, read: list[int]) -> None:
    counts = iter(read)  # then all that are left

    def answers(_: str, request: Any) -> tuple[int, Any]:
        keys = [one["key"]["S"] for one in request["RequestItems"]["grids"]["Keys"]]
        k = max(next(counts, len(keys)), len(waited) > 3)
        left = [{"store": {"S": "a"}, "key": {"S": key}} for key in keys[k:]]
        more = {"grids": {**request["RequestItems"]["grids"], "Keys": left}} if left else {}
        return 200, {
            "Responses": {"grids": [item(key) for key in keys[:k]]},
            "UnprocessedKeys": more,
        }

    with table_of(answers) as (store, waited):
        assert store.read_many([f"k{i}" for i in range(n)]) == [b"1"] * n


def test_what_a_busy_table_never_gives_is_an_error_and_not_missing() -> None:
    def answers(_: str, request: Any) -> tuple[int, Any]:
        first, *left = request["RequestItems"]["grids"]["Keys"]
        is_new = first["key"]["S"] == "k0"
        keys = left if is_new else [first, *left]
        more = {"grids": {**request["RequestItems"]["grids"], "Keys": keys}}
        found = [item("k0")] if is_new else []
        return 200, {"Responses": {"grids": found}, "UnprocessedKeys": more}

    with table_of(answers) as (store, waits):
        with pytest.raises(StoreError, match="too busy; 1 of 3 objects were read"):
            store.read_many(["k0", "k1", "k2"])
        assert 5 < sum(waits) < 20


def test_a_write_waits_while_a_transaction_has_the_object() -> None:
    asked: list[str] = []

    def answers(method: str, _: Any) -> tuple[int, Any]:
        asked.append(method)
        kind = "com.amazonaws.dynamodb.v20120810#TransactionConflictException"
        return (400, {"__type": kind, "message": "busy"}) if len(asked) % 3 else (200, {})

    with table_of(answers) as (store, waits):
        assert store.write_if("k", b"1")
        assert store.write_if("k", None, Condition("k"))
    assert asked == ["PutItem"] * 3 + ["DeleteItem"] * 3
    assert len(waits) == 4


def test_a_transaction_that_was_throttled_is_tried_again() -> None:
    reasons = ["ThrottlingError", "ProvisionedThroughputExceeded", "TransactionConflict"]

    def answers(method: str, _: Any) -> tuple[int, Any]:
        assert method == "TransactWriteItems"
        if not reasons:
            return 200, {}
        kind = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException"
        codes = [{"Code": reasons.pop()}, {"Code": "None"}]
        return 400, {"__type": kind, "message": "busy", "CancellationReasons": codes}

    with table_of(answers) as (store, waits):
        assert store.write_if("k", b"1", Condition("lease"))
    assert (len(waits), reasons) == (3, [])


def test_a_table_of_something_else_is_said_to_be_so() -> None:
    kind = "com.amazon.coral.validate#ValidationException"
    said = {"__type": kind, "message": "The provided key element does not match the schema"}
    with (
        table_of(lambda *_: (400, said)) as (store, _),
        pytest.raises(StoreError, match="table is of something else.*partition key"),
    ):
        swarmgrid.compute(axes={"x": [1]}, func=square, store=store, **FAST)


def test_no_region_is_said_to_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("boto3")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/no/such/file")
    with pytest.raises(StoreError, match="region is missing.*region_name"):
        swarmgrid.compute(axes={"x": [1]}, func=square, store="dynamodb://grids", **FAST)


# ---- LMDB: readers that were killed keep neither places nor room

KILLED = """
import os, signal, sys
from swarmgrid.stores import LMDB

store = LMDB(sys.argv[1], map_size=2**21)
environment = store._get_environment(create=False)
transactions = [environment.begin() for _ in range(int(sys.argv[2]))]
print("reading", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def killed_reader(path: Path, n: int = 1) -> None:
    """A process that was killed while it read."""
    pytest.importorskip("lmdb")
    run = [sys.executable, "-c", KILLED, str(path), str(n)]
    done = subprocess.run(run, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.stdout == "reading\n", done.stderr


def test_a_reader_that_was_killed_does_not_fill_the_map(tmp_path: Path) -> None:
    pytest.importorskip("lmdb")
    store = LMDB(tmp_path / "a", map_size=2**21)
    store.write_if("k", bytes(100_000))
    killed_reader(tmp_path / "a")
    for i in range(60):  # three times the map, were the old values kept
        store.write_if("k", bytes([i]) * 100_000)
    assert store.read_many(["k"]) == [bytes([59]) * 100_000]


def test_readers_that_were_killed_do_not_take_all_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lmdb = pytest.importorskip("lmdb")
    monkeypatch.setattr(sys.modules["swarmgrid.stores.lmdb"], "_READERS", 8)
    store = LMDB(tmp_path / "a")
    store.write_if("k", b"1")
    killed_reader(
        tmp_path / "a", 8 - len(lmdb.Environment.readers(_environment(store)).split("\n")[1:-1])
    )
    assert store.read_many(["k"]) == [b"1"]
    assert LMDB(tmp_path / "a").read_many(["k"]) == [b"1"]


def _environment(store: LMDB) -> Any:
    found = store._get_environment(create=False)
    assert found is not None
    return found.environment


# ---- a place that cannot be written is read

READER = """
import os, sys
sys.path[:] = eval(sys.argv[2])
import swarmgrid, lmdb, zarr.storage  # before the rights to read them are gone
from swarmgrid.errors import StoreError

def square(x):
    return x * x

def use(store):
    options = {"func": square, "store": store, "version": "1", "executor": "sync", "verbose": 0}
    swarmgrid.run(axes={"x": [1, 2]}, **options)
    swarmgrid.Grid.open(store, "square/").dataset().load()
    swarmgrid.catalog(store)

use("memory://warm")
import swarmgrid.stores.sqlite, swarmgrid.stores.lmdb
os.setgid(65534)
os.setuid(65534)
for store in eval(sys.argv[1]):
    options = {"func": square, "store": store, "version": "1", "executor": "sync", "verbose": 0}
    ds = swarmgrid.Grid.open(store, "square/").dataset()
    assert ds["value"].values.tolist() == [1, 4], store
    assert len(swarmgrid.catalog(store)) == 1
    try:
        swarmgrid.compute(axes={"x": [3]}, **options)
    except StoreError as error:
        assert "permission" in str(error) or "annot be written" in str(error), error
    else:
        raise AssertionError(store)
"""


@pytest.mark.long
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give its rights up")
def test_a_store_in_a_folder_of_another_user_is_read(tmp_path: Path) -> None:
    pytest.importorskip("lmdb")
    with tempfile.TemporaryDirectory(dir="/tmp") as text:  # the folders of tests are root's
        Path(text).chmod(0o755)
        stores = [f"sqlite:///{text}/a.db", f"lmdb:///{text}/b"]
        for store in stores:
            swarmgrid.compute(axes={"x": [1, 2]}, func=square, store=store, **FAST)
            opened = swarmgrid.stores.from_url(store)
            opened.close()
        before = sorted(Path(text).rglob("*"))
        run = [sys.executable, "-c", READER, repr(stores), repr(sys.path)]
        done = subprocess.run(
            run, capture_output=True, text=True, check=False, timeout=PATIENCE, cwd=text
        )
        assert done.returncode == 0, done.stderr
        assert sorted(Path(text).rglob("*")) == before


def test_a_frozen_file_is_opened_anew_at_each_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = SQLite(tmp_path / "a.db")
    writer.write_if("k", b"1")
    writer.close()
    monkeypatch.setattr("swarmgrid.stores.sqlite.os.access", lambda *_: False)
    reader = SQLite(tmp_path / "a.db", read_only=True)
    assert reader.read_many(["k"]) == [b"1"]
    with monkeypatch.context() as patch:
        patch.undo()
        patch.setattr(os, "access", lambda *_: True)
        other = SQLite(tmp_path / "a.db")
        other.write_if("k", b"2")
        other.close()
    assert reader.read_many(["k"]) == [b"2"]


# ---- a store that was opened to be read alone is not written

WRITES: dict[str, Callable[[Any], object]] = {
    "a write on condition": lambda store: store.write_if("a", b"2"),
    "a deletion on condition": lambda store: store.write_if("a", None, Condition("a")),
    "points": lambda store: swarmgrid.compute(axes={"x": [9]}, func=square, store=store, **FAST),
    "a tag": lambda store: swarmgrid.Grid.open(store, "square/").tag(paper="mine"),
    "a snapshot": lambda store: swarmgrid.Grid.open(store, "square/").snapshot("mine"),
    "a deletion of points": lambda store: swarmgrid.Grid.open(store, "square/").delete(x=[1]),
    "another layout": lambda store: swarmgrid.Grid.open(store, "square/").rechunk(chunks=1),
    "a grid's end": lambda store: swarmgrid.Grid.open(store, "square/").drop(),
}


@pytest.mark.parametrize("place", FEW, indirect=True)
@pytest.mark.parametrize("act", WRITES.values(), ids=WRITES)
def test_nothing_is_written_to_a_store_that_was_opened_to_be_read(
    place: tuple[str, dict[str, Any]], act: Callable[[Any], object]
) -> None:
    store = swarmgrid.stores.from_url(*place)
    swarmgrid.compute(axes={"x": [1, 2]}, func=square, store=store, **FAST)
    store.write_if("a", b"1")
    keys = list(store.keys("", "\U0010ffff"))
    before = store.read_many(keys)
    with pytest.raises((StoreError, ValueError), match="read-only"):
        act(store.with_read_only(True))
    assert list(store.keys("", "\U0010ffff")) == keys
    assert store.read_many(keys) == before


def test_a_url_may_be_opened_to_be_read_alone(place: tuple[str, dict[str, Any]]) -> None:
    url, options = place
    call = {"func": square, "store": url, **FAST}
    swarmgrid.compute(axes={"x": [1]}, storage_options=options or None, **call)
    reading = {**options, "read_only": True}
    ds, done = swarmgrid.run(axes={"x": [1]}, storage_options=reading, **call)
    assert (done.points_computed, ds["value"].values.tolist()) == (0, [1])
    with pytest.raises(StoreError, match="opened read-only"):
        swarmgrid.run(axes={"x": [2]}, storage_options=reading, **call)


def test_an_object_without_a_name_harms_no_other(place: tuple[str, dict[str, Any]]) -> None:
    store = swarmgrid.stores.from_url(*place)
    store.write_if("a", b"1")
    with contextlib.suppress(Exception):  # some refuse it
        store.write_if("", b"2")
        store.write_if("", None)
    assert list(store.keys("", "\U0010ffff")) == ["a"]
    assert store.read_many(["a"]) == [b"1"]
