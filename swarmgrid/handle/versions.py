"""Grids whose code has changed since: found again by the version that is stored with them."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING

from swarmgrid.errors import InputError, brief
from swarmgrid.format import zarr_metadata
from swarmgrid.identity import function_name
from swarmgrid.planning.request import code_digits
from swarmgrid.store import checked_json
from swarmgrid.store.layout import DATA, METADATA, GridPath

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from swarmgrid.options import Options
    from swarmgrid.store.blobs import Blobs
    from swarmgrid.store.location import Location

_MAX_READ = 200
"""An error reads this many grids at most."""
_MAX_SHOWN = 4
"""An error shows this many grids."""


def with_whole_version(options: Options, func: Callable[..., Any], location: Location) -> Options:
    """The options with a version ``code-3535``, which begins one, replaced by the stored one.

    Raises
    ------
    InputError
        If the code of no stored grid of the function begins so, or that of several.
    """
    digits = code_digits(options.version)
    if digits is None or len(digits) == 32:
        return options
    name = function_name(func).rpartition(".")[2]
    stored = Counter(version for _, version, _ in _stored(location.open(), name))
    found = [version for version in stored if version.startswith(f"code-{digits}")]
    if len(found) == 1:
        return options.updated({"version": found[0]})
    shown = ", ".join(f"{version} ({n} grids)" for version, n in stored.most_common(_MAX_SHOWN))
    many = f"{len(found)} versions" if found else "no version"
    raise InputError(
        f"version is {options.version!r}; {many} of the stored grids of {name!r} in "
        f"{location.url!r} begins so; stored: {shown or 'none'}"
        + ("; pass more digits" if found else "")
    )


def check_is_no_code(version: object) -> None:
    """Raise InputError where a call that may compute names the code of an old grid."""
    if code_digits(version) is not None:
        raise InputError(
            f"version is {version!r}, which names the code that a stored grid was computed with; "
            "only open, errors, verify, repair, convert and grid take it, because compute would "
            "put results of the present code among the old ones. Leave version= out, or choose "
            "another text"
        )


def others(blobs: Blobs, path: GridPath) -> str:
    """The grids of a function that are stored, for the error that one is not; empty for none."""
    try:
        found = list(itertools.islice(_stored(blobs, path.function), _MAX_READ))
    except OSError:  # the error that is being made says more
        return ""
    shown = [
        f"{one.group} (version={version!r}, params {brief(params)[1:-1]})"
        for one, version, params in found
        if one.grid != path.grid
    ]
    if not shown:
        return ""
    more = f" and {len(shown) - _MAX_SHOWN} more" if len(shown) > _MAX_SHOWN else ""
    return (
        f". Stored of {path.function}: {', '.join(shown[:_MAX_SHOWN])}{more}. "
        "open(params, version=...) or Grid.open(store, id) reads one of them"
    )


def _stored(blobs: Blobs, function: str) -> Iterator[tuple[GridPath, str, str]]:
    """The stored grids of a function: each with its version, and its params for people."""
    folder = GridPath(function, "").folder
    for name in sorted(blobs.names(f"{DATA}/{folder}/")):
        data = blobs.get(f"{DATA}/{folder}/{name}/{METADATA}", checked_json.MAX_DOCUMENT)
        texts = {} if data is None else zarr_metadata.stored_texts(data)
        if version := texts.get("swarmgrid_version"):
            yield GridPath(function, name), version, texts.get("swarmgrid_params", "")
