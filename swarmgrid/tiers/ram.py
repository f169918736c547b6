"""The tier in memory: copies of this process, the least recently used evicted first."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

from swarmgrid.tiers.policy import CopyStats, Counts, TierMetrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from swarmgrid.tiers.policy import TierPolicy

V = TypeVar("V")
Evicted = tuple[str, V, float]
"""The key of a copy, the copy, and the time of its last use."""


class RamTier(Generic[V]):
    """Copies in memory; every method may be called by several threads at once.

    Parameters
    ----------
    budget : int
        The most bytes of all copies.
    policy : TierPolicy
        The rules.
    pools : mapping, optional
        By name the most bytes of the copies of one pool, within the budget.
    nbytes_of : callable
        The size of a copy.
    span : str
        The span of the policy after which `trim` evicts a copy.
    """

    def __init__(
        self,
        budget: int,
        policy: TierPolicy,
        pools: Mapping[str, int] | None = None,
        nbytes_of: Callable[[Any], int] = len,
        span: str = "warm_to_cold",
    ) -> None:
        self._budget = budget
        self._policy = policy
        self._pools = dict(pools or {})
        self._nbytes_of = nbytes_of
        self._span = span
        self._lock = threading.RLock()  # a `should_keep` may ask for the metrics
        self._data: dict[str, V] = {}
        self._stats: dict[str, CopyStats] = {}
        self._pinned: dict[str, int] = {}
        self._nbytes = 0
        self._counts = Counts()

    def get(self, key: str, is_right: Callable[[V], bool] | None = None) -> V | None:
        """A copy; None if there is none, or one that is not right."""
        with self._lock:
            data = self._data.get(key)
            if data is None or (is_right is not None and not is_right(data)):
                self._counts.misses += 1
                return None
            stats = self._stats[key]
            stats.reads += 1
            stats.last_used = self._policy.clock()
            self._counts.hits += 1
            return data

    def has(self, key: str) -> bool:
        """Whether there is a copy; to ask is no use of it."""
        return key in self._data

    def touch(self, key: str, used: float) -> bool:
        """Note a use in another tier, unless there was a later one: whether there is a copy."""
        with self._lock:
            stats = self._stats.get(key)
            if stats is not None:
                stats.last_used = max(used, stats.last_used)
            return stats is not None

    def uses(self) -> list[tuple[str, float]]:
        """The keys of the copies, and when each was last used."""
        with self._lock:
            return [(key, stats.last_used) for key, stats in self._stats.items()]

    def put(self, key: str, data: V, pool: str = "", priority: int = 0) -> list[Evicted[V]]:
        """Keep a copy: those that were evicted for it, each with its key and its last use.

        A copy that does not fit beside the pinned ones is not kept, and evicts none.
        """
        nbytes = self._nbytes_of(data)
        with self._lock:
            # first, whether or not the new copy has room: the old one is of what was replaced
            self._drop(key)
            if not self._fits(nbytes, pool):
                return []
            evicted: list[Evicted[V]] = []
            if pool in self._pools:
                inside = self._in_pool(pool)
                used = sum(stats.nbytes for stats in inside.values())
                evicted += self._evict(inside, used + nbytes, self._pools[pool])
            evicted += self._evict(self._stats, self._nbytes + nbytes, self._budget)
            now = self._policy.clock()
            pins = self._pinned.get(key, 0)
            self._data[key] = data
            self._stats[key] = CopyStats(nbytes, now, 0, pool, priority, pins)
            self._nbytes += nbytes
            return evicted

    def prioritize(self, key: str, priority: int) -> None:
        """Give a copy another priority."""
        with self._lock:
            if key in self._stats:
                self._stats[key].priority = priority

    def drop(self, key: str, *, is_damaged: bool = False) -> bool:
        """Forget a copy: whether there was one."""
        with self._lock:
            if is_damaged and key in self._data:
                self._counts.damaged += 1
            return self._drop(key)

    def drop_below(self, prefix: str) -> None:
        """Forget all copies whose keys begin so."""
        with self._lock:
            for key in [key for key in self._data if key.startswith(prefix)]:
                self._drop(key)

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

    def trim(self) -> list[Evicted[V]]:
        """Evict what was not used for long: the same of each."""
        span = self._policy.idle_seconds(self._span)
        if span is None:
            return []
        with self._lock:
            before = self._policy.clock() - span
            old = [k for k, s in self._stats.items() if s.last_used < before and not s.pins]
            return [self._pop(key) for key in old]

    def clear(self) -> None:
        """Forget all copies."""
        with self._lock:
            for key in list(self._data):
                self._drop(key)

    def metrics(self) -> TierMetrics:
        """The figures so far."""
        with self._lock:
            return self._counts.metrics(self._nbytes, self._budget, len(self._data))

    def _fits(self, nbytes: int, pool: str) -> bool:
        """Whether so many bytes have room beside what is pinned, in the pool and in all."""
        if nbytes > min(self._budget, self._pools.get(pool, self._budget)):
            return False
        if not self._pinned:
            return True
        pinned = [stats for stats in self._stats.values() if stats.pins]
        of_pool = sum(stats.nbytes for stats in pinned if stats.pool == pool)
        of_all = sum(stats.nbytes for stats in pinned)
        is_in_pool = nbytes + of_pool <= self._pools.get(pool, self._budget)
        return is_in_pool and nbytes + of_all <= self._budget

    def _in_pool(self, pool: str) -> dict[str, CopyStats]:
        return {key: stats for key, stats in self._stats.items() if stats.pool == pool}

    def _evict(self, copies: Mapping[str, CopyStats], needed: int, limit: int) -> list[Evicted[V]]:
        """Make room: below the watermark, so that not every copy that comes evicts one."""
        if needed <= limit:
            return []
        excess = needed - int(limit * self._policy.watermark)
        now = self._policy.clock()
        chosen = self._policy.victims(copies.items(), excess, now)
        # a `should_keep` that reads by the same store may have evicted some of them
        return [self._pop(key) for key in chosen if key in self._data]

    def _pop(self, key: str) -> Evicted[V]:
        found = key, self._data[key], self._stats[key].last_used
        self._drop(key)
        self._counts.evictions += 1
        return found

    def _drop(self, key: str) -> bool:
        if self._data.pop(key, None) is None:
            return False
        self._nbytes -= self._stats.pop(key).nbytes
        return True
