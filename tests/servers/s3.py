"""Where an S3 server of the tests is, and how obstore is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import obstore
from obstore.exceptions import BaseError
from obstore.store import from_url


@dataclass(frozen=True, slots=True)
class S3Server:
    """Address and credentials of one running server with one bucket."""

    endpoint: str
    bucket: str
    access_key: str
    secret_key: str

    def url(self, prefix: str) -> str:
        return f"s3://{self.bucket}/{prefix}"

    def place(self, name: str) -> tuple[str, dict[str, Any]]:
        """URL and options of a store of its own."""
        return self.url(name), self.storage_options()

    def storage_options(self) -> dict[str, Any]:
        """Keywords for `obstore.store.from_url(self.url(prefix), **options)`."""
        return {
            "endpoint": self.endpoint,
            "region": "us-east-1",
            "access_key_id": self.access_key,
            "secret_access_key": self.secret_key,
            "virtual_hosted_style_request": False,
            # Not `allow_http=True` beside the others: obstore 0.12 panics on it.
            "client_options": {"allow_http": True},
        }


def answers(server: S3Server) -> Callable[[], bool]:
    """A probe that is true once the server keeps an object for these very credentials.

    A listening port is not enough: SeaweedFS listens before it can place a volume.
    """
    store = from_url(
        server.url("probe"),
        **server.storage_options() | {"client_options": {"allow_http": True, "timeout": "5s"}},
        retry_config={"max_retries": 0},
    )

    def probe() -> bool:
        try:
            obstore.put(store, "ready", b"1")
            obstore.delete(store, "ready")
        except (BaseError, OSError):
            return False
        return True

    return probe
