"""The kinds of stores that a URL can name, by its scheme; packages can add further ones."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from swarmgrid.errors import InputError, StoreError, brief

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from importlib import metadata

GROUP = "swarmgrid.stores"
"""The group of entry points: a scheme, and a callable that opens ``(url, **storage_options)``."""
FILES = ("sqlite", "lmdb")
CLOUD = ("s3", "s3a", "gs", "az", "abfs", "abfss")
OWN = ("memory", "file")
"""The schemes that need no store of a URL's own."""
ALIASES = {"s3a", "abfs", "abfss", "rediss", "valkey", "valkeys"}
"""Other words for schemes, which messages leave out."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """A kind of store, as it is opened."""

    home: str
    """The module and the callable that opens a URL, ``"module:name"``."""
    example: str
    """A URL of it."""
    extra: str = ""
    """The extra that installs what it needs; empty: nothing."""


_REDIS = Scheme("swarmgrid.stores.redis:open_url", "redis://host:6379/0?name", "redis")
SCHEMES: Mapping[str, Scheme] = {
    **{
        name: Scheme("swarmgrid.stores.cloud:open_url", f"{name}://bucket/path", "cloud")
        for name in CLOUD
    },
    "sqlite": Scheme("swarmgrid.stores.sqlite:open_url", "sqlite:///a.db"),
    "lmdb": Scheme("swarmgrid.stores.lmdb:open_url", "lmdb:///folder", "lmdb"),
    **dict.fromkeys(("redis", "rediss", "valkey", "valkeys"), _REDIS),
    "dynamodb": Scheme("swarmgrid.stores.dynamodb:open_url", "dynamodb://table?name", "dynamodb"),
}
"""The schemes of this package."""


def parsed(url: str, options: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The URL as any process can open it, and its options; nothing is opened.

    A relative path becomes that of the folder of now. Credentials move into the options, which
    are never shown; before the ``@`` of an ``abfss://`` URL is its container.

    Raises
    ------
    InputError
        If no store has the scheme, or the URL lacks a part.
    """
    begin, _, rest = url.partition("://")
    scheme = begin.lower()
    if scheme not in SCHEMES and scheme not in added():
        raise _unknown(url, scheme)
    if scheme in CLOUD and (not rest.strip("/") or rest.startswith("/")):
        raise InputError(
            f"store {url!r} names no bucket; expected {scheme}://bucket/path/of/the/store"
        )
    if scheme in FILES:
        return _of_file(url, scheme, rest), dict(options)
    found = dict(options)
    match = re.match(r"([^/?#]*)@", rest)  # to the last @: a password may have another
    if match and (":" in match[1] or not scheme.startswith("abfs")):
        user, _, password = match[1].partition(":")
        rest = rest[match.end() :]
        found |= {"username": unquote(user)} if user else {}
        found |= {"password": unquote(password)} if password else {}
    if "@" in rest and scheme not in CLOUD and scheme in SCHEMES:
        raise InputError(  # without the URL: what is there is a part of the password
            f"a {scheme}:// URL has an @ after its host's end; pass the password in "
            "storage_options={'password': ...}, or write its characters /, ?, # as %2F, %3F, %23"
        )
    return f"{scheme}://{rest.rstrip('/')}", found


def _of_file(url: str, scheme: str, rest: str) -> str:
    example = SCHEMES[scheme].example
    if not rest.startswith("/") or not rest.strip("/"):
        raise InputError(
            f"store {url!r} names no file; expected {example}, with three slashes, in the current "
            f"folder, or {scheme}:////home/me/{example.rpartition('/')[2]}, with four"
        )
    path, _, query = rest[1:].partition("?")
    if query:
        raise InputError(
            f"store {url!r} ends in ?{query}; expected a file alone. Pass options as "
            "storage_options"
        )
    if path == ":memory:":
        raise InputError(
            f"store {url!r} would keep nothing; expected memory://name, or a file: {example}"
        )
    return f"{scheme}:///{os.path.abspath(os.path.expanduser(path))}"


def path_of(given: str | os.PathLike[str], scheme: str) -> str:
    """The absolute path of a file that is given by its path, or by a URL of its scheme."""
    path = os.fspath(given)
    if path.lower().startswith(f"{scheme}:"):
        return parsed(path, {})[0].removeprefix(f"{scheme}:///")
    return os.path.abspath(os.path.expanduser(path))


def from_url(url: str, storage_options: Mapping[str, Any] | None = None) -> Any:
    """Open the Zarr store of a URL: ``s3://``, ``redis://``, ``sqlite:///``, ...

    Parameters
    ----------
    url : str
        The URL.
    storage_options : mapping, optional
        The settings that the kind of store takes.

    Returns
    -------
    zarr.abc.store.Store

    Raises
    ------
    InputError
        If no store has the scheme, or its extra is not installed.

    Examples
    --------
    >>> import swarmgrid
    >>> swarmgrid.stores.from_url("sqlite:////tmp/a.db", {"synchronous": "NORMAL"})
    SQLite('sqlite:////tmp/a.db')
    """
    url, options = parsed(url, storage_options or {})
    scheme = url.partition("://")[0]
    try:
        store = _opener(scheme)(url, **options)
    except TypeError as error:
        raise InputError(
            f"store {url!r} cannot be opened with the storage options {sorted(options)}: {error}"
        ) from error
    if not hasattr(store, "set_if_not_exists"):
        raise StoreError(
            f"store {url!r} was opened as {brief(store)}, a {type(store).__name__}; expected a "
            f"zarr.abc.store.Store of the entry point {scheme!r} in the group {GROUP!r}"
        )
    return store


def added() -> Mapping[str, metadata.EntryPoint]:
    """The schemes that installed packages add; those of this package stay its own."""
    from importlib import metadata  # 15 ms, for schemes that few stores have

    found = {point.name.lower(): point for point in metadata.entry_points(group=GROUP)}
    return {name: point for name, point in found.items() if name not in {*SCHEMES, *OWN}}


def known() -> str:
    """All schemes in a sentence, with the extras that they need."""
    needs: dict[str, list[str]] = {}
    for name, scheme in SCHEMES.items():
        if name not in ALIASES:
            needs.setdefault(scheme.extra, []).append(f"{name}://")
    parts = [
        f"{', '.join(names)}{f' (extra {extra!r})' if extra else ''}"
        for extra, names in needs.items()
    ]
    return ", ".join([*parts, *(f"{name}://" for name in added())])


def _unknown(url: str, scheme: str) -> InputError:
    close = get_close_matches(scheme, [*SCHEMES, *OWN, *added()], 1)
    hint = f". Did you mean {close[0]}://?" if close else ""
    return InputError(
        f"store {url!r} has the scheme {scheme!r}; expected a path, memory://, {known()}, or a "
        f"Zarr store; a package adds one by an entry point in the group {GROUP!r}{hint}"
    )


def _opener(scheme: str) -> Callable[..., Any]:
    if scheme not in SCHEMES:
        return _loaded(added()[scheme])
    module, _, name = SCHEMES[scheme].home.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), name)
    return found


@cache
def _loaded(point: metadata.EntryPoint) -> Callable[..., Any]:
    try:
        found: Callable[..., Any] = point.load()
    except Exception as error:  # any package may raise anything
        package = "a package" if point.dist is None else f"the package {point.dist.name}"
        raise StoreError(
            f"{point.name}:// cannot be used: {package} adds it by the entry point {point.value!r}"
            f", which cannot be loaded: {type(error).__name__}: {error}"
        ) from error
    return found
