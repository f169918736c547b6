"""The progress of a watcher: by grid the commits that were told, as a short text and back."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from swarmgrid.errors import InputError, brief
from swarmgrid.store.checked_json import MALFORMED
from swarmgrid.store.lease_record import epoch_of

KEPT_EPOCHS = 4
"""Of so many leases of a grid the commits are told apart. An owner that writes after that many
successors, in a store that does not fence it, is not heard."""
MAX_DAMAGE = 16
"""So many damaged objects of a grid a token has; others are told again after it."""
OUT, IN, ENDING = 0, 1, 2
_VERSION = 2
_MAX_NBYTES = 2**26
_GRID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Mark:
    """The events of one grid that a watcher was told of, in brief."""

    exists: bool = False
    lengths: tuple[int, ...] = ()
    """The lengths of the axes."""
    points: int = 0
    """Points of the rows that were told, as far as they are there."""
    commits: tuple[tuple[int, int], ...] = ()
    """The last leases that have written, ascending, and the highest commit of each."""
    epoch: int = -1
    """The lease of the last process that has joined."""
    stage: int = OUT
    """The last event of that process: `IN`, `ENDING` (its run has finished) or `OUT`."""
    layout: int = 0
    """The grid's layout."""
    damage: tuple[str, ...] = ()
    """The damaged objects."""
    last: int = 0
    """The last commit of rows that was told."""
    sign: int = 0
    """A number for a row of it, of `signs`: another one is of another store; 0: none."""

    def knows(self, commit: int) -> bool:
        """Whether a commit was told."""
        epoch = epoch_of(commit)
        for known, highest in reversed(self.commits):
            if known == epoch:
                return commit <= highest
        return len(self.commits) >= KEPT_EPOCHS and epoch < self.commits[0][0]

    def told(self, commit: int) -> tuple[tuple[int, int], ...]:
        """The commits, with one more."""
        epoch = epoch_of(commit)
        known = dict(self.commits)
        known[epoch] = max(commit, known.get(epoch, commit))
        return tuple(sorted(known.items())[-KEPT_EPOCHS:])

    def to_list(self) -> list[Any]:
        """The mark as JSON."""
        return [
            int(self.exists),
            list(self.lengths),
            self.points,
            [[epoch, commit] for epoch, commit in self.commits],
            self.epoch,
            self.stage,
            self.layout,
            list(self.damage[:MAX_DAMAGE]),
            self.last,
            self.sign,
        ]

    @classmethod
    def from_list(cls, entry: Any) -> Mark:
        """A mark that a token has; ValueError if it is none."""
        exists, lengths, points, commits, epoch, stage, layout, damage, last, sign = entry
        pairs = tuple((e, c) for e, c in commits)
        numbers = [exists, *lengths, points, epoch, stage, layout, last, sign]
        numbers += [n for pair in pairs for n in pair]
        if not all(type(n) is int for n in numbers) or not all(type(d) is str for d in damage):
            raise ValueError("it holds something else")
        marked = (bool(exists), (*lengths,), points, pairs, epoch, stage, layout, (*damage,))
        return cls(*marked, last, sign)


@dataclass(frozen=True, slots=True)
class Position:
    """The events of all its grids that a watcher was told of, in brief."""

    grids: Mapping[str, Mark] = field(default_factory=dict)

    def of(self, grid: str) -> Mark:
        """The mark of a grid."""
        return self.grids.get(grid, Mark())

    def with_mark(self, grid: str, mark: Mark) -> Position:
        """The position after a grid has another mark."""
        return Position({**self.grids, grid: mark})

    def to_text(self) -> str:
        """The position as a token: about 120 characters, and 80 more for each further grid."""
        grids = {grid: mark.to_list() for grid, mark in self.grids.items()}
        text = json.dumps({"v": _VERSION, "grids": grids}, separators=(",", ":"))
        return base64.urlsafe_b64encode(zlib.compress(text.encode(), 9)).decode().rstrip("=")

    @classmethod
    def from_text(cls, token: object) -> Position:
        """The position that a token stands for.

        Raises
        ------
        InputError
            If it is none.
        """
        try:
            assert isinstance(token, str)
            data = base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True)
            decoder = zlib.decompressobj()
            document = json.loads(decoder.decompress(data, _MAX_NBYTES))
            if not decoder.eof or document["v"] != _VERSION:
                raise ValueError("it is cut off, or of another version")
            grids = {grid: Mark.from_list(entry) for grid, entry in document["grids"].items()}
            if not all(map(_GRID.fullmatch, grids)):
                raise ValueError("it names no grids")
        except (AssertionError, zlib.error, *MALFORMED):
            raise InputError(
                f"since is {brief(token)}; expected the token of an event, 'now', or None for "
                "all that is stored. A token that was cut off or changed is none"
            ) from None
        return cls(grids)
