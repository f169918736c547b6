"""What is kept of points that failed: JSON objects beside the manifest's segments."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from swarmgrid.storage.blobs import Blobs
    from swarmgrid.storage.layout import GridPath

SUFFIX = ".err"
"""What the names of such objects end with."""
Place = tuple[tuple[int, ...], tuple[int, ...]]
"""A point: its chunk's index, and its own index within the chunk."""


@dataclass(frozen=True, slots=True)
class FailedPoint:
    """A point at which the function failed."""

    index: tuple[int, ...]
    offset: tuple[int, ...]
    point: Mapping[str, Any]
    """The axis values, by axis."""
    exception: str
    reason: str
    traceback: str
    attempt: int
    time: str
    """When it failed, UTC, ISO 8601."""

    @property
    def place(self) -> Place:
        """Where the point stands in the grid."""
        return self.index, self.offset


def write_failures(
    blobs: Blobs, path: GridPath, name: str, failures: Sequence[FailedPoint]
) -> None:
    """Keep some failures under a new name."""
    text = json.dumps([asdict(failure) for failure in failures], default=str)
    blobs.put(f"{path.manifest}{name}", text.encode())


def read_failures(blobs: Blobs, path: GridPath, names: Iterable[str]) -> dict[Place, FailedPoint]:
    """The last failure of every point that failed, by place; unreadable objects are left out."""
    ordered = sorted(names)
    found: dict[Place, FailedPoint] = {}
    for data in blobs.get_many([path.manifest + name for name in ordered]):
        try:
            records = json.loads(data or b"[]")
            failures = [
                FailedPoint(**{**r, "index": tuple(r["index"]), "offset": tuple(r["offset"])})
                for r in records
            ]
        except (ValueError, KeyError, TypeError):
            continue  # what is lost is a message; the points are tried again anyway
        found |= {failure.place: failure for failure in failures}
    return found
