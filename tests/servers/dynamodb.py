"""DynamoDB as moto has it, served by a thread of this process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

CREDENTIALS = {"aws_access_key_id": "tests", "aws_secret_access_key": "tests"}


@dataclass(frozen=True, slots=True)
class DynamoDBServer:
    """Address of one running server without tables."""

    endpoint: str

    def place(self, name: str) -> tuple[str, dict[str, Any]]:
        """URL and options of a store of its own, in the one table of all tests."""
        return f"dynamodb://grids?{name}", self.options()

    def options(self) -> dict[str, Any]:
        return {"endpoint_url": self.endpoint, "region_name": "eu-west-1", **CREDENTIALS}


@contextmanager
def dynamodb() -> Iterator[DynamoDBServer]:
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it notes each request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    app, one_at_a_time = server._server.app, threading.Lock()

    def answer(*request: Any) -> Any:
        with one_at_a_time:  # moto looks at a condition and writes in two steps; DynamoDB in one
            return app(*request)

    server._server.app = answer
    try:
        host, port = server.get_host_and_port()
        yield DynamoDBServer(f"http://{host}:{port}")
    finally:
        server.stop()
