"""Tells of grids that another function of the same name may have made, under the same version."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from swarmgrid.planning.request import Request

ATTRIBUTE = "swarmgrid_origin"


def stamp(request: Request) -> dict[str, Any]:
    """The attribute of a new grid that says which file, and which code, has made it."""
    return {ATTRIBUTE: dict(request.origin)} if request.origin else {}


def warn_of_another_origin(request: Request, attributes: Mapping[str, Any]) -> None:
    """Warn where a grid was made by another file, in the same place of its project, of other code.

    No error: a project that was moved, or is on several machines, may be edited under one version.
    """
    made = attributes.get(ATTRIBUTE)
    if not isinstance(made, Mapping) or not request.origin:
        return
    if all(made.get(key) != value for key, value in request.origin.items()):
        warnings.warn(
            f"the grid of {request.path.function} with version={request.version!r} was made by a "
            "file of the same name elsewhere, or on another machine, and with other code. If that "
            "was another function, its results are not those of this one: say another version=, "
            "or use another store. If it is this one, moved and edited since, they stay valid as "
            "long as the version stands for both",
            RuntimeWarning,
            stacklevel=5,
        )
