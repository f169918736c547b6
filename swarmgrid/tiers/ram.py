"""The tier in memory: encoded chunks of this process, the least recently used evicted first."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from swarmgrid.tiers.policy import CopyStats, TierMetrics

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from swarmgrid.tiers.policy import TierPolicy


class RamTier:
    """Copies in memory; every method may be called by several threads at once.

    Parameters
    ----------
    budget : int
        The most bytes of all copies.
    policy : TierPolicy
        The rules.
    pools : mapping, optional
        By name the most bytes of the copies of one pool, within the budget.
    """

    def __init__(
        self, budget: int, policy: TierPolicy, pools: Mapping[str, int] | None = None
    ) -> None:
        self._budget = budget
        self._policy = policy
        self._pools = dict(pools or {})
        self._lock = threading.Lock()
        self._data: dict[str, bytes] = {}
        self._stats: dict[str, CopyStats] = {}
        self._pinned: dict[str, int] = {}
        self._nbytes = 0
        self._metrics = TierMetrics(budget=budget)

    def get(self, key: str) -> bytes | None:
        """A copy; None if there is none."""
        with self._lock:
            data = self._data.get(key)
            if data is None:
                self._count(misses=1)
                return None
            stats = self._stats[key]
            stats.reads += 1
            stats.last_used = self._policy.clock()
            self._count(hits=1)
            return data

    def put(
        self, key: str, data: bytes, pool: str = "", priority: int = 0
    ) -> list[tuple[str, bytes]]:
        """Keep a copy: those that were evicted for it. A copy above the budget is not kept."""
        with self._lock:
            self._drop(key)
            limit = min(self._budget, self._pools.get(pool, self._budget))
            if len(data) > limit:
                return []
            evicted = (
                self._evict(self._in_pool(pool), self._pool_bytes(pool) + len(data), limit)
                if pool in self._pools
                else []
            )
            evicted += self._evict(self._stats, self._nbytes + len(data), self._budget)
            if self._nbytes + len(data) > self._budget:  # the rest is pinned
                return evicted
            now = self._policy.clock()
            pins = self._pinned.get(key, 0)
            self._data[key] = data
            self._stats[key] = CopyStats(len(data), now, 0, pool, priority, pins)
            self._nbytes += len(data)
            return evicted

    def drop(self, key: str, *, is_damaged: bool = False) -> bool:
        """Forget a copy: whether there was one."""
        with self._lock:
            if is_damaged and key in self._data:
                self._count(damaged=1)
            return self._drop(key)

    def pin(self, keys: Iterable[str], change: int) -> None:
        """Keep copies from eviction, those that come later, too; ``-1`` takes that back."""
        with self._lock:
            for key in keys:
                count = self._pinned.get(key, 0) + change
                self._pinned[key] = count
                if count <= 0:
                    del self._pinned[key]
                if key in self._stats:
                    self._stats[key].pins = max(0, count)

    def trim(self) -> list[tuple[str, bytes]]:
        """Evict what was not used for long: the copies."""
        span = self._policy.idle_seconds("warm_to_cold")
        if span is None:
            return []
        with self._lock:
            before = self._policy.clock() - span
            old = [k for k, s in self._stats.items() if s.last_used < before and not s.pins]
            return [(key, self._pop(key)) for key in old]

    def clear(self) -> None:
        """Forget all copies."""
        with self._lock:
            for key in list(self._data):
                self._drop(key)

    def metrics(self) -> TierMetrics:
        """The figures so far."""
        with self._lock:
            return replace(self._metrics, nbytes=self._nbytes, copies=len(self._data))

    def _in_pool(self, pool: str) -> dict[str, CopyStats]:
        return {key: stats for key, stats in self._stats.items() if stats.pool == pool}

    def _pool_bytes(self, pool: str) -> int:
        return sum(stats.nbytes for stats in self._in_pool(pool).values())

    def _evict(
        self, copies: Mapping[str, CopyStats], needed: int, limit: int
    ) -> list[tuple[str, bytes]]:
        """Make room: below the watermark, so that not every copy that comes evicts one."""
        if needed <= limit:
            return []
        excess = needed - int(limit * self._policy.watermark)
        now = self._policy.clock()
        chosen = self._policy.victims(copies.items(), excess, now)
        return [(key, self._pop(key)) for key in chosen]

    def _pop(self, key: str) -> bytes:
        data = self._data[key]
        self._drop(key)
        self._count(evictions=1)
        return data

    def _drop(self, key: str) -> bool:
        data = self._data.pop(key, None)
        if data is None:
            return False
        del self._stats[key]
        self._nbytes -= len(data)
        return True

    def _count(self, **more: int) -> None:
        counts = {name: getattr(self._metrics, name) + n for name, n in more.items()}
        self._metrics = replace(self._metrics, **counts)
