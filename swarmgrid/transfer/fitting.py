"""The fit of one grid into another: whether its points can be points of that, and where."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from swarmgrid.errors import InputError, brief
from swarmgrid.format.grid import StoredAxis, StoredGrid
from swarmgrid.format.growing import grown_axis
from swarmgrid.outputs.labels import is_equal
from swarmgrid.outputs.widening import is_wider
from swarmgrid.space.chunks import check_n_chunks
from swarmgrid.space.selection import AxisSelection, Selection

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from swarmgrid.outputs.outputs import Schema
    from swarmgrid.store.layout import GridPath
    from swarmgrid.transfer.source import Source


@dataclass(frozen=True)
class Fit:
    """The grid that takes the points of another, and their places in it."""

    grid: StoredGrid
    """The grid, grown to hold them."""
    selection: Selection
    """For each axis the positions of the other's values."""


def fitted(source: Source, there: StoredGrid) -> Fit:
    """The places of a source's points in a stored grid.

    Raises
    ------
    InputError
        If the axes or the outputs do not go together.
    """
    check_outputs(source.state.grid.schema, there.schema)
    pairs = zip(there.stored_axes, source.axes, strict=True)
    grown = [grown_axis(*pair) for pair in pairs]
    selection = Selection(tuple(AxisSelection(place, axis.chunk) for axis, place in grown))
    check_n_chunks(selection.grid_shape)
    return Fit(replace(there, stored_axes=tuple(axis for axis, _ in grown)), selection)


def empty_grid(
    source: Source, path: GridPath, attributes: Mapping[str, Any], max_nbytes: int
) -> StoredGrid:
    """The grid that takes the points of a source in chunks as long, where there is none.

    Parameters
    ----------
    source : Source
        The points.
    path, attributes : GridPath, mapping
        The grid.
    max_nbytes : int
        The most bytes of an object of its store.

    Raises
    ------
    InputError
        If the name of an axis is that of an output, too.
    """
    old = source.state.grid
    old.schema.check(source.names)
    lengths = source.chunk_lengths(old.chunk_shape)
    inner = None if old.inner_shape is None else source.chunk_lengths(old.inner_shape)
    pairs = zip(source.axes, lengths, strict=True)
    axes = tuple(StoredAxis.new(axis, n, max_nbytes) for axis, n in pairs)
    encodings = {
        name: replace(one, array=f"{path.grid}/{name}") if one.key_id else one
        for name, one in old.schema.encodings.items()
    }
    return StoredGrid(path, axes, replace(old.schema, encodings=encodings), attributes, inner)


def check_encryption(theirs: Schema, ours: Schema) -> None:
    """Raise InputError where encrypted values would be written so that anyone reads them."""
    for name, encoding in theirs.encodings.items():
        target = ours.encodings.get(name)
        if encoding.key_id and not (target is not None and target.key_id):
            raise InputError(
                f"output {name!r} is encrypted with the key {encoding.key_id}, and the target is "
                "not encrypted: anyone could read the values there. Encrypt the target first, "
                "Grid.rotate(key), or let the values be readable there: decrypt=True"
            )


def check_outputs(theirs: Schema, ours: Schema) -> None:
    """Raise InputError where outputs of one schema are not those of another.

    Numbers may go into an output of a wider dtype.
    """
    if theirs.outputs.keys() != ours.outputs.keys():
        raise InputError(
            f"the outputs are {', '.join(theirs.outputs)}; the target has "
            f"{', '.join(ours.outputs)}, and a grid has one set of outputs"
        )
    for name, output in ours.outputs.items():
        other = theirs.outputs[name]
        if (other.dims, other.shape) != (output.dims, output.shape):
            raise InputError(
                f"output {name!r} has the dims {dict(zip(other.dims, other.shape, strict=True))}; "
                f"the target has {dict(zip(output.dims, output.shape, strict=True))}"
            )
        if other.dtype != output.dtype and not is_wider(output.dtype, other.dtype):
            advice = "; they do not go together"
            if is_wider(other.dtype, output.dtype):
                advice = f". Convert it there: grid.convert({name!r}, {other.dtype!r})"
            raise InputError(
                f"output {name!r} is of {other.dtype}; the target has {output.dtype}{advice}"
            )
    for name in theirs.coords.keys() & ours.coords.keys():
        a, b = theirs.coords[name], ours.coords[name]
        if a.dims != b.dims or not is_equal(a.values, b.values):
            raise InputError(
                f"coordinate {name!r} of the outputs is {brief(a.values)}; the target has "
                f"{brief(b.values)}"
            )
