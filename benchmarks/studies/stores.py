"""Chunks of every kind of store that is at hand, through the calls that swarmgrid makes."""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from typing import TYPE_CHECKING, Any

from benchmarks.measure import scratch
from benchmarks.studies import Figure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SMALL, LARGE = 4096, 300_000
"""Bytes of a chunk; DynamoDB takes no larger one than about the second."""


def study(rounds: int, *, is_quick: bool) -> dict[str, Figure]:
    """Microseconds to write and to read a chunk under a lease, by kind of store and size."""
    from swarmgrid.store.location import to_location

    found: dict[str, Figure] = {}
    with scratch() as folder, contextlib.ExitStack() as servers:
        for name, (store, options) in _places(folder, servers, is_quick=is_quick):
            location = to_location(store, options)
            for nbytes in (SMALL, LARGE):
                n = 3 if is_quick else 200 if nbytes == SMALL else 40
                each = [_measured(location, nbytes, n, turn) for turn in range(rounds)]
                writes, reads, agrees = zip(*each, strict=True)
                write, read = statistics.median(writes), statistics.median(reads)
                found[f"{name}, {nbytes // 1000} kB"] = Figure(
                    write, f"µs to write a chunk; {read:.0f} to read it", all(agrees)
                )
    return found


def _measured(location: Any, nbytes: int, n: int, turn: int) -> tuple[float, float, bool]:
    """Microseconds to write one of ``n`` chunks, and to read one; whether all came back."""
    writer = location.open("stores", f"writer-{turn}")
    writer.begin_writing()
    keys = [f"data.zarr/{nbytes}/{turn}/c.{i}" for i in range(n)]
    data = [bytes([i % 251]) * nbytes for i in range(n)]
    begun = time.perf_counter()
    for key, one in zip(keys, data, strict=True):
        writer.put(key, one)
    written = time.perf_counter()
    got = [writer.get(key) for key in keys]
    end = time.perf_counter()
    writer.end_writing()
    return 1e6 * (written - begun) / n, 1e6 * (end - written) / n, got == data


def _places(
    folder: Path, servers: contextlib.ExitStack, *, is_quick: bool
) -> Iterator[tuple[str, tuple[Any, dict[str, Any]]]]:
    """Stores by name, each on a service that runs as long as the stack."""
    yield "directory", (str(folder / "directory"), {})
    yield "memory", ("memory://benchmark", {})
    yield "SQLite", (f"sqlite:///{folder}/a.db", {})
    yield "SQLite, NORMAL", (f"sqlite:///{folder}/b.db", {"synchronous": "NORMAL"})
    slow = {"S3": s3, "DynamoDB": _moto, "Azure": _azurite, "Google": _google, "gcsfs": _gcsfs}
    starts: dict[str, Callable[[Path], Any]] = {} if is_quick else slow
    starts = {"Redis": valkey, **starts}
    with contextlib.suppress(ImportError):
        import lmdb  # noqa: F401

        yield "LMDB", (f"lmdb:///{folder}/lmdb", {})
    for name, start in starts.items():
        (folder / name).mkdir()
        with contextlib.suppress(ImportError, FileNotFoundError):  # its server is not here
            yield name, servers.enter_context(start(folder / name))


@contextlib.contextmanager
def valkey(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """A store on a server with Redis' protocol."""
    from tests.servers.valkey import valkey

    with valkey(folder) as server:
        yield server.place("benchmark")


@contextlib.contextmanager
def _moto(_: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    from tests.servers.dynamodb import dynamodb

    with dynamodb() as server:
        yield server.place("benchmark")


@contextlib.contextmanager
def _azurite(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    from tests.servers.azurite import azurite, program

    if program() is None:
        raise FileNotFoundError("azurite-blob")
    with azurite(folder) as server:
        yield server.place("benchmark")


@contextlib.contextmanager
def _google(_: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    from tests.servers.google import google

    with google() as server:
        yield server.place("benchmark")


@contextlib.contextmanager
def _gcsfs(folder: Path) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Google's other simulation, which obstore cannot write to."""
    os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")  # before its import
    import gcsfs  # noqa: F401

    from tests.servers.gcs import fake_gcs

    with fake_gcs(folder) as server:
        yield server.fsspec_store("benchmark"), {}


@contextlib.contextmanager
def s3(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """A store on an S3 server."""
    from tests.servers.seaweedfs import seaweedfs

    with seaweedfs(folder) as server:
        yield server.url("benchmark"), server.storage_options()
