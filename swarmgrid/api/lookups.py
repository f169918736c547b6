"""The functions that compute nothing: `plan` and `open`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack, overload

from swarmgrid.api.evaluation import Call
from swarmgrid.api.given import given
from swarmgrid.finding.resolve import axis_names, grid_ref, not_stored
from swarmgrid.handle.grid import Grid
from swarmgrid.options import CallOptions, OptionTypes, current_options, signed
from swarmgrid.quantities import check_flags
from swarmgrid.tracebacks import UserFrames

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import xarray as xr

    from swarmgrid.options import Options
    from swarmgrid.planning.estimate import Plan


def _plan_call(
    params: Mapping[str, Any] | None = None,
    axes: Mapping[str, Any] | None = None,
    *,
    where: Any = None,
    explain: bool = False,
    **options: Unpack[CallOptions],
) -> None:
    """The signature of `plan`."""


def _open_call(
    params: Mapping[str, Any] | None = None,
    axes: Mapping[str, Any] | Sequence[str] | None = None,
    **options: Unpack[CallOptions],
) -> None:
    """The signature of `open`."""


@overload
def plan(
    params: Mapping[str, Any] | None = None,
    axes: Mapping[str, Any] | None = None,
    *,
    where: Any = None,
    explain: bool = False,
    **options: Unpack[CallOptions],
) -> Plan: ...
@overload
def plan(
    func: Callable[..., Any],
    /,
    params: Mapping[str, Any] | None = None,
    axes: Mapping[str, Any] | None = None,
    *,
    where: Any = None,
    explain: bool = False,
    **options: Unpack[OptionTypes],
) -> Plan: ...
@signed(_plan_call)
def plan(*args: Any, where: Any = None, explain: bool = False, **given_options: Any) -> Plan:
    """The work that `compute` would do with the same arguments; calls and writes nothing.

    Parameters
    ----------
    params, axes, where
        The fixed values, the swept values and the condition, as for `compute`.
    explain : bool, default False
        Whether the plan also lists what identifies the grid: the function's code, everything that
        the code can reach, and the params, each with its digest.
    **options
        Options of `compute`, ``func`` and ``store`` among them.

    Returns
    -------
    Plan
        The numbers of points, chunks and bytes, and the time that stored points took.

    Examples
    --------
    >>> import swarmgrid
    >>> def area(width, height):
    ...     return width * height
    >>> p = swarmgrid.plan({"height": 2.0}, {"width": [1, 2]}, func=area, store="memory://plan")
    >>> p.points_total, p.points_missing
    (2, 2)
    """
    __tracebackhide__ = True
    with UserFrames():
        check_flags(explain=explain)
        params, axes, options = given("plan", args, given_options)
        found = current_options().updated(options)
        return Call(found, params, axes, where, needs_key=False).plan(explain=explain)


@overload
def open(  # noqa: A001  # the name that xarray and zarr use for it
    params: Mapping[str, Any] | None = None,
    axes: Mapping[str, Any] | Sequence[str] | None = None,
    **options: Unpack[CallOptions],
) -> xr.Dataset: ...
@overload
def open(  # noqa: A001
    func: Callable[..., Any],
    /,
    params: Mapping[str, Any] | None = None,
    axes: Mapping[str, Any] | Sequence[str] | None = None,
    **options: Unpack[OptionTypes],
) -> xr.Dataset: ...
@signed(_open_call)
def open(*args: Any, **given_options: Any) -> xr.Dataset:  # noqa: A001
    """The stored values of a function's grid, as a lazy dataset; computes nothing.

    Parameters
    ----------
    params : mapping, optional
        The fixed values of the run.
    axes : mapping or sequence of str, optional
        The values to return, or only the names of the axes for every stored value, in the order
        of the dims. Default: every stored value of the axes of the grid with these params.
    **options
        Options of `compute`, ``func`` and ``store`` among them.

    Returns
    -------
    xr.Dataset
        The same as `compute` returns. Points that are not computed read as missing.

    Raises
    ------
    InputError
        If nothing is stored for these params and axes.

    Notes
    -----
    The results of code that has been edited since stay in the store. The version of their grid,
    ``ds.attrs["swarmgrid_version"]``, or the first digits of it, opens them:
    ``open(params, version="code-3535")``. `Grid.open` opens a grid by its id, without the
    function.

    Examples
    --------
    >>> import swarmgrid
    >>> def area(width, height):
    ...     return width * height
    >>> options = dict(func=area, store="memory://open", executor="sync")
    >>> ds = swarmgrid.compute({"height": 2.0}, {"width": [1, 2]}, **options)
    >>> swarmgrid.open({"height": 2.0}, **options).sizes["width"]
    2
    """
    __tracebackhide__ = True
    with UserFrames():
        params, axes, options = given("open", args, given_options)
        return _opened(current_options().updated(options), params, axes)


def _opened(
    options: Options,
    params: Mapping[str, Any] | None,
    axes: Mapping[str, Any] | Sequence[str] | None,
) -> xr.Dataset:
    if isinstance(axes, Mapping):
        call = Call(options, params, axes, None, is_lookup=True)
        if not call.is_stored:
            raise not_stored(call.request.grid)
        return call.dataset()
    names = axis_names(axes)
    key_ids = None if options.key is None else {options.key.id}
    grid = Grid(grid_ref(options, params, names), key_ids=key_ids)
    return grid.dataset(names, view_chunks=options.view_chunks)


for _public in (plan, open):
    _public.__module__ = "swarmgrid"  # users import it from there
