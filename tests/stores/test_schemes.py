"""URLs of stores: schemes, extras, entry points, credentials; and stores that are refused."""

from __future__ import annotations

import pickle
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from zarr.storage import MemoryStore

import swarmgrid
from swarmgrid.errors import ChunksError, InputError, StoreError, UnsafeStoreError
from swarmgrid.store.location import to_location
from swarmgrid.store.object_store import is_object_store
from swarmgrid.stores import SQLite, file_systems, from_url, schemes
from tests.long import first
from tests.servers.dynamodb import DynamoDBServer
from tests.servers.valkey import valkey
from tests.waiting import PATIENCE

FAST: dict[str, Any] = {"executor": "sync", "version": "1", "verbose": 0}


def square(x: int) -> int:
    return x * x


# ---- what a URL says


def test_the_names_of_the_room_are_those_of_its_classes() -> None:
    assert dir(swarmgrid.stores) == sorted(swarmgrid.stores.__all__)
    for name in swarmgrid.stores.__all__:
        value = getattr(swarmgrid.stores, name)
        assert pickle.loads(pickle.dumps(value)) is value
    with pytest.raises(AttributeError, match="has no attribute 'Reddis'"):
        swarmgrid.stores.Reddis  # noqa: B018


def test_three_slashes_are_relative_and_four_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for scheme in ("sqlite", "lmdb"):
        absolute = to_location(f"{scheme}:///{tmp_path}/a.db")
        assert to_location(f"{scheme}:///a.db") == absolute
        assert to_location(f"{scheme.upper()}:///b/../a.db") == absolute
        assert absolute.url == f"{scheme}:///{tmp_path}/a.db"
        for wrong in (f"{scheme}://a.db", f"{scheme}:///", f"{scheme}://"):
            with pytest.raises(InputError, match=f"names no file; expected {scheme}:///"):
                to_location(wrong)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_no_place_for_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError, match=r"there is no folder .*sqlite:////home/me/a.db"):
        swarmgrid.compute(axes={"x": [1]}, func=square, store="sqlite:///no/such/a.db", **FAST)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["sqlite:///a.db", "lmdb:///a"])
def test_looking_at_a_store_that_is_not_there_makes_none(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert swarmgrid.plan(axes={"x": [1]}, func=square, store=url).points_missing == 1
    assert list(swarmgrid.catalog(url)) == []
    assert from_url(url).read_many(["a"]) == [None]
    assert list(tmp_path.iterdir()) == []


def test_credentials_of_a_url_are_never_shown() -> None:
    location = to_location("redis://me:hu%40sh@host:6379/3?name/", {"socket_timeout": 1.0})
    assert location.url == "redis://host:6379/3?name"
    assert dict(location.options) == {"username": "me", "password": "hu@sh", "socket_timeout": 1.0}
    assert "sh" not in repr(location).replace("hash", "")
    store = from_url("redis://:hush@host/3?name")
    assert "hush" not in f"{store} {store!r}"
    assert "hush" not in str(swarmgrid.stores.Redis("redis://:hush@host:6379/0"))


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("redit://host", "Did you mean redis://"),
        ("http://host", r"redis:// \(extra 'redis'\).*dynamodb:// \(extra 'dynamodb'\)"),
        ("http://host", r"s3://, gs://, az:// \(extra 'cloud'\), sqlite://"),
        ("http://host", r"entry point in the group 'swarmgrid.stores'"),
        ("redis:/host", "is no URL; expected redis://host"),
        ("sqlite:a.db", "is no URL; expected sqlite://"),
    ],
)
def test_an_unknown_scheme_names_those_that_are_known(url: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        to_location(url)


def test_parts_of_a_url_that_mean_nothing_are_refused() -> None:
    for url in ("redis://host:6379/0?name=x&db=2", "redis://host/0?db=2", "dynamodb://a?b=c"):
        with pytest.raises(InputError, match="expected the store's name on the server"):
            from_url(url)
    with pytest.raises(InputError, match="names no table"):
        from_url("dynamodb://a/b?c")
    with pytest.raises(InputError, match="expected text without braces"):
        from_url("redis://host?a}b")
    assert str(from_url("redis://host?prefix=x")) == "redis://host?x"


@pytest.mark.parametrize(
    ("url", "package", "extra"),
    [
        ("redis://host", "redis", "redis"),
        ("lmdb:///a", "lmdb", "lmdb"),
        ("dynamodb://table", "boto3", "dynamodb"),
        ("gs://bucket/path", "obstore", "cloud"),
    ],
)
def test_a_missing_package_names_its_extra(
    url: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=rf"needs {package}.*swarmgrid-zarr\[{extra}\]"):
        from_url(url)


def test_an_option_that_a_store_does_not_have_is_named_and_not_shown(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"storage options \['colour'\]") as caught:
        swarmgrid.compute(
            axes={"x": [1]},
            func=square,
            store=f"sqlite:///{tmp_path}/a.db",
            storage_options={"colour": "hush"},
        )
    assert "hush" not in str(caught.value)


CLOUD: dict[str, Any] = {
    "S3": ("s3://bucket/a/b", {"access_key_id": "me", "secret_access_key": "hush"}),
    "GCS": ("gs://bucket/a/b", {"skip_signature": True}),
    "Azure": ("az://bucket/a/b", {"account_name": "me", "account_key": "aHVzaA=="}),
}


@pytest.mark.parametrize("name", CLOUD)
def test_a_store_of_the_cloud_is_a_class_and_a_url(name: str) -> None:
    from zarr.storage import ObjectStore

    url, options = CLOUD[name]
    kind = getattr(swarmgrid.stores, name)
    store = kind(url, **options)
    assert isinstance(store, ObjectStore)
    assert is_object_store(store)  # it is written on conditions
    for same in (kind(f"{url}/", **options), from_url(url, options), pickle_of(store)):
        assert type(same) is kind
        assert same == store
    assert store != kind(f"{url}/c", **options)
    assert (store.read_only, store.with_read_only(True).read_only) == (False, True)
    assert (str(store), repr(store)) == (url, f"{name}({url!r})")
    assert "hush" not in repr(to_location(store))
    for wrong, said in (
        ("file:///a", f"{name} was given 'file:///a'; expected {kind.schemes[0]}://"),
        (3, f"{name} was given 3"),
        (f"{kind.schemes[0]}://", "names no bucket"),
    ):
        with pytest.raises(InputError, match=said):
            kind(wrong)
    with pytest.raises(InputError, match=r"storage options \['colour'\]"):
        kind(url, colour="hush")


def pickle_of(store: Any) -> Any:
    return pickle.loads(pickle.dumps(store))


# ---- further schemes

_stores: dict[str, MemoryStore] = {}


def open_shelf(url: str, **options: Any) -> Any:
    """What a package would name in its entry point."""
    return options.get("wrong") or _stores.setdefault(url, MemoryStore())


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package that adds ``shelf://``, and one that takes ``s3://`` for itself."""
    points = [
        metadata.EntryPoint("shelf", f"{__name__}:open_shelf", schemes.GROUP),
        metadata.EntryPoint("s3", "no.such:thing", schemes.GROUP),
    ]
    monkeypatch.setattr(metadata, "entry_points", lambda group: points)


@pytest.mark.usefixtures("shelf")
def test_a_package_adds_a_scheme() -> None:
    ds = swarmgrid.compute(axes={"x": [2, 3]}, func=square, store="shelf://top/left", **FAST)
    assert ds["value"].values.tolist() == [4, 9]
    assert ds.encoding["source"].startswith("shelf://top/left/data.zarr/square/")
    assert _stores["shelf://top/left"]._store_dict
    with pytest.raises(InputError, match="dynamodb'\\), shelf://, or a Zarr store.*Did you mean"):
        to_location("shelve://top")
    with pytest.raises(StoreError, match=r"was opened as 3, a int; expected a zarr.abc.store"):
        from_url("shelf://top", {"wrong": 3})
    assert isinstance(from_url("s3://bucket/path", {"region": "x"}), object)


# ---- stores that are refused


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs", "lustre", "ext4", "fuse.mergerfs"])
@pytest.mark.parametrize("scheme", ["sqlite", "lmdb"])
def test_a_network_file_system_is_no_place_for_a_shared_file(
    scheme: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place := tmp_path / "a b").mkdir()
    mounts = tmp_path / "mounts"
    name = str(place).replace(" ", "\\040")
    mounts.write_text(f"/dev/a / ext4 rw 0 0\nserver:/x {name} {kind} rw 0 0\nproc /proc proc\n")
    monkeypatch.setattr(file_systems, "_MOUNTS", str(mounts))
    store = f"{scheme}:///{place}/a"
    assert file_systems.file_system(str(place / "deep/er")) == kind
    if kind in {"ext4", "fuse.mergerfs"}:
        swarmgrid.compute(axes={"x": [1]}, func=square, store=store, **FAST)
        return
    with pytest.raises(UnsafeStoreError, match=rf"network file system \({kind}\).*a directory"):
        swarmgrid.compute(axes={"x": [1]}, func=square, store=store, **FAST)
    assert list(place.iterdir()) == []


def test_where_mounts_are_not_known_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_systems, "_MOUNTS", "/no/such/file")
    assert file_systems.file_system("/") == ""


@pytest.mark.server
def test_a_server_that_evicts_is_refused(tmp_path: Path) -> None:
    with valkey(tmp_path, "--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru") as server:
        url, _ = server.place("evicts")
        with pytest.raises(UnsafeStoreError, match=r"policy allkeys-lru.*noeviction"):
            swarmgrid.compute(axes={"x": [1]}, func=square, store=url, **FAST)


@pytest.mark.server
def test_a_server_without_room_keeps_what_it_has(tmp_path: Path) -> None:
    with valkey(tmp_path, "--maxmemory", "6mb", "--maxmemory-policy", "noeviction") as server:
        url, _ = server.place("full")
        store = from_url(url)
        with pytest.raises(Exception, match="OOM|maxmemory"):  # noqa: PT012
            for i in range(100):
                store.write_if(f"a/{i}", bytes(200_000))
        with pytest.raises(StoreError, match="no memory left.*CONFIG SET maxmemory"):
            swarmgrid.compute(axes={"x": [1]}, func=square, store=url, **FAST)
        assert len(store.names("a/")) > 3


def test_a_server_that_is_not_there_is_said_to_be_so() -> None:
    with pytest.raises(StoreError, match=r"redis://127.0.0.1:9/0\?x: the endpoint cannot be"):
        swarmgrid.compute(axes={"x": [1]}, func=square, store="redis://127.0.0.1:9/0?x", **FAST)


@pytest.mark.server
def test_a_password_goes_with_the_options(tmp_path: Path) -> None:
    with valkey(tmp_path, "--requirepass", "hush") as server:
        url = f"redis://:hush@127.0.0.1:{server.port}/0?secret"
        options = {"func": square, **FAST}
        assert swarmgrid.run(axes={"x": [1, 2]}, store=url, **options)[1].points_computed == 2
        ds, done = swarmgrid.run(axes={"x": [1, 2]}, store=url, **options)
        assert done.points_computed == 0
        assert "hush" not in repr(ds) + ds.encoding["source"]
        with pytest.raises(StoreError, match="credentials are missing, wrong") as caught:
            swarmgrid.run(axes={"x": [1]}, store=url.replace("hush", "hash"), **options)
        assert "hash" not in str(caught.value)


def rows(x: int, n: int) -> Any:
    return np.random.default_rng(x).normal(size=n)


def test_a_chunk_that_an_object_cannot_hold_is_refused_before_anything_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SQLite, "max_nbytes", 40_000)
    call: dict[str, Any] = {"func": rows, "store": f"sqlite:///{tmp_path}/a.db", **FAST}
    with pytest.raises(ChunksError, match=r"at most 40000 in this store.*chunks=\{'x': 5\}"):
        swarmgrid.run({"n": 1000}, {"x": range(10)}, chunks={"x": 10}, **call)
    with pytest.raises(ChunksError, match="use a store that takes larger objects"):
        swarmgrid.run({"n": 6000}, {"x": range(10)}, **call)
    assert from_url(f"sqlite:///{tmp_path}/a.db").names("data.zarr/") == []
    ds, done = swarmgrid.run({"n": 1000}, {"x": range(10)}, **call)
    assert done.chunks_written > 1
    np.testing.assert_array_equal(ds["value"][7], rows(7, 1000))


@pytest.mark.long
@pytest.mark.server
class TestLargestObject:
    """DynamoDB's items have 400 kB."""

    def call(self, server: DynamoDBServer, name: str, n: int, **more: Any) -> Any:
        url, options = server.place(name)
        call = {"func": rows, "store": url, "storage_options": options, **FAST}
        return swarmgrid.run({"n": n}, {"x": range(100)}, **call, **more)

    def test_chunks_are_chosen_that_fit(self, dynamodb: DynamoDBServer) -> None:
        ds, done = self.call(dynamodb, "fits", 1000)
        assert done.points_computed == 100
        np.testing.assert_array_equal(ds["value"][7], rows(7, 1000))

    def test_longer_ones_are_refused_with_a_length_that_fits(
        self, dynamodb: DynamoDBServer
    ) -> None:
        with pytest.raises(ChunksError, match=r"at most 400000 in this store.*chunks=\{'x': 50\}"):
            self.call(dynamodb, "too-long", 1000, chunks={"x": 100})
        assert self.call(dynamodb, "too-long", 1000, chunks={"x": 50})[1].points_computed == 100

    def test_a_point_that_is_too_large_is_refused(self, dynamodb: DynamoDBServer) -> None:
        with pytest.raises(ChunksError, match="use a store that takes larger objects"):
            self.call(dynamodb, "too-large", 60_000)

    def test_the_store_itself_refuses_a_large_object(self, dynamodb: DynamoDBServer) -> None:
        store = from_url(*dynamodb.place("itself"))
        assert store.write_if("a", bytes(400_000))
        with pytest.raises(StoreError, match="object b has 410000 bytes; DynamoDB takes 400000"):
            store.write_if("b", bytes(410_000))


def counted(x: Any) -> int:
    if str(x).endswith("7"):
        raise ValueError("seven " * 30)
    return 1


LONG_AXES: dict[str, Any] = {
    "floats": np.random.default_rng(1).random(12_000),
    "texts": [f"{i:05d}-{'x' * (i % 50)}{i}" for i in range(4_000)],
    "times": np.random.default_rng(1).integers(0, 2**60, 12_000).astype("M8[ns]"),
}
"""Axes whose values take more than an object of 40,000 bytes holds."""


@pytest.mark.parametrize("kind", first(1, LONG_AXES))
def test_no_object_is_larger_than_the_store_takes(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = 40_000
    write = SQLite.write_if

    def within(self: Any, key: str, data: bytes | None, condition: Any = None) -> bool:
        assert len(data or b"") <= limit, key
        return write(self, key, data, condition)

    monkeypatch.setattr(SQLite, "max_nbytes", limit)
    monkeypatch.setattr(SQLite, "write_if", within)
    url = f"sqlite:///{tmp_path}/a.db"
    call: dict[str, Any] = {"func": counted, "on_error": "record", **FAST}
    axis, n = LONG_AXES[kind], 1_000
    where = {"x": list(axis[:n])}
    done = swarmgrid.run(axes=where, store=url, **call)[1]
    assert done.points_computed + done.points_failed == n
    swarmgrid.stream(axes={"x": axis}, where=lambda x: x == axis[-1], store=url, **call)
    (grid,) = swarmgrid.catalog(url)
    assert grid.dataset().sizes["x"] == len(axis)
    assert len(grid.errors()) == done.points_failed + (kind == "texts" and counted_fails(axis[-1]))
    swarmgrid.copy(url, tmp_path / "directory")
    swarmgrid.copy(tmp_path / "directory", f"sqlite:///{tmp_path}/b.db")
    whole = swarmgrid.compute(axes={"x": axis}, where=lambda x: x == axis[-1],
                              store=tmp_path / "whole", **call)  # fmt: skip
    swarmgrid.copy(tmp_path / "whole", f"sqlite:///{tmp_path}/c.db")
    (copied,) = swarmgrid.catalog(f"sqlite:///{tmp_path}/c.db")
    assert copied.dataset().equals(whole)


def counted_fails(x: Any) -> bool:
    return str(x).endswith("7")


def test_a_document_that_is_too_large_for_the_store_is_refused_before_any_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SQLite, "max_nbytes", 40_000)
    url = f"sqlite:///{tmp_path}/a.db"
    labels = {f"label {i}": i for i in range(2_000)}
    with pytest.raises(InputError, match=r"at most 40000 in this store.*axis 'x' has 2000 values"):
        swarmgrid.compute(axes={"x": labels}, func=square, store=url, **FAST)
    assert from_url(url).names("data.zarr/") == []


def test_a_manifest_is_divided_where_objects_are_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SQLite, "max_nbytes", 3000)
    url = f"sqlite:///{tmp_path}/a.db"
    call: dict[str, Any] = {"func": square, "store": url, **FAST}
    assert swarmgrid.run(axes={"x": range(100)}, chunks=1, **call)[1].points_computed == 100
    store = from_url(url)
    segments = [key for key in store.keys("manifest/", "manifest0") if key.endswith(".seg")]
    sizes = [len(data or b"") for data in store.read_many(segments)]
    assert len(sizes) > 2
    assert max(sizes) <= 3000
    assert swarmgrid.run(axes={"x": range(100)}, **call)[1].points_computed == 0


def test_a_key_that_lmdb_cannot_have_is_refused(tmp_path: Path) -> None:
    store = from_url(f"lmdb:///{tmp_path}/a")
    with pytest.raises(StoreError, match="has 600 bytes; LMDB takes 1 to 511"):
        store.write_if("k" * 600, b"1")
    assert store.read_many(["k" * 600]) == [None]


def test_an_lmdb_that_is_full_says_how_to_go_on(tmp_path: Path) -> None:
    options = {"map_size": 2**18}
    with pytest.raises(StoreError, match="is full: it has 262144 bytes.*1048576"):
        swarmgrid.compute(
            {"n": 9000},
            {"x": range(20)},
            func=rows,
            store=f"lmdb:///{tmp_path}/a",
            storage_options=options,
            chunks=1,
            **FAST,
        )
    ds = swarmgrid.open({"n": 9000}, func=rows, version="1", store=f"lmdb:///{tmp_path}/a")
    kept = np.flatnonzero(ds["value"].notnull().all("value_dim_0"))
    assert len(kept) > 0
    for x in kept:
        np.testing.assert_array_equal(ds["value"][x], rows(x, 9000))


# ---- files


def test_a_file_that_was_removed_is_made_anew(tmp_path: Path) -> None:
    for url in (f"sqlite:///{tmp_path}/a.db", f"lmdb:///{tmp_path}/b"):
        options = {"axes": {"x": [1, 2]}, "func": square, "store": url, **FAST}
        for _ in range(2):
            assert swarmgrid.run(**options)[1].points_computed == 2
            assert swarmgrid.run(**options)[1].points_computed == 0
            for file in sorted(tmp_path.rglob("*"), reverse=True):
                file.rmdir() if file.is_dir() else file.unlink()


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreError, match="file is not a database"):
        swarmgrid.compute(axes={"x": [1]}, func=square, store=f"sqlite:///{tmp_path}/a.db", **FAST)
    assert (tmp_path / "a.db").read_bytes() == b"no database at all" * 100


def test_a_write_of_sqlite_waits_for_the_disk(tmp_path: Path) -> None:
    for kind, number in (("FULL", 2), ("NORMAL", 1)):
        store = SQLite(tmp_path / "a.db", synchronous=kind)
        store.write_if("a", b"1")
        with store._lent() as connection:
            assert connection.execute("PRAGMA synchronous").fetchone() == (number,)
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    with pytest.raises(ValueError, match="expected 'FULL' or 'NORMAL'"):
        SQLite(tmp_path / "a.db", synchronous="OFF")


def test_a_database_of_something_else_gets_no_table_from_a_reader(tmp_path: Path) -> None:
    import sqlite3

    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("CREATE TABLE other (x)")
    connection.close()
    before = (tmp_path / "a.db").read_bytes()
    store = SQLite(tmp_path / "a.db")
    assert (store.read_many(["a"]), list(store.keys("", "z"))) == ([None], [])
    store.close()
    assert (tmp_path / "a.db").read_bytes() == before


def test_an_old_file_is_read_from_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    for url in (f"sqlite:///{tmp_path}/a.db", f"lmdb:///{tmp_path}/b"):
        options = {"axes": {"x": [1, 2]}, "func": square, **FAST}
        swarmgrid.compute(store=url, **options)
        reader = from_url(url).with_read_only(True)
        ds, done = swarmgrid.run(store=reader, **options)
        assert (done.points_computed, ds["value"].values.tolist()) == (0, [1, 4])


def test_no_connection_is_left_to_the_garbage_collector(tmp_path: Path) -> None:
    code = f"""
import gc
from swarmgrid.stores import SQLite
for i in range(3):
    store = SQLite({str(tmp_path / "a.db")!r})
    store.write_if("a", b"1")
    del store
    gc.collect()
SQLite({str(tmp_path / "a.db")!r}).read_many(["a"])
"""
    run = [sys.executable, "-W", "error", "-X", "dev", "-c", code]
    done = subprocess.run(run, capture_output=True, text=True, check=True, timeout=PATIENCE)
    assert "ResourceWarning" not in done.stderr
