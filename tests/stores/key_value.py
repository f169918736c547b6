"""The key-value stores of the tests, each on a real service of this machine."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.long import first

KINDS: list[Any] = [
    "sqlite",
    "lmdb",
    pytest.param("redis", marks=pytest.mark.server),
    # moto takes five milliseconds for each request
    pytest.param("dynamodb", marks=[pytest.mark.server, pytest.mark.long]),
]
"""The schemes of the key-value stores."""
FEW = first(1, ["sqlite", "lmdb", "redis", "dynamodb"])
"""The same, for tests that take long: one of them by default."""


def place(kind: str, request: pytest.FixtureRequest, folder: Path) -> tuple[str, dict[str, Any]]:
    """The URL of an empty store, and the options that it needs."""
    name = uuid.uuid4().hex
    packages = {"dynamodb": "boto3", "lmdb": "lmdb", "redis": "redis"}
    pytest.importorskip(packages.get(kind, "zarr"))
    if kind in {"sqlite", "lmdb"}:
        return f"{kind}:///{folder}/{name}", {}
    return request.getfixturevalue(kind).place(name)
