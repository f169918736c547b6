"""A block is run once, skipped afterwards, and leaves the same state both times."""

# ruff: noqa: PT012, SIM117 - a memoized block is what raises, and stands by itself

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import swarmgrid
from swarmgrid import InputError, State, memoize


def block(state: State, store: str, **options: Any) -> bool:
    """Run a block; whether it was skipped."""
    with memoize(state, store, **options) as mem:
        mem.begin()
        state["runs"] = state.get("runs", 0) + 1
    return mem.is_hit


def test_a_block_is_skipped_when_the_state_was_the_same(store: str) -> None:
    states = [State(seed=seed) for seed in (1, 2, 1, 1.0, True, np.int64(1))]
    assert [block(state, store) for state in states] == [False, False, True, False, False, False]
    assert all(state["runs"] == 1 for state in states)


def test_the_salt_tells_recordings_apart(store: str) -> None:
    salts = [None, "a", ["a"], np.arange(3), None, np.arange(3)]
    hits = [block(State(), store, salt=salt) for salt in salts]
    assert hits == [False] * 4 + [True] * 2
    with pytest.raises(swarmgrid.IdentityError, match="salt"):
        block(State(), store, salt=(n for n in ()))


@pytest.mark.parametrize("part", ["state", "code", "salt"])
def test_what_is_not_in_hash_by_does_not_count(part: str, store: str) -> None:
    def run(n: int, salt: int, constant: int) -> bool:
        state = State(n=n)
        with memoize(state, store, salt, hash_by={"state", "code", "salt"} - {part}) as mem:
            mem.begin()
            state["result"] = constant
        assert state["n"] == n
        return mem.is_hit

    assert not run(1, 1, 1)
    changed = {"state": (2, 1, 1), "salt": (1, 2, 1), "code": (1, 1, 2)}
    assert {name: run(*call) for name, call in changed.items()} == {
        name: name == part for name in changed
    }


def test_a_recording_that_does_not_fit_another_state_is_refused(store: str) -> None:
    def run(state: State) -> None:
        with memoize(state, store, hash_by="salt") as mem:
            mem.begin()
            state["a"] += 1

    run(State(a=np.zeros(3)))
    other = State(a=np.zeros(4))
    for wrong in (other, State(a=1), State()):
        with pytest.raises(InputError, match="recorded for another state"):
            run(wrong)
    assert other == State(a=np.zeros(4))


def test_the_modes_say_what_is_done_with_the_store(store: str) -> None:
    assert not block(State(), store, mode="ignore")
    with pytest.raises(InputError, match="no recording"):
        block(State(), store, mode="require")
    assert not block(State(), store)
    assert block(State(), store, mode="require")
    assert not block(State(), store, mode="ignore")
    assert not block(State(), None, mode="ignore")
    assert not block(State(), store, mode="rewrite")
    assert block(State(), store)


def test_a_rewritten_block_is_replayed_as_it_was_last(store: str) -> None:
    found: Iterator[int] = iter([1, 2, 3])

    def run(mode: str) -> Any:
        state = State()
        with memoize(state, store, mode=mode, hash_by="salt") as mem:
            mem.begin()
            state["a"] = np.full(3, next(found))
        return state["a"].tolist()

    assert [run("use"), run("use"), run("rewrite"), run("use")] == [
        [1, 1, 1],
        [1, 1, 1],
        [2, 2, 2],
        [2, 2, 2],
    ]


def test_a_failed_require_stores_nothing_although_it_is_caught(store: str) -> None:
    state = State()
    with memoize(state, store, mode="require") as mem:
        with contextlib.suppress(InputError):
            mem.begin()
        state["a"] = 1
    assert not block(State(), store)


def test_an_except_exception_in_the_block_does_not_catch_the_signal(store: str) -> None:
    ran = []
    for _ in range(2):
        state = State()
        with memoize(state, store) as mem:
            try:
                mem.begin()
                ran.append(1)
                state["a"] = 1
            except Exception:  # noqa: BLE001
                state["a"] = 2
        assert state == State(a=1)
    assert ran == [1]


def test_a_block_that_catches_everything_is_told_so(store: str) -> None:
    def run() -> None:
        state = State()
        with memoize(state, store) as mem, contextlib.suppress(BaseException):
            mem.begin()
            state["a"] = 1

    run()
    with pytest.raises(InputError, match="not BaseException"):
        run()


def test_a_finally_that_changes_the_state_of_a_skipped_block_is_refused(store: str) -> None:
    def run() -> State:
        state = State(n=0)
        with memoize(state, store) as mem:
            try:
                mem.begin()
            finally:
                state["n"] += 1
        return state

    assert run()["n"] == 1
    with pytest.raises(InputError, match="finally"):
        run()


def test_a_block_that_raises_stores_nothing(store: str) -> None:
    def run(*, fails: bool) -> bool:
        state = State()
        with memoize(state, store, hash_by={"state", "salt"}) as mem:
            mem.begin()
            state["a"] = 1
            if fails:
                raise ValueError("no")
        return mem.is_hit

    with pytest.raises(ValueError, match="no"):
        run(fails=True)
    assert [run(fails=False), run(fails=True)] == [False, True]


def test_a_block_without_begin_warns_and_stores_nothing(store: str) -> None:
    for _ in range(2):
        state = State()
        with pytest.warns(UserWarning, match="without begin"):
            with memoize(state, store):
                state["a"] = 1
    from swarmgrid.store.location import to_location

    assert to_location(store).open().names("") == []


def test_begin_is_called_once_and_inside(store: str) -> None:
    mem = memoize(State(), store)
    with pytest.raises(InputError, match="outside"):
        mem.begin()
    with pytest.raises(InputError, match="twice"), mem:
        mem.begin()
        mem.begin()
    with pytest.raises(InputError, match="anew"), mem:
        pass


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"mode": "reuse"}, "mode is 'reuse'"),
        ({"hash_by": ["states"]}, "hash_by"),
        ({"hash_by": []}, "hash_by"),
        ({"store": None}, "needs a store"),
        ({"state": {}}, "type dict"),
    ],
    ids=str,
)
def test_a_wrong_argument_is_refused(options: dict[str, Any], match: str, store: str) -> None:
    with pytest.raises(InputError, match=match):
        memoize(**{"state": State(), "store": store, **options})


def test_the_store_may_come_from_set_options(store: str) -> None:
    with swarmgrid.set_options(store=store):
        assert [block(State(), None), block(State(), None)] == [False, True]


def test_blocks_in_a_loop_are_recorded_one_by_one(store: str) -> None:
    def run() -> tuple[list[bool], State]:
        state, hits = State(log=[]), []
        for i in range(4):
            with memoize(state, store) as mem:
                mem.begin()
                noise = np.full(2, i)
                state["log"].append(noise)
            hits.append(mem.is_hit)
        return hits, state

    first, second = run(), run()
    assert (first[0], second[0]) == ([False] * 4, [True] * 4)
    assert first[1] == second[1]


def test_a_loop_inside_a_block_may_break_and_continue(store: str) -> None:
    for is_hit in (False, True):
        state = State(n=0)
        with memoize(state, store) as mem:
            mem.begin()
            for i in range(10):
                if i == 1:
                    continue
                if i == 5:
                    break
                state["n"] += i
        assert (mem.is_hit, state["n"]) == (is_hit, 9)


def test_only_what_a_block_changes_is_written_after_a_replay(tmp_path: Path) -> None:
    for salt in (1, 2):
        state = State()
        with memoize(state, tmp_path) as first:
            first.begin()
            state["a"], state["b"] = np.arange(3), np.arange(4)
        with memoize(state, tmp_path, salt) as mem:
            mem.begin()
            state["c"] = state["a"] * 2
        assert (first.is_hit, mem.is_hit) == (salt == 2, False)
        folder = tmp_path / "data.zarr" / "memoized-blocks" / mem.key
        assert [path.parent.name for path in folder.glob("*/*/zarr.json")] == ["c"]


def test_nested_blocks_on_one_state(store: str) -> None:
    ran = []

    def run(outer_salt: int) -> State:
        state = State(a=1)
        with memoize(state, store, outer_salt) as outer:
            outer.begin()
            ran.append("outer")
            with memoize(state, store) as inner:
                inner.begin()
                ran.append("inner")
                state["b"] = np.arange(3)
            state["c"] = state["b"] + 1
        return state

    states = [run(1), run(1), run(2), run(2)]
    assert ran == ["outer", "inner", "outer"]  # the third time, the inner one is replayed
    assert all(state == states[0] for state in states)


def test_the_signal_of_an_outer_block_passes_an_inner_one(store: str) -> None:
    for is_hit in (False, True):
        state = State()
        with memoize(state, store) as outer:
            with memoize(state, store, "inner") as inner:
                outer.begin()
                inner.begin()
                state["a"] = 1
        assert (outer.is_hit, state) == (is_hit, State(a=1))


def leave(how: str, state: State, store: str) -> Any:
    if how == "return":
        with memoize(state, store) as mem:
            mem.begin()
            return 1
    for _ in range(2):
        if how == "break":
            with memoize(state, store) as mem:
                mem.begin()
                if state:
                    break
        if how == "continue":
            with memoize(state, store) as mem:
                mem.begin()
                continue
    return None


def generate(how: str, state: State, store: str) -> Iterator[int]:
    if how == "yield":
        with memoize(state, store) as mem:
            mem.begin()
            yield 1
    else:
        with memoize(state, store) as mem:
            mem.begin()
            yield from [1]


@pytest.mark.parametrize("how", ["return", "break", "continue", "yield", "yield from"])
def test_a_block_that_leaves_before_its_end_is_refused_before_it_runs(
    how: str, store: str
) -> None:
    with pytest.raises(InputError, match=f"has a {how} in line"):
        if how.startswith("yield"):
            list(generate(how, State(), store))
        leave(how, State(), store)


def test_functions_defined_in_a_block_may_return_and_yield(store: str) -> None:
    state = State()
    with memoize(state, store) as mem:
        mem.begin()

        def double(n: int) -> int:
            return 2 * n

        def numbers() -> Iterator[int]:
            yield 3

        state["a"] = [*map(double, numbers())]
    assert state["a"] == [6]


def test_a_generator_may_hold_a_block_between_its_yields(store: str) -> None:
    def steps(state: State) -> Iterator[bool]:
        for _ in range(3):
            with memoize(state, store) as mem:
                mem.begin()
                state["n"] += 1
            yield mem.is_hit

    assert list(steps(State(n=0))) == [False] * 3
    assert list(steps(State(n=0))) == [True] * 3


def test_an_async_function_may_wait_in_a_block(store: str) -> None:
    async def run(seed: int) -> tuple[bool, int]:
        state = State(seed=seed)
        with memoize(state, store) as mem:
            mem.begin()
            await asyncio.sleep(0.001)
            state["a"] = state["seed"] * 2
        return mem.is_hit, state["a"]

    async def together() -> list[tuple[bool, int]]:
        return await asyncio.gather(run(1), run(2))

    assert asyncio.run(together()) == [(False, 2), (False, 4)]
    assert asyncio.run(together()) == [(True, 2), (True, 4)]


def test_two_tasks_cannot_change_one_state_in_two_blocks(store: str) -> None:
    state = State(n=0)

    async def run(salt: int) -> None:
        with memoize(state, store, salt) as mem:
            mem.begin()
            await asyncio.sleep(0.01)
            state["n"] += 1

    async def together() -> None:
        await asyncio.gather(run(1), run(2))

    with pytest.raises(InputError, match="another thread or task"):
        asyncio.run(together())


def test_an_async_with_is_refused_by_python_itself(store: str) -> None:
    async def run() -> None:
        async with memoize(State(), store):  # type: ignore[attr-defined]
            pass

    with pytest.raises((TypeError, AttributeError), match="async|__aenter__"):
        asyncio.run(run())


def test_threads_with_states_of_their_own_do_not_disturb_each_other(store: str) -> None:
    def run(seed: int) -> tuple[bool, bool]:
        state = State(seed=seed)
        hits = block(state, store), block(state, store)
        assert state["runs"] == 2
        return hits

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(run, range(16))) == [(False, False)] * 16
        assert list(pool.map(run, range(16))) == [(True, True)] * 16


def test_two_threads_cannot_change_one_state_in_two_blocks(store: str) -> None:
    state, errors = State(), []

    def other() -> None:
        try:
            block(state, store)
        except InputError as error:
            errors.append(str(error))

    with memoize(state, store) as mem:
        mem.begin()
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert len(errors) == 1
    assert "another thread" in errors[0]
    assert not block(state, store)  # and it is free again


def test_begin_belongs_to_the_thread_of_its_block(store: str) -> None:
    with memoize(State(), store) as mem:
        with ThreadPoolExecutor(1) as pool:
            with pytest.raises(InputError, match="another thread"):
                pool.submit(mem.begin).result()
        mem.begin()


def test_begin_may_be_called_in_a_function(store: str) -> None:
    def start(mem: Any) -> None:
        mem.begin()

    for is_hit in (False, True):
        state = State()
        with memoize(state, store) as mem:
            start(mem)
            state["a"] = 1
        assert (mem.is_hit, state["a"]) == (is_hit, 1)


def test_another_context_manager_cannot_enter_a_block(store: str) -> None:
    with contextlib.ExitStack() as stack, pytest.raises(InputError, match="ExitStack"):
        stack.enter_context(memoize(State(), store))


@pytest.mark.parametrize("make", [lambda a: a[1:], lambda a: a.T, lambda a: a.reshape(-1)])
def test_two_views_of_the_same_memory_are_refused(make: Any, store: str) -> None:
    state = State(a=np.zeros((3, 3)))
    with (
        pytest.raises(InputError, match=r"state\['a'\] and state\['b'\] are views"),
        memoize(state, store) as mem,
    ):
        mem.begin()
        state["b"] = make(state["a"])


def test_columns_of_an_array_that_is_not_in_the_state_are_no_such_views(store: str) -> None:
    for is_hit in (False, True):
        state = State()
        with memoize(state, store) as mem:
            mem.begin()
            state["x"], state["y"] = np.arange(6).reshape(3, 2).T
            state["x"] = state["x"][:2]
        assert (mem.is_hit, state["x"].tolist(), state["y"].tolist()) == (
            is_hit,
            [0, 2],
            [1, 3, 5],
        )


def test_a_list_that_holds_itself_is_refused(store: str) -> None:
    state = State(a=[])
    with pytest.raises(InputError, match="contains itself"), memoize(state, store) as mem:
        mem.begin()
        state["a"].append(state["a"])


def test_the_order_of_names_and_keys_does_not_count(store: str) -> None:
    first = State(a=[1], d={"k": [2], "l": [3]})
    second = State(d={"l": [3], "k": [2]}, a=[1])
    assert [block(first, store), block(second, store)] == [False, True]


def test_an_array_that_is_resized_in_place_becomes_another(store: str) -> None:
    for is_hit in (False, True):
        state = State(a=np.arange(3))
        with memoize(state, store) as mem:
            mem.begin()
            state["a"].resize(2, 2, refcheck=False)
        assert (mem.is_hit, state["a"].tolist()) == (is_hit, [[0, 1], [2, 0]])


def test_a_read_only_array_is_not_written_to(store: str) -> None:
    def run(*, is_writeable: bool) -> None:
        state = State(a=np.zeros(3))
        state["a"].flags.writeable = is_writeable
        with memoize(state, store) as mem:
            mem.begin()
            state["a"] += 1

    run(is_writeable=True)
    with pytest.raises(InputError, match="read-only"):
        run(is_writeable=False)


def test_local_variables_are_not_restored(store: str) -> None:
    found = []
    for _ in range(2):
        local = "before"
        with memoize(State(), store) as mem:
            mem.begin()
            local = "inside"
        found.append(local)
    assert found == ["inside", "before"]


def test_what_is_taken_out_of_the_state_may_then_hold_anything(store: str) -> None:
    for is_hit in (False, True):
        state = State(a=[1], b=np.zeros(2))
        taken, array = state["a"], state["b"]
        with memoize(state, store) as mem:
            mem.begin()
            state.pop("a").append(object())
            state.pop("b")[:] = 3
        assert (mem.is_hit, dict(state), array.tolist()) == (is_hit, {}, [3, 3])
        assert len(taken) == (1 if is_hit else 2)  # what cannot be recorded is not replayed
