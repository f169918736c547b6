"""A directory store that answers each request late, and keeps a log of them on disk.

On disk, since the worker processes' requests count, too.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zarr.storage import LocalStore, WrapperStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable


@dataclass(frozen=True, slots=True)
class Request:
    """One request, as the log has it."""

    begun: float
    ended: float
    """On the clock that all processes of a machine share."""
    kind: str
    key: str


class LateStore(WrapperStore[LocalStore]):
    """Every method that would be a request takes ``latency`` longer, and is noted in ``log``.

    All else goes to the wrapped store, its atomic ``set_if_not_exists`` included.
    """

    def __init__(self, store: LocalStore, latency: float = 0.0, log: str = os.devnull) -> None:
        super().__init__(store)
        self.latency = latency
        self.log = log

    def _with_store(self, store: LocalStore) -> LateStore:
        return type(self)(store, self.latency, self.log)

    async def get(self, key: str, *args: Any, **kwargs: Any) -> Any:
        return await self._late("get", key, super().get(key, *args, **kwargs))

    async def exists(self, key: str) -> bool:
        return bool(await self._late("exists", key, super().exists(key)))

    async def set(self, key: str, value: Any) -> None:
        await self._late("set", key, super().set(key, value))

    async def set_if_not_exists(self, key: str, value: Any) -> None:
        await self._late("create", key, super().set_if_not_exists(key, value))

    async def delete(self, key: str) -> None:
        await self._late("delete", key, super().delete(key))

    async def getsize(self, key: str) -> int:
        return int(await self._late("size", key, super().getsize(key)))

    async def get_partial_values(self, prototype: Any, key_ranges: Iterable[Any]) -> Any:
        ranges = list(key_ranges)
        keys = ",".join(key for key, _ in ranges)
        return await self._late("get", keys, super().get_partial_values(prototype, ranges))

    async def list(self) -> AsyncIterator[str]:
        await self._late("list", "")
        async for key in super().list():
            yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        await self._late("list", prefix)
        async for key in super().list_prefix(prefix):
            yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        await self._late("list", prefix)
        async for key in super().list_dir(prefix):
            yield key

    async def _late(self, kind: str, key: str, answer: Any = None) -> Any:
        begun = time.perf_counter()
        try:
            await asyncio.sleep(self.latency)
            return None if answer is None else await answer
        finally:
            line = f"{begun!r}\t{time.perf_counter()!r}\t{kind}\t{key}\n"
            with Path(self.log).open("a") as file:
                file.write(line)  # appended at once: other processes do so, too


def requests_in(log: Path) -> list[Request]:
    """What a log holds."""
    lines = (line.split("\t") for line in log.read_text().splitlines())
    return [Request(float(begun), float(ended), kind, key) for begun, ended, kind, key in lines]


def chain(requests: Iterable[Request]) -> list[Request]:
    """The longest chain of requests each of which began after the one before had ended."""
    found: list[Request] = []
    for request in sorted(requests, key=lambda request: request.ended):
        if not found or request.begun >= found[-1].ended:
            found.append(request)
    return found
