"""Repairs a grid: rebuilds metadata from its replicas, and invalidates rows without values."""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING

import numpy as np

from swarmgrid.errors import DamageError, StoreError
from swarmgrid.format import zarr_metadata
from swarmgrid.format.codec import stored_limit
from swarmgrid.format.described import check_array
from swarmgrid.format.grid import OWN_ATTRIBUTES, read_grid
from swarmgrid.format.grid_io import copy_key, write_documents, write_parents
from swarmgrid.format.segment import MAX_ANY_NBYTES, Segment
from swarmgrid.maintenance.kept import keep, keep_lost
from swarmgrid.maintenance.orphans import orphan_findings, other_chunks
from swarmgrid.maintenance.replicas import replica_findings
from swarmgrid.maintenance.verify import bad_rows
from swarmgrid.records import damage_marks, failures
from swarmgrid.records.grid_state import read_state
from swarmgrid.records.manifest import read_manifest, write_segments
from swarmgrid.store import checked_json
from swarmgrid.store.archive import read_record
from swarmgrid.store.layout import METADATA

if TYPE_CHECKING:
    from collections.abc import Collection

    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.leases.lease import Lease
    from swarmgrid.records.grid_state import GridState
    from swarmgrid.records.manifest import Manifest
    from swarmgrid.store.grid_ref import GridRef
    from swarmgrid.store.layout import GridPath

_TRIES = 20


def repair_grid(held: Lease, ref: GridRef) -> None:
    """Repair a grid; what cannot be repaired counts as not computed afterwards.

    Needs the right to write the grid.
    """
    path = ref.path
    write_parents(held.blobs, path)
    grid = _restore_grid(held, ref)
    if grid is None:  # the axes are gone, and with them what the values belong to
        forget_grid(held, path)
        return
    # the group's document was read and is whole: the arrays' own are made to say the same
    write_documents(held.blobs, grid)
    for finding in [*replica_findings(held.blobs, grid), *orphan_findings(held.blobs, path, grid)]:
        held.check()
        if finding.repaired is not None:
            held.blobs.put(finding.key, finding.repaired)
        elif finding.is_removed:
            held.blobs.delete(finding.key)
    # chunks that the grid's document does not lead to: of a conversion, before it or cut short
    for key in [
        key for name in grid.schema.outputs for key in other_chunks(held.blobs, grid, name)
    ]:
        held.check()
        held.blobs.delete(key)
    if grid.archive is None:  # else a chunk that is not here is none that is lost
        invalidate_bad_rows(held, grid)
    manifest = _manifest(held, path, grid)
    _drop_others(held, grid, manifest.others if manifest is not None else ())


def restore_metadata(held: Lease, ref: GridRef) -> bool:
    """Restore a grid's metadata from its second copies; whether the grid can be read now."""
    return _restore_grid(held, ref) is not None


def forget_grid(held: Lease, path: GridPath) -> None:
    """Remove a grid's group document and manifest: everything of it counts as not computed.

    Raises
    ------
    StoreError
        If there is an archive of it, which has all that is lost here.
    """
    record = read_record(held.blobs, path)
    if record is not None:
        raise StoreError(
            f"the metadata of grid {path.group} is lost here. The archive "
            f"{record.archive.store!r} has all of it: delete the grid here (Grid.drop with "
            "archived=True), and copy that one back (swarmgrid.copy)"
        )
    keep_lost(held.blobs, path)
    held.check()
    # rows first: rows without a document would be damage, a document without rows is an empty grid
    for name in held.blobs.names(path.manifest):
        held.blobs.delete(path.manifest + name)
    held.blobs.delete(path.metadata)


def invalidate_bad_rows(
    held: Lease, grid: StoredGrid, only: Collection[tuple[int, ...]] | None = None
) -> int:
    """Drop the manifest's rows whose values are damaged; the number of their points.

    Parameters
    ----------
    held : Lease
        The right to write the grid.
    grid : StoredGrid
        The grid.
    only : collection of chunk indices, optional
        The chunks to look at; all, unless given.
    """
    blobs, path = held.blobs, grid.path
    names = blobs.names(path.manifest)
    segments = [name for name in names if name.endswith(".seg")]
    manifest = read_manifest(blobs, path, segments, grid)
    if manifest is None:
        return 0
    bad: list[int] = []
    for index, numbers in manifest.chunks():
        if only is None or index in only:
            bad += bad_rows(blobs, grid, manifest, index, numbers).rows
    if bad or manifest.damaged:
        keep(blobs, grid, {tuple(manifest.rows.index[i].tolist()) for i in bad})
        if manifest.damaged:
            keep_lost(blobs, path, manifest.rows, grid)
        is_sound = np.ones(len(manifest.rows), bool)
        is_sound[bad] = False
        held.check()
        if is_sound.any():
            rows = manifest.rows.subset(np.flatnonzero(is_sound))
            new_name = held.names_of("repaired")
            write_segments(blobs, path, new_name, grid, rows, held.new_commit)
        for name in segments:  # after the rows to keep are stored: a kill leaves both, and the
            # damaged rows are found again
            blobs.delete(path.manifest + name)
    for name in names:  # last: until its mark is gone, a chunk is looked at again
        marked = damage_marks.mark_index(name)
        if marked is not None and (only is None or marked in only):
            blobs.delete(path.manifest + name)
    return sum(len(manifest.rows.points(i)) for i in bad)


def tidy(held: Lease, state: GridState) -> bool:
    """Remove what readers and cut conversions left, compact failures; whether anything changed.

    Each writer calls this before it changes anything.

    Raises
    ------
    ArchivedError
        If the values of the grid are in an archive.
    """
    state.grid.check_at_home()
    if state.manifest.damaged:  # its points may be computed next, and the segment deleted
        keep_lost(held.blobs, state.grid.path, state.manifest.rows, state.grid)
    names = state.failure_names
    has_many = len(names) > failures.COMPACT_FROM
    if has_many:
        held.check()
        start = f"{held.epoch:012d}-00000000-{held.writer}"  # before this run's own
        name = f"{start}-{secrets.token_hex(4)}-compacted{failures.suffix_of(state.grid.layout)}"
        failures.compact_failures(
            held.blobs,
            state.grid.path,
            names,
            name,
            lambda place: (
                not failures.is_inside(place, state.grid) or state.manifest.holds(*place)
            ),
        )
    # a mark is only what some reader found: the chunk is held against its rows here
    if state.marked:
        invalidate_bad_rows(held, state.grid, state.marked)
    stale = [
        name
        for name in state.names
        if name.endswith(failures.SUFFIX) and not failures.is_of(name, state.grid.layout)
    ]
    _drop_others(held, state.grid, stale)
    others = state.manifest.others
    if others:
        write_documents(held.blobs, state.grid)  # an array's own may be a conversion's
        _drop_others(held, state.grid, others)
    return has_many or bool(state.marked or others)


def read_tidy(held: Lease, path: GridPath) -> GridState | None:
    """Read the state of a grid to write to it, once `tidy` finds nothing; None: there is none."""
    state = read_state(held.blobs, path)
    for _ in range(_TRIES):  # a reader may leave a mark meanwhile, whose rows would be left out
        if state is None or not tidy(held, state):
            break
        state = read_state(held.blobs, path)
    return state


def _drop_others(held: Lease, grid: StoredGrid, names: Collection[str]) -> None:
    """Delete segments and failures that a conversion, or a new layout, left when cut short."""
    for name in names:
        held.check()
        held.blobs.delete(grid.path.manifest + name)


def _restore_grid(held: Lease, ref: GridRef) -> StoredGrid | None:
    """Restore the group document and coordinates; the grid, if it can be read now."""
    path = ref.path
    repaired: set[str] = set()
    while True:  # each round repairs the object that the last one stumbled over
        data = held.blobs.get(path.metadata, checked_json.MAX_DOCUMENT)
        grid, damaged = _read(held, path, data)
        if grid is not None and not damaged:
            return grid
        if damaged in repaired:  # what was made of it is no better
            if grid is not None:
                _drop_ahead(held, path, grid)
            return grid
        repaired.add(damaged)
        held.check()
        if damaged == path.metadata:
            rebuilt = _rebuilt_group(held, ref)
            if rebuilt is not None:
                held.blobs.put(path.metadata, rebuilt)
        else:
            _restore(held, path, damaged)


def _read(held: Lease, path: GridPath, data: bytes | None) -> tuple[StoredGrid | None, str]:
    """The grid, if its document can be read, and the key of what is wrong; empty for nothing."""
    try:
        grid = read_grid(held.blobs, path, data)
    except DamageError as error:
        return None, error.key
    if grid is None:
        return None, path.metadata
    manifest = _manifest(held, path, grid)
    return grid, path.metadata if manifest is not None and manifest.ahead else ""


def _manifest(held: Lease, path: GridPath, grid: StoredGrid) -> Manifest | None:
    names = [name for name in held.blobs.names(path.manifest) if name.endswith(".seg")]
    return read_manifest(held.blobs, path, names, grid)


def _drop_ahead(held: Lease, path: GridPath, grid: StoredGrid) -> None:
    """Delete segments that refer to axis values which are nowhere any more."""
    manifest = _manifest(held, path, grid)
    if manifest is not None and manifest.ahead:
        keep_lost(held.blobs, path, manifest.rows)
    for name in manifest.ahead if manifest is not None else ():
        held.check()
        held.blobs.delete(path.manifest + name)


def _rebuilt_group(held: Lease, ref: GridRef) -> bytes | None:
    """The group document that the arrays' own make up; None if that is not possible."""
    path = ref.path
    documents: dict[str, checked_json.Document] = {}
    for name in held.blobs.names(path.prefix):
        if name == METADATA:
            continue
        data = held.blobs.get(path.array_metadata(name), checked_json.MAX_DOCUMENT)
        with contextlib.suppress(ValueError):
            if data is not None:
                document = checked_json.from_bytes(data)
                check_array(document, name)
                documents[name] = document
    for name in held.blobs.names(path.manifest):
        with contextlib.suppress(*checked_json.MALFORMED):  # segments say the order of everything
            key = path.manifest + name
            segment = Segment.from_bytes(held.blobs.get(key, stored_limit(MAX_ANY_NBYTES)) or b"")
            if segment.key != key:
                continue
            axes = zarr_metadata.checked_names(list(segment.axes), "axes")
            copied = {k: v for k, v in segment.attributes.items() if k in OWN_ATTRIBUTES}
            attributes = {**ref.written_attributes(), **copied, "swarmgrid_grid": path.grid}
            group = zarr_metadata.rebuilt_group(documents, attributes, axes, list(segment.outputs))
            return None if group is None else checked_json.to_bytes(group)
    return None


def _restore(held: Lease, path: GridPath, key: str) -> None:
    """Write a coordinate's chunk again from its copy."""
    data = held.blobs.get(copy_key(path, key))
    # an empty one could not be read
    if data:
        held.blobs.put(key, data)
