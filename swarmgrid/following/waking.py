"""Wakes a watcher: where the store says that something has changed, by that, else by a clock.

What wakes it is a hint. What has happened is read from the manifest, whether a hint came or not.
"""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from swarmgrid.errors import SwarmgridError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from swarmgrid.store.location import Location

_STEP_SECONDS = 1.0
"""A wait for hints looks so often whether it was ended."""
# of watchfiles: the longest time to gather changes, and the time without one that ends it
_GATHER_MS, _LISTEN_MS = 100, 20


class Waker(Protocol):
    """Something that ends a pause early."""

    name: str
    """The name of what it is woken by."""

    def wait(self, seconds: float, folders: Sequence[str]) -> None:
        """Wait so long, or until something may have changed in some folders of the store."""

    def wake(self) -> None:
        """End the wait, or the next one, from any thread."""

    def close(self) -> None:
        """Let go of what it uses."""


class Clock:
    """Waits for the time to pass: of the store nothing is known in between."""

    name = "polling"

    def __init__(self) -> None:
        self._woken = threading.Event()

    def wait(self, seconds: float, folders: Sequence[str]) -> None:  # noqa: ARG002
        self._woken.wait(seconds)
        self._woken.clear()

    def wake(self) -> None:
        self._woken.set()

    def close(self) -> None:
        """Nothing to let go."""


class Inotify:
    """Waits for changes in the folders of a directory.

    Parameters
    ----------
    root : str
        The directory.
    watch : callable
        ``watchfiles.watch``.
    """

    name = "inotify"

    def __init__(self, root: str, watch: Callable[..., Iterator[Any]]) -> None:
        self._root = Path(root)
        self._watch = watch
        self._woken = threading.Event()
        self._folders: tuple[Path, ...] = ()
        self._changes: Any = None

    def wait(self, seconds: float, folders: Sequence[str]) -> None:
        paths = tuple(path for name in folders if (path := self._root / name).is_dir())
        if paths != self._folders or self._changes is None:
            self._open(paths)
            return  # what has changed since the last look is not known: look again
        if len(paths) < len(folders):  # a folder that is made later is not seen to be made
            seconds = min(seconds, _STEP_SECONDS)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = next(self._changes, None)
            if found is None:  # it was woken
                self.close()
                self._woken.clear()
            if found is None or found:
                return

    def _open(self, paths: tuple[Path, ...]) -> None:
        self.close()
        self._folders = paths
        if not paths:
            self._changes = None
            self._woken.wait(_STEP_SECONDS)
            self._woken.clear()
            return
        self._changes = self._watch(
            *paths,
            watch_filter=None,
            debounce=_GATHER_MS,
            step=_LISTEN_MS,
            stop_event=self._woken,
            # so an empty set comes after each second, and `wait` looks whether its time is over
            rust_timeout=int(_STEP_SECONDS * 1000),
            yield_on_timeout=True,
            recursive=False,
        )

    def wake(self) -> None:
        self._woken.set()

    def close(self) -> None:
        if self._changes is not None:
            self._changes.close()
            self._changes = None


class Hints:
    """Waits for what writers add to a stream of the store.

    Parameters
    ----------
    store : Redis
        The store.
    """

    name = "hints of the store"

    def __init__(self, store: Any) -> None:
        self._store = store
        self._woken = threading.Event()
        self._last = ""

    def wait(self, seconds: float, folders: Sequence[str]) -> None:  # noqa: ARG002
        end = time.monotonic() + seconds
        while True:
            if self._woken.is_set():
                self._woken.clear()
                return
            left = end - time.monotonic()
            if left <= 0:
                return
            try:
                found = self._store.wait_for_hint(self._last, min(left, _STEP_SECONDS))
            except Exception:  # noqa: BLE001  # a hint is none; the look finds what is wrong
                self._woken.wait(min(left, _STEP_SECONDS))
                continue
            if found != self._last:
                self._last = found
                return

    def wake(self) -> None:
        self._woken.set()

    def close(self) -> None:
        """Nothing to let go: the stream ends by itself."""


def waker_for(location: Location) -> Waker:
    """The waker of a store: inotify in a directory, a stream on Redis, else a clock."""
    if location.is_directory:
        with contextlib.suppress(ImportError):
            from watchfiles import watch

            return Inotify(location.url, watch)
    elif not location.url.startswith("memory://"):
        with contextlib.suppress(SwarmgridError):
            store = location.zarr_store()
            if hasattr(store, "wait_for_hint"):
                return Hints(store)
    return Clock()
