"""`swarmgrid.Tiered`: a store whose chunks have copies in memory and on a disk."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zarr.storage import WrapperStore

from swarmgrid.errors import InputError, brief
from swarmgrid.quantities import size_bytes
from swarmgrid.store.location import Location, to_location
from swarmgrid.tiers.policy import TierMetrics, TierPolicy
from swarmgrid.tiers.stack import Tiers, TierSizes

if TYPE_CHECKING:
    import xarray as xr

_SHARED = Path("/dev/shm")  # noqa: S108  # memory that processes share, where Linux has it


class Tiered(WrapperStore[Any]):
    """A store that holds everything at home, and copies of chunks nearer to the process.

    Reading a Dataset takes each chunk from the nearest copy, and leaves copies on the way. Every
    chunk is held against the checksums of the manifest, so that an old or damaged copy is dropped
    and read again from home, and never gives a value. Writes go home first. Leases, listings,
    documents and coordinates always go home, and so does a plain Zarr reader, which has no
    checksums to hold a copy against.

    Parameters
    ----------
    home : str, path or zarr.abc.store.Store
        The store, as for `swarmgrid.compute`.
    ram : str or int, optional
        The bytes of the copies in memory, such as ``"2GB"``.
    disk : (path, str or int), optional
        A folder of this tier alone, and the bytes of the copies in it, such as
        ``("/scratch/me", "50GB")``. The processes of a machine share it.
    shared : bool, default False
        Whether the processes of a machine share the copies in memory, too (on Linux).
    pools : mapping, optional
        By name the bytes of a part of the memory: see `pool`.
    policy : TierPolicy, optional
        The rules by which copies are kept.
    storage_options : mapping, optional
        Options with which a URL is opened.

    Raises
    ------
    InputError
        If there is no tier, or a size cannot be understood.

    Examples
    --------
    >>> import swarmgrid
    >>> store = swarmgrid.Tiered("memory://tiered", ram="10MB")
    >>> @swarmgrid.grid(store=store, executor="sync")
    ... def area(width, height):
    ...     return width * height
    >>> ds = area.compute({"height": 2.0}, {"width": [1, 2, 3]})
    >>> ds["value"].values
    array([2., 4., 6.])
    >>> store.metrics()["ram"].hits, store.metrics()["home"].hits
    (1, 0)
    """

    __module__ = "swarmgrid"

    def __init__(
        self,
        home: str | os.PathLike[str] | Any,
        *,
        ram: str | int | None = None,
        disk: tuple[str | os.PathLike[str], str | int] | None = None,
        shared: bool = False,
        pools: Mapping[str, str | int] | None = None,
        policy: TierPolicy | None = None,
        storage_options: Mapping[str, Any] | None = None,
    ) -> None:
        location = to_location(home, storage_options)
        if location.tiers is not None:
            raise InputError(f"home is {brief(home)}, which has tiers already; expected a store")
        sizes = _sizes(location, ram, disk, pools, is_shared=shared)
        rules = TierPolicy() if policy is None else policy
        if not isinstance(rules, TierPolicy):
            raise InputError(f"policy is {brief(policy)}; expected a swarmgrid.TierPolicy")
        super().__init__(location.zarr_store())
        self._tiers = Tiers(sizes, rules, location.url)
        self.location = replace(location, tiers=self._tiers)
        """The store and its tiers, as swarmgrid opens them."""

    def metrics(self) -> dict[str, TierMetrics]:
        """The figures of each tier: ``"ram"``, ``"disk"``, and ``"home"``.

        A hit of home is a chunk that no tier had.
        """
        return self._tiers.metrics()

    def prefetch(self, ds: xr.Dataset) -> int:
        """Read the chunks of a Dataset of this store into the tiers: how many bytes came.

        Parameters
        ----------
        ds : xr.Dataset
            A lazy Dataset of swarmgrid, or a part of one: ``ds.isel(s=slice(50, 100))``.
        """
        from swarmgrid.view.chunk_keys import chunk_keys

        before = self.metrics()["home"].nbytes
        reader = self.location.open_chunks()
        keys = chunk_keys(ds)
        for start in range(0, len(keys), 64):
            reader.get_many(keys[start : start + 64])
        return self.metrics()["home"].nbytes - before

    @contextlib.contextmanager
    def pinned(self, ds: xr.Dataset) -> Iterator[None]:
        """Keep the copies of a Dataset's chunks from eviction within a ``with`` block."""
        from swarmgrid.view.chunk_keys import chunk_keys

        keys = chunk_keys(ds)
        self._tiers.pin(keys, 1)
        try:
            yield
        finally:
            self._tiers.pin(keys, -1)

    @contextlib.contextmanager
    def pool(self, name: str, priority: int = 0) -> Iterator[None]:
        """Have what is read within a ``with`` block count against a pool.

        Parameters
        ----------
        name : str
            A name of ``pools``, whose bytes bound the copies; ``""``: the whole memory.
        priority : int, default 0
            Copies of a lower priority are evicted first.
        """
        if name and name not in self._tiers.pools:
            raise InputError(
                f"there is no pool {brief(name)}; expected one of {sorted(self._tiers.pools)}"
            )
        before = self._tiers.pool, self._tiers.priority
        self._tiers.pool, self._tiers.priority = name, priority
        try:
            yield
        finally:
            self._tiers.pool, self._tiers.priority = before

    def trim(self) -> None:
        """Move down what was not used for as long as the policy says."""
        self._tiers.trim()

    def clear_copies(self) -> None:
        """Forget all copies; home is left alone."""
        self._tiers.clear()

    def _with_store(self, store: Any) -> Tiered:
        location = self.location
        return _made(store, location if location.store is None else replace(location, store=store))

    def __repr__(self) -> str:
        return f"<swarmgrid.Tiered {self.location.url!r}: {', '.join(self.metrics())}>"

    def __str__(self) -> str:
        return self.location.url

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tiered) and self.location == other.location

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[object, ...]:
        return _travelled, (self.location,)


def _travelled(location: Location) -> Tiered:
    """The store of a location that came from another process."""
    return _made(location.zarr_store(), location)


def _made(home: Any, location: Location) -> Tiered:
    """The store over a Zarr store, with the tiers that a location has."""
    store = Tiered.__new__(Tiered)
    WrapperStore.__init__(store, home)
    store._tiers = location.tiers  # noqa: SLF001  # of the same class
    store.location = location
    return store


def _sizes(
    location: Location,
    ram: str | int | None,
    disk: Any,
    pools: Mapping[str, str | int] | None,
    *,
    is_shared: bool,
) -> TierSizes:
    if ram is None and disk is None:
        raise InputError("there is no tier; pass ram='2GB' or disk=('/scratch/me', '50GB')")
    folder, disk_bytes = "", 0
    if disk is not None:
        if not isinstance(disk, (tuple, list)) or len(disk) != 2:
            raise InputError(
                f"disk is {brief(disk)}; expected a folder and its size: ('/scratch/me', '50GB')"
            )
        folder = str(Path(os.fspath(disk[0])).expanduser().absolute())
        disk_bytes = int(size_bytes("the size of disk", disk[1]))
        if location.is_directory and folder == location.url:
            raise InputError(f"disk is the home store, {folder!r}; expected a folder of its own")
    ram_bytes = 0 if ram is None else int(size_bytes("ram", ram))
    limits = {name: int(size_bytes(f"pool {name!r}", n)) for name, n in (pools or {}).items()}
    shared = _shared_folder(location) if is_shared and ram_bytes else ""
    return TierSizes(ram_bytes, shared, disk_bytes, folder, limits)


def _shared_folder(location: Location) -> str:
    if not _SHARED.is_dir():
        raise InputError(
            f"shared=True needs {_SHARED}, which this machine does not have; pass "
            f"disk=({tempfile.gettempdir()!r}, ...) or shared=False"
        )
    import hashlib

    name = hashlib.blake2b(location.url.encode(), digest_size=8).hexdigest()
    return str(_SHARED / f"swarmgrid-{os.getuid()}-{name}")
