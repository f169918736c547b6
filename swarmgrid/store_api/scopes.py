"""Scopes: what is computed in one stays there until it is published or discarded."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING, Any, Self, TypeVar

from swarmgrid.codecs.keys import hold_keys
from swarmgrid.errors import InputError, brief
from swarmgrid.finding.resolve import location_of
from swarmgrid.handle.removing import drop
from swarmgrid.inventory.keeping import stored_grids, stored_rows
from swarmgrid.leases.preflight import check_writable
from swarmgrid.options import current_options
from swarmgrid.store.layout import LOCKS, SCOPES, GridPath
from swarmgrid.store.location import Location
from swarmgrid.store.scoping import (
    OpenScope,
    checked_name,
    close_scope,
    current_scope,
    open_scope,
)
from swarmgrid.store_api.catalog import Catalog
from swarmgrid.store_api.merging import Merging, check_merging, merged_grids
from swarmgrid.tracebacks import UserFrames

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping

    from swarmgrid.codecs.keys import Key
    from swarmgrid.store.blobs import Blobs

T = TypeVar("T")
_GRID_DIGITS = 32


class Scope:
    """A private part of a store: reads fall through to the shared store, writes stay in it.

    Made by `swarmgrid.scope`. Within a ``with`` block, calls of this context (thread or task) use
    the scope. As ``store=``, it is used whatever the context: ``compute(..., store=mine)``.
    """

    __module__ = "swarmgrid"

    def __init__(
        self,
        name: str,
        store: str | os.PathLike[str] | Any = None,
        *,
        storage_options: Mapping[str, Any] | None = None,
    ) -> None:
        if store is None and storage_options is not None:
            raise InputError(
                "storage_options are given without store; expected both, or neither: then the "
                "scope is of the store of each call"
            )
        home = None if store is None else _shared(store, storage_options)
        self._open = OpenScope(checked_name(name), home)

    @property
    def name(self) -> str:
        """The name of the scope."""
        return self._open.name

    @property
    def location(self) -> Location:
        """The store of the scope, as swarmgrid opens it.

        Raises
        ------
        InputError
            If the scope is of no one store.
        """
        (found,) = self._locations(may_be_several=False)
        return found

    def __enter__(self) -> Self:
        around = current_scope()
        if around is not None:
            raise InputError(
                f"scope {around.name!r} is open here, and scopes do not nest: close it first, or "
                f"pass store= to the calls that are to be in {self.name!r}"
            )
        open_scope(self._open)
        return self

    def __exit__(self, *error: object) -> None:
        close_scope()

    def __repr__(self) -> str:
        home = self._open.home
        return (
            f"<swarmgrid.Scope {self.name!r} of {'every store' if home is None else home.url!r}>"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self._open,)

    def catalog(self) -> Catalog:
        """Read which grids have points of the scope's own: those that `publish` would merge."""
        location = self.location
        rows = tuple(stored_rows(location))
        return Catalog(location, rows, time.time())

    def run(self, func: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
        """Call a function in the scope, as in a ``with`` block, and return what it returns.

        For threads: a plain thread begins outside of every scope, also if it is started within a
        ``with`` block. ``threading.Thread(target=mine.run, args=(work, 3))`` is in the scope, and
        so is ``pool.submit(mine.run, work, 3)``, of threads or of processes.

        Parameters
        ----------
        func : callable
            The function.
        *args, **kwargs
            Its arguments.

        Raises
        ------
        InputError
            If another scope is open already, or it is no function.
        """
        if not callable(func):
            raise InputError(f"func is {brief(func)}; expected a function, and then its arguments")
        if current_scope() == self._open:  # in a task, or a thread that was given the context
            return func(*args, **kwargs)
        with self:
            return func(*args, **kwargs)

    def publish(
        self,
        *,
        on_conflict: str = "raise",
        dry_run: bool = False,
        decrypt: bool = False,
        key: Key | Iterable[Key] | None = None,
    ) -> Merging:
        """Merge the points of the scope into the shared store, and leave them in the scope.

        The same call again adds nothing, and completes one that was cut short.

        Parameters
        ----------
        on_conflict : {"raise", "keep"}, default "raise"
            Whether a point that the shared store has with another value is an error before
            anything is written; or the shared store keeps its own value.
        dry_run : bool, default False
            Whether to write nothing, and only say what would be done.
        decrypt : bool, default False
            Whether points of an encrypted grid may join a shared one that is not encrypted, where
            anyone reads their values. Without that it is an error.
        key : Key or iterable of Key, optional
            The keys of encrypted grids.

        Returns
        -------
        Merging
            As `swarmgrid.merge` returns it.

        Raises
        ------
        ConflictError
            If there is a conflict. Nothing was written, as of `swarmgrid.merge`.
        InputError
            If grids do not go together, or the scope has used no store.
        DamageError
            If a value is damaged; `Grid.repair` comes first then.
        """
        __tracebackhide__ = True
        with UserFrames():
            check_merging(on_conflict, dry_run, decrypt)
            hold_keys("key", key)
            done = []
            for location in self._locations():
                assert location.below is not None
                rows = stored_rows(location)
                merging = merged_grids(
                    location, rows, location.below, on_conflict, dry_run=dry_run, decrypt=decrypt
                )
                done.append(merging)
            grids = tuple(grid for one in done for grid in one.grids)
            conflicts = tuple(conflict for one in done for conflict in one.conflicts)
            return Merging(grids, conflicts, dry_run)

    def discard(self) -> int:
        """Delete all that is stored in the scope; the shared store stays as it is.

        Waits while another process computes in the scope. A call that was cut short is completed
        by the same call.

        Returns
        -------
        int
            The number of grids that were deleted.

        Raises
        ------
        InputError
            If the scope has used no store.
        """
        __tracebackhide__ = True
        with UserFrames():
            return sum(_discarded(location) for location in self._locations())

    def _locations(self, *, may_be_several: bool = True) -> list[Location]:
        """The stores of the scope: of its shared store, or of those that were used in it."""
        homes = [self._open.home] if self._open.home is not None else [*self._open.used.values()]
        if not homes and current_options().store is not None:
            homes = [_shared(None, None)]
        if not homes or (len(homes) > 1 and not may_be_several):
            used = ", ".join(home.url for home in homes if home is not None) or "none"
            raise InputError(
                f"scope {self.name!r} is of no one store (used here: {used}); name it: "
                f"swarmgrid.scope({self.name!r}, store=...)"
            )
        return [home.scoped(self._open) for home in homes if home is not None]


def scope(
    name: str,
    store: str | os.PathLike[str] | Any = None,
    *,
    storage_options: Mapping[str, Any] | None = None,
) -> Scope:
    """Open a private part of a store, which others do not see until it is published.

    Within ``with swarmgrid.scope("alice"):``, every call reads the points of the scope and those
    of the shared store, computes only what both lack, and writes to the scope alone.
    `Scope.publish` merges its points into the shared store, `Scope.discard` deletes them.

    Parameters
    ----------
    name : str
        The name: lower-case letters, digits, ``_``, ``-`` and ``.``. The same name is the same
        scope, in every process.
    store : str, path or zarr.abc.store.Store, optional
        The shared store; calls for other stores are not in the scope. Default: every store that
        is used in the ``with`` block has a scope of that name.
    storage_options : mapping, optional
        Options with which a URL is opened.

    Returns
    -------
    Scope

    Raises
    ------
    InputError
        If the name cannot be that of a scope.

    Examples
    --------
    >>> import swarmgrid
    >>> @swarmgrid.grid(store="memory://scopes", executor="sync")
    ... def area(width, height):
    ...     return width * height
    >>> ds = area.compute({"height": 2.0}, {"width": [1, 2]})
    >>> with swarmgrid.scope("alice") as mine:
    ...     ds = area.compute({"height": 2.0}, {"width": [1, 2, 3]})  # computes 3
    >>> area.open({"height": 2.0}).sizes["width"]
    2
    >>> mine.publish().points_added
    1
    >>> area.open({"height": 2.0}).sizes["width"]
    3
    """
    return Scope(name, store, storage_options=storage_options)


def scopes(
    store: str | os.PathLike[str] | Any = None,
    *,
    storage_options: Mapping[str, Any] | None = None,
) -> list[str]:
    """List the names of the scopes of a store.

    Parameters
    ----------
    store : str, path or zarr.abc.store.Store, optional
        The shared store. Default: what `set_options` says.
    storage_options : mapping, optional
        Options with which a URL is opened.
    """
    blobs = _shared(store, storage_options).open()
    names = blobs.names(f"{SCOPES}/")
    return [name for name in names if _has_objects(blobs, f"{SCOPES}/{name}/")]


def _shared(store: Any, storage_options: Mapping[str, Any] | None) -> Location:
    """The shared store that a user names."""
    given = {"storage_options": storage_options} | ({} if store is None else {"store": store})
    if isinstance(store, Scope):
        raise InputError(f"store is {store!r}; expected the shared store, as scopes do not nest")
    location = location_of(current_options().updated(given))
    return location if location.below is None else location.below


def _restored(opened: OpenScope) -> Scope:
    found = Scope(opened.name)
    found._open = opened  # noqa: SLF001  # of the same class
    return found


def _discarded(location: Location) -> int:
    """Delete a scope's store: how many grids it had."""
    blobs = location.open()
    if not _has_objects(blobs, ""):
        return 0
    check_writable(location)
    n = 0
    # again: a run that ended meanwhile may have made another grid
    while paths := _grids(blobs):
        n += sum(_has_objects(blobs, path.prefix) for path in paths)
        for path in paths:  # under its lease: a run that goes on ends first
            drop(location, path, snapshots=True)
            _delete_below(blobs, path.locks)
    _delete_below(blobs, "")
    if location.is_directory:
        shutil.rmtree(location.url, ignore_errors=True)
    return n


def _grids(blobs: Blobs) -> list[GridPath]:
    """The grids that are stored, and those that a process is about to make."""
    stored = stored_grids(blobs)  # some stores keep the folders of objects that are gone
    found = {
        path.grid: path
        for path in stored
        if blobs.names(path.manifest) or _has_objects(blobs, path.prefix)
    }
    for name in blobs.names(f"{LOCKS}/"):
        if len(name) == _GRID_DIGITS and blobs.names(f"{LOCKS}/{name}/"):
            # a lease says no function, and it is all that there is of such a grid
            found.setdefault(name, GridPath("_", name))
    return list(found.values())


def _has_objects(blobs: Blobs, folder: str) -> bool:
    """Whether there is any object below a folder."""
    return any(
        blobs.get(folder + name, 0) is not None or _has_objects(blobs, f"{folder}{name}/")
        for name in blobs.names(folder)
    )


def _delete_below(blobs: Blobs, folder: str) -> None:
    for name in blobs.names(folder):
        _delete_below(blobs, f"{folder}{name}/")
        blobs.delete(folder + name)


for _public in (scope, scopes):
    _public.__module__ = "swarmgrid"  # users import them from there
