"""The one check of names: of axes, outputs, dims and coordinates, wherever they come from.

A name becomes the name of an array in the store, and so a part of keys and of paths.
"""

from __future__ import annotations

import functools
import unicodedata
from typing import TYPE_CHECKING

from swarmgrid.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_NBYTES = 200
"""Bytes of UTF-8; a file's name has up to 255, and those of second copies are longer."""
MAX_DIMS = 32
"""Of an array: numpy had no more until its version 2, and shards have two for each axis."""
_UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Categories of characters that cannot be seen, or not be stored, as half surrogate pairs."""


def checked_name(what: str, name: object) -> str:
    """The name as plain text.

    Parameters
    ----------
    what : str
        The kind of object that has the name: ``"output"``.
    name : object
        The name.

    Raises
    ------
    InputError
        If an array of a Zarr store cannot have it.
    """
    if not isinstance(name, str):
        reason: str | None = f"is no text but a {type(name).__name__}"
    else:
        name = str.__str__(name)  # members of enums that are str show themselves otherwise
        reason = _why_not(name)
        if reason is None:
            return name
    shown = repr(name)
    shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
    raise InputError(f"{what} has the name {shown}, which {reason}; give it another name")


def check_n_dims(what: str, n: int) -> None:
    """Raise InputError where an array would have more dims than every reader can have."""
    if n > MAX_DIMS:
        raise InputError(
            f"{what} has {n} dims; expected at most {MAX_DIMS}. Put values that belong together "
            "on one axis of labels, or in params"
        )


def check_different(what: str, names: Iterable[str]) -> None:
    """Raise InputError where two names are one as text, in whatever way it is written."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(unicodedata.normalize("NFC", name), name)
        if other is not name and other != name:
            raise InputError(
                f"the {what} {other!r} and {name!r} are the same text, {other!a} and "
                f"{name!a} in Unicode; rename one of them"
            )


def beside_axes(facts: Iterable[str], axes: Iterable[str]) -> dict[str, str]:
    """The names of facts about points, such as ``time``, beside the values of their axes.

    A fact that is named like an axis gets an underscore at its end: ``time_``.
    """
    facts = list(facts)
    taken = {*axes}
    found = {}
    for fact in facts:
        name = fact
        while name in taken or (name != fact and name in facts):
            name += "_"
        found[fact] = name
        taken.add(name)
    return found


@functools.lru_cache(maxsize=1024)  # the same names come back from every point
def _why_not(name: str) -> str | None:
    """The reason why an array cannot have a name, as the end of a sentence."""
    if not name or name != name.strip():
        return "is empty" if not name else "begins or ends with a blank"
    if "/" in name or "\\" in name:
        return "has a slash in it"
    if name.startswith((".", "__")):
        return "begins with a dot" if name[0] == "." else "Zarr reserves, by its two underscores"
    if name.casefold() == "zarr.json":
        return "is that of the metadata of a Zarr array"
    if any(unicodedata.category(character) in _UNSEEN for character in name):
        return "has a character in it that cannot be seen, such as a line break"
    if len(name.encode()) > MAX_NBYTES:
        return f"has {len(name.encode())} bytes; a file's name has room for {MAX_NBYTES}"
    return None
