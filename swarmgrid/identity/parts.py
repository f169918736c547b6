"""The fingerprint of a function: its own code, and everything of the user's own that it uses."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import PurePath
from types import FunctionType, MethodType
from typing import Any

from swarmgrid.errors import InputError
from swarmgrid.identity import source
from swarmgrid.identity.encode import Called, Walk, to_digest
from swarmgrid.user_code.ownership import Frame, label, qualname, top_level, unwrapped, walking_by


@dataclass(frozen=True, slots=True)
class Part:
    """Something that counts in a fingerprint."""

    path: str
    """The place of the part: ``global 'args' of train``, ``code of pk.helper``."""
    kind: str
    """The kind of the part: ``code``, the name of its class, or ``ignored``."""
    digest: str
    """32 hex digits of it and all that it refers to."""


@dataclass(frozen=True)
class Fingerprint:
    """The digest that stands for the code of a function, and the parts that it covers."""

    digest: str
    """32 hex digits."""
    walk: Walk

    @functools.cached_property
    def parts(self) -> tuple[Part, ...]:
        """Everything that counts, in the order in which it was found."""
        code = [Part(place, "code", source.own_text(one).hex()) for place, one in self.walk.codes]
        return (*code, *(Part(*one) for one in self.walk.digest_of_entries()))

    def sources(self) -> dict[str, tuple[str, str]]:
        """Return by the path of code its file's name, without folders, and its source."""
        return {
            place: (PurePath(code.co_filename).name, source.shown_text(code))
            for place, code in self.walk.codes
        }


def fingerprint(func: Callable[..., Any], ignore: Collection[str] = ()) -> str:
    """Digest a function's code and everything of the user's own that it uses: 32 hex digits.

    Comments, docstrings, decorators, layout and spelling do not count, nor do annotations of what
    is only called. Helpers, constants, defaults, attributes and closure variables do, as do those
    of the helpers, as long as they are in the function's own top-level package or outside the
    installed libraries. Undoing an edit brings the old digits back.

    Parameters
    ----------
    func : callable
        A function, method, class, partial, or object with ``__call__``.
    ignore : collection of str
        Names that do not count: of globals, closure variables, defaults and attributes, as
        ``name`` or ``module:name``.

    Raises
    ------
    IdentityError
        A value that the function can reach is not understood.
    InputError
        A name in ``ignore`` is none of those that count.
    """
    return explained(func, ignore).digest


def explained(func: Callable[..., Any], ignore: Collection[str] = ()) -> Fingerprint:
    """Return the fingerprint of a function with all that counts in it; see `fingerprint`."""
    found = _walked(func, ignore)
    _check_ignored(found.walk)
    return found


def _walked(
    func: Callable[..., Any], ignore: Collection[str], *, is_comparison: bool = False
) -> Fingerprint:
    inner = _innermost(func)
    # A library's objects go by their state: to follow their code would be to walk the library.
    is_function = isinstance(inner, FunctionType | MethodType)
    home = top_level(inner.__module__ or "") if is_function else None
    walk = Walk(home, ignore, is_comparison=is_comparison)
    func = unwrapped(func)
    start = Called(func) if isinstance(func, FunctionType) else func
    return Fingerprint(to_digest(walk.over(start, qualname(inner))), walk)


def fingerprint_parts(
    func: Callable[..., Any], by: Frame, ignore: Collection[str] = ()
) -> dict[str, str]:
    """Return digests of what counts for a fingerprint by its place, of code as it is in memory.

    They are the same in a process that the function has travelled to by value. Each is that of the
    value alone, so that a difference shows at its own place; the last is that of everything.
    """
    with walking_by(by):
        found = _walked(func, ignore, is_comparison=True)
        return {**_alone(found), "all of it": found.digest}


def _alone(found: Fingerprint) -> dict[str, str]:
    """Return digests by place, each of a value without what it refers to."""
    walk = found.walk
    encodings = [(place, source.own_text(code)) for place, code in walk.codes]
    encodings += [(one.place, one.encoding) for one in walk.entries]
    encodings += [(place, walk.nodes[number].encoding) for number, _, place in walk.waiting]
    parts: dict[str, str] = {}
    for place, encoding in encodings:
        earlier = parts.get(place, "").encode()
        parts[place] = hashlib.blake2b(earlier + encoding, digest_size=16).hexdigest()
    return parts


def function_name(func: Callable[..., Any]) -> str:
    """Return ``module.qualname``, the same whether the function's module is imported or run."""
    return label(_innermost(func))


def changes(before: Fingerprint, after: Fingerprint) -> list[str]:
    """Return the paths of the named values that differ between two fingerprints of a function."""
    old, new = _alone(before), _alone(after)
    found = [path for path in {**old, **new} if old.get(path) != new.get(path)]
    return [path for path in found if "'" in path] or found


def _check_ignored(walk: Walk) -> None:
    for name in sorted({*walk.ignore} - walk.ignored):
        known = sorted({one.place.partition("'")[2].partition("'")[0] for one in walk.entries})
        close = get_close_matches(name.rpartition(":")[2], known, 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise InputError(
            f"ignore names {name!r}, which is nothing that the function uses{hint} "
            "plan(explain=True) lists what counts"
        )


def _innermost(func: Any) -> Any:
    """Return what a call reaches behind our decorator and partials; else its class."""
    func = getattr(func, "__swarmgrid_function__", func)
    if isinstance(func, functools.partial):
        return _innermost(func.func)
    return func if hasattr(func, "__name__") else type(func)
