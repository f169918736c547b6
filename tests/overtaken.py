"""A store in which another process comes first: just before a lease is taken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from zarr.core.buffer import Buffer
from zarr.storage import MemoryStore


class OvertakenStore(MemoryStore):
    """A store in memory that calls `then` once, before the lease of `grid` is taken."""

    then: Callable[[], None] | None = None
    grid = ""

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        if self.then is not None and key.startswith(f"locks/{self.grid}/"):
            then, self.then = self.then, None
            await asyncio.to_thread(then)
        await super().set_if_not_exists(key, value)
