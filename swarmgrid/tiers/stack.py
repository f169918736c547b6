"""The tiers of one store in their order, and what moves between them.

A read asks memory, then the disk, then home, and leaves copies on the way back. A write goes home,
and replaces the copies. Whether a copy is right is not decided here: the reader holds every chunk
against the manifest, and drops a copy that does not hold what the rows say.
"""

from __future__ import annotations

import secrets
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from swarmgrid.tiers.blobs import TieredChunks, TieredWriter
from swarmgrid.tiers.disk import DiskTier
from swarmgrid.tiers.policy import TierMetrics, TierPolicy
from swarmgrid.tiers.ram import RamTier

if TYPE_CHECKING:
    from swarmgrid.store.blobs import Blobs

Fetch = Callable[[Sequence[str]], list[bytes | None]]
_shared: weakref.WeakValueDictionary[str, Tiers] = weakref.WeakValueDictionary()
"""The tiers of this process, by token: all copies of a store that travelled have the same ones."""


@dataclass(frozen=True)
class TierSizes:
    """The tiers that a store has, and how large each is; 0 bytes: it has none."""

    ram: int = 0
    shared_ram: str = ""
    """The folder of a tier in memory that the processes of a machine share."""
    disk: int = 0
    disk_folder: str = ""
    pools: Mapping[str, int] = field(default_factory=dict)


class Tiers:
    """The tiers between a process and one store.

    Parameters
    ----------
    sizes : TierSizes
        The tiers that there are.
    policy : TierPolicy
        The rules.
    name : str
        The home store's name: a folder may hold copies of several stores.
    """

    def __init__(self, sizes: TierSizes, policy: TierPolicy, name: str, token: str = "") -> None:
        self._sizes = sizes
        self._policy = policy
        self._name = name
        self._token = token or secrets.token_hex(8)
        self._is_copy = bool(token)
        self._ram: RamTier[bytes] | DiskTier | None = None
        if sizes.shared_ram:
            self._ram = DiskTier(sizes.shared_ram, sizes.ram, policy)
        elif sizes.ram:
            self._ram = RamTier(sizes.ram, policy, sizes.pools)
        self._disk = DiskTier(sizes.disk_folder, sizes.disk, policy) if sizes.disk else None
        self._home = TierMetrics()
        self._lock = threading.Lock()
        self._reads: dict[str, int] = {}
        self.pool, self.priority = "", 0
        _shared.setdefault(self._token, self)

    def read(self, keys: Sequence[str], fetch: Fetch) -> list[bytes | None]:
        """Objects, from the nearest tier that has each; all others at once from home."""
        found: dict[str, bytes | None] = {}
        for key in keys:
            data = self._nearest(key)
            if data is not None:
                found[key] = data
        missing = [key for key in keys if key not in found]
        if missing:
            fetched = fetch(missing)
            with self._lock:
                n = sum(data is not None for data in fetched)
                self._home = replace(self._home, hits=self._home.hits + len(missing),
                    nbytes=self._home.nbytes + sum(len(d) for d in fetched if d is not None),
                    copies=self._home.copies + n)  # fmt: skip
            for key, data in zip(missing, fetched, strict=True):
                found[key] = data
                if data is not None:
                    self._fill(key, data)
        return [found[key] for key in keys]

    @property
    def pools(self) -> Mapping[str, int]:
        """The bytes of each pool."""
        return self._sizes.pools

    def reader(self, home: Blobs) -> TieredChunks:
        """The chunks of the store, by the nearest copy."""
        return TieredChunks(home, self)

    def writer(self, home: Blobs) -> Blobs:
        """The objects of the store for a writer."""
        return TieredWriter(home, self)

    def written(self, key: str, data: bytes) -> None:
        """Replace the copies of an object that was written home."""
        name = self._full(key)
        if self._ram is not None:
            self._ram.drop(name)
        if self._disk is not None:
            self._disk.put(name, data)
        if isinstance(self._ram, RamTier) and not self._is_copy:
            self._keep_in_ram(name, data)

    def drop(self, key: str, *, is_damaged: bool = False) -> bool:
        """Forget the copies of an object: whether there were any."""
        name, was_there = self._full(key), False
        for tier in (self._ram, self._disk):
            if tier is not None:
                was_there |= tier.drop(name, is_damaged=is_damaged)
        return was_there

    def pin(self, keys: Iterable[str], change: int) -> None:
        """Keep copies from eviction; ``-1`` takes that back."""
        names = [self._full(key) for key in keys]
        for tier in (self._ram, self._disk):
            if tier is not None:
                tier.pin(names, change)

    def trim(self) -> None:
        """Move down what was not used for long."""
        if isinstance(self._ram, RamTier):
            self._demote(self._ram.trim())
        if self._disk is not None:
            self._disk.trim()

    def clear(self) -> None:
        """Forget all copies."""
        for tier in (self._ram, self._disk):
            if tier is not None:
                tier.clear()

    def metrics(self) -> dict[str, TierMetrics]:
        """The figures of each tier, by name, and of home."""
        tiers = {"ram": self._ram, "disk": self._disk}
        found = {name: tier.metrics() for name, tier in tiers.items() if tier is not None}
        return {**found, "home": self._home}

    def _nearest(self, key: str) -> bytes | None:
        name = self._full(key)
        data = self._ram.get(name) if self._ram is not None else None
        if data is None and self._disk is not None:
            data = self._disk.get(name)
            if data is not None:
                self._promote(name, data)
        return data

    def _fill(self, key: str, data: bytes) -> None:
        name = self._full(key)
        if self._disk is not None:
            self._disk.put(name, data)
        self._promote(name, data)

    def _promote(self, name: str, data: bytes) -> None:
        """Keep a copy in memory, if it was read often enough."""
        if self._ram is None:
            return
        if self._policy.promote_after > 1:
            with self._lock:
                reads = self._reads.get(name, 0) + 1
                self._reads[name] = reads
                if reads < self._policy.promote_after:
                    return
                del self._reads[name]
        self._keep_in_ram(name, data)

    def _keep_in_ram(self, name: str, data: bytes) -> None:
        if isinstance(self._ram, RamTier):
            self._demote(self._ram.put(name, data, self.pool, self.priority))
        elif self._ram is not None:
            self._ram.put(name, data)

    def _demote(self, evicted: Sequence[tuple[str, bytes]]) -> None:
        """Keep on the disk what left memory, unless it is there."""
        if self._disk is not None:
            for name, data in evicted:
                if not self._disk.has(name):
                    self._disk.put(name, data)

    def _full(self, key: str) -> str:
        return f"{self._name}\0{key}"

    def __reduce__(self) -> tuple[object, ...]:
        return _travelled, (self._sizes, self._policy, self._name, self._token)


def _travelled(sizes: TierSizes, policy: TierPolicy, name: str, token: str) -> Tiers:
    """The tiers of this process for a store that came from another one, or from this."""
    return _shared.get(token) or Tiers(sizes, policy, name, token)
