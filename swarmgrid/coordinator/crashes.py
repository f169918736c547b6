"""What is done with the points of a task whose worker crashed: values in, values out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from swarmgrid.coordinator.attempts import failure_of, singly, suspected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swarmgrid.coordinator.attempts import Attempts
    from swarmgrid.space.axis import Axis
    from swarmgrid.space.points import Piece
    from swarmgrid.transport.messages import Failure, Lost, Task


@dataclass(frozen=True, slots=True)
class Aftermath:
    """How the points of a crashed task are handed out again."""

    suspect: Failure | None = None
    """The point that was being computed, where that is known."""
    is_final: bool = False
    """Whether that point counts as failed now."""
    again: tuple[Piece, ...] = ()
    """Pieces to be computed as before."""
    parts: tuple[Piece, ...] = ()
    """Pieces of divided chunks."""
    alone: tuple[Piece, ...] = ()
    """Points to be computed alone, each in a fresh worker."""
    divided: tuple[Piece, ...] = ()
    """Pieces whose points come back in parts from now on."""


def aftermath(
    task: Task, lost: Lost, attempts: Attempts, axes: Sequence[Axis], *, is_block: bool
) -> Aftermath:
    """How to go on after a worker crashed in the middle of a task.

    Parameters
    ----------
    task, lost : Task, Lost
        The task, as far as it was not reported, and how the worker ended.
    attempts : Attempts
        How often points were tried; a crash of the suspect counts.
    axes : sequence of Axis
        The axes of the grid.
    is_block : bool
        Whether the function takes blocks: a piece is then one call.
    """
    if lost.is_innocent:
        return Aftermath(again=task.pieces)
    found = suspected(task, lost, is_block=is_block)
    if found is None:
        alone = [
            part for piece in task.pieces for part in ([piece] if is_block else singly(piece))
        ]
        return Aftermath(alone=tuple(alone), divided=task.pieces)
    number, suspect = found
    failure = failure_of(suspect.piece, lost, axes, task.chunk_shape)
    rest = tuple(piece for i, piece in enumerate(task.pieces) if i != number)
    may_try = attempts.may_try_again((failure.index, failure.offset), lost)
    return Aftermath(
        suspect=failure,
        is_final=not may_try,
        again=rest,
        parts=() if suspect.others is None else (suspect.others,),
        alone=(suspect.piece,) if may_try else (),
        divided=(task.pieces[number],),
    )
