"""The grid that a request needs, and its points while there is none."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from swarmgrid.errors import EncryptionError, InputError
from swarmgrid.format.codec import check_keys
from swarmgrid.format.grid import StoredAxis, StoredGrid
from swarmgrid.format.growing import grown_axis
from swarmgrid.outputs.encoding import Encoding
from swarmgrid.planning.agreement import check_chunks, check_outputs, check_shards
from swarmgrid.planning.coverage import Coverage
from swarmgrid.space.chunks import check_chunk_nbytes, check_n_chunks
from swarmgrid.space.points import ChunkPart, Points
from swarmgrid.space.selection import AxisSelection, Selection
from swarmgrid.space.shards import chosen_chunking
from swarmgrid.store import checked_json

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from swarmgrid.codecs.given import GivenEncodings
    from swarmgrid.outputs.outputs import Schema
    from swarmgrid.planning.request import Domain, Layout, Request
    from swarmgrid.records.manifest import Manifest
    from swarmgrid.space.shards import Chunking

SCALAR_NBYTES = 8
"""The assumed size of a point while its outputs are not known."""


def covered(
    domain: Domain,
    layout: Layout,
    grid: StoredGrid,
    manifest: Manifest | None,
    *,
    needs_key: bool = True,
) -> Coverage:
    """The coverage of a domain, on the grid grown to hold it.

    ``needs_key`` says that values will be read or written, so that this process must have the key
    of an encrypted grid.

    Raises
    ------
    AxisError
        If the axes do not go together.
    ChunksError
        If other chunks or shards are asked for than the grid has.
    InputError
        If other outputs are declared than the grid has.
    """
    check_chunks(layout.chunks, grid.chunk_spec())
    check_shards(layout.shards, grid.shard_spec())
    if manifest is not None:
        check_key(layout.key_id, grid, is_used=needs_key)
    if layout.encodings and manifest is not None:
        check_encodings(layout.encodings, grid)
    if grid.schema.outputs:
        check_outputs(layout.schema, grid.schema)
    by_name = {axis.name: axis for axis in domain.axes}
    axes, places = [], []
    for stored in grid.stored_axes:
        tolerance = domain.tolerance.get(stored.axis.name, 0.0)
        asked_axis = by_name[stored.axis.name]
        if domain.is_lookup and (stored.axis.kind, asked_axis.kind) == ("label", "str"):
            asked_axis = replace(asked_axis, kind="label")  # what they stand for does not matter
        grown, place = grown_axis(stored, asked_axis, tolerance)
        axes.append(grown)
        # a chunk that is longer than the axis holds no more: nothing larger is made for it
        places.append(AxisSelection(place, max(1, min(stored.chunk, len(grown.axis)))))
    selection = Selection(tuple(places))
    check_n_chunks(selection.grid_shape)
    if manifest is None:
        complete = np.zeros(selection.grid_shape, bool)
        partial: dict[tuple[int, ...], NDArray[np.bool_]] = {}
    else:
        complete, partial = manifest.coverage(selection)
    order = [domain.names.index(name) for name in grid.names]
    asked = None if domain.mask is None else domain.mask.transpose(order)
    grown_grid = replace(grid, stored_axes=tuple(axes))
    return Coverage(grown_grid, selection, asked, complete, partial)


def new_grid(request: Request, schema: Schema, seconds: float | None = None) -> StoredGrid:
    """The grid that a request makes where nothing is stored yet.

    Parameters
    ----------
    request : Request
        The request.
    schema : Schema
        Its outputs.
    seconds : float, optional
        The cost of a point.

    Raises
    ------
    ChunksError
        If a chunk or shard would be too large.
    InputError
        If the outputs' names clash with the axes'.
    """
    schema.check(request.domain.names)
    chunking = new_chunking(request, schema, seconds)
    shape = dict(zip(request.domain.names, chunking.stored, strict=True))
    what = "chunk" if chunking.shards is None else "shard"
    check_chunk_nbytes(shape, schema.point_nbytes, what, request.grid.location.max_nbytes)
    most = request.grid.location.max_nbytes
    pairs = zip(request.domain.axes, chunking.stored, strict=True)
    axes = tuple(StoredAxis.new(axis, n, most) for axis, n in pairs)
    inner = None if chunking.shards is None else chunking.chunks
    grid = StoredGrid(request.grid.path, axes, schema, request.grid.written_attributes(), inner)
    check_document(grid, most)
    return with_key(with_encodings(grid, request.layout.encodings), request.layout.key_id)


def check_document(grid: StoredGrid, max_nbytes: int) -> None:
    """Raise InputError where a grid's document is larger than an object of the store can be."""
    if max_nbytes >= checked_json.MAX_DOCUMENT:  # no document is larger, anywhere
        return
    nbytes = len(checked_json.to_bytes(grid.group_document()))
    if nbytes > max_nbytes:
        long = max(grid.axes, key=len)
        raise InputError(
            f"the document of the grid has {nbytes} bytes; expected at most {max_nbytes} in this "
            f"store. It has a digest of each label, and axis {long.name!r} has {len(long)} values"
            ": use fewer labels, or a store that takes larger objects, such as s3://"
        )


def with_encodings(grid: StoredGrid, given: GivenEncodings) -> StoredGrid:
    """A grid whose outputs have the encodings asked for.

    Raises
    ------
    InputError
        If there is no such output, or its encoding is impossible.
    """
    if not given:
        return grid
    outputs = grid.schema.outputs
    shapes = {n: grid.inner_block_shape(o) or grid.block_shape(o) for n, o in outputs.items()}
    encodings = given.resolved(outputs, shapes)
    return replace(grid, schema=replace(grid.schema, encodings=encodings))


def with_key(grid: StoredGrid, key_id: str | None) -> StoredGrid:
    """A grid whose outputs are encrypted with a key; None: with none."""
    outputs, before = grid.schema.outputs, grid.schema.encodings
    if key_id is None and not any(one.key_id for one in before.values()):
        return grid
    encodings = {
        name: replace(
            before.get(name, Encoding()),
            key_id=key_id or "",
            array=f"{grid.path.grid}/{name}" if key_id else "",
        )
        for name in outputs
    }
    kept = {name: one for name, one in encodings.items() if not one.is_usual}
    return replace(grid, schema=replace(grid.schema, encodings=kept))


def check_key(key_id: str | None, grid: StoredGrid, *, is_used: bool = True) -> None:
    """Raise an error where a grid needs another key than it is given.

    Raises
    ------
    InputError
        If a key is given, and the grid has none.
    EncryptionError
        If a key is given, and the grid has another one; or if this process does not have that of
        the grid, and it is used.
    """
    if key_id is not None and grid.schema.outputs:
        if not grid.key_ids:
            raise InputError(
                f"key= is the key {key_id}, and the stored grid is not encrypted. Leave key= out, "
                "or encrypt the grid: Grid.rotate(key)"
            )
        check_given_keys({key_id}, grid.key_ids)
    if is_used:
        check_keys(grid.schema)


def check_given_keys(given: Collection[str] | None, stored: Collection[str]) -> None:
    """Raise EncryptionError where a grid is encrypted with none of the keys given; None: any."""
    if given is not None and stored and not {*stored} & {*given}:
        raise EncryptionError(
            f"key= is the key {', '.join(sorted(given))}, and the stored grid is "
            f"encrypted with the key {', '.join(stored)}. Pass that key; Grid.rotate(key) gives "
            "the grid another one"
        )


def check_encodings(given: GivenEncodings, grid: StoredGrid) -> None:
    """Raise InputError where a request asks for other encodings than the grid has."""
    asked = with_encodings(grid, given).schema.encodings
    before, after = grid.documents(), None
    for name in grid.schema.outputs:
        one = given.of(name)
        if one is None or (one.is_auto and name not in asked):
            continue
        requested = asked.get(name, Encoding())
        stored = grid.schema.encodings.get(name, Encoding())
        if requested.is_open:  # whatever was chosen then, or is the usual one, goes on
            requested = replace(requested, codecs=stored.codecs, is_open=False)
        requested = replace(requested, choice=stored.choice, lossy=stored.lossy)
        requested = replace(requested, key_id=stored.key_id, array=stored.array)
        after = replace(grid, schema=replace(grid.schema, encodings={name: requested})).documents()
        if after[name] != before[name]:
            from swarmgrid.codecs.words import in_words

            raise InputError(
                f"output {name!r} is stored as {in_words(stored, grid.schema.outputs[name])}, and "
                f"encoding= asks for {in_words(requested, grid.schema.outputs[name])}. Leave "
                "encoding= and codec= out to go on with what is stored, or change the stored "
                "grid: Grid.rechunk(encoding=...)"
            )


def new_chunking(
    request: Request, schema: Schema | None, seconds: float | None = None
) -> Chunking:
    """The chunks and shards of a new grid; ``schema`` is None while the outputs are not known."""
    lengths = dict(zip(request.domain.names, request.domain.shape, strict=True))
    # a block function's chunks are fixed before its first call can show how large its outputs are
    is_known = schema is not None and not request.function.vectorized
    nbytes = schema.point_nbytes if schema is not None and is_known else SCALAR_NBYTES
    return chosen_chunking(
        request.layout.chunks,
        request.layout.shards,
        lengths,
        nbytes,
        seconds,
        may_shard=not request.function.vectorized,
        max_nbytes=request.grid.location.max_nbytes,
    )


def single_points(domain: Domain) -> Iterator[ChunkPart]:
    """The points asked for, in C order, each a part of its own, before chunks are known."""
    if domain.mask is None:
        flat: Iterable[int] = range(math.prod(domain.shape))
    else:
        flat = np.flatnonzero(domain.mask).tolist()
    for i in flat:
        index = tuple(map(int, np.unravel_index(i, domain.shape))) if domain.shape else ()
        yield ChunkPart((0,) * len(index), Points.at(index), is_fresh=True)


def placed(
    position: Sequence[int], chunk_shape: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The chunk that holds a position of the whole grid, and the index within it."""
    index = tuple(p // n for p, n in zip(position, chunk_shape, strict=True))
    return index, tuple(p % n for p, n in zip(position, chunk_shape, strict=True))
