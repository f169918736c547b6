"""Laying a stored grid out anew: its chunks, its encodings, and the order of its axes."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from swarmgrid.codecs.given import recompressed, to_given
from swarmgrid.codecs.keys import checked_key
from swarmgrid.errors import ChunksError, InputError, StoreError, brief
from swarmgrid.finding.resolve import not_stored
from swarmgrid.format.codec import codecs
from swarmgrid.format.shard import inner_codecs
from swarmgrid.format.zarr_metadata import data_type
from swarmgrid.handle.base import GridBase
from swarmgrid.indexes import parts
from swarmgrid.indexes.files import are_kept
from swarmgrid.leases.preflight import check_writable
from swarmgrid.maintenance.kept import state_at
from swarmgrid.maintenance.layout_swap import LayoutChange, NewLayout, estimated_nbytes, moved
from swarmgrid.maintenance.rechunk import rechunk_grid
from swarmgrid.maintenance.rekey import rekey_snapshots
from swarmgrid.outputs.encoding import Encoding
from swarmgrid.outputs.labels import MisfitError
from swarmgrid.planning.chosen_codecs import with_chosen_codecs
from swarmgrid.planning.growth import check_key, with_encodings, with_key
from swarmgrid.quantities import check_flags
from swarmgrid.readable import nbytes
from swarmgrid.records.snapshot import snapshot_paths
from swarmgrid.space.chunks import check_chunk_nbytes, to_chunk_spec
from swarmgrid.space.shards import to_shard_spec

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from swarmgrid.codecs.given import GivenEncodings
    from swarmgrid.codecs.keys import Key
    from swarmgrid.format.grid import StoredAxis, StoredGrid
    from swarmgrid.leases.lease import Lease

LEVELS = range(-7, 23)
"""Of zstd."""


class GridLayout(GridBase):
    """A stored grid, as far as its layout is changed; see `Grid`."""

    def rechunk(
        self,
        chunks: int | Mapping[str, Any] | None = None,
        shards: int | Mapping[str, Any] | Literal[False] | None = None,
        encoding: Mapping[str, Any] | None = None,
        codec: Any = None,
        *,
        sort: bool = False,
    ) -> LayoutChange:
        """Lay the stored grid out anew: nothing is computed again, and no point is lost.

        The new chunks are written beside the old ones, and one write makes them count: a kill
        at any moment leaves the old layout or the new one. The old chunks are deleted then;
        Datasets that were opened before are to be opened again. Waits while another process
        fills the grid.

        Parameters
        ----------
        chunks : int or mapping, optional
            The new chunk lengths, as for `swarmgrid.compute`; an axis left out keeps its own.
        shards : int, mapping or False, optional
            The new shard lengths; False: no shards. Default: as stored.
        encoding : mapping, optional
            The new encodings of some outputs, or of all, as for `swarmgrid.compute`: whole ones,
            so that ``{}`` for an output is the usual one. A lossy encoding is final: what it
            drops is gone.
        codec : codec, list or "auto", optional
            The new compressors of all outputs that ``encoding`` does not name; their dtypes,
            scales and filters stay as stored.
        sort : bool, default False
            Whether the stored order of the values on each axis becomes ascending. Labels and
            enum members keep theirs.

        Returns
        -------
        LayoutChange
            The numbers of stored objects and of their bytes before and after.

        Raises
        ------
        InputError
            If nothing is stored, or the layout is impossible, or a value does not fit the
            encoding; nothing was changed then.
        DamageError
            If a stored value is damaged; `repair` comes first then.
        StoreError
            If the disk has no room for both layouts.

        Examples
        --------
        >>> import swarmgrid
        >>> @swarmgrid.grid(store="memory://rechunk", executor="sync", chunks={"width": 2})
        ... def area(width, height):
        ...     return width * height
        >>> ds = area.compute({"height": 2.0}, {"width": [3, 1, 2, 4]})
        >>> grid = swarmgrid.Grid.open("memory://rechunk", "area/")
        >>> change = grid.rechunk(chunks={"width": 4}, sort=True)
        >>> change.chunks_before, change.chunks_after
        (2, 1)
        >>> grid.dataset()["width"].values
        array([1, 2, 3, 4])
        """
        check_flags(sort=sort)
        given = to_given(encoding, codec)
        if isinstance(chunks, Mapping) and all(length is None for length in chunks.values()):
            chunks = None
        if chunks is None and shards is None and not given and not sort:
            raise InputError(
                "rechunk has nothing to change; expected chunks=, shards=, encoding=, codec= or "
                "sort=True"
            )
        most = self._ref.location.max_nbytes
        return self._laid_out(
            lambda grid: new_layout(grid, chunks, shards, given, most, sort=sort)
        )

    def compress(self, level: int = 5) -> LayoutChange:
        """Compress the stored grid better: `rechunk` with zstd of a level for every output.

        Parameters
        ----------
        level : int, default 5
            From -7, the fastest, to 22, the smallest. New grids have 1.

        Returns
        -------
        LayoutChange
            The numbers of stored objects and of their bytes before and after.
        """
        if isinstance(level, bool) or not isinstance(level, (int, np.integer)):
            raise InputError(f"level is {brief(level)}; expected an integer from -7 to 22")
        if level not in LEVELS:
            raise InputError(f"level is {level}; expected -7 (the fastest) to 22 (the smallest)")
        return self._laid_out(lambda grid: compressed_layout(grid, int(level)))

    def rotate(self, key: Key | None) -> LayoutChange:
        """Encrypt the stored grid with another key; None: store it without encryption.

        As `rechunk`: the grid is readable with its old key until one write makes the new one
        count. Then its snapshots get the new key, too, one by one, and the copies that were kept
        for them with the old one are deleted. The same call again completes what was cut short.

        Parameters
        ----------
        key : Key or None
            The new key. The old one must be known to this process, too, and so must every key
            that a snapshot has: ``Grid.open(..., key=[old, older])``.

        Returns
        -------
        LayoutChange
            The numbers of stored objects and of their bytes before and after, without snapshots.

        Raises
        ------
        EncryptionError
            If this process does not have the key of the stored grid, or of a snapshot. Nothing
            was changed.
        DamageError
            If a value, or a whole snapshot, is damaged. Nothing was changed.
        """
        key_id = None if key is None else checked_key("key", key).id
        if self._key_ids is not None and key_id is not None:
            self._key_ids = {*self._key_ids, key_id}  # a kill may have left the grid with it

        def plan(grid: StoredGrid) -> NewLayout:
            check_key(None, grid)
            orders = tuple(np.arange(len(axis)) for axis in grid.axes)
            return NewLayout(with_key(moved(grid), key_id), orders)

        blobs, path = self._ref.location.open(), self._ref.path
        for place in snapshot_paths(blobs, path):
            check_key(None, state_at(blobs, place).grid)

        def rekey(held: Lease) -> None:
            rekey_snapshots(held, path, lambda grid: with_key(grid, key_id))

        return self._laid_out(plan, rekey)

    def _laid_out(
        self,
        plan: Callable[[StoredGrid], NewLayout],
        complete: Callable[[Lease], None] = lambda _: None,
    ) -> LayoutChange:
        """Carry a new layout out, once it is known to be possible, and then what belongs to it."""
        state = self._read()
        plan(state.grid)  # what cannot be is said before any write
        if state.grid.archive is not None:  # its index could not be built again
            raise state.grid.archive.error(self._ref.path)
        location = self._ref.location
        check_writable(location)
        needed = estimated_nbytes(state.manifest)
        if location.is_directory:
            free = shutil.disk_usage(Path(location.url)).free
            if free < needed:
                raise StoreError(
                    f"the new layout needs about {nbytes(needed)} beside the old one, and the "
                    f"disk of {location.url!r} has {nbytes(free)} free. Make room, or copy the "
                    "grid to another store (swarmgrid.copy) and change it there"
                )
        path, has_other_indexes = self._ref.path, False
        try:
            with self._written() as held:

                def plan_now(grid: StoredGrid) -> NewLayout:
                    nonlocal has_other_indexes
                    layout = plan(grid)
                    has_other_indexes = not are_kept(grid, layout.grid)
                    if has_other_indexes:
                        # and again below, for those that were being written: no index of the old
                        # points may stay (decision 0046)
                        parts.delete(held.blobs, path.indexes)
                    return layout

                change = rechunk_grid(held, path, plan_now, with_chosen_codecs)
                if has_other_indexes:  # those that were being written meanwhile
                    parts.delete(held.blobs, path.indexes)
                complete(held)
        except MisfitError as error:
            raise InputError(f"{error}. Nothing was changed") from None
        if change is None:
            raise not_stored(self._ref)
        return change


def new_layout(
    grid: StoredGrid,
    chunks: Any,
    shards: Any,
    given: GivenEncodings,
    max_nbytes: int,
    *,
    sort: bool,
) -> NewLayout:
    """The layout that is asked for.

    Raises
    ------
    InputError
        If it is impossible.
    """
    names = grid.names
    chunks, shards = given.layout(names, chunks, shards)
    lengths = {**grid.chunk_spec(), **to_chunk_spec(chunks, names)}
    asked = grid.shard_spec() if shards is None else to_shard_spec(shards, lengths, names)
    stored, inner = tuple(lengths.values()), None
    if asked:
        whole = {name: asked.get(name, lengths[name]) for name in names}
        wrong = [name for name in names if whole[name] % lengths[name]]
        if wrong:
            raise ChunksError(
                f"the chunk length {lengths[wrong[0]]} of axis {wrong[0]!r} does not divide its "
                f"shard length {whole[wrong[0]]}; say shards= as well, or shards=False"
            )
        stored, inner = tuple(whole.values()), tuple(lengths.values())
    shape, what = dict(zip(names, stored, strict=True)), "shard" if asked else "chunk"
    check_chunk_nbytes(shape, grid.schema.point_nbytes, what, max_nbytes)
    axes, orders = [], []
    for axis, length in zip(grid.stored_axes, stored, strict=True):
        order = _order(axis, sort=sort)
        axes.append(replace(_reordered(axis, order), chunk=length))
        orders.append(order)
    new = replace(moved(grid), stored_axes=tuple(axes), inner_shape=inner)
    before = grid.schema.encodings
    given = given.for_stored(before)
    if given:
        found = with_encodings(new, given).schema.encodings
        kept = {name: one for name, one in before.items() if given.of(name) is None}
        new = replace(new, schema=replace(new.schema, encodings={**kept, **found}))
        new = with_key(new, grid.key_id or None)
    return NewLayout(new, tuple(orders))


def compressed_layout(grid: StoredGrid, level: int) -> NewLayout:
    """The same layout with zstd of a level."""
    encodings = {}
    for name, output in grid.schema.outputs.items():
        before = grid.schema.encodings.get(name, Encoding())
        dtype, inner = data_type(before.stored_dtype(output.dtype)), grid.inner_block_shape(output)
        usual = codecs(dtype) if inner is None else inner_codecs(dtype, inner)
        after = recompressed(before, level, usual)
        if not after.is_usual:
            encodings[name] = after
    new = replace(moved(grid), schema=replace(grid.schema, encodings=encodings))
    return NewLayout(new, tuple(np.arange(len(axis)) for axis in grid.axes))


def _order(stored: StoredAxis, *, sort: bool) -> NDArray[np.intp]:
    """The stored positions of an axis' values in their new order."""
    axis = stored.axis
    if not sort or axis.kind in {"label", "enum"}:
        return np.arange(len(axis))
    return np.argsort(axis.values, kind="stable")


def _reordered(stored: StoredAxis, order: NDArray[np.intp]) -> StoredAxis:
    """An axis in another order, under keys that no reader of the old document uses."""
    if (np.diff(order) > 0).all():
        return stored
    separator = "/" if stored.separator == "." else "."
    return replace(stored, axis=stored.axis.take(order), separator=separator)
