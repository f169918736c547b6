"""A new grid whose first chunk settles the codecs that were left open."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from swarmgrid.codecs.choice import chosen
from swarmgrid.format.codec import codecs
from swarmgrid.format.shard import inner_codecs
from swarmgrid.format.zarr_metadata import data_type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.outputs.encoding import Encoding


def with_chosen_codecs(grid: StoredGrid, values: Mapping[str, NDArray[Any]]) -> StoredGrid:
    """The grid with codecs in place of open ones, measured on the first computed values.

    Where there are none, because no output has any value, they are the usual ones.
    """
    encodings = {
        name: _settled(grid, name, one, values.get(name)) if one.is_open else one
        for name, one in grid.schema.encodings.items()
    }
    kept = {name: one for name, one in encodings.items() if not one.is_usual}
    return replace(grid, schema=replace(grid.schema, encodings=kept))


def _settled(
    grid: StoredGrid, name: str, encoding: Encoding, values: NDArray[Any] | None
) -> Encoding:
    output = grid.schema.outputs[name]
    if values is None or not values.size:
        return replace(encoding, is_open=False)
    inner = grid.inner_block_shape(output)
    dtype = data_type(encoding.stored_dtype(output.dtype))
    stored = encoding.packed(name, values, output.dtype)
    stored = stored.view("int64") if stored.dtype.kind in "mM" else stored
    usual = codecs(dtype) if inner is None else inner_codecs(dtype, inner)
    return chosen(encoding, stored, dtype, usual)
