"""The events of a store, from a call."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from swarmgrid.errors import InputError, brief
from swarmgrid.finding.resolve import location_of
from swarmgrid.following.events import Event
from swarmgrid.following.store import StoreFollower
from swarmgrid.following.token import Position
from swarmgrid.following.waking import waker_for
from swarmgrid.following.watch import Watch
from swarmgrid.handle.grid import Grid
from swarmgrid.identity import function_name
from swarmgrid.inventory.row import GRID_NAME
from swarmgrid.options import current_options
from swarmgrid.quantities import check_plain, is_number
from swarmgrid.store.layout import GridPath
from swarmgrid.tracebacks import UserFrames

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

NOW = "now"


def watch(
    store: str | os.PathLike[str] | Any = None,
    grids: Callable[..., Any] | Grid | str | None = None,
    *,
    since: str | None = None,
    timeout: float | None = None,
    until: Callable[[Event], bool] | type[Event] | None = None,
    interval: float = 1.0,
    storage_options: Mapping[str, Any] | None = None,
) -> Watch:
    """Follow what happens to stored grids, whichever process on whichever machine does it.

    It only reads the store: the manifest says what was computed, so that nothing is missed,
    however late the watcher comes. It reads while it is asked for the next event, and writers
    make no request for it.

    In a scope, it follows the scope's own part alone: what happens in the shared store is told
    outside of the scope.

    Each event is told at least once. Those of one writer come in the order in which it has
    written. After the last one a watcher waits for the next, until it is closed.

    Parameters
    ----------
    store : str, path or zarr.abc.store.Store, optional
        The store. Default: what `set_options` says, or that of a `GridFunction`.
    grids : callable, Grid or str, optional
        A function: all grids of functions of its name, whatever their code and params. One grid,
        its id or the first digits of it (a function named so, such as ``"add"``, counts, too), or
        ``"function/"`` and digits. Default: all grids.
    since : str, optional
        The token of an event: only what has happened after it; of grids that it does not know,
        all: the token of an event that a run's ``on_event=`` or ``log=`` has told knows of the
        event's own, so that ``event.grid`` belongs to it. ``"now"``: only what happens from now
        on. Default: all that the store tells, from the beginning.
    timeout : float, optional
        The iteration ends when no event comes for so many seconds; 0: it ends with what has
        happened until now. Default: it does not end.
    until : callable or class, optional
        The iteration ends after the first event for which this plain function is true, or that is
        of this class.
    interval : float, default 1.0
        The time from one look to the next, in seconds: one listing where nothing happens. A
        directory (with the extra ``watch``) and Redis end a pause as soon as something changes.
    storage_options : mapping, optional
        Options with which obstore opens a URL.

    Returns
    -------
    Watch
        An iterator over `Event`, also for ``async for``, and a context manager. ``close()`` ends
        it, from any thread.

    Raises
    ------
    InputError
        If an argument is wrong.
    StoreError
        If the store cannot be read, at any step; the next step tries again, and misses nothing.

    Examples
    --------
    >>> import swarmgrid
    >>> def area(width):
    ...     return width * 2.0
    >>> ds = swarmgrid.compute(area, axes={"width": [1, 2, 3]}, store="memory://events")
    >>> for event in swarmgrid.watch("memory://events", area, timeout=0):
    ...     print(type(event).__name__)
    GridCreated
    MemberJoined
    PointsComputed
    RunFinished
    MemberLeft
    >>> token = event.token
    >>> ds = swarmgrid.compute(area, axes={"width": [1, 2, 3, 4]}, store="memory://events")
    >>> [event.kind for event in swarmgrid.watch("memory://events", since=token, timeout=0)]
    ['grid grown', 'joined', 'points computed', 'run finished', 'left']
    """
    __tracebackhide__ = True
    with UserFrames():
        _check(timeout, until, interval)
        given: dict[str, Any] = {"storage_options": storage_options}
        given |= {} if store is None else {"store": store}
        func = grids if callable(grids) else None
        location = location_of(current_options().updated({"func": func} | given))
        if isinstance(grids, Grid) and store is None:
            location = grids._ref.location  # noqa: SLF001  # its own store
        is_now = isinstance(since, str) and since == NOW  # an array has no truth
        position = Position() if since is None or is_now else Position.from_text(since)
        follower = StoreFollower(location, _meaning(grids), position)
        if is_now:
            follower.skip()
        is_last = (lambda event: isinstance(event, until)) if isinstance(until, type) else until
        waker = waker_for(location)
        return Watch(
            follower,
            waker,
            interval=float(interval),
            timeout=None if timeout is None else float(timeout),
            until=is_last,
        )


def _meaning(grids: object) -> Callable[[GridPath], bool]:
    """Whether a grid is one that is meant."""
    if grids is None:
        return lambda _: True
    if isinstance(grids, Grid):
        only = grids.id
        return lambda path: path.grid == only
    if callable(grids):
        name = function_name(grids)
        folder = GridPath(name.rpartition(".")[2], "").folder
        return lambda path: path.folder == folder
    parts = GRID_NAME.fullmatch(grids) if isinstance(grids, str) else None
    if parts is None:
        raise InputError(
            f"grids is {brief(grids)}; expected a function, a Grid, a grid id or the first digits "
            "of one, such as '324fd638', or 'simulate/' for all grids of a function"
        )
    function, prefix = parts.groups()
    if function is None and prefix:  # also a function of such letters, as 'add'
        return lambda path: path.grid.startswith(prefix) or path.folder == prefix
    return lambda path: path.grid.startswith(prefix) and function in {None, path.folder}


def _check(timeout: Any, until: Any, interval: Any) -> None:
    if timeout is not None and not (is_number(timeout) and 0 <= timeout < math.inf):
        raise InputError(f"timeout is {brief(timeout)}; expected seconds, 0 or more, or None")
    if not (is_number(interval) and 0 < interval < math.inf):
        raise InputError(f"interval is {brief(interval)}; expected seconds, more than 0")
    if isinstance(until, type) and issubclass(until, Event):
        return
    if until is not None and (isinstance(until, type) or not callable(until)):
        raise InputError(
            f"until is {brief(until)}; expected a class of events, such as swarmgrid.RunFinished, "
            "or a function of an event"
        )
    if until is not None:
        check_plain("until", until)


watch.__module__ = "swarmgrid"
