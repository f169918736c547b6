"""The events of stored grids: what `swarmgrid.watch` yields."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.errors import InputError
from swarmgrid.following.token import Position
from swarmgrid.readable import count, json_line
from swarmgrid.space.texts import to_text

if TYPE_CHECKING:
    import datetime as dt

    import xarray as xr
    from numpy.typing import NDArray

    from swarmgrid.following.places import Places

MAX_JSON_POINTS = 1000
"""The most points that the JSON of an event lists."""
_DIGITS = 12


@dataclass(frozen=True, kw_only=True, repr=False)
class Event:
    """Something that has happened to a stored grid; `swarmgrid.watch` yields its subclasses."""

    __module__ = "swarmgrid"

    kind = ""
    """The kind of event in words, as in `to_json`."""

    function: str
    """The name of the grid's function, as in its group."""
    grid: str
    """The grid id."""
    writer: str
    """The process that did it, ``"host:pid"``; empty: not known."""
    time: dt.datetime
    """The time at which it happened, in UTC, for points by the clock of the writer, else of the
    watcher."""
    position: Position = field(default_factory=Position, compare=False)
    """The events that ``token`` stands for."""
    places: Places | None = field(default=None, compare=False)
    """The points of the event, if it is about points; ``points`` and ``dataset()`` read them."""

    @functools.cached_property
    def token(self) -> str:
        """A text that stands for all up to this event: ``watch(..., since=token)`` goes on.

        That of an event which `on_event=` or `log=` of a run has told knows of no other grid than
        the event's, so that it is for ``watch(store, event.grid, since=token)``.
        """
        return self.position.to_text()

    def to_json(self) -> str:
        """The event as one line of JSON, its token included; of very many points the first."""
        found: dict[str, Any] = {"event": self.kind}
        for each in dataclasses.fields(self):
            if each.name not in {"position", "places"}:
                found[each.name] = getattr(self, each.name)
        if isinstance(self, _OfPoints):
            found["points"] = {
                name: _plain(labels) for name, labels in self._labels(MAX_JSON_POINTS).items()
            }
        return json_line({**found, "token": self.token})

    @property
    def summary(self) -> str:
        """The event in words, without the grid and the writer."""
        text = self._says()
        return f"{self.kind}: {text}" if text else self.kind

    def __str__(self) -> str:
        by = f" by {self.writer}" if self.writer else ""
        return f"{self.summary}; {self.function}/{self.grid[:_DIGITS]}{by}"

    def __repr__(self) -> str:
        return f"<swarmgrid.{type(self).__name__} {self}>"

    def _says(self) -> str:
        return ""


class _OfPoints(Event):
    """An event about points."""

    @functools.cached_property
    def points(self) -> dict[str, NDArray[Any]]:
        """The coordinates of the points: by axis an array of labels, one for each point."""
        return self._labels()

    def dataset(self) -> xr.Dataset:
        """Open the points as they are stored now: a Dataset over the dim ``point``.

        Those that were deleted meanwhile read as missing, as in `open`: integers become floats for
        that.

        Raises
        ------
        InputError
            If the grid was deleted, also if one with other axes is in its place; if points failed
            for which it had no place.
        """
        if self.places is None:
            raise InputError(
                f"grid {self.grid} had no place for these points, so that nothing of them is "
                "stored; event.points has their labels"
            )
        return self.places.dataset()

    def _labels(self, most: int | None = None) -> dict[str, NDArray[Any]]:
        """By axis the labels of the points, of the first of them if there are more."""
        return {} if self.places is None else self.places.labels(most)


@dataclass(frozen=True, kw_only=True, repr=False)
class GridCreated(Event):
    """A grid is there that was not there before."""

    __module__ = "swarmgrid"
    kind = "grid created"

    lengths: Mapping[str, int] = field(hash=False)
    """By axis the number of its values."""

    def _says(self) -> str:
        return ", ".join(f"{name} ({n})" for name, n in self.lengths.items()) or "no axes"


@dataclass(frozen=True, kw_only=True, repr=False)
class GridGrown(Event):
    """The axes of a grid have more values."""

    __module__ = "swarmgrid"
    kind = "grid grown"

    lengths: Mapping[str, int] = field(hash=False)
    """By axis the number of its values."""
    before: Mapping[str, int] = field(hash=False)
    """By axis the number of values before."""
    added: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """By axis an array of the new values, where there are any."""

    def to_json(self) -> str:
        """The event as one line of JSON, its token included."""
        added = {name: _plain(values) for name, values in self.added.items()}
        return Event.to_json(dataclasses.replace(self, added=added))

    def _says(self) -> str:
        pairs = ((name, self.before.get(name, 0), n) for name, n in self.lengths.items())
        return ", ".join(f"{name} ({a} to {b})" for name, a, b in pairs if a != b)


@dataclass(frozen=True, kw_only=True, repr=False)
class GridDeleted(Event):
    """A grid is not there any more."""

    __module__ = "swarmgrid"
    kind = "grid deleted"


@dataclass(frozen=True, kw_only=True, repr=False)
class GridDamaged(Event):
    """Something of a grid was found to be damaged."""

    __module__ = "swarmgrid"
    kind = "damaged"

    key: str
    """The key of the damaged object; of a chunk without its output."""
    reason: str
    """The damage, as far as it is known."""

    def _says(self) -> str:
        return f"{self.key} ({self.reason})"


@dataclass(frozen=True, kw_only=True, repr=False)
class PointsComputed(_OfPoints):
    """Points were computed and stored, or taken over from another grid: one commit of them."""

    __module__ = "swarmgrid"
    kind = "points computed"

    n_points: int
    """The number of points."""
    seconds: float = 0.0
    """The time that computing them took inside the function."""

    def _says(self) -> str:
        return count(self.n_points)


@dataclass(frozen=True, kw_only=True, repr=False)
class PointsFailed(_OfPoints):
    """The function failed at a point, or for a block of them."""

    __module__ = "swarmgrid"
    kind = "failed"

    n_points: int
    """The number of points; more than 1 for a block."""
    point: Mapping[str, Any] = field(hash=False)
    """The point, or the first of the block: by axis its label, as far as JSON holds it."""
    exception: str
    """The name of the exception's class."""
    reason: str
    """The error on one line."""
    attempt: int = 1
    """The number of times that the point was tried."""

    def _says(self) -> str:
        point = ", ".join(f"{name}={value}" for name, value in self.point.items())
        return f"{point} ({self.reason})"

    def _labels(self, most: int | None = None) -> dict[str, NDArray[Any]]:
        if self.places is not None:
            return super()._labels(most)
        # the grid has not grown to them: of a block only the first is known
        return {name: _one(value) for name, value in self.point.items()}


@dataclass(frozen=True, kw_only=True, repr=False)
class PointsRemoved(Event):
    """Points that were computed count no more.

    They were deleted, their values were damaged, or a snapshot was restored. The store does not
    keep which ones they were.
    """

    __module__ = "swarmgrid"
    kind = "points removed"

    n_points: int
    """The number of points that are gone, of those that this watcher was told of."""

    def _says(self) -> str:
        return count(self.n_points)


@dataclass(frozen=True, kw_only=True, repr=False)
class MemberJoined(Event):
    """A process has begun to write a grid."""

    __module__ = "swarmgrid"
    kind = "joined"

    epoch: int
    """The number of its lease: each process that writes the grid has a higher one."""


@dataclass(frozen=True, kw_only=True, repr=False)
class MemberLeft(Event):
    """A process writes a grid no more."""

    __module__ = "swarmgrid"
    kind = "left"

    epoch: int
    """The number of its lease."""
    how: str
    """``"released"``: it gave the grid back; ``"killed"``: it ended without; ``"silent"``: it
    shows no sign of life; ``"followed"``: another one has come after it, and no more is known."""

    def _says(self) -> str:
        return self.how


@dataclass(frozen=True, kw_only=True, repr=False)
class RunFinished(Event):
    """A process that computed points of a grid, or failed to, has come to its end."""

    __module__ = "swarmgrid"
    kind = "run finished"

    epoch: int
    """The number of its lease."""
    how: str
    """As of `MemberLeft`: ``"released"`` if the run ended by itself."""
    computed: int
    """Points that it computed, as far as they are there."""
    failed: int
    """Points at which the function failed in it, as far as their records are there."""
    missing: int
    """Points of the grid that are neither computed nor failed now."""

    def _says(self) -> str:
        texts = [f"{count(self.computed)} computed"]
        texts += [f"{count(self.failed)} failed"] if self.failed else []
        texts += [f"{count(self.missing)} missing"] if self.missing else []
        texts += [] if self.how == "released" else [self.how]
        return ", ".join(texts)


def _one(label: Any) -> NDArray[Any]:
    """``(1,)``: a label, as an array of an axis' labels has it."""
    return to_text(np.array([label], object)) if isinstance(label, str) else np.array([label])


def _plain(labels: Any) -> list[Any]:
    """Labels as JSON has them."""
    values = np.asarray(labels)
    if values.dtype.kind in "mM":
        return [str(value) for value in values]
    found: list[Any] = values.tolist()
    return found
