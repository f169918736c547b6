"""Reads everything of a grid, and says what is wrong with it."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from swarmgrid.errors import DamageError
from swarmgrid.storage import metadata
from swarmgrid.storage.block import chunk_key, decoded_chunk
from swarmgrid.storage.codec import checksum
from swarmgrid.storage.layout import METADATA
from swarmgrid.storage.manifest import read_manifest
from swarmgrid.storage.stored import read_grid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from swarmgrid.storage.blobs import Blobs
    from swarmgrid.storage.layout import GridPath
    from swarmgrid.storage.location import Location
    from swarmgrid.storage.manifest import Manifest
    from swarmgrid.storage.stored import StoredGrid

_CHUNK_NAME = re.compile(r"c([./]?\d+)*")
MARK = ".bad"
"""What the names of notes end with that readers leave about damaged chunks."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with one object of a store."""

    key: str
    """Its key, relative to the store's root."""
    reason: str
    points: int = 0
    """Points whose values are lost by it; the next `compute` after a repair computes them."""


@dataclass(frozen=True, slots=True)
class Report:
    """What `verify` found."""

    problems: tuple[Problem, ...]
    chunks: int
    """Chunks, or shards, that were read, of all outputs together."""
    points: int
    """Points that the manifest says are computed."""

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def __str__(self) -> str:
        head = f"{self.points} points in {self.chunks} chunks read: "
        if self.is_clean:
            return head + "nothing is wrong"
        lines = [f"  {p.key}: {p.reason}" for p in self.problems]
        return head + f"{len(self.problems)} problems\n" + "\n".join(lines)


def verify_grid(blobs: Blobs, path: GridPath) -> Report:
    """Read a grid's metadata, coordinates, manifest and every chunk that holds a computed point.

    Nothing is written. A grid whose metadata cannot be read is reported as that alone.
    """
    problems = [*_parents(blobs, path)]
    try:
        grid = read_grid(blobs, path, blobs.get(path.metadata))
    except DamageError as error:
        return Report((*problems, Problem(error.key, error.reason)), 0, 0)
    if grid is None:
        return Report((*problems, Problem(path.metadata, "it is missing")), 0, 0)
    problems += [*_documents(blobs, grid), *left_over(blobs, grid)]
    names = blobs.names(path.manifest)
    manifest = read_manifest(blobs, path, [n for n in names if n.endswith(".seg")], grid)
    if manifest is None:
        return Report((*problems, Problem(path.manifest, "it changed while it was read")), 0, 0)
    problems += [
        Problem(path.manifest + name, "it is no whole segment of this grid")
        for name in manifest.damaged
    ]
    chunks = points = 0
    for index, numbers in manifest.chunks():
        bad = bad_rows(blobs, grid, manifest, index, numbers)
        chunks += len(grid.schema.outputs)
        points += sum(len(manifest.rows.points(int(i))) for i in numbers)
        lost = sum(len(manifest.rows.points(i)) for i in bad.rows)
        if bad.key:
            problems.append(Problem(bad.key, bad.reason, lost))
    return Report(tuple(problems), chunks, points)


@dataclass(frozen=True, slots=True)
class BadRows:
    """The rows of one chunk whose values are not there any more."""

    rows: tuple[int, ...]
    key: str = ""
    """The first object found damaged; empty if none is."""
    reason: str = ""


def bad_rows(
    blobs: Blobs,
    grid: StoredGrid,
    manifest: Manifest,
    index: tuple[int, ...],
    numbers: NDArray[np.intp],
) -> BadRows:
    """Hold one chunk of every output against the rows that speak of it."""
    bad: dict[int, None] = {}
    key = reason = ""
    starts = zip(index, grid.chunk_shape, grid.axes, strict=True)
    is_outside = any(i * n >= len(axis) for i, n, axis in starts)
    for column, (name, output) in enumerate(grid.schema.outputs.items()):
        this = chunk_key(grid, name, index)
        data = None if is_outside else blobs.get(this)
        try:
            block = decoded_chunk(data, this, grid, output)
        except DamageError as error:
            key, reason = key or this, reason or error.reason
            bad |= dict.fromkeys(map(int, numbers))
            continue
        for i in map(int, numbers):
            part = block[manifest.rows.points(i).mask(grid.chunk_shape)]
            if checksum(part, output.dtype) != manifest.rows.checksums[i, column]:
                key, reason = key or this, reason or "its values are not those that were computed"
                bad[i] = None
    return BadRows(tuple(bad), key, reason)


def marks(names: list[str]) -> list[tuple[int, ...]]:
    """The chunks that readers left notes about, by the names of a manifest's objects."""
    texts = [name.removesuffix(MARK) for name in names if name.endswith(MARK)]
    return [tuple(map(int, filter(None, text[1:].split(".")))) for text in texts]


def chunk_index(grid: StoredGrid, key: str) -> tuple[int, ...] | None:
    """The index of the chunk that a key is of; None if it is of none of the grid's outputs."""
    name, _, chunk = key.removeprefix(grid.path.prefix).partition("/")
    if name not in grid.schema.outputs or not _CHUNK_NAME.fullmatch(chunk):
        return None
    numbers = [int(text) for text in chunk.split(".")[1:]]
    return tuple(numbers[: len(grid.axes)])


def mark_chunk(
    location: Location, path: GridPath, index: tuple[int, ...], error: DamageError
) -> None:
    """Leave a note that a chunk is damaged, so that the next `compute` computes its points."""
    blobs = location.open()
    with contextlib.suppress(Exception):  # a reader may not be allowed to write
        blobs.begin_writing()
        blobs.put(path.manifest + mark_name(index), str(error).encode())
        blobs.end_writing()


def mark_name(index: tuple[int, ...]) -> str:
    """The name of a note about one chunk."""
    return ".".join(("c", *map(str, index))) + MARK


def _parents(blobs: Blobs, path: GridPath) -> Iterator[Problem]:
    for key in path.parents:
        data = blobs.get(key)
        if not metadata.is_group(data):
            yield Problem(key, "it is missing" if data is None else "it is no Zarr group")


def _documents(blobs: Blobs, grid: StoredGrid) -> Iterator[Problem]:
    """Array documents that differ from their copies in the group's."""
    expected = grid.documents()
    keys = [grid.path.array_metadata(name) for name in expected]
    for key, document, data in zip(keys, expected.values(), blobs.get_many(keys), strict=True):
        if data != metadata.to_bytes(document):
            yield Problem(key, "it is missing" if data is None else "it differs from the group's")


def left_over(blobs: Blobs, grid: StoredGrid) -> Iterator[Problem]:
    """Objects beside the chunks that are none, as killed writers of other tools leave them."""
    for name in grid.documents():
        folder = f"{grid.path.prefix}{name}/"
        for found in blobs.names(folder):
            if found != METADATA and not _CHUNK_NAME.fullmatch(found):
                yield Problem(folder + found, "it is left over from a writer that was killed")
