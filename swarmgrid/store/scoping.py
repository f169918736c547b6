"""The scope that is open: what is computed in it goes to a store of its own."""

from __future__ import annotations

import contextlib
import re
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from swarmgrid.errors import InputError, brief
from swarmgrid.store.layout import SCOPES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swarmgrid.store.location import Location

_NAME = re.compile(r"[a-z0-9]([a-z0-9_.-]{0,62}[a-z0-9_-])?")


@dataclass(frozen=True, slots=True)
class OpenScope:
    """A scope, and the stores that it is of."""

    name: str
    home: Location | None = None
    """The shared store; None: every store that is used while the scope is open."""
    used: dict[str, Location] = field(default_factory=dict, repr=False, compare=False)
    """The shared stores that were used in it by this process, by URL."""

    def __reduce__(self) -> tuple[object, ...]:
        return OpenScope, (self.name, self.home)


_current: ContextVar[OpenScope | None] = ContextVar("swarmgrid-scope", default=None)


def checked_name(name: object) -> str:
    """The name of a scope; InputError if it is none: it is the name of a folder."""
    if isinstance(name, str) and _NAME.fullmatch(name):
        return name
    raise InputError(
        f"the name of the scope is {brief(name)}; expected up to 64 of the letters a-z, digits "
        "and '_', '-' and '.', with a letter or a digit first: it names a folder of the store"
    )


def in_scope(location: Location) -> Location:
    """The store that a call uses: that of the open scope, if it is of this store."""
    scope = _current.get()
    if location.scope is not None or scope is None or scope.home not in (None, location):
        return location
    if location.url.rstrip("/").endswith(f"/{SCOPES}/{scope.name}"):  # by its own address
        return location
    scope.used[location.url] = location
    return location.scoped(scope)


def current_scope() -> OpenScope | None:
    """The scope that is open in this context; None: there is none."""
    return _current.get()


def open_scope(scope: OpenScope) -> None:
    """Have a scope open in this context until it is closed."""
    _current.set(scope)


def close_scope() -> None:
    """Have no scope open in this context."""
    _current.set(None)  # they do not nest; and a token would belong to one task


def check_no_scope(what: str, location: Location | None = None) -> None:
    """Raise InputError in a scope, for what knows none."""
    scope = _current.get() if location is None else location.scope
    if scope is not None:
        raise InputError(
            f"{what} knows nothing of scopes, and {scope.name!r} is one; leave the with block, or "
            "pass the shared store. Scope.publish() adds the points of a scope to that"
        )


@contextlib.contextmanager
def opened(scope: OpenScope | None) -> Iterator[None]:
    """Have a scope open in this context within a ``with`` block."""
    token = _current.set(scope)
    try:
        yield
    finally:
        _current.reset(token)
