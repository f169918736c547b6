"""The version of a memo's function: it stands for its code and all else that is no param."""

from __future__ import annotations

import inspect
import sys
from types import FunctionType
from typing import TYPE_CHECKING, Any

from swarmgrid import identity
from swarmgrid.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ChunkKey = tuple[tuple[str, tuple[Any, ...]], ...]
"""A memo chunk by its axes' values: ``(("strat", ("aaa",)), ("s", (1, 2, 3)))``."""


def code_version(exec_fn: Callable[..., Any], cache_version: str | None) -> str:
    """The version given by hand, the fingerprint of the function's code, or both.

    Both, where the function's name, which is the grid's, does not tell it from others.

    Raises
    ------
    IdentityError
        If the function holds a value that has no stable digest.
    """
    if cache_version is not None and _is_told_by_name(exec_fn):
        return str(cache_version)
    version = "" if cache_version is None else f"{cache_version} "
    return f"{version}code-{identity.fingerprint(exec_fn)}"


def _is_told_by_name(func: Any) -> bool:
    """Whether there is one function of this name: no lambda, partial, method of an object, ...

    A decorated function has the closure of its decorator, but is what its module has by its name.
    """
    func = getattr(func, "__swarmgrid_function__", func)
    name = getattr(func, "__qualname__", None)
    if name is None or "<" in name:
        return False
    if isinstance(func, FunctionType) and not func.__closure__:
        return True
    found: Any = sys.modules.get(func.__module__)
    for part in name.split("."):
        found = getattr(found, part, None)
    return callable(found) and inspect.unwrap(found, stop=lambda one: one is func) is func


def hashes_version(said: Mapping[ChunkKey, Any]) -> str:
    """The digest of what a user's hash function says of each chunk.

    Where it says the same of all, it does not count which chunks these are, so that such a cache
    can grow. Else every set of chunks is a cache of its own: a hash that may change with a
    chunk's values says nothing of single points, by which a grid keeps what it has.

    Raises
    ------
    InputError
        If it says anything but a string.
    """
    wrong = [text for text in said.values() if not isinstance(text, str)]
    if wrong:
        raise InputError(f"chunk_hash_fn returned {wrong[0]!r}; expected a string")
    different = set(said.values())
    return identity.digest(different if len(different) == 1 else said, "chunk_hash_fn")
