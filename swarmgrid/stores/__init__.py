"""Zarr stores over services, of use without any grid.

`SQLite` and `LMDB` are files of this machine, `Redis` and `DynamoDB` are servers, `S3`, `GCS` and
`Azure` are object stores. Each is also a URL that ``store=`` takes. `from_url` opens the store of
any URL; `KeyValueStore` is the class to derive a further one from.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from swarmgrid.stores.cloud import GCS, S3, Azure
    from swarmgrid.stores.dynamodb import DynamoDB
    from swarmgrid.stores.key_value import Condition, KeyValueStore
    from swarmgrid.stores.lmdb import LMDB
    from swarmgrid.stores.redis import Redis
    from swarmgrid.stores.schemes import from_url
    from swarmgrid.stores.sqlite import SQLite

_HOMES = {
    "Azure": "cloud",
    "Condition": "key_value",
    "DynamoDB": "dynamodb",
    "GCS": "cloud",
    "KeyValueStore": "key_value",
    "LMDB": "lmdb",
    "Redis": "redis",
    "S3": "cloud",
    "SQLite": "sqlite",
    "from_url": "schemes",
}
"""The module of each name: read when the name is first used, as zarr is slow to import."""

__all__ = [
    "GCS",
    "LMDB",
    "S3",
    "Azure",
    "Condition",
    "DynamoDB",
    "KeyValueStore",
    "Redis",
    "SQLite",
    "from_url",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        text = f"module 'swarmgrid.stores' has no attribute {name!r}"
        raise AttributeError(text, name=name, obj=import_module(__name__))
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
