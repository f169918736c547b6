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

    def written_attributes(self) -> dict[str, Any]:
        """The same as plain JSON: what compares lazily is read in full."""
        return {
            name: dict(value) if isinstance(value, Mapping) else value
            for name, value in self.attributes.items()
        }
