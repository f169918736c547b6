"""Finds a stored grid by its function and params, whatever values its axes have."""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from swarmgrid import identity
from swarmgrid.errors import InputError, brief
from swarmgrid.format import zarr_metadata
from swarmgrid.planning.request import Function, Request, identified, to_mapping
from swarmgrid.store import checked_json
from swarmgrid.store.layout import DATA, METADATA, GridPath
from swarmgrid.store.location import Location, to_location

if TYPE_CHECKING:
    from swarmgrid.options import Options
    from swarmgrid.space.axis import Axis
    from swarmgrid.store.blobs import Blobs

_GRID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Target:
    """A grid that may be stored."""

    func: Callable[..., Any]
    function: Function
    params: Mapping[str, Any]
    names: Sequence[str]
    """Its axes, in the order asked for."""
    location: Location
    path: GridPath

    def request(self, axes: Iterable[Axis]) -> Request:
        """The request of all values of its axes, given in any order."""
        return Request(
            func=self.func,
            params=self.params,
            axes=tuple(sorted(axes, key=lambda axis: self.names.index(axis.name))),
            path=self.path,
            location=self.location,
            version=self.function.version,
            depends=self.function.depends,
            chunks={},
            origin=self.function.origin,
        )

    def nothing_stored(self) -> InputError:
        """The error that nothing is stored of it."""
        return InputError(
            f"nothing is stored of {self.path.function} for these params and axes in "
            f"{self.location.url!r} (grid {self.path.grid}); an edited function or other params "
            "make another grid"
        )


def target(
    options: Options, params: Mapping[str, Any] | None, axes: Sequence[str] | str | None
) -> Target:
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
    function = identified(
        func,
        options.version,
        options.rng,
        vectorized=options.vectorized,
        depends=options.depends,
        ignore=options.ignore,
    )
    params = to_mapping("params", params)
    names = _axis_names(axes)
    if names is None:
        names = _stored_axis_names(location.open(), function, params)
    if names is None:
        names = _free_parameters(func, {*params, options.rng})
    return Target(func, function, params, names, location, function.path(params, names))


def _axis_names(axes: object) -> list[str] | None:
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


def func_of(options: Options) -> Callable[..., Any]:
    """The function that the options say; InputError if they do not."""
    if options.func is None:
        raise InputError("there is no function; pass func=, or set it with swarmgrid.set_options")
    return options.func


def location_of(options: Options) -> Location:
    """The store that the options say; InputError if they do not."""
    if options.store is None:
        raise InputError(
            "there is no store; pass store= (a directory, a URL or a Zarr store), or set it with "
            "swarmgrid.set_options"
        )
    return to_location(options.store, options.storage_options)


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
