"""Whatever is done to an encrypted grid: no value of it, and no text about one, can be read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import swarmgrid
from swarmgrid import Grid, Key
from swarmgrid.codecs import keys
from swarmgrid.store import checked_json
from tests.long import examples

MARK, NUMBER = "c2VjcmV0", 123456789.0


@pytest.fixture(autouse=True)
def no_keys_held() -> Iterator[None]:
    """No key of another test, nor of this one afterwards."""
    keys._held.clear()
    yield
    keys._held.clear()


def every_byte(store: Path) -> bytes:
    return b"".join(file.read_bytes() for file in store.rglob("*") if file.is_file())


def failing(x: int) -> dict[str, Any]:
    if x % 3 == 1:
        raise ValueError(f"secret {x}")
    if x % 3 == 2:
        return {"number": 1e9 + x}  # which the encoding cannot hold
    return {"number": float(x)}


def fail(store: Any, xs: Any, **options: Any) -> None:
    swarmgrid.stream(
        failing, axes={"x": xs}, store=store, version="1", executor="sync", on_error="record",
        verbose=0, **options,
    )  # fmt: skip


PACKED = {"number": {"dtype": "int16", "scale_factor": 0.5}}


def test_texts_of_failures_are_encrypted_as_the_values_are(tmp_path: Path) -> None:
    key, new = Key.generate(), Key.generate()
    store, other = tmp_path / "store", tmp_path / "other"
    fail(store, range(3), key=key, chunks=2, encoding=PACKED)
    grid = Grid.open(store, "failing/")
    told = ["ValueError: secret 1", "output 'number' has the value 1000000002.0"]

    def check(at: Path, key: Key) -> None:
        assert b"secret" not in every_byte(at)
        assert b"1000000002" not in every_byte(at)
        grid = Grid.open(at, "failing/", key=key)
        errors = grid.errors()
        assert errors["x"].tolist() == [1, 2]
        assert all(map(str.startswith, errors["reason"], told))
        assert "raise ValueError" in errors["traceback"][0]
        keys._held.clear()
        errors = Grid.open(at, "failing/").errors()
        assert errors["x"].tolist() == [1, 2]
        assert errors["exception"].tolist() == ["ValueError", "OutputError"]
        assert all(key.id in text for text in errors["reason"])
        assert errors["traceback"].tolist() == ["", ""]
        keys.hold(key)

    check(store, key)
    fail(store, [6], workers=1)  # compacts and rewrites nothing of them
    check(store, key)
    grid.rechunk(chunks=3, sort=True)
    check(store, key)
    swarmgrid.copy(store, other)
    check(other, key)
    grid.rotate(new)
    check(store, new)
    keys.hold(key)
    fail(tmp_path / "joined", [0], key=new, chunks=2, encoding=PACKED)
    swarmgrid.merge(store, tmp_path / "joined")
    check(tmp_path / "joined", new)
    grid.rotate(None)
    assert b"secret 1" in every_byte(store)
    fail(store, [4])
    grid.rotate(key)
    assert b"secret" not in every_byte(store)
    assert len(grid.errors()) == 3
    grid.repair()
    assert grid.verify().is_clean


def test_a_changed_text_of_a_failure_is_a_lost_message_and_no_more(tmp_path: Path) -> None:
    key = Key.generate()
    fail(tmp_path, range(3), key=key, encoding=PACKED)
    (path,) = tmp_path.glob("manifest/*/*.err")
    record = json.loads(path.read_bytes())["attributes"]
    for change in ({"ciphertext": "AAAA"}, {"ciphertext": "no base64"}, {"key_id": 3}):
        changed = [{**one, **change} for one in record["failures"]]
        document = {"attributes": {**record, "failures": changed}}
        path.write_text(json.dumps(checked_json.with_checksum(document)))
        assert len(Grid.open(tmp_path, "failing/").errors()) == 0
        fail(tmp_path, [0])


def secretive(x: int) -> dict[str, Any]:
    if 1000 <= x < 2000:
        raise ValueError(f"{MARK} {x}")
    return {"text": f"{MARK} {x}", "number": NUMBER, "vector": np.full(4, NUMBER)}


class History:
    """What may happen to a store with an encrypted grid; each method is a step."""

    def __init__(self, root: Path) -> None:
        self._root, self._store, self._key, self._n = root, root / "store", Key.generate(), 3
        disk = (root / "disk", "9MB", "blosc")
        self._tiers = swarmgrid.Tiered(self._store, ram=("1MB", "decoded"), disk=disk)
        self._fill(range(3), key=self._key)

    def _fill(self, xs: Any, **options: Any) -> None:
        options = {"codec": [], "executor": "sync", "verbose": 0, "chunks": None, **options}
        axes = {"x": xs}
        swarmgrid.stream(secretive, axes=axes, store=self._store, version="1", **options)

    @property
    def grid(self) -> Grid:
        return Grid.open(self._store, "secretive/")

    def compute(self) -> None:
        self._n += 2
        self._fill(range(self._n), codec=None)

    def fail(self) -> None:
        self._fill([1000 + self._n], on_error="record", codec=None)

    def delete(self) -> None:
        if self.grid.exists(x=0):
            self.grid.delete(x=0)

    def put(self) -> None:
        values = {(0,): secretive(0)}
        options = {"store": self._store, "version": "1", "on_conflict": "keep"}
        swarmgrid.put_many(values, axes=["x"], func=secretive, **options)

    def snapshot(self) -> None:
        self.grid.snapshot(f"after {self._n}")

    def restore(self) -> None:
        for one in self.grid.snapshots()[:1]:
            self.grid.restore(one)

    def rechunk(self) -> None:
        self.grid.rechunk(chunks=1 + self._n % 3, sort=True)

    def compress(self) -> None:
        self.grid.rechunk(codec=[])

    def rotate(self) -> None:
        self._key = Key.generate()
        self.grid.rotate(self._key)

    def scope(self) -> None:
        with swarmgrid.scope("alice", store=self._store) as scope:
            self._fill([2000 + self._n], codec=None)
        scope.publish(on_conflict="keep")

    def tier(self) -> None:
        swarmgrid.open(secretive, axes=["x"], store=self._tiers, version="1").load()

    def copy(self) -> None:
        swarmgrid.copy(self._store, self._root / f"copy {self._n}")

    def archive(self) -> None:
        self.grid.archive(self._root / "archive")
        self.grid.thaw()

    def index(self) -> None:
        self.grid.index("vector")

    def repair(self) -> None:
        self.grid.repair()


STEPS = sorted(name for name in vars(History) if not name.startswith("_") and name != "grid")


@settings(max_examples=examples(13))
@given(steps=st.lists(st.sampled_from(STEPS), min_size=4, max_size=8))
def test_no_history_leaves_a_value_where_it_can_be_read(
    steps: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("history")
    history = History(root)
    for step in steps:
        getattr(history, step)()
        found = every_byte(root)
        assert MARK.encode() not in found, step
        assert np.float64(NUMBER).tobytes()[3:] not in found, step
    assert history.grid.verify().is_clean


def test_what_a_history_would_leave_is_what_is_looked_for(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.fail()
    history.grid.rotate(None)
    found = every_byte(tmp_path)
    assert f"{MARK} 0".encode() in found
    assert f"ValueError: {MARK} 1003".encode() in found
    assert np.float64(NUMBER).tobytes()[3:] in found
