"""Finds a stored grid: by its function and params, whatever values its axes have, or by its id."""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from swarmgrid import identity
from swarmgrid.errors import InputError, brief, no_function
from swarmgrid.finding.versions import others, stored_code
from swarmgrid.format import zarr_metadata
from swarmgrid.planning.request import Function, identified, to_params
from swarmgrid.store import checked_json
from swarmgrid.store.grid_ref import GridRef
from swarmgrid.store.layout import DATA, METADATA, GridPath
from swarmgrid.store.location import Location, to_location
from swarmgrid.store.scoping import in_scope

if TYPE_CHECKING:
    from swarmgrid.options import Options
    from swarmgrid.space.axis import Axis
    from swarmgrid.store.blobs import Blobs

_GRID = re.compile(r"[0-9a-f]{32}")
_MAX_SHOWN = 8
"""The most grids that an error lists."""


def grid_ref(
    options: Options, params: Mapping[str, Any] | None, axes: Sequence[str] | str | None
) -> GridRef:
    """The grid of a function with some params.

    Parameters
    ----------
    options : Options
        The function, the store, and how the function is identified.
    params : mapping or None
        The fixed values.
    axes : sequence of str or None
        The axes' names; None: those of the one stored grid with these params, or else the
        function's parameters that nothing gives a value.

    Raises
    ------
    InputError
        If several such grids are stored.
    """
    func, location = func_of(options), location_of(options)
    options, defaults = stored_code(options, func, location)
    function = identified(
        func,
        options.version,
        options.rng,
        vectorized=options.vectorized,
        depends=options.depends,
        ignore=options.ignore,
        defaults=defaults,
    )
    params = to_params(params)
    names = axis_names(axes)
    for one in () if names else location.layers:
        names = names or _stored_axis_names(one.open(), function, params)
    if names is None:
        names = _free_parameters(func, {*params, options.rng})
    return function.ref(location, params, names)


def named_ref(location: Location, name: object) -> GridRef:
    """The one stored grid with an id that begins with some text; lists the store's groups.

    Parameters
    ----------
    location : Location
        The store.
    name : str
        The grid id or its first digits, alone or behind the function's name and a ``/``.

    Raises
    ------
    InputError
        If no grid, or more than one, has such an id.
    """
    from swarmgrid.inventory.keeping import stored_grids
    from swarmgrid.inventory.row import GRID_NAME

    parts = GRID_NAME.fullmatch(name) if isinstance(name, str) else None
    if parts is None:
        raise InputError(
            f"grid is {brief(name)}; expected a grid id, 32 hex digits, or the first of them, "
            "such as '324fd638' or 'simulate/324fd638'"
        )
    function, prefix = parts[1], parts[2]
    stored = list(dict.fromkeys(p for one in location.layers for p in stored_grids(one.open())))
    found = [
        path for path in stored if path.grid.startswith(prefix) and function in (None, path.folder)
    ]
    if len(found) == 1:
        return GridRef(location, found[0])
    what = "no grid" if not found else f"{len(found)} grids"
    shown = ", ".join(path.group for path in (found or stored)[:_MAX_SHOWN])
    more = len(found or stored) - _MAX_SHOWN
    raise InputError(
        f"{what} in {location.url!r} has an id that begins with {prefix!r}"
        + (f" and is of {function!r}" if function else "")
        + (f"; stored: {shown}" if shown else "; nothing is stored there: is the path right?")
        + (f" and {more} more" if more > 0 else "")
        + ("; pass more digits" if found else "")
    )


def not_stored(ref: GridRef) -> InputError:
    """The error that nothing is stored of a grid."""
    scope = ref.location.scope
    private = (
        ""
        if scope is None
        else (
            f" Scope {scope.name!r} has no part of its own of it; what the shared store has is "
            "changed there alone"
        )
    )
    return InputError(
        f"nothing is stored of {ref.path.function} for these params and axes in "
        f"{ref.location.url!r} (grid {ref.path.grid}); an edited function or other params make "
        f"another grid{others(ref.location.open(), ref.path)}.{private}".rstrip(".")
    )


def axis_names(axes: object) -> list[str] | None:
    """The names of axes, as a user gives them: one, several, or those of a mapping."""
    if axes is None:
        return None
    if isinstance(axes, str):
        return [axes]
    names = list(axes) if isinstance(axes, (list, tuple, Mapping)) else None
    if names is None or not all(isinstance(name, str) for name in names):
        raise InputError(f"axes is {brief(axes)}; expected a list of the axes' names")
    if len(set(names)) < len(names):
        raise InputError(f"axes is {brief(axes)}; expected each name once")
    return names


def in_order(axes: tuple[Axis, ...], names: Sequence[str] | None) -> tuple[Axis, ...]:
    """The axes in the order of some names; InputError if these are not all of theirs."""
    if names is None:
        return axes
    by_name = {axis.name: axis for axis in axes}
    if sorted(names) != sorted(by_name):
        raise InputError(f"axes is {list(names)}; expected the grid's axes, {list(by_name)}")
    return tuple(by_name[name] for name in names)


def func_of(options: Options) -> Callable[..., Any]:
    """The function that the options say; InputError if they do not."""
    if options.func is None:
        raise InputError(
            "there is no function; pass it first or as func=, or set it with swarmgrid.set_options"
        )
    if not callable(options.func):
        raise no_function(options.func)
    return options.func


def location_of(options: Options) -> Location:
    """The store that the options say; InputError if they do not."""
    if options.store is None:
        raise InputError(
            "there is no store; pass store= (a directory, a URL or a Zarr store), or set it with "
            "swarmgrid.set_options"
        )
    return in_scope(to_location(options.store, options.storage_options))


def _stored_axis_names(
    blobs: Blobs, function: Function, params: Mapping[str, Any]
) -> list[str] | None:
    """The axes of the one stored grid of a function that has these params, if there is one."""
    folder = f"{DATA}/{GridPath(function.short_name, '').folder}/"
    grids = [name for name in blobs.names(folder) if _GRID.fullmatch(name)]
    found = []
    for _, alike in itertools.groupby(sorted(grids), lambda grid: grid[: identity.AXES_DIGITS]):
        names = _common_axes(blobs, folder, alike)
        if names is None or not params.keys().isdisjoint(names):
            continue
        if function.path(params, names).grid in grids:
            found.append(names)
    if len(found) > 1:
        raise InputError(
            f"{len(found)} grids of {function.name} with these params are stored, with the axes "
            f"{' and '.join(map(str, found))}; pass axes="
        )
    return found[0] if found else None


def _common_axes(blobs: Blobs, folder: str, alike: Iterable[str]) -> list[str] | None:
    """The names of the axes of grids whose ids say that they have the same: read from one of them.

    From the next where the document of one is missing or damaged.
    """
    for grid in alike:
        data = blobs.get(f"{folder}{grid}/{METADATA}", checked_json.MAX_DOCUMENT)
        names = None if data is None else zarr_metadata.stored_axes(data)
        if names is not None and grid.startswith(identity.axes_id(names)):
            return names
    return None


def _free_parameters(func: Callable[..., Any], given: set[str | None]) -> list[str]:
    try:
        parameters = inspect.signature(func).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p.name for p in parameters if p.default is p.empty and p.name not in given]
