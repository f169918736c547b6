"""A grid as it is in the store at one instant: what it looks like, and what is computed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from swarmgrid.errors import DamageError, StoreError
from swarmgrid.format.grid import read_grid
from swarmgrid.records.damage_marks import marks
from swarmgrid.records.failures import is_of
from swarmgrid.records.manifest import Manifest, older_than, read_manifest
from swarmgrid.store import checked_json

if TYPE_CHECKING:
    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.store.blobs import Blobs
    from swarmgrid.store.layout import GridPath

_TRIES = 20


@dataclass(frozen=True)
class GridState:
    """A stored grid and its manifest."""

    grid: StoredGrid
    manifest: Manifest
    failure_names: tuple[str, ...] = ()
    """Objects that hold the failures of points."""
    marked: tuple[tuple[int, ...], ...] = ()
    """Chunks that a reader found damaged: nothing of them counts as computed."""
    names: tuple[str, ...] = field(default=(), repr=False)
    """The names of all objects of the manifest, as they were listed."""
    document: bytes = field(default=b"", repr=False)
    """The group's metadata document, as it was read."""


def read_state(blobs: Blobs, path: GridPath, known: GridState | None = None) -> GridState | None:
    """Read the stored state of a grid; None if there is none.

    Four rounds of requests: the segments' names, the metadata, the coordinates, the segments.
    The names come first: the axes, read after them, are at least as long as the segments say.
    Where a conversion of an output left segments of two kinds, names that were listed after a
    document of the same types hold all that belong to it.

    Parameters
    ----------
    blobs, path : Blobs, GridPath
        The store, and the grid in it.
    known : GridState, optional
        The state as this process read it before. It is returned where the names and the metadata
        are still the same, after two rounds: segments never change, and coordinates only grow
        together with the metadata.

    Raises
    ------
    DamageError
        If the metadata or a coordinate is not as it was written.
    FormatError
        If the grid was written in a newer format.
    """
    generation: tuple[int, dict[str, str]] | None = None
    for _ in range(_TRIES):
        # names before the document, as a row is written after the document that it needs
        names = blobs.names(path.manifest)
        document = blobs.get(path.metadata, checked_json.MAX_DOCUMENT)
        if known is not None and (tuple(names), document) == (known.names, known.document):
            return known
        try:
            grid = read_grid(blobs, path, document)
        except DamageError:  # a new layout may have replaced the document, and then coordinates
            if blobs.get(path.metadata, checked_json.MAX_DOCUMENT) == document:
                raise
            continue
        if grid is None:
            if any(name.endswith(".seg") for name in names):
                raise DamageError(path.metadata, "it is missing, but its manifest is there")
            return None
        segments = [name for name in names if name.endswith(".seg")]
        manifest = read_manifest(blobs, path, segments, grid)
        before, generation = generation, grid.generation()
        if manifest is not None and (not manifest.others or generation == before):
            # else a writer compacted segments, or converted an output, meanwhile: read again
            if manifest.ahead:
                raise DamageError(path.metadata, older_than(manifest))
            failures = tuple(name for name in names if is_of(name, grid.layout))
            # a marked chunk does not count for this reader either: the next run computes it again
            marked = tuple(marks(names))
            rest = manifest.without(marked)
            return GridState(grid, rest, failures, marked, tuple(names), document or b"")
    raise StoreError(
        f"the manifest {path.manifest} kept changing while it was read {_TRIES} times; is "
        "something else deleting files there?"
    )
