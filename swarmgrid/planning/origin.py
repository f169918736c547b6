"""Tells of grids that another function of the same name may have made, under the same version."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from swarmgrid.store.grid_ref import GridRef

ORIGIN = "swarmgrid_origin"
"""The attribute of a grid that says which file, and which code, has made it."""


def warn_of_another_origin(ref: GridRef, attributes: Mapping[str, Any]) -> None:
    """Warn where a grid was made by another file, in the same place of its project, of other code.

    No error: a project that was moved, or is on several machines, may be edited under one version.
    """
    made, ours = attributes.get(ORIGIN), ref.attributes.get(ORIGIN)
    if not isinstance(made, Mapping) or not ours:
        return
    if all(made.get(key) != value for key, value in ours.items()):
        version = ref.attributes["swarmgrid_version"]
        warnings.warn(
            f"the grid of {ref.path.function} with version={version!r} was made by a "
            "file of the same name elsewhere, or on another machine, and with other code. If that "
            "was another function, its results are not those of this one: say another version=, "
            "or use another store. If it is this one, moved and edited since, they stay valid as "
            "long as the version stands for both",
            RuntimeWarning,
            stacklevel=5,
        )
