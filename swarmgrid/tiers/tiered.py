"""`swarmgrid.Tiered`: a store whose chunks have copies in memory, on a disk and on a device."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from zarr.storage import WrapperStore

from swarmgrid.errors import InputError, brief
from swarmgrid.quantities import check_flags
from swarmgrid.store.checked_json import MAX_DOCUMENT
from swarmgrid.store.layout import METADATA
from swarmgrid.store.location import Location, to_location
from swarmgrid.tiers.policy import TierMetrics, TierPolicy
from swarmgrid.tiers.sizes import to_sizes
from swarmgrid.tiers.stack import Tiers

if TYPE_CHECKING:
    import os

    import xarray as xr

    from swarmgrid.tiers.device import Device
    from swarmgrid.view.dataset import GridArray


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
    ram : str, int or (str or int, form), optional
        The bytes of the copies in memory, such as ``"2GB"``. They are as stored. With
        ``("2GB", "decoded")`` they are decoded and checked: they take more bytes, and are
        read again without either. With compressors, such as ``("2GB", "blosc")``, they are
        encoded by these, given as in ``encoding=``; ``[]``: not compressed.
    disk : (path, str or int) or (path, str or int, form), optional
        A folder, and the bytes of the copies in it, such as ``("/scratch/me", "50GB")``. The
        processes of a machine share it. With compressors copies are encoded by these:
        ``("/scratch/me", "50GB", zarr.codecs.BloscCodec(cname="lz4"))``. Copies of encrypted
        outputs stay encrypted.
    device : str, Device or tuple, optional
        A device that holds decoded chunks for ``ds.swarmgrid.to_device()``: ``"cuda:0"``, with
        bytes ``("cuda:0", "4GB")``, with a precision ``("cuda:0", "4GB", "float16")``. Without
        bytes it is half of what is free there. A GPU needs the extra ``gpu``; ``"cpu"`` is the
        memory of this process.
    shared : bool, default False
        Whether the processes of a machine share the copies in memory, too (on Linux). They stay
        there when these end: see `clear_copies`.
    pools : mapping, optional
        By name the bytes of a part of the memory: see `pool`.
    policy : TierPolicy, optional
        The rules by which copies are kept.
    storage_options : mapping, optional
        Options with which a URL is opened.
    read_only : bool, default False
        Whether the store refuses to be written; reading leaves copies in the tiers.

    Raises
    ------
    InputError
        If there is no tier, a size cannot be understood, compressors are unknown or change
        values, or there is no such device.

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
        ram: str | int | tuple[str | int, str] | None = None,
        disk: tuple[str | os.PathLike[str], str | int] | None = None,
        device: str | Device | tuple[Any, ...] | None = None,
        shared: bool = False,
        pools: Mapping[str, str | int] | None = None,
        policy: TierPolicy | None = None,
        storage_options: Mapping[str, Any] | None = None,
        read_only: bool = False,
    ) -> None:
        check_flags(shared=shared, read_only=read_only)
        location = to_location(home, storage_options, "home")
        if location.tiers is not None:
            raise InputError(f"home is {brief(home)}, which has tiers already; expected a store")
        if location.below is not None:
            raise InputError(
                f"home is {brief(home)}, a scope; give the tiers to the shared store, and open "
                "the scope of that: swarmgrid.scope(name, store=tiered)"
            )
        sizes = to_sizes(location, ram, disk, device, pools, is_shared=shared)
        rules = TierPolicy() if policy is None else policy
        if not isinstance(rules, TierPolicy):
            raise InputError(f"policy is {brief(policy)}; expected a swarmgrid.TierPolicy")
        store = location.zarr_store()
        super().__init__(store.with_read_only(True) if read_only else store)
        self._tiers = Tiers(sizes, rules, location.url)
        self.location = _over(location, self._store, self._tiers)
        """The store and its tiers, as swarmgrid opens them."""

    @classmethod
    async def open(cls, *args: Any, **options: Any) -> Tiered:
        """The store of these arguments, opened, as zarr opens stores."""
        store = cls(*args, **options)
        await store._ensure_open()
        return store

    def metrics(self) -> dict[str, TierMetrics]:
        """The figures of each tier: ``"device"``, ``"ram"``, ``"disk"``, and ``"home"``.

        A hit of home is a chunk that no tier had; ``prefetched`` are those of them that were read
        ahead, and ``prefetched_used`` those of these that were asked for since.
        """
        return self._tiers.metrics()

    def prefetch(self, ds: xr.Dataset | xr.DataArray) -> int:
        """Read the chunks of a Dataset of this store into the tiers: how many bytes came.

        Parameters
        ----------
        ds : xr.Dataset or xr.DataArray
            A lazy Dataset of this store, or a part of one: ``ds.isel(s=slice(50, 100))``.
        """
        from swarmgrid.view.chunk_keys import lazy_arrays

        before = self._tiers.nbytes_from_home
        arrays = lazy_arrays(ds)
        self._check_own(arrays)
        for array, index in arrays:
            for layer in array.layers():
                layer.fetch(layer.chunks_at(index), is_anew=True)
        return self._tiers.nbytes_from_home - before

    @contextlib.contextmanager
    def pinned(self, ds: xr.Dataset | xr.DataArray) -> Iterator[None]:
        """Keep the copies of a Dataset's chunks from eviction within a ``with`` block.

        On the disk, from eviction by this process.
        """
        from swarmgrid.view.chunk_keys import chunk_keys, lazy_arrays

        self._check_own(lazy_arrays(ds))
        keys = chunk_keys(ds)
        self._tiers.pin(keys, 1)
        try:
            yield
        finally:
            self._tiers.pin(keys, -1)

    def pool(self, name: str, priority: int = 0) -> contextlib.AbstractContextManager[None]:
        """Have what this process reads within a ``with`` block count against a pool of its memory.

        All its threads: of blocks that are open at once, the one that was opened last counts.

        Parameters
        ----------
        name : str
            A name of ``pools``, whose bytes bound the copies; ``""``: the whole memory.
        priority : int, default 0
            Copies of a lower priority are evicted first.
        """
        if not isinstance(name, str) or (name and name not in self._tiers.pools):
            known = ", ".join(map(repr, ("", *sorted(self._tiers.pools))))
            raise InputError(f"there is no pool {brief(name)}; expected one of {known}")
        if isinstance(priority, bool) or not isinstance(priority, (int, np.integer)):
            raise InputError(f"priority is {brief(priority)}; expected an integer, such as 1")
        return self._tiers.in_pool(name, int(priority))

    def trim(self) -> None:
        """Move down what was not used for as long as the policy says, as reads do now and then.

        Then drop the copies of grids that home does not have any more, or has in another layout
        or with another key since; that asks home for the document of each grid with copies.
        """
        self._tiers.trim()
        home = self.location.open()
        for prefix in self._tiers.grids():
            key = prefix + METADATA
            self._tiers.saw_document(key, home.get(key, MAX_DOCUMENT))

    def clear_copies(self) -> None:
        """Forget all copies, those of other processes on the disk, too; home is left alone."""
        self._tiers.clear()

    def _check_own(self, arrays: Iterable[tuple[GridArray, tuple[Any, ...]]]) -> None:
        """Raise InputError for a Dataset of another store: its chunks are not read here."""
        for array, _ in arrays:
            if not any(layer.tiers is self._tiers for layer in array.layers()):
                raise InputError(
                    f"output {array.name!r} of this Dataset is not read through this store; open "
                    "it with this one: store=... of compute and open, or Grid.open(store, ...)"
                )

    def _with_store(self, store: Any) -> Tiered:
        return _made(store, _over(self.location, store, self._tiers))

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


def _over(location: Location, store: Any, tiers: Tiers) -> Location:
    """A location with tiers that opens a Zarr store: by its path, where that may be written."""
    if store.read_only:
        location = replace(location, store=store)
    elif location.store is not None:
        is_directory = to_location(store).is_directory
        location = replace(location, store=None if is_directory else store)
    return replace(location, tiers=tiers)


def _made(home: Any, location: Location) -> Tiered:
    """The store over a Zarr store, with the tiers that a location has."""
    store = Tiered.__new__(Tiered)
    WrapperStore.__init__(store, home)
    store._tiers = location.tiers  # noqa: SLF001  # of the same class
    store.location = location
    return store
