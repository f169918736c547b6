"""Calls in several threads; where the interpreter ends and starts none any more, in this one.

All pools of threads of the package are here, so that its functions can be used until the very end
of a script, as in what `atexit` calls.
"""

from __future__ import annotations

import contextvars
import functools
import threading
from collections import deque
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


def is_interpreter_ending() -> bool:
    """Whether the script is over, and what runs now is called by the end of the interpreter."""
    return not threading.main_thread().is_alive()


def call_each(call: Callable[[T], R], items: Sequence[T], n: int) -> list[R]:
    """Make a call with each of some items, and return the results in their order.

    After an error no further call begins; of several errors, that of the first item is raised.

    Parameters
    ----------
    call : callable
        Takes an item.
    items : sequence
        The items.
    n : int
        The most calls at once; this thread makes some of them.
    """
    # not a ThreadPoolExecutor: it is refused at the end of the interpreter, and so is its import
    todo = deque(enumerate(items))
    found: dict[int, R] = {}
    errors: dict[int, BaseException] = {}

    def work() -> None:
        while todo:
            try:
                number, item = todo.popleft()
            except IndexError:  # another thread was faster
                return
            try:
                found[number] = call(item)
            except BaseException as error:  # noqa: BLE001  # raised in the calling thread
                errors[number] = error
                todo.clear()

    threads: list[threading.Thread] = []
    try:
        for _ in range(min(n, len(items)) - 1):
            thread = threading.Thread(target=work, name=f"swarmgrid-each-{len(threads)}")
            try:
                thread.start()
            except RuntimeError:  # neither Python, while it ends, nor a full machine gives more
                break
            threads.append(thread)
        work()
    finally:  # also where Ctrl-C comes between two calls
        todo.clear()
        for thread in threads:
            thread.join()
    if errors:
        raise errors[min(errors)]
    return [found[number] for number in range(len(items))]


async def in_thread(call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """The result of a call in a thread, as of `asyncio.to_thread`."""
    import asyncio  # late: 30 ms

    in_context = functools.partial(contextvars.copy_context().run, call, *args, **kwargs)
    try:
        future = asyncio.get_running_loop().run_in_executor(None, in_context)
    except RuntimeError:  # the interpreter ends: the loop has to wait
        return in_context()
    return await future
