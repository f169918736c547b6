"""Azurite: a server of Azure's blobs. ``npm install azurite`` has 365 MB, so only CI has it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import shutil
import socket
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Any

from tests.servers.process import free_ports, running
from tests.waiting import PATIENCE

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The account that every Azurite has; see its documentation."""


def program() -> str | None:
    """Azurite's server of blobs: of the folder that SWARMGRID_AZURITE names, or on PATH."""
    folder = os.environ.get("SWARMGRID_AZURITE")
    return shutil.which("azurite-blob", path=folder and f"{folder}/node_modules/.bin")


@dataclass(frozen=True, slots=True)
class AzureServer:
    """Address of one running server with the container `grid`."""

    port: int

    def place(self, name: str) -> tuple[str, dict[str, Any]]:
        """URL and options of a store of its own."""
        return f"az://grid/{name}", {
            "account_name": ACCOUNT,
            "account_key": KEY,
            "endpoint": f"http://127.0.0.1:{self.port}/{ACCOUNT}",
            "client_options": {"allow_http": True},
        }

    def set_tier(self, name: str, tier: str) -> None:
        """Move an object to another access tier, as Azure's own tools do."""
        self.put(f"grid/{name}", "comp=tier", {"x-ms-access-tier": tier})

    def put(self, path: str, query: str, headers: dict[str, str]) -> None:
        """Send a request without content, signed by the account's key."""
        date = formatdate(usegmt=True)
        headers = {"x-ms-date": date, "x-ms-version": "2021-08-06", **headers}
        canonical = "".join(f"{name}:{value}\n" for name, value in sorted(headers.items()))
        resource = f"/{ACCOUNT}/{ACCOUNT}/{path}\n{query.replace('=', ':')}"
        text = "PUT" + "\n" * 12 + canonical + resource
        digest = hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()
        headers["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}"
        url = f"http://127.0.0.1:{self.port}/{ACCOUNT}/{path}?{query}"
        request = urllib.request.Request(url, data=b"", method="PUT", headers=headers)
        request.add_header("Content-Type", "")
        urllib.request.urlopen(request, timeout=PATIENCE).close()


@contextmanager
def azurite(directory: Path) -> Iterator[AzureServer]:
    """A server that keeps its data in memory."""
    found = program()
    assert found is not None
    (port,) = free_ports(1)
    command = [found, "--blobHost", "127.0.0.1", "--blobPort", str(port)]
    command += ["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent"]
    with running(command, directory=directory, environment={}, is_ready=_listens(port)):
        server = AzureServer(port)
        _make_container(server)
        yield server


def _listens(port: int) -> Callable[[], bool]:
    def probe() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return False
        return True

    return probe


def _make_container(server: AzureServer) -> None:
    """Create the container: obstore makes none."""
    server.put("grid", "restype=container", {})
