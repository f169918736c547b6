"""What stands for the code of a memo's function, and for all else that is not among its params."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swarmgrid import identity
from swarmgrid.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ChunkKey = tuple[tuple[str, tuple[Any, ...]], ...]
"""A memo chunk by its axes' values: ``(("strat", ("aaa",)), ("s", (1, 2, 3)))``."""


def code_version(exec_fn: Callable[..., Any], cache_version: str | None) -> str:
    """The version given by hand, or the fingerprint of the function's code.

    Raises
    ------
    IdentityError
        If the function closes over a value that has no stable digest.
    """
    if cache_version is None:
        return f"code-{identity.fingerprint(exec_fn)}"
    return str(cache_version)


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
