"""Stores of every kind."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
from zarr.storage import LocalStore, MemoryStore

from swarmgrid.store.blobs import Blobs
from swarmgrid.store.directory import FileBlobs
from swarmgrid.store.location import Location, to_location
from tests.stores import key_value
from tests.stores.grids import directory

KINDS: list[Any] = [
    "directory",
    "memory store",
    "local store",
    pytest.param("s3", marks=pytest.mark.server),
    pytest.param("gs", marks=pytest.mark.server),
    pytest.param("az", marks=[pytest.mark.server, pytest.mark.long]),
    pytest.param("gcsfs", marks=[pytest.mark.server, pytest.mark.long]),
    *key_value.KINDS,
]


@pytest.fixture(params=KINDS)
def location(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    """An empty store of every kind."""
    if request.param == "directory":
        return to_location(tmp_path / "store")
    if request.param == "memory store":
        return to_location(MemoryStore())
    if request.param == "local store":  # not by to_location, which would take its directory
        return Location("local", store=LocalStore(tmp_path / "store"))
    if request.param == "gcsfs":
        server = request.getfixturevalue("gcsfs")
        return to_location(server.fsspec_store(uuid.uuid4().hex))
    return to_location(*key_value.place(request.param, request, tmp_path))


@pytest.fixture(params=key_value.KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, dict[str, Any]]:
    """The URL and the options of an empty key-value store of every kind."""
    return key_value.place(request.param, request, tmp_path)


@pytest.fixture(params=["no lease", "the holder of a lease"])
def blobs(location: Location, request: pytest.FixtureRequest) -> Blobs:
    """The objects of an empty store of every kind, ready to be written by each kind of writer."""
    opened = location.open("grid", None if request.param == "no lease" else "writer")
    opened.begin_writing()
    return opened


@pytest.fixture
def files(tmp_path: Path) -> FileBlobs:
    """A directory of its own, ready to be written: ``tmp_path / "store"``."""
    return directory(tmp_path / "store")
