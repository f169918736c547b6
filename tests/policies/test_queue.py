"""The queue hands out every missing point once, and divides what comes back."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from swarmgrid.executors.base import TASK_SECONDS, Traits
from swarmgrid.policies.queue import Batch, DividedChunks, TaskQueue
from swarmgrid.space.points import ChunkPart, Points

TWO = Traits(n_workers=2, may_write=True, is_isolating=True)


def part(number: int, n: int) -> ChunkPart:
    return ChunkPart((number,), Points((n,)), is_fresh=True)


class Handed:
    """A queue, with the coordinator's part: chunks that it divides are expected in parts."""

    def __init__(
        self,
        parts: Iterable[ChunkPart],
        *,
        cost: float | None,
        traits: Traits = TWO,
        fixed: int = 0,
    ) -> None:
        parts = list(parts)
        self.divided = DividedChunks()
        self.cost, self.traits = cost, traits
        self.queue = TaskQueue(
            iter(parts),
            sum(len(p.points) for p in parts),
            self.divided,
            points_per_task=fixed or None,
            may_divide=True,
        )

    def take(self, *, may_be_isolated: bool = True) -> Batch | None:
        batch, divided = self.queue.get(self.cost, self.traits, may_be_isolated=may_be_isolated)
        if divided is not None:
            self.divided.expect(divided.index, len(divided.points))
        return batch

    def all(self) -> list[Batch]:
        return list(iter(self.take, None))


def sizes(batches: Iterable[Batch]) -> list[int]:
    return [sum(len(p.points) for p in batch.parts) for batch in batches]


def test_tasks_take_their_time_and_become_smaller_at_the_end() -> None:
    found = sizes(Handed((part(i, 10) for i in range(100)), cost=0.01).all())
    assert sum(found) == 1000
    assert found[0] == TASK_SECONDS / 0.01
    assert found[-1] == 1


def test_points_that_come_back_are_divided_among_the_workers() -> None:
    handed = Handed([part(0, 40)], cost=1e-6)
    assert sizes([handed.take() or Batch((), writes=True)]) == [40]
    handed.queue.put_back([part(0, 31)], writes=True, n_workers=2)
    assert sizes(handed.all()) == [16, 15]


def test_other_points_are_not_divided_for_it() -> None:
    many = Traits(n_workers=64, may_write=True, is_isolating=True)
    parts = [part(0, 10), part(1, 10_000), part(2, 10_000)]
    handed = Handed(parts, cost=1e-5, traits=many)
    handed.take()
    handed.queue.put_back([part(0, 1)], writes=True, n_workers=64)
    assert sizes(handed.all())[:3] == [1, 999, 999]


def test_a_point_that_may_crash_its_worker_comes_last_and_alone() -> None:
    handed = Handed([part(0, 2)], cost=1.0, fixed=5)
    handed.queue.put_back_isolated(part(7, 1))
    first, second = handed.take(), handed.take(may_be_isolated=False)
    assert first is not None
    assert not first.is_isolated
    assert second is None
    last = handed.take()
    assert last is not None
    assert (last.is_isolated, last.writes, last.parts[0].index) == (True, False, (7,))
    assert handed.queue.is_empty


@given(
    st.lists(st.integers(1, 60), max_size=8),
    st.none() | st.floats(1e-6, 2.0),
    st.integers(1, 8),
    st.booleans(),
    st.integers(0, 9),
)
def test_every_point_is_handed_out_once(
    lengths: list[int], cost: float | None, n_workers: int, may_write: bool, fixed: int
) -> None:
    traits = Traits(n_workers, may_write, is_isolating=True)
    handed = Handed(
        [part(i, n) for i, n in enumerate(lengths)], cost=cost, traits=traits, fixed=fixed
    )
    seen: dict[tuple[int, ...], list[list[int]]] = {}
    for batch in handed.all():
        for one in batch.parts:
            seen.setdefault(one.index, []).extend(one.points.indices().tolist())
            is_whole = len(one.points) == lengths[one.index[0]]
            assert is_whole or one.index in handed.divided  # a part has no writer but us
            assert not (batch.writes and one.index in handed.divided)
    assert {i: sorted(found) for i, found in seen.items()} == {
        (i,): [[k] for k in range(n)] for i, n in enumerate(lengths)
    }
    assert handed.queue.is_empty
    assert handed.queue.left == 0


def test_a_divided_chunk_is_whole_again_when_all_of_it_is_settled() -> None:
    divided = DividedChunks()
    divided.expect((1,), 3)
    divided.settle((1,), 2)
    assert (1,) in divided
    divided.settle((1,), 1)
    assert (1,) not in divided
    divided.settle((1,), 1)  # a chunk that a worker writes: nothing to settle
    assert (1,) not in divided
