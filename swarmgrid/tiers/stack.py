"""The tiers of one store: copies as bytes, decoded chunks in memory, chunks on a device.

A read asks the nearest tier first and home last, and leaves copies on the way back. A write goes
home, and replaces the copies. Whether a copy is right is not decided here: the reader holds every
chunk against the manifest, and drops a copy that does not hold what the rows say. Where memory
holds decoded chunks, each is kept with the rows that it was held against.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from swarmgrid.format.described import outputs_in
from swarmgrid.tiers.arrays import ArrayTier, held_nbytes
from swarmgrid.tiers.blobs import TieredChunks, TieredWriter
from swarmgrid.tiers.device import DeviceTier
from swarmgrid.tiers.disk import DiskTier
from swarmgrid.tiers.forms import form_in, form_of, grid_in, grid_of_document
from swarmgrid.tiers.levels import Levels
from swarmgrid.tiers.policy import TierMetrics, TierPolicy
from swarmgrid.tiers.ram import RamTier
from swarmgrid.tiers.read_ahead import ReadAhead, room
from swarmgrid.view.copies import FoundCopy

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.space.selection import Selection
    from swarmgrid.store.blobs import Blobs
    from swarmgrid.tiers.device import Narrowed
    from swarmgrid.tiers.read_ahead import Task, Walked
    from swarmgrid.tiers.sizes import TierSizes

Fetch = Callable[[Sequence[str]], list[bytes | None]]
PART_OF_A_SPAN, LEAST_SECONDS = 8, 1.0
"""Copies move down that much later than the policy says, as to look at all files of a disk takes
time."""
MOST_UNUSED = 10_000
"""Chunks that were read ahead and are watched until they are used."""
_shared: weakref.WeakValueDictionary[str, Tiers] = weakref.WeakValueDictionary()
"""The tiers of this process, by token: all copies of a store that travelled have the same ones."""


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
        self._levels = Levels(sizes, policy, self._place)
        self._arrays: ArrayTier[NDArray[Any]] | None = None
        if sizes.is_decoded:
            self._arrays = ArrayTier(sizes.ram, policy, sizes.pools, self._place)
        self.device: DeviceTier | None = None
        if sizes.device is not None:
            self.device = DeviceTier(
                sizes.device, sizes.device_bytes, sizes.device_dtype, policy, self._place
            )
        self._ahead = ReadAhead(policy.read_ahead, policy.submit)
        self._unused: OrderedDict[str, None] = OrderedDict()
        self._outputs: dict[str, frozenset[str]] = {}
        """By grid its outputs, as a writer has seen them."""
        self._forms: dict[str, str] = {}
        """The forms of the grids of which memory may have copies."""
        self._home = TierMetrics()
        self._lock = threading.Lock()
        self._blocks: tuple[tuple[object, tuple[str, int]], ...] = ()
        """The open blocks of `in_pool`, with the pool and the priority of each."""
        self._behind = threading.local()
        self._trimmed = policy.clock()
        _shared.setdefault(self._token, self)

    def read(self, keys: Sequence[str], fetch: Fetch) -> list[FoundCopy]:
        """Objects, from the nearest tier that has each; all others at once from home."""
        found: dict[str, FoundCopy] = {}
        for key in keys:
            copy = self._levels.nearest(self._full(key))
            if copy is not None:
                self._note_use(self._full(key))
                found[key] = copy
        missing = [key for key in keys if key not in found]
        if missing:
            fetched = fetch(missing)
            self._count_home(missing, fetched)
            for key, data in zip(missing, fetched, strict=True):
                found[key] = self._filled(key, data)
        return [found[key] for key in keys]

    def from_home(self, key: str, data: bytes | None) -> FoundCopy:
        """An object that was read from home, past the tiers: it leaves copies all the same."""
        self._count_home([key], [data])
        return self._filled(key, data)

    def held(self, key: str, rows: Hashable) -> NDArray[Any] | None:
        """A decoded chunk as of some rows; None where the tiers hold none."""
        if self._arrays is None:
            return None
        found = self._arrays.values(self._full(key), rows)
        if found is not None:
            self._note_use(self._full(key))
        return found

    def keep(
        self, key: str, rows: Hashable, values: NDArray[Any], *, may_replace: bool = True
    ) -> NDArray[Any]:
        """Keep a decoded chunk that was held against some rows, if memory holds such: it.

        ``may_replace`` says whether it may take the place of the same chunk as of other rows.
        """
        name = self._full(key)
        if self._arrays is None or (not may_replace and self._arrays.has(name)):
            return values
        if self._levels.count_read(name):
            self._arrays.keep(name, rows, values, held_nbytes(values))
        return values

    def on_device(
        self, array: Any, indices: list[tuple[int, ...]], dtype: str | None
    ) -> Iterator[Narrowed]:
        """Some chunks of a `GridArray` on the device, in a precision."""
        tier = self.device
        assert tier is not None
        found: Iterator[Narrowed] = array.through(
            indices,
            lambda key, rows: tier.get(self._full(key), rows, dtype),
            lambda key, rows, values: tier.keep(self._full(key), rows, dtype, values),
        )
        return found

    @property
    def holds_arrays(self) -> bool:
        """Whether memory holds decoded chunks."""
        return self._arrays is not None

    def lacks(self, key: str) -> bool:
        """Whether no tier has a copy of a chunk; to ask is no use of one."""
        name = self._full(key)
        is_decoded = self._arrays is not None and self._arrays.has(name)
        return not (is_decoded or self._levels.has(name))

    def saw(self, array: Walked, selection: Selection, chunk_nbytes: int) -> None:
        """Note a read of chunks of some size, so that the next ones of a walk are read ahead."""
        self.trim_if_due()
        most = room(self._sizes.largest, chunk_nbytes)
        self._ahead.saw(array, selection, self._from_behind, most)

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
        self._levels.written(name, data, is_here=not self._is_copy)
        self._drop_arrays(name)

    def drop(self, key: str, *, is_damaged: bool = False) -> bool:
        """Forget the copies of an object: whether there were any."""
        name = self._full(key)
        was_there = self._levels.drop(name, is_damaged=is_damaged)
        self._drop_arrays(name)
        return was_there

    def opened(self, grid: StoredGrid, *, is_now: bool = True) -> None:
        """Drop the copies of a grid from before it was laid out anew, or had its key.

        ``is_now`` says that its document was read just now; else the form may be an old one, and
        counts only where none is known.
        """
        prefix = grid.path.prefix
        if is_now or self._full(prefix) not in self._forms:
            self._keep_form(prefix, form_of(grid))

    def saw_document(self, key: str, data: bytes | None) -> None:
        """Do the same where an object that a writer reads or writes is a grid's document."""
        prefix = grid_of_document(key)
        if prefix is not None:
            form = None if data is None else form_in(data)
            if data is None or form is not None:  # of one that is damaged nothing is known
                self._keep_form(prefix, form)
                self._outputs[prefix] = frozenset(outputs_in(data))

    def is_of_output(self, key: str) -> bool:
        """Whether the key of a chunk is one of an output: coordinates always come from home."""
        known = self._outputs.get(grid_in(key) or "")
        # what is written before the document are coordinates; workers write outputs alone
        return self._is_copy if known is None else key.split("/")[3] in known

    def grids(self) -> list[str]:
        """The prefixes of the grids of which there are copies."""
        memory = (tier for tier in self._all() if not isinstance(tier, DiskTier))
        disks = (tier for tier in self._all() if isinstance(tier, DiskTier))
        names = {key for tier in memory for key, _ in tier.uses()}
        names.update(itertools.chain.from_iterable(disk.all_keys() for disk in disks))
        own = self._full("")
        found = {grid_in(name.removeprefix(own)) for name in names if name.startswith(own)}
        return sorted(prefix for prefix in found if prefix is not None)

    @contextlib.contextmanager
    def in_pool(self, pool: str, priority: int) -> Iterator[None]:
        """Give copies that come within a ``with`` block a pool and a priority.

        Blocks of several threads may close in any order.
        """
        block = object()
        with self._lock:
            self._blocks = (*self._blocks, (block, (pool, priority)))
        try:
            yield
        finally:
            with self._lock:
                self._blocks = tuple(one for one in self._blocks if one[0] is not block)

    def pin(self, keys: Iterable[str], change: int) -> None:
        """Keep copies from eviction; ``-1`` takes that back."""
        names = [self._full(key) for key in keys]
        for tier in self._all():
            tier.pin(names, change)

    def trim(self) -> None:
        """Move down what was not used for long: neither in its tier, nor in one above."""
        for name, used in self.device.uses() if self.device is not None else ():
            if self._arrays is not None:
                self._arrays.touch(name, used)
            self._levels.touch(name, used)
        for name, used in self._arrays.uses() if self._arrays is not None else ():
            self._levels.touch(name, used)
        for tier in (self.device, self._arrays, self._levels):
            if tier is not None:
                tier.trim()

    def trim_if_due(self) -> None:
        """Do that after a read, where some time has passed since it was done."""
        shortest, now = self._policy.shortest_span, self._policy.clock()
        if shortest is None:
            return
        with self._lock:
            is_due = abs(now - self._trimmed) >= max(shortest / PART_OF_A_SPAN, LEAST_SECONDS)
            self._trimmed = now if is_due else self._trimmed
        if is_due:
            self.trim()

    def clear(self) -> None:
        """Forget all copies."""
        for tier in self._all():
            tier.clear()

    @property
    def nbytes_from_home(self) -> int:
        """The bytes of all chunks that no tier had."""
        return self._home.nbytes

    def metrics(self) -> dict[str, TierMetrics]:
        """The figures of each tier, by name, and of home."""
        ram = self._levels.ram if self._arrays is None else self._arrays
        tiers = {"device": self.device, "ram": ram, "disk": self._levels.disk}
        found = {name: tier.metrics() for name, tier in tiers.items() if tier is not None}
        return {**found, "home": self._home}

    def _filled(self, key: str, data: bytes | None) -> FoundCopy:
        return FoundCopy(None) if data is None else self._levels.fill(self._full(key), data)

    def _count_home(self, keys: Sequence[str], fetched: Sequence[bytes | None]) -> None:
        """Count what came from home; of what was read ahead, watch for its first use."""
        sizes = [len(data) for data in fetched if data is not None]
        is_ahead = hasattr(self._behind, "place")
        with self._lock:
            self._home = replace(
                self._home,
                hits=self._home.hits + len(keys),
                nbytes=self._home.nbytes + sum(sizes),
                copies=self._home.copies + len(sizes),
                prefetched=self._home.prefetched + is_ahead * len(sizes),
            )
            for key, data in zip(keys, fetched, strict=True):
                if is_ahead and data is not None:
                    self._unused[self._full(key)] = None
            while len(self._unused) > MOST_UNUSED:
                self._unused.popitem(last=False)

    def _note_use(self, name: str) -> None:
        """Note the use of a copy: of one that was read ahead it is the first."""
        # without the lock at first, as few uses are the first of a chunk that was read ahead
        if name not in self._unused or hasattr(self._behind, "place"):
            return
        with self._lock:
            if name not in self._unused:  # another thread was first
                return
            del self._unused[name]
            self._home = replace(self._home, prefetched_used=self._home.prefetched_used + 1)
        for tier in (self._levels.ram, self._arrays):
            if isinstance(tier, RamTier):
                tier.prioritize(name, self._place()[1])

    def _from_behind(self, task: Task) -> Task:
        """A task that leaves copies in the present pool, evicted before those that were used."""
        pool, priority = self._present()
        place = pool, priority - 1

        def run() -> None:
            self._behind.place = place
            try:
                task()
            finally:
                del self._behind.place

        return run

    def _place(self) -> tuple[str, int]:
        """The pool and the priority of a copy that comes now, by this thread."""
        found: tuple[str, int] | None = getattr(self._behind, "place", None)
        return self._present() if found is None else found

    def _present(self) -> tuple[str, int]:
        """The pool and the priority of copies that come now."""
        blocks = self._blocks  # one look: another thread may close the last one
        return blocks[-1][1] if blocks else ("", 0)

    def _keep_form(self, prefix: str, form: str | None) -> None:
        name = self._full(prefix)
        with self._lock:
            before = self._forms.pop(name, None)
            if form is not None:
                self._forms[name] = form
        for tier in self._all():
            if isinstance(tier, DiskTier):
                tier.keep_form(name, form)
            elif before not in (None, form):
                tier.drop_below(name)

    def _drop_arrays(self, name: str) -> None:
        """Free the memory of decoded copies; as of other rows they would be of no use."""
        for tier in (self._arrays, self.device):
            if tier is not None:
                tier.drop(name)

    def _all(self) -> list[Any]:
        tiers = (self.device, self._levels.ram, self._arrays, self._levels.disk)
        return [tier for tier in tiers if tier is not None]

    def _full(self, key: str) -> str:
        return f"{self._name}\0{key}"

    def begin_anew(self) -> None:
        """Forget what a forked process inherited, such as locks that threads of the other hold."""
        blocks = self._blocks
        Tiers.__init__(self, self._sizes, self._policy, self._name, self._token)
        self._blocks = blocks

    def __reduce__(self) -> tuple[object, ...]:
        return _travelled, (self._sizes, self._policy.travelling(), self._name, self._token)


def _travelled(sizes: TierSizes, policy: TierPolicy, name: str, token: str) -> Tiers:
    """The tiers of this process for a store that came from another one, or from this."""
    return _shared.get(token) or Tiers(sizes, policy, name, token)


def _after_fork() -> None:
    for tiers in list(_shared.values()):
        tiers.begin_anew()


os.register_at_fork(after_in_child=_after_fork)
