"""A server that is gone for a moment, or for good."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import swarmgrid
from swarmgrid.errors import StoreError
from swarmgrid.stores import from_url, redis
from tests.long import first
from tests.servers.valkey import valkey

FAST: dict[str, Any] = {"executor": "sync", "version": "1", "verbose": 0}


def double(x: int) -> int:
    return 2 * x


@pytest.mark.server
def test_a_server_that_is_started_again_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis, "_TRIES", 60)  # a busy machine takes its time to start one
    keeping = ("--appendonly", "yes", "--appendfsync", "always")
    with valkey(tmp_path, *keeping) as server:
        url = server.place("restarts")[0]
        store = from_url(url)
        swarmgrid.compute(axes={"x": [1]}, func=double, store=url, **FAST)
        store.write_if("a", b"1")
    is_done = threading.Event()

    def start() -> None:
        with valkey(tmp_path, *keeping, port=server.port):
            is_done.wait()

    thread = threading.Thread(target=start)
    thread.start()
    try:
        assert store.write_if("b", b"2")  # meanwhile, there is no server
        assert store.read_many(["a", "b"]) == [b"1", b"2"]
        ds, done = swarmgrid.run(axes={"x": [1, 2]}, func=double, store=url, **FAST)
        assert (done.points_computed, ds["value"].values.tolist()) == (1, [2, 4])
    finally:
        is_done.set()
        thread.join()


@pytest.mark.server
def test_a_server_that_stays_away_is_an_error_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis, "_TRIES", 1)
    with valkey(tmp_path) as server:
        url = server.place("away")[0]
        swarmgrid.compute(axes={"x": [1]}, func=double, store=url, **FAST)
    with pytest.raises(StoreError, match=r"endpoint cannot be reached.*Connection refused"):
        swarmgrid.compute(axes={"x": [1]}, func=double, store=url, **FAST)


AWAY = "http://127.0.0.1:9"
AWS = {"aws_access_key_id": "me", "aws_secret_access_key": "hush", "region_name": "eu-west-1"}
UNREACHABLE: dict[str, tuple[str, dict[str, Any]]] = {
    "redis": ("redis://me:hush@127.0.0.1:9/0?x", {}),
    "boto3": ("dynamodb://grids?x", {"endpoint_url": AWAY, **AWS}),
    "obstore": (
        "s3://bucket/x",
        {
            "endpoint": AWAY,
            "access_key_id": "me",
            "secret_access_key": "hush",
            "region": "us-east-1",
            "client_options": {"allow_http": True},
            "retry_config": {"max_retries": 0},
        },
    ),
    "sqlite3": ("sqlite:///a.db", {}),
}


@pytest.mark.parametrize("client", first(2, UNREACHABLE))
def test_an_error_of_a_client_shows_neither_its_frames_nor_ours(
    client: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    pytest.importorskip(client)
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.db").write_text("no database at all " * 100)
    url, options = UNREACHABLE[client]
    if client == "boto3":
        from botocore.config import Config

        options = options | {"config": Config(retries={"max_attempts": 1})}
    with pytest.raises(StoreError) as caught:
        swarmgrid.compute(
            axes={"x": [1]}, func=double, store=url, storage_options=options or None, **FAST
        )
    assert caught.value.__cause__ is not None
    sys.excepthook(type(caught.value), caught.value, caught.value.__traceback__)
    shown = capsys.readouterr().err
    assert f"StoreError: store {url.partition(':')[0]}" in shown
    assert "direct cause of" not in shown
    assert "hush" not in shown
    assert [line for line in shown.splitlines() if 'File "' in line and __file__ not in line] == []
