"""Decides how the points of a crashed task are computed; no side effects but on `Attempts`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from swarmgrid.coordinator.attempts import crashing_point, failure_of, singly

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swarmgrid.coordinator.attempts import Attempts
    from swarmgrid.space.axis import Axis
    from swarmgrid.space.points import ChunkPart
    from swarmgrid.transport.messages import Failure, Task, WorkerCrash


@dataclass(frozen=True, slots=True)
class Aftermath:
    """The order and form in which the points of a crashed task are handed out again."""

    crashed_at: Failure | None = None
    """The point that was being computed, where that is known."""
    is_final: bool = False
    """Whether that point counts as failed now."""
    again: tuple[ChunkPart, ...] = ()
    """Parts to be computed as before."""
    divided_parts: tuple[ChunkPart, ...] = ()
    """Parts of divided chunks."""
    isolated: tuple[ChunkPart, ...] = ()
    """Points to be computed alone, each in a fresh worker."""
    divided: tuple[ChunkPart, ...] = ()
    """Parts whose points come back in parts from now on."""


def aftermath(
    task: Task, crash: WorkerCrash, attempts: Attempts, axes: Sequence[Axis], *, is_block: bool
) -> Aftermath:
    """Decide how the points of a task continue after its worker crashed.

    Parameters
    ----------
    task, crash : Task, WorkerCrash
        The task, as far as it was not reported, and how the worker ended.
    attempts : Attempts
        How often points were tried; this crash counts.
    axes : sequence of Axis
        The axes of the grid.
    is_block : bool
        Whether the function takes blocks: a part is then one call.
    """
    if not crash.is_at_fault:
        return Aftermath(again=task.parts)
    found = crashing_point(task, crash, is_block=is_block)
    if found is None:
        isolated = [one for part in task.parts for one in ([part] if is_block else singly(part))]
        return Aftermath(isolated=tuple(isolated), divided=task.parts)
    number, at = found
    failure = failure_of(at.part, crash, axes, task.chunk_shape)
    rest = tuple(part for i, part in enumerate(task.parts) if i != number)
    may_try = attempts.may_try_again((failure.index, failure.offset), crash)
    return Aftermath(
        crashed_at=failure,
        is_final=not may_try,
        again=rest,
        divided_parts=() if at.others is None else (at.others,),
        isolated=(at.part,) if may_try else (),
        divided=(task.parts[number],),
    )
