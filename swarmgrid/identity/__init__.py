"""What makes two computations the same: digests of values, code, grids, chunks and points.

The modules that say how a kind of value is encoded enter it in the table of ``encode`` when they
are imported, which is here.
"""

from swarmgrid.identity import arrays, containers, frames, scalars  # noqa: F401 - enter themselves
from swarmgrid.identity.code import fingerprint, fingerprint_parts, function_name
from swarmgrid.identity.elsewhere import Frame
from swarmgrid.identity.encode import digest, module_name
from swarmgrid.identity.keys import chunk_key, grid_id, point_seed

__all__ = [
    "Frame",
    "chunk_key",
    "digest",
    "fingerprint",
    "fingerprint_parts",
    "function_name",
    "grid_id",
    "module_name",
    "point_seed",
]
