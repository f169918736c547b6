"""A task can be cut at any of its points, as what a worker reports does."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from swarmgrid.space.points import ChunkPart, Points
from swarmgrid.transport.messages import Task

MASKS = st.lists(st.booleans(), min_size=6, max_size=6).filter(any)


def task_of(masks: list[list[bool]]) -> Task:
    """A task of one part for each mask of a chunk of six points."""
    parts = (
        ChunkPart((i,), Points.from_mask(np.array(mask).reshape(2, 3)), is_fresh=True)
        for i, mask in enumerate(masks)
    )
    return Task(tuple(parts), (2, 3), None, writes=True)


def points_of(task: Task) -> list[tuple[Any, ...]]:
    """The points of a task, in the order in which a worker computes them."""
    return [(part.index, *at) for part in task.parts for at in part.points.indices().tolist()]


@given(st.lists(MASKS, max_size=4), st.data())
def test_what_is_left_of_a_task_is_all_points_after_the_settled_ones(
    masks: list[list[bool]], data: Any
) -> None:
    task = task_of(masks)
    n = data.draw(st.integers(0, len(points_of(task))))
    left = task.after(n)
    assert points_of(left) == points_of(task)[n:]
    assert all(len(part.points) for part in left.parts)
    more = data.draw(st.integers(0, len(points_of(left))))
    assert points_of(left.after(more)) == points_of(task.after(n + more))
    assert (left.chunk_shape, left.writes) == (task.chunk_shape, task.writes)
