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
    from collections.abc import Callable, Hashable, Mapping

    from numpy.typing import NDArray

    from swarmgrid.tiers.policy import TierPolicy

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Held(Generic[V]):
    """A decoded chunk."""

    rows: Hashable
    """The manifest's statement about the chunk: points and checksums, and the form of the copy."""
    values: V
    nbytes: int


class ArrayTier(RamTier[Held[V]]):
    """Decoded chunks by key, of which each is held as one state of its rows.

    Parameters
    ----------
    budget : int
        The most bytes of all arrays.
    policy, pools, span
        As of `RamTier`.
    place : callable
        The pool and the priority of what comes now.
    """

    def __init__(
        self,
        budget: int,
        policy: TierPolicy,
        pools: Mapping[str, int] | None = None,
        place: Callable[[], tuple[str, int]] = lambda: ("", 0),
        span: str = "warm_to_cold",
    ) -> None:
        super().__init__(budget, policy, pools, lambda held: int(held.nbytes), span)
        self._place = place

    def values(self, key: str, rows: Hashable) -> V | None:
        """The values under exactly these rows; None if there are none."""
        held = self.get(key, lambda held: held.rows == rows)
        return None if held is None else held.values

    def keep(self, key: str, rows: Hashable, values: V, nbytes: int) -> None:
        """Keep the values that a chunk has under some rows."""
        self.put(key, Held(rows, values, nbytes), *self._place())


def held_nbytes(values: NDArray[Any]) -> int:
    """The bytes that an array takes; of objects, such as texts, those of the objects as well."""
    texts = values.ravel().tolist() if values.dtype == object else []
    return int(values.nbytes) + sum(map(sys.getsizeof, texts))
