"""Decoded chunks in a tier: in memory, or on a device.

A copy is of use only to a reader that has the same rows about the chunk: it was held against
these when it came, and needs neither a codec nor a checksum again.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from swarmgrid.tiers.ram import RamTier

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping

    from numpy.typing import NDArray

    from swarmgrid.tiers.policy import TierMetrics, TierPolicy

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Held(Generic[V]):
    """A decoded chunk."""

    rows: Hashable
    """The manifest's statement about the chunk: points and checksums, and the form of the copy."""
    values: V
    nbytes: int


class ArrayTier(Generic[V]):
    """Decoded chunks by key, of which each is held as one state of its rows.

    Parameters
    ----------
    budget : int
        The most bytes of all arrays.
    policy : TierPolicy
        The rules.
    pools : mapping, optional
        As of `RamTier`.
    place : callable
        The pool and the priority of what comes now.
    span : str
        The span of the policy after which `trim` drops a copy.
    """

    def __init__(
        self,
        budget: int,
        policy: TierPolicy,
        pools: Mapping[str, int] | None = None,
        place: Callable[[], tuple[str, int]] = lambda: ("", 0),
        span: str = "warm_to_cold",
    ) -> None:
        self._tier: RamTier[Held[V]] = RamTier(
            budget, policy, pools, lambda held: int(held.nbytes), span
        )
        self._place = place

    def get(self, key: str, rows: Hashable) -> V | None:
        """The values under exactly these rows; None if there are none."""
        held = self._tier.get(key, lambda held: held.rows == rows)
        return None if held is None else held.values

    def has(self, key: str) -> bool:
        """Whether there is a copy, of whatever rows."""
        return self._tier.has(key)

    def keep(self, key: str, rows: Hashable, values: V, nbytes: int) -> None:
        """Keep the values that a chunk has under some rows."""
        self._tier.put(key, Held(rows, values, nbytes), *self._place())

    def drop(self, key: str, *, is_damaged: bool = False) -> bool:
        """Forget a copy: whether there was one."""
        return self._tier.drop(key, is_damaged=is_damaged)

    def prioritize(self, key: str, priority: int) -> None:
        """Give a copy another priority."""
        self._tier.prioritize(key, priority)

    def pin(self, keys: Iterable[str], change: int) -> None:
        """Keep copies from eviction; ``-1`` takes that back."""
        self._tier.pin(keys, change)

    def touch(self, key: str, used: float) -> bool:
        """Note a use in another tier, unless there was a later one: whether there is a copy."""
        return self._tier.touch(key, used)

    def uses(self) -> list[tuple[str, float]]:
        """The keys of the copies, and when each was last used."""
        return self._tier.uses()

    def trim(self) -> None:
        """Drop what was not used for long."""
        self._tier.trim()

    def clear(self) -> None:
        """Forget all copies."""
        self._tier.clear()

    def metrics(self) -> TierMetrics:
        """The figures so far."""
        return self._tier.metrics()


def held_nbytes(values: NDArray[Any]) -> int:
    """The bytes that an array takes; of objects, such as texts, those of the objects as well."""
    texts = values.ravel().tolist() if values.dtype == object else []
    return int(values.nbytes) + sum(map(sys.getsizeof, texts))
