"""What makes two computations the same: digests of values, code, grids, chunks and points.

The modules that say how a kind of value is encoded enter it in the table of ``encode`` when they
are imported, which is here.
"""

from swarmgrid.identity import arrays, containers, frames, scalars  # noqa: F401 - enter themselves
from swarmgrid.identity.code import fingerprint, function_name
from swarmgrid.identity.encode import digest
from swarmgrid.identity.keys import chunk_key, grid_id, point_seed

__all__ = [
    "chunk_key",
    "digest",
    "fingerprint",
    "function_name",
    "grid_id",
    "point_seed",
]
