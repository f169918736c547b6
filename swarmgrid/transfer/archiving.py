"""Takes the values of a grid to an archive, and back.

Both ways copy, read what arrived, write one document that says where the values are, and only then
delete. So a kill at any step leaves them whole in the place that the document names.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from swarmgrid.errors import DamageError, StoreError
from swarmgrid.format.chunk_io import chunk_key, chunk_limit
from swarmgrid.format.chunk_parts import in_parts
from swarmgrid.format.grid_io import swap_documents
from swarmgrid.maintenance.kept import other_chunks
from swarmgrid.maintenance.removal import drop_grid
from swarmgrid.maintenance.report import Finding, to_report
from swarmgrid.maintenance.verify import bad_rows
from swarmgrid.records.checked_chunk import computed_chunk
from swarmgrid.records.grid_state import read_state
from swarmgrid.store.object_store import FencedBlobs
from swarmgrid.store.refusals import FrozenError
from swarmgrid.transfer.copying import copy_grid
from swarmgrid.transfer.source import block_nbytes, read_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.leases.lease import Lease
    from swarmgrid.maintenance.report import Report
    from swarmgrid.records.grid_state import GridState
    from swarmgrid.store.archive import Archive
    from swarmgrid.store.blobs import Blobs
    from swarmgrid.store.layout import GridPath

    Index = tuple[int, ...]


@dataclass
class Brought:
    """The chunks of a grid that were taken home, and those that could not be."""

    nbytes: list[int] = field(default_factory=list)
    """Of each that was written."""
    frozen: list[str] = field(default_factory=list)
    """Keys of those that are in an archival storage class, and were not restored yet."""
    lost: list[tuple[str, Index]] = field(default_factory=list)
    """Those that neither store has as their rows say: keys and indices."""


def copy_out(source: Blobs, state: GridState, archive: Archive, there: Lease) -> None:
    """Copy a grid to its archive, and read what arrived.

    Parameters
    ----------
    source : Blobs
        The store that has the grid.
    state : GridState
        The grid, as it was read there.
    archive : Archive
        The archive, which may have a part of the grid.
    there : Lease
        The right to write the grid in the archive.

    Raises
    ------
    DamageError
        If a value of the source is damaged.
    StoreError
        If the archive does not keep what is written.
    """
    present = _present(there, state)
    if not present:
        _copy(source, state, archive, there, may_have_some=present is not None)
    _check_arrived(source, state, archive, there.blobs)


def mark(held: Lease, grid: StoredGrid, archive: Archive | None) -> None:
    """Write where the values of a grid are: in an archive, or at home for None."""
    held.check()
    swap_documents(held.blobs, replace(grid, archive=archive))


def delete_here(held: Lease, state: GridState) -> int:
    """Delete the chunks that rows refer to: how many there are. Only for what an archive has."""
    n = 0
    for _, _, key in _chunks(state):
        held.check()
        held.blobs.delete(key)
        n += 1
    return n


def bring_home(held: Lease, state: GridState, archive: Blobs) -> Brought:
    """Copy from an archive each chunk that the grid's own store does not have."""
    grid, manifest, brought = state.grid.at_home(), state.manifest, Brought()
    for name, output in grid.schema.outputs.items():
        limit = chunk_limit(grid, name)

        def is_sound(data: bytes | None, key: str, index: Index, name: str = name) -> bool:
            try:
                computed_chunk(data, key, grid, manifest, name, index)
            except DamageError:
                return False
            return True

        def take(
            part: Sequence[Index],
            name: str = name,
            limit: int = limit,
            is_sound: Any = is_sound,
        ) -> None:
            keys = [chunk_key(grid, name, index) for index in part]
            here = held.blobs.get_many(keys, limit)
            found = zip(part, keys, here, strict=True)
            needed = [(index, key) for index, key, data in found if not is_sound(data, key, index)]
            fetched = _fetched(archive, [key for _, key in needed], limit)
            for (index, key), data in zip(needed, fetched, strict=True):
                if isinstance(data, FrozenError):
                    brought.frozen.append(key)
                elif data is None or not is_sound(data, key, index):
                    brought.lost.append((key, index))
                else:
                    held.check()
                    held.blobs.put(key, data)
                    # read back: the archive is deleted after this
                    if held.blobs.get(key, limit) != data:
                        raise StoreError(f"the store does not keep what is written: {key}")
                    brought.nbytes.append(len(data))

        size = block_nbytes(grid) // max(1, len(grid.schema.outputs)) + output.nbytes
        in_parts([index for index, _ in manifest.chunks()], size, take)
    return brought


def check_there(archive: Blobs, path: GridPath, place: str) -> None:
    """Raise StoreError where a grid is not in its archive; ``place`` is that folder or URL."""
    if not archive.names(path.prefix):
        raise StoreError(
            f"grid {path.group} is archived in {place!r}, where there is no such grid. Is that "
            "mounted, and are the storage options right? If the archive was moved, pass its "
            "place: thaw(store=...)"
        )


def verify_there(state: GridState, archive: Blobs, place: str) -> Report:
    """Hold the chunks in an archive against the rows of their grid; nothing is written.

    ``place`` is the archive's folder or URL.
    """
    grid, manifest = state.grid.at_home(), state.manifest
    findings, frozen, n_read, unread = [], list[str](), 0, 0
    for index, numbers in manifest.chunks():
        try:
            bad = bad_rows(archive, grid, manifest, index, numbers)
        except FrozenError:
            frozen += [chunk_key(grid, name, index) for name in grid.schema.outputs]
            unread += sum(len(manifest.rows.points(i)) for i in numbers.tolist())
            continue
        n_read += len(grid.schema.outputs)
        if bad.key:
            lost = sum(len(manifest.rows.points(i)) for i in bad.rows)
            findings.append(Finding(f"{place}/{bad.key}", bad.reason, points=lost))
    if frozen:
        reason = (
            f"it and {len(frozen) - 1} more chunks are there, and cannot be read: they are in an "
            "archival storage class"
        )
        findings.append(Finding(f"{place}/{frozen[0]}", reason, is_note=True))
    return replace(to_report(findings, n_read), unread=unread)


def _fetched(
    blobs: Blobs, keys: Sequence[str], limit: int
) -> Sequence[bytes | FrozenError | None]:
    """Some objects of an archive; the error of those that cannot be read yet."""
    if not keys:
        return []
    try:
        return blobs.get_many(keys, limit)
    except FrozenError:
        return [_fetched_one(blobs, key, limit) for key in keys]


def _fetched_one(blobs: Blobs, key: str, limit: int) -> bytes | FrozenError | None:
    try:
        return blobs.get(key, limit)
    except FrozenError as error:
        return error


def _present(there: Lease, state: GridState) -> bool | None:
    """Whether the archive has all rows, or no rows yet; None: nothing, as what is there is old."""
    try:
        found = read_state(there.blobs, state.grid.path)
    except DamageError:
        found = None
    if found is not None and found.grid.documents() == state.grid.documents():
        one, other = state.manifest.rows, found.manifest.rows
        if not len(other) and not found.manifest.damaged:
            return not len(one)
        if len(one) == len(other) and not (other_chunks(one, other) or other_chunks(other, one)):
            return True
    # rows must not refer to chunks while these are replaced
    drop_grid(there, state.grid.path)
    return None


def _copy(
    source: Blobs, state: GridState, archive: Archive, there: Lease, *, may_have_some: bool
) -> None:
    """Copy all chunks that the archive does not have with the same bytes."""
    blobs = there.blobs

    def put(key: str, data: bytes) -> None:
        try:
            if may_have_some and blobs.get(key, len(data)) == data:
                return
        except FrozenError:  # it may be an older chunk; and Azure refuses to replace it
            blobs.delete(key)
        if archive.storage_class:
            assert isinstance(blobs, FencedBlobs)  # the caller has seen that it knows classes
            blobs.put(key, data, archive.storage_class)
        else:
            blobs.put(key, data)

    # those stay, with the copies that are kept for them
    copy_grid(source, state, there, snapshots=False, put=put)


def _check_arrived(source: Blobs, state: GridState, archive: Archive, blobs: Blobs) -> None:
    """Hold what is in the archive against the rows; what it does not let be read, by its size."""
    grid, manifest = state.grid, state.manifest

    def check(indices: Sequence[Index]) -> None:
        try:
            read_blocks(blobs, grid, manifest, indices)
        except DamageError as error:
            raise StoreError(
                f"the archive {archive.store!r} does not keep what is written: {error.key}: "
                f"{error.reason}. Nothing was deleted; archive the grid elsewhere"
            ) from error
        except FrozenError:  # the server has held each upload against its signed digest
            assert isinstance(blobs, FencedBlobs)
            for key in [chunk_key(grid, n, i) for i in indices for n in grid.schema.outputs]:
                if blobs.nbytes(key) != len(source.get(key) or b""):
                    raise StoreError(
                        f"the archive {archive.store!r} has another size of {key}. Nothing was "
                        "deleted; call archive again"
                    ) from None

    in_parts([index for index, _ in manifest.chunks()], block_nbytes(grid), check)


def _chunks(state: GridState) -> Iterator[tuple[Index, str, str]]:
    """The index, the output and the key of each chunk that rows refer to."""
    grid = state.grid.at_home()
    for index, _ in state.manifest.chunks():
        for name in grid.schema.outputs:
            yield index, name, chunk_key(grid, name, index)
