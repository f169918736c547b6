"""`rclone serve s3`: the negative fixture, an S3 server that ignores If-None-Match."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.process import executable, free_ports, running
from tests.servers.s3 import S3Server, answers


@contextmanager
def rclone(directory: Path) -> Iterator[S3Server]:
    """A server with the empty bucket `grid`; its data lies in `directory`/data/grid."""
    (port,) = free_ports(1)
    server = S3Server(f"http://127.0.0.1:{port}", "grid", "tests", secrets.token_hex(16))
    data = directory / "data"
    (data / server.bucket).mkdir(parents=True)
    command = [
        executable("rclone"),
        "serve",
        "s3",
        "--config=",
        f"--cache-dir={directory / 'cache'}",
        f"--auth-key={server.access_key},{server.secret_key}",
        f"--addr=127.0.0.1:{port}",
        str(data),
    ]
    with running(command, directory=directory, environment={}, is_ready=answers(server)):
        yield server
