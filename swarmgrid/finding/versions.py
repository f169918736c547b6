"""Grids whose code has changed since: found again by the version that is stored with them."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from swarmgrid.errors import InputError, brief
from swarmgrid.format import zarr_metadata
from swarmgrid.identity import fingerprint, function_name
from swarmgrid.planning.request import DEFAULTS, code_digits
from swarmgrid.store import checked_json
from swarmgrid.store.layout import DATA, METADATA, GridPath

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from swarmgrid.options import Options
    from swarmgrid.store.blobs import Blobs
    from swarmgrid.store.location import Location

_WHOLE = 32
"""The digits of a whole version."""
_MAX_READ = 200
"""An error reads this many grids at most."""
_MAX_SHOWN = 4
"""An error shows this many grids."""


def stored_code(
    options: Options, func: Callable[..., Any], location: Location
) -> tuple[Options, Mapping[str, str] | None]:
    """The options of a lookup, and the digests of the defaults that earlier code had.

    A version ``code-3535``, which begins a stored one, is replaced by the whole. It is left out
    where it is the present code's: then the defaults are the present ones, too.

    Raises
    ------
    InputError
        If the code of no stored grid of the function begins so, or that of several.
    """
    digits = code_digits(options.version)
    if digits is None:
        return options, None
    name = function_name(func).rpartition(".")[2]
    grids = [one for layer in location.layers for one in _stored(layer.open(), name)]
    stored = Counter(one.version for one in grids)
    found = [version for version in stored if version.startswith(f"code-{digits}")]
    if len(found) != 1 and len(digits) < _WHOLE:
        most = stored.most_common(_MAX_SHOWN)
        shown = ", ".join(f"{version} ({n} grids)" for version, n in most)
        many = f"{len(found)} versions" if found else "no version"
        raise InputError(
            f"version is {options.version!r}; {many} of the stored grids of {name!r} in "
            f"{location.url!r} begins so; stored: {shown or 'none'}"
            + ("; pass more digits" if found else "")
        )
    version = found[0] if found else options.version
    if version == _present(options, func):
        return options.updated({"version": None}), None
    defaults: dict[str, str] = {}
    for one in grids:  # each knows those that it used; one code has one default of each parameter
        if one.version == version:
            defaults |= one.defaults
    return options.updated({"version": version}), defaults


def without_present_code(options: Options, func: Callable[..., Any]) -> Options:
    """The options of a call that may compute: without a version that names the present code.

    Raises
    ------
    InputError
        If the version names other code.
    """
    if code_digits(options.version) is None:
        return options
    present = _present(options, func)
    if present is not None and present.startswith(str(options.version)):
        return options.updated({"version": None})
    raise InputError(
        f"version is {options.version!r}, which names the code that a stored grid was computed "
        f"with; the present code is {present or 'not known'}. Only open, errors, verify, repair, "
        "convert and grid take the version of other code, because compute would put results of "
        "the present code among the old ones. Leave version= out, or choose another text"
    )


def _present(options: Options, func: Callable[..., Any]) -> str | None:
    """The version of a function's code as it is now; None where it has no fingerprint."""
    try:
        return f"code-{fingerprint(func, options.ignore or ())}"
    except InputError:  # so it has made no grid: the version is of other code
        return None


def others(blobs: Blobs, path: GridPath) -> str:
    """The grids of a function that are stored, for the error that one is not; empty for none."""
    try:
        found = list(itertools.islice(_stored(blobs, path.function), _MAX_READ))
    except OSError:  # the error that is being made says more
        return ""
    shown = [
        f"{one.path.group} (version={one.version!r}, params {brief(one.params)[1:-1]})"
        for one in found
        if one.path.grid != path.grid
    ]
    if not shown:
        return ""
    more = f" and {len(shown) - _MAX_SHOWN} more" if len(shown) > _MAX_SHOWN else ""
    return (
        f". Stored of {path.function}: {', '.join(shown[:_MAX_SHOWN])}{more}. "
        "open(params, version=...) or Grid.open(store, id) reads one of them"
    )


@dataclass(frozen=True, slots=True)
class _Stored:
    """A stored grid of a function."""

    path: GridPath
    version: str
    params: str
    """For people."""
    defaults: Mapping[str, str]
    """The digests of the defaults that it was computed with, by parameter."""


def _stored(blobs: Blobs, function: str) -> Iterator[_Stored]:
    """The stored grids of a function."""
    folder = GridPath(function, "").folder
    for name in sorted(blobs.names(f"{DATA}/{folder}/")):
        data = blobs.get(f"{DATA}/{folder}/{name}/{METADATA}", checked_json.MAX_DOCUMENT)
        found = {} if data is None else zarr_metadata.stored_attributes(data)
        version, params = found.get("swarmgrid_version"), found.get("swarmgrid_params")
        defaults = found.get(DEFAULTS)
        if isinstance(version, str) and version:
            yield _Stored(
                GridPath(function, name),
                version,
                params if isinstance(params, str) else "",
                defaults if isinstance(defaults, dict) else {},
            )
