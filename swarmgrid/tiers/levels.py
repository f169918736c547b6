"""The tiers of bytes between a process and a store: memory, and under it a disk.

A tier without a codec of its own keeps what comes, as it comes. One with a codec encodes a chunk
when a reader has its values: after a read from a lower tier, and at the first read of what a
writer left. So nothing is decoded for the sake of a tier, except what moves down to a disk that
lacks it.
"""

from __future__ import annotations

import functools
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from swarmgrid.tiers.disk import DiskTier
from swarmgrid.tiers.ram import RamTier
from swarmgrid.view.copies import FoundCopy, Recoded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from swarmgrid.tiers.policy import TierPolicy
    from swarmgrid.tiers.ram import Evicted
    from swarmgrid.tiers.recoding import TierCodec
    from swarmgrid.tiers.sizes import TierSizes

    Copy = bytes | Recoded

MOST_COUNTED = 100_000
"""Chunks whose reads are counted towards a copy in memory."""
_FILL_RAM, _FILL_DISK, _RECODE_RAM, _RECODE_DISK = 1, 2, 4, 8
"""Flags: the tiers that are to have the values of a chunk, once there are some."""


class Levels:
    """The tiers of bytes.

    Parameters
    ----------
    sizes : TierSizes
        The tiers that there are.
    policy : TierPolicy
        The rules.
    place : callable
        The pool and the priority of what comes now.
    """

    def __init__(
        self, sizes: TierSizes, policy: TierPolicy, place: Callable[[], tuple[str, int]]
    ) -> None:
        self._policy = policy
        self._place = place
        self._ram_codec, self._disk_codec = sizes.ram_codec, sizes.disk_codec
        self.ram: RamTier[Copy] | DiskTier | None = None
        if sizes.shared_ram:
            self.ram = DiskTier(sizes.shared_ram, sizes.ram, policy, is_memory=True)
        elif sizes.ram and not sizes.is_decoded:
            self.ram = RamTier(sizes.ram, policy, sizes.pools)
        self.disk = DiskTier(sizes.disk_folder, sizes.disk, policy) if sizes.disk else None
        self._lock = threading.Lock()
        self._reads: OrderedDict[str, int] = OrderedDict()

    def nearest(self, name: str) -> FoundCopy | None:
        """A copy, from the nearest tier that has one."""
        data: Copy | None = self.ram.get(name) if self.ram is not None else None
        todo = 0
        if data is not None:
            if self._ram_codec is not None and not isinstance(data, Recoded):
                todo = _RECODE_RAM
        elif self.disk is not None:
            data = self.disk.get(name)
            if data is None:
                return None
            if self._disk_codec is not None and not isinstance(data, Recoded):
                todo = _RECODE_DISK
            todo |= self._promote(name, data)
        return None if data is None else self._found(name, data, todo, is_home=False)

    def fill(self, name: str, data: bytes) -> FoundCopy:
        """Keep what came from home."""
        # a write that came since the read is not waited for: the copy is then of older rows, and
        # a reader, which holds it against those of now, drops it
        todo = 0
        if self.disk is not None:
            if self._disk_codec is not None:
                todo = _FILL_DISK
            else:
                self.disk.put(name, data)
        return self._found(name, data, todo | self._promote(name, data), is_home=True)

    def written(self, name: str, data: bytes, *, is_here: bool) -> None:
        """Replace the copies of what was written home; in memory where the reader is, too."""
        if self.ram is not None:  # first: it is asked before the disk
            self.ram.drop(name)
        if self.disk is not None:
            self.disk.put(name, data)
        if is_here and isinstance(self.ram, RamTier):
            self._put_in_ram(name, data)

    def drop(self, name: str, *, is_damaged: bool = False) -> bool:
        """Forget the copies: whether there were any."""
        was_there = False
        for tier in (self.ram, self.disk):
            if tier is not None:
                was_there |= tier.drop(name, is_damaged=is_damaged)
        return was_there

    def has(self, name: str) -> bool:
        """Whether there is a copy; to ask is no use of one."""
        return any(tier is not None and tier.has(name) for tier in (self.ram, self.disk))

    def trim(self) -> None:
        """Move down what was not used for long."""
        if isinstance(self.ram, RamTier):
            self._demote(self.ram.trim())
            # the disk does not see the reads that memory answers
            for name, used in self.ram.uses() if self.disk is not None else ():
                self.touch(name, used)
        elif self.ram is not None:
            self.ram.trim("warm_to_cold", lambda *evicted: self._demote([evicted]))
        if self.disk is not None:
            self.disk.trim("cold_to_home")

    def touch(self, name: str, used: float) -> None:
        """Note the last use of a chunk in a higher tier."""
        for tier in (self.ram, self.disk):
            if tier is not None:
                tier.touch(name, used)

    def count_read(self, name: str) -> bool:
        """Count a read: whether the chunk was read often enough for a copy in memory."""
        if self._policy.promote_after == 1:
            return True
        with self._lock:
            reads = self._reads.pop(name, 0) + 1
            if reads < self._policy.promote_after:
                self._reads[name] = reads
                if len(self._reads) > MOST_COUNTED:
                    self._reads.popitem(last=False)
            return reads >= self._policy.promote_after

    def _found(self, name: str, data: Copy, todo: int, *, is_home: bool) -> FoundCopy:
        keep = functools.partial(self._keep, name, data, todo) if todo else None
        return FoundCopy(data, is_home, keep)

    def _keep(
        self, name: str, data: Copy, todo: int, values: NDArray[Any] | None, dtype: str
    ) -> None:
        """Keep a chunk in the tiers with codecs of their own; without values as it came."""
        if values is None or not values.size:  # of no values there is nothing to encode
            todo &= _FILL_RAM | _FILL_DISK
        if self.disk is not None and todo & (_FILL_DISK | _RECODE_DISK):
            self.disk.put(name, _in_codec(self._disk_codec, data, values, dtype))
        if todo & (_FILL_RAM | _RECODE_RAM):
            self._put_in_ram(name, _in_codec(self._ram_codec, data, values, dtype))

    def _promote(self, name: str, data: Copy) -> int:
        """Keep a copy in memory, if it was read often enough: what is still to do for that."""
        if self.ram is None or not self.count_read(name):
            return 0
        if self._ram_codec is not None:
            return _FILL_RAM
        self._put_in_ram(name, data)
        return 0

    def _put_in_ram(self, name: str, data: Copy) -> None:
        if isinstance(self.ram, RamTier):
            self._demote(self.ram.put(name, data, *self._place()))
        elif self.ram is not None:
            self.ram.put(name, data)

    def _demote(self, evicted: Iterable[Evicted[Copy]]) -> None:
        """Keep on the disk what left memory, unless it is there: as used when it was last used."""
        if self.disk is None:
            return
        for name, data, used in evicted:
            if not self.disk.touch(name, used):
                self.disk.put(name, self._moved(data), used)

    def _moved(self, data: Copy) -> Copy:
        """A copy in the codec of the disk; one that is as stored waits for a reader's values."""
        if self._disk_codec is None or not isinstance(data, Recoded):
            return data
        try:
            values, dtype = data.plain_values()
        except ValueError:
            return data
        return _in_codec(self._disk_codec, data, values, dtype)


def _in_codec(
    codec: TierCodec | None, data: Copy, values: NDArray[Any] | None, dtype: str
) -> Copy:
    """A copy in a codec; as it came where that cannot be."""
    if codec is None or values is None:
        return data
    try:
        return codec.recoded(values, dtype, data)
    except Exception:  # noqa: BLE001  # of a user's codec: the values are read, and the copy serves
        return data
