"""The identity of a computation: digests of values, code, grids, chunks and points.

The modules that say how a kind of value is encoded enter it in the table of ``encode`` when they
are imported, which is here. Of two families the first counts: the narrow ones come first.
"""

from swarmgrid.identity import (  # noqa: F401 - enter themselves
    arrays,
    classes,
    code,
    frames,
    objects,
    plain,
    reached,
)
from swarmgrid.identity.arrays import as_python
from swarmgrid.identity.bound import Origin, bound, keywords
from swarmgrid.identity.classes import enum_code, member_digest
from swarmgrid.identity.encode import digest, is_ignored
from swarmgrid.identity.keys import AXES_DIGITS, axes_id, chunk_digest, grid_id, point_seed
from swarmgrid.identity.parts import (
    Fingerprint,
    Part,
    changes,
    explained,
    fingerprint,
    fingerprint_parts,
    function_name,
)
from swarmgrid.user_code.ownership import Frame, module_name, shortened

__all__ = [
    "AXES_DIGITS",
    "Fingerprint",
    "Frame",
    "Origin",
    "Part",
    "as_python",
    "axes_id",
    "bound",
    "changes",
    "chunk_digest",
    "digest",
    "enum_code",
    "explained",
    "fingerprint",
    "fingerprint_parts",
    "function_name",
    "grid_id",
    "is_ignored",
    "keywords",
    "member_digest",
    "module_name",
    "point_seed",
    "shortened",
]
