"""What the servers of the tests promise, and that nothing of them outlives its test."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from obstore.store import from_url
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import ObjectStore

from tests.long import first
from tests.servers.process import running
from tests.servers.rclone import rclone
from tests.servers.s3 import S3Server
from tests.servers.seaweedfs import seaweedfs

pytestmark = pytest.mark.server

CREATORS = [f"creator {i}".encode() for i in range(8)]


def zarr_store(server: S3Server, prefix: str) -> ObjectStore:
    return ObjectStore(from_url(server.url(prefix), **server.storage_options()))


async def create(store: ObjectStore, key: str, value: bytes) -> bytes | None:
    """Create, then read back, as a library must: `set_if_not_exists` does not say who won.

    None is what rclone answers while another creator replaces the object.
    """
    prototype = default_buffer_prototype()
    await store.set_if_not_exists(key, prototype.buffer.from_bytes(value))
    stored = await store.get(key, prototype)
    return None if stored is None else stored.to_bytes()


async def values_seen(server: S3Server, prefix: str, key: str) -> set[bytes | None]:
    """What eight concurrent creators of `key`, each with its own client, and a late one saw."""
    stores = [zarr_store(server, prefix) for _ in CREATORS]
    racers = [create(s, key, v) for s, v in zip(stores, CREATORS, strict=True)]
    return {*await asyncio.gather(*racers), await create(stores[0], key, b"late")}


def test_seaweedfs_lets_exactly_one_of_eight_concurrent_creators_win(s3: S3Server) -> None:
    # Few races: SeaweedFS lets the losers of one wait for 1 to 3 whole seconds.
    async def races() -> list[set[bytes | None]]:
        return [await values_seen(s3, "exclusive", f"locks/{i}") for i in range(3)]

    for seen in asyncio.run(races()):
        assert len(seen) == 1
        assert seen <= set(CREATORS)


def test_rclone_lets_a_second_creator_overwrite(s3_without_conditions: S3Server) -> None:
    seen = asyncio.run(values_seen(s3_without_conditions, "not-exclusive", "locks/0"))
    assert len(seen) > 1
    assert b"late" in seen


@pytest.mark.parametrize("start", first(1, [rclone, seaweedfs]))
def test_two_servers_run_side_by_side_and_are_gone_afterwards(start, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with start(tmp_path / "one") as one, start(tmp_path / "two") as two:
        for server, value in ((one, b"1"), (two, b"2")):
            assert asyncio.run(create(zarr_store(server, "p"), "k", value)) == value
    for server in (one, two):
        address = urlsplit(server.endpoint)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((address.hostname, address.port), timeout=5)


@pytest.mark.parametrize(
    ("program", "timeout_seconds", "message"),
    [
        ("print('no disk'); raise SystemExit(3)", 20.0, r"ended with 3(.|\n)*no disk"),
        ("import time; time.sleep(60)", 0.2, r"not ready after 0\.2 s"),
    ],
    ids=["ends early", "never ready"],
)
def test_a_server_that_does_not_come_up_is_reported_and_stopped(
    program: str, timeout_seconds: float, message: str, tmp_path: Path
) -> None:
    server = running(
        [sys.executable, "-c", program],
        directory=tmp_path,
        environment={},
        is_ready=lambda: False,
        timeout_seconds=timeout_seconds,
    )
    with pytest.raises(RuntimeError, match=message), server:
        pass
