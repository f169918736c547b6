"""The blocks that run now, by state: two threads must not change one at a time."""

from __future__ import annotations

import sys
import threading

from swarmgrid.errors import InputError

_lock = threading.Lock()
_running: dict[int, dict[object, object]] = {}
"""By the state's id: the blocks, and the thread that runs each."""
# by id, as a State and a Dataset have no hash; a block holds its state, whose id is not used again
# before the block is forgotten


def runner() -> object:
    """The thread, and within it the asyncio task."""
    asyncio = sys.modules.get("asyncio")
    try:
        task = asyncio.current_task() if asyncio else None
    except RuntimeError:  # no loop runs here
        task = None
    return threading.get_ident(), id(task)


def add(state: object, block: object, by: object) -> None:
    """Raise InputError where another thread or task runs a block on the same state."""
    with _lock:
        if set(_running.get(id(state), {}).values()) - {by}:
            raise InputError(
                "another thread or task is in a memoized block on the same state: what each "
                "changes could not be told apart. Give each a state of its own"
            )
        _running.setdefault(id(state), {})[block] = by


def discard(state: object, block: object) -> None:
    """Forget a block, if it is known."""
    with _lock:
        left = _running.get(id(state), {})
        left.pop(block, None)
        if not left:
            _running.pop(id(state), None)
