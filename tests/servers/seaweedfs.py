"""SeaweedFS: an S3 server whose conditional create and etag compare-and-swap hold in a race."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.servers.process import GRPC_OFFSET, executable, free_ports, running
from tests.servers.s3 import S3Server, answers


@contextmanager
def seaweedfs(directory: Path) -> Iterator[S3Server]:
    """A server with the empty bucket `grid`; its data lies in `directory`."""
    ports = s3, master, volume, filer, admin = free_ports(5)
    server = S3Server(f"http://127.0.0.1:{s3}", "grid", "tests", secrets.token_hex(16))
    command = [
        executable("weed"),
        "-logtostderr=true",
        "mini",
        f"-dir={directory}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        # All of them: with only the S3 port chosen, a second server takes over the first's others.
        f"-s3.port={s3}",
        f"-master.port={master}",
        f"-volume.port={volume}",
        f"-filer.port={filer}",
        f"-admin.port={admin}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-webdav=false",
        "-admin.ui=false",
        "-master.telemetry=false",
        f"-bucket={server.bucket}",
    ]
    credentials = {
        "AWS_ACCESS_KEY_ID": server.access_key,
        "AWS_SECRET_ACCESS_KEY": server.secret_key,
    }
    try:
        with running(
            command, directory=directory, environment=credentials, is_ready=answers(server)
        ):
            yield server
    finally:
        _remove_sockets(ports)


def _remove_sockets(ports: Sequence[int]) -> None:
    """Remove the sockets of a server that was killed: their folder cannot be chosen, only /tmp."""
    for port in ports:
        for name in (port, port + GRPC_OFFSET):
            for socket in Path("/tmp").glob(f"seaweedfs-*-{name}.sock"):
                socket.unlink(missing_ok=True)
