"""The place of one grid: all that reading, verifying and repairing it need; no function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from swarmgrid.store.layout import GridPath
    from swarmgrid.store.location import Location


@dataclass(frozen=True, slots=True)
class GridRef:
    """A grid that may be stored."""

    location: Location
    path: GridPath
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """The group's attributes about the function; empty: only the store has them."""
