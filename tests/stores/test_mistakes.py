"""Mistakes in URLs and options of stores: each is an error that names it, and nothing is made."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import swarmgrid
from swarmgrid.errors import InputError, StoreError, SwarmgridError
from swarmgrid.store.location import to_location
from swarmgrid.stores import schemes
from tests.servers.valkey import valkey

MISTAKES: dict[str, tuple[str, dict[str, Any], str]] = {
    "no server": ("redis://", {}, "names no host"),
    "a database of a server, and no server": ("redis:///0?name", {}, "names no host"),
    "a port that is none": ("redis://host:abc/0", {}, "wrong host or port"),
    "a port out of range": ("redis://host:99999/0", {}, "wrong host or port"),
    "a name in place of the number": ("redis://host/mine", {}, "'/mine' in place of a database"),
    "a part after a hash": ("redis://host/0?name#x", {}, "store's name on the server alone"),
    "a file with one slash": ("sqlite:a.db", {}, "expected sqlite:///a.db"),
    "no scheme": ("://bucket/x", {}, "has the scheme ''"),
    "a blank before the scheme": (" s3://bucket/x", {}, "Did you mean s3://"),
    "texts in place of bytes": ("redis://host?x", {"decode_responses": True}, "stored values are"),
    "an option of nobody": (
        "redis://127.0.0.1:9/0?x",
        {"colour": "hush"},
        r"options \['colour'\]",
    ),
    "options of SQLAlchemy": ("sqlite:///a.db?timeout=5", {}, "options as storage_options"),
    "a database in memory": ("sqlite:///:memory:", {}, "expected memory://name"),
    "a word of SQLite that is none here": (
        "sqlite:///a.db",
        {"synchronous": "off"},
        "expected 'FULL' or 'NORMAL'",
    ),
    "seconds that are none": ("sqlite:///a.db", {"timeout": "5"}, "expected seconds"),
    "a size in words": ("lmdb:///a", {"map_size": "10GB"}, "expected a number of bytes"),
    "no table": ("dynamodb://", {}, "names no table"),
    "a table that AWS does not have": ("dynamodb://my table", {}, "names no table"),
    "another word for the region": (
        "dynamodb://grids",
        {"region": "eu-west-1"},
        r"options \['region'\].*expected those of boto3.client",
    ),
    "words of s3fs": (
        "s3://bucket/x",
        {"key": "me", "secret": "hush"},
        r"storage options \['key', 'secret'\].*say access_key_id for key, secret_access_key for",
    ),
    "credentials before a bucket": ("s3://me:hush@bucket/x", {}, r"\['password', 'username'\]"),
    "Google's own word": ("gcs://bucket/x", {}, "Did you mean gs://"),
}


def square(x: int) -> int:
    return x * x


@pytest.mark.parametrize(("url", "options", "said"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named_before_anything_is_made(
    url: str, options: Any, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=said) as caught:
        swarmgrid.compute(axes={"x": [1]}, func=square, store=url, storage_options=options or None)
    assert "hush" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


ODD = st.text("a0/?#@:%.[]= \0é", max_size=12)


@given(scheme=st.sampled_from(sorted(schemes.SCHEMES)), rest=ODD)
def test_any_url_names_a_store_or_is_a_mistake(
    scheme: str, rest: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        location = to_location(f"{scheme}://{rest}")
        store = schemes.from_url(location.url, location.options)
    except InputError:
        pass
    else:
        # it is opened in each worker by what this process has made of it
        again = to_location(location.url, location.options or None)
        assert schemes.from_url(again.url, again.options) == store
    assert list(tmp_path.iterdir()) == []


@given(secret=st.text("a/?#@:%é !", min_size=1, max_size=6).map(lambda text: f"hush{text}hush"))
def test_no_error_shows_a_password_however_it_is_written(secret: str) -> None:
    try:
        location = to_location(f"redis://me:{secret}@127.0.0.1:9/0?x")
        shown = [location.url, str(schemes.from_url(location.url, location.options))]
    except InputError as error:
        shown = [str(error)]
    assert "hush" not in "".join(shown)


@pytest.mark.parametrize(
    ("name", "given", "url"),
    [
        ("SQLite", "sqlite:////tmp/a.db", "sqlite:////tmp/a.db"),
        ("LMDB", "lmdb:////tmp/a", "lmdb:////tmp/a"),
        ("Redis", "redis://host:1/2?mine", "redis://host:1/2?mine"),
        ("DynamoDB", "dynamodb://grids?mine", "dynamodb://grids?mine"),
        ("S3", "s3://bucket/a", "s3://bucket/a"),
        ("Azure", "abfss://box@me.dfs.core.windows.net/a", ""),
    ],
)
def test_a_class_takes_the_url_of_its_store(name: str, given: str, url: str) -> None:
    options = {"account_key": "aGVsbG8="} if name == "Azure" else {}
    store = getattr(swarmgrid.stores, name)(given, **options)
    assert store == schemes.from_url(given, options)
    assert str(store) == (url or given)


def test_two_names_of_one_store_are_a_mistake() -> None:
    assert swarmgrid.stores.Redis("redis://host?a", prefix="a")._prefix == "a"
    with pytest.raises(InputError, match=r"prefix is 'b', and the URL of the store ends in \?a"):
        swarmgrid.stores.Redis("redis://host?a", prefix="b")


@pytest.mark.parametrize(
    ("name", "place", "package", "extra"),
    [
        ("Redis", "redis://host", "redis", "redis"),
        ("LMDB", "a", "lmdb", "lmdb"),
        ("DynamoDB", "grids", "boto3", "dynamodb"),
        ("S3", "s3://bucket/a", "obstore", "cloud"),
    ],
)
def test_a_class_whose_package_is_missing_names_the_extra(
    name: str, place: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = getattr(swarmgrid.stores, name)
    for module in [module for module in sys.modules if module.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=rf"pip install 'swarmgrid-zarr\[{extra}\]'"):
        kind(place)


@pytest.mark.parametrize("value", ["no_such_module:thing", "os:no_such_thing"])
def test_a_package_whose_scheme_cannot_be_loaded_is_named(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = metadata.EntryPoint("shelf", value, schemes.GROUP)
    monkeypatch.setattr(metadata, "entry_points", lambda group: [point])
    with pytest.raises(StoreError, match=f"shelf:// cannot be used.*{value}.*no_such"):
        swarmgrid.compute(axes={"x": [1]}, func=square, store="shelf://top")


@pytest.mark.server
def test_options_of_a_server_that_is_there_are_looked_at(tmp_path: Path) -> None:
    with valkey(tmp_path) as server:
        url, options = server.place("options")[0], {"colour": "hush"}
        with pytest.raises(InputError, match=r"options \['colour'\]"):
            swarmgrid.compute(axes={"x": [1]}, func=square, store=url, storage_options=options)


FILES: dict[str, tuple[Any, str]] = {
    "a folder": (lambda path: path.mkdir(), "is a folder"),
    "a text": (lambda path: path.write_text("notes " * 100), "of something else"),
    "a table of other columns": (
        lambda path: _execute(path, "CREATE TABLE zarr (name TEXT)"),
        "of something else",
    ),
    "damage": ("damage", "is damaged.*recover"),
}


@pytest.mark.parametrize(("make", "said"), FILES.values(), ids=FILES)
def test_a_file_that_is_no_store_is_an_error_and_stays_as_it_is(
    make: Any, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.db"
    _damage(path) if make == "damage" else make(path)
    before = path.read_bytes() if path.is_file() else None
    for call in (swarmgrid.compute, swarmgrid.plan):
        with pytest.raises(StoreError, match=said):
            call(axes={"x": [1]}, func=square, store=f"sqlite:///{path}", version="1")
    assert before is None or path.read_bytes() == before


def _execute(path: Path, *statements: str) -> None:
    import sqlite3

    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def _damage(path: Path) -> None:
    store = swarmgrid.stores.SQLite(path)
    store.write_if("manifest/1", bytes(100_000))
    store.close()
    data = path.read_bytes()
    path.write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))


def test_an_lmdb_in_place_of_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("notes")
    with pytest.raises(SwarmgridError, match="a is a file; expected a folder"):
        swarmgrid.compute(axes={"x": [1]}, func=square, store=f"lmdb:///{tmp_path}/a")
