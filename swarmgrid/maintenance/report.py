"""The findings of `verify`: problems, which mean damage, and notes, which do not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from swarmgrid.readable import code, count, folded, page, table, verdict

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with one object of a store."""

    __module__ = "swarmgrid"

    key: str
    """Its key, relative to the store's root."""
    reason: str
    points: int = 0
    """Points whose values are lost by it; the next `compute` after a repair computes them."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something that a killed process leaves, or may leave: nothing is wrong because of it."""

    key: str
    """The key of the object, or the first of several, relative to the store's root."""
    reason: str


@dataclass(frozen=True, slots=True)
class Report:
    """The result of `verify`."""

    __module__ = "swarmgrid"

    problems: tuple[Problem, ...]
    chunks: int
    """Chunks, or shards, that were read, of all outputs together."""
    points: int
    """Points that the manifest says are computed."""
    notes: tuple[Note, ...] = ()
    """Orphans that killed processes left. They do no harm; the next runs, or a repair, remove
    them."""
    archive: str = ""
    """The archive that has the values; empty: they are in the store."""
    unread: int = 0
    """Points whose values were not read, because they are in the archive."""

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong; there may be notes."""
        return not self.problems

    def __str__(self) -> str:
        lines = [f"  {p.key}: {p.reason}" for p in self.problems]
        lines += [f"  note: {note.key}: {note.reason}" for note in self.notes]
        return "\n".join([f"{self._read()}: {self._verdict()}", *self._next(), *lines])

    def _read(self) -> str:
        points, chunks = f"{count(self.points)} points", f"{count(self.chunks)} chunks"
        archive = f"the archive {self.archive!r}"
        if not self.archive:
            return f"{points} in {chunks} read"
        if not self.unread:
            return f"{points} in {chunks} read, {archive} included"
        if not self.chunks:
            return f"{points}, whose values are in {archive} and were not read"
        rest = f"{count(self.unread)} points, whose values are in {archive}"
        return f"{points} in {chunks} read, but for {rest}"

    def _verdict(self) -> str:
        n = len(self.problems)
        if n:
            return "1 problem" if n == 1 else f"{count(n)} problems"
        return "nothing is wrong with the rest" if self.unread else "nothing is wrong"

    def _next(self) -> list[str]:
        """The ways to values that were not read."""
        if not self.unread:
            return []
        reading = "Grid.verify(archived=True) reads them there (swarmgrid verify --archived)"
        return [f"  {reading}, and Grid.thaw brings them back (swarmgrid thaw)"]

    def _repr_html_(self) -> str:
        parts = [
            table(
                [
                    ("read", self._read()),
                    ("result", verdict(self._verdict(), is_good=self.is_clean)),
                    *(("next", text.strip()) for text in self._next()),
                ]
            )
        ]
        if self.problems:
            rows = [(code(p.key), p.reason, count(p.points)) for p in self.problems]
            parts.append(table(rows, head=("object", "what is wrong", "points lost")))
        if self.notes:
            found = table([(code(n.key), n.reason) for n in self.notes], head=("object", "note"))
            parts.append(folded(f"{count(len(self.notes))} notes, which do no harm", found))
        return page("Report", "", *parts)


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem or a note, and what a repair does about it."""

    key: str
    reason: str
    is_note: bool = False
    points: int = 0
    repaired: bytes | None = None
    """The bytes that a repair writes under the key; None: it writes nothing."""
    is_removed: bool = False
    """Whether a repair deletes the object."""


def to_report(findings: Sequence[Finding], chunks: int = 0, points: int = 0) -> Report:
    """The report that the findings make up, in their order."""
    return Report(
        tuple(Problem(f.key, f.reason, f.points) for f in findings if not f.is_note),
        chunks,
        points,
        tuple(Note(f.key, f.reason) for f in findings if f.is_note),
    )


def below(folder: str, report: Report) -> Report:
    """The report of a store that lies in a folder of another, with the keys of that."""
    return replace(
        report,
        problems=tuple(replace(one, key=folder + one.key) for one in report.problems),
        notes=tuple(replace(one, key=folder + one.key) for one in report.notes),
    )


def joined(reports: Sequence[Report]) -> Report:
    """One report of several: of a grid in several stores, or in parts."""
    return Report(
        tuple(problem for one in reports for problem in one.problems),
        sum(one.chunks for one in reports),
        sum(one.points for one in reports),
        tuple(note for one in reports for note in one.notes),
        next((one.archive for one in reports if one.archive), ""),
        sum(one.unread for one in reports),
    )
