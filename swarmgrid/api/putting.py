"""The function that puts known results into a function's grid: `put_many`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Unpack, overload

from swarmgrid.api.evaluation import Call
from swarmgrid.api.given import given, is_function
from swarmgrid.errors import InputError, SignatureError, brief
from swarmgrid.finding.resolve import axis_names, func_of
from swarmgrid.handle.putting import check_choices, put
from swarmgrid.options import CallOptions, OptionTypes, current_options, signed
from swarmgrid.outputs.labels import labelled_kind
from swarmgrid.planning.growth import new_grid
from swarmgrid.planning.known_results import known_results
from swarmgrid.planning.request import to_params
from swarmgrid.tracebacks import UserFrames


def _put_call(
    values: Any,
    params: Mapping[str, Any] | None = None,
    axes: Mapping[str, Any] | Sequence[str] | None = None,
    *,
    where: Any = None,
    missing: str = "raise",
    on_conflict: str = "raise",
    **options: Unpack[CallOptions],
) -> None:
    """The signature of `put_many`; the function may also stand first."""


@overload
def put_many(
    values: Any,
    params: Mapping[str, Any] | None = None,
    axes: Mapping[str, Any] | Sequence[str] | None = None,
    *,
    where: Any = None,
    missing: str = "raise",
    on_conflict: str = "raise",
    **options: Unpack[CallOptions],
) -> int: ...
@overload
def put_many(
    func: Callable[..., Any],
    /,
    values: Any,
    params: Mapping[str, Any] | None = None,
    axes: Mapping[str, Any] | Sequence[str] | None = None,
    *,
    where: Any = None,
    missing: str = "raise",
    on_conflict: str = "raise",
    **options: Unpack[OptionTypes],
) -> int: ...
@signed(_put_call)
def put_many(
    *args: Any,
    where: Any = None,
    missing: str = "raise",
    on_conflict: str = "raise",
    **given_options: Any,
) -> int:
    """Put known results into a function's grid: they count as computed, all of them or none.

    Nothing is called. The points, their values, dtypes and shapes are checked before anything is
    written. One object of the manifest makes all points count: a kill before it leaves none of
    them, and the same call again puts them. The grid is made if it is not stored. Its manifest
    says of each point that it was put, when, and by which process.

    Parameters
    ----------
    values : mapping, xr.Dataset or xr.DataArray
        By point, a tuple of axis values (or the value on the only axis), what the function
        returns there: ``{(0.1, 3): 5.0}``, ``{(0.1, 3): {"energy": 5.0, "steps": 7}}``. Or a
        Dataset whose coordinates have the axes' values: the results at every point of their
        product.
    params : mapping, optional
        The fixed values, as for `compute`.
    axes : sequence of str or mapping, optional
        The axes, in the order of the tuples. Default: the parameters of the function that have no
        default and are not in ``params``; of a Dataset all of its dims that are parameters. A
        mapping also gives the values that labels or names of enum members stand for.
    where : callable or xr.DataArray, optional
        The condition that selects the points to put, as for `compute`.
    missing : {"raise", "skip", "put"}, default "raise"
        Whether points of a Dataset that have no value in any output are an error, are left out,
        or have NaN as their result.
    on_conflict : {"raise", "keep"}, default "raise"
        Whether a point that is computed already, with another value, is an error before anything
        is written; or the grid keeps its own value there.
    **options
        Options of `compute`, ``func`` and ``store`` among them. The function may also stand
        first: ``put_many(func, values)``.

    Returns
    -------
    int
        The number of points that count as computed now, and did not before.

    Raises
    ------
    InputError
        If a point or a value does not fit the function or the grid. Nothing was written.
    ConflictError
        If a point is computed already, with another value. Nothing was written.

    Examples
    --------
    >>> import swarmgrid
    >>> def area(width, height):
    ...     return width * height
    >>> options = dict(func=area, store="memory://put-many", executor="sync")
    >>> swarmgrid.put_many({(1, 3.0): 3.0, (2, 3.0): 6.0}, **options)
    2
    >>> swarmgrid.plan({}, {"width": [1, 2, 3], "height": [3.0]}, **options).points_missing
    1
    """
    __tracebackhide__ = True
    with UserFrames():
        leading = args[:1] if args and is_function(args[0]) else ()
        args = args[len(leading) :]
        if not args and "values" not in given_options:
            raise SignatureError("put_many has no values; expected a dict of points, or a Dataset")
        check_choices(missing, on_conflict)
        values = args[0] if args else given_options.pop("values")
        params, axes, options = given("put_many", (*leading, *args[1:]), given_options)
        found = current_options().updated(options)
        fixed = to_params(params)
        names = _names(values, func_of(found), {*fixed, found.rng}, axes)
        known = known_results(values, names)
        if not isinstance(axes, Mapping):
            axes = {}
        meant = {name: _meant(name, one, axes.get(name)) for name, one in known.labels.items()}
        if not all(known.shape):
            return 0
        call = Call(found, fixed, meant, where)
        request = call.request
        n = put(
            request.grid,
            known,
            request.domain.axes,
            request.domain.mask,
            request.layout.schema,
            lambda schema: new_grid(request, schema),
            missing,
            on_conflict,
            request.domain.tolerance,
        )
        call.keep_beside()
        return n


def _names(
    values: Any,
    func: Callable[..., Any],
    given: set[str | None],
    axes: Mapping[str, Any] | Sequence[str] | None,
) -> list[str]:
    """The names of the axes, in the order of the points' values."""
    names = axis_names(axes)
    if names is not None:
        return names
    try:
        parameters = list(inspect.signature(func).parameters.values())
        takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    except (TypeError, ValueError):
        parameters, takes_any = [], True
    plain = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    free = [p for p in plain if p.name not in given]
    if labelled_kind(values) in {"Dataset", "DataArray"} and not takes_any:
        found = [
            p.name
            for p in free
            if p.name in values.dims or (p.default is p.empty and p.name in values.coords)
        ]
    else:
        found = [p.name for p in free if p.default is p.empty]
    if takes_any:
        raise InputError(
            "axes is not given, and the function does not say by its parameters which there are; "
            "expected their names in the order of the points: axes=['x', 'y']"
        )
    return found


def _meant(name: str, labels: Any, values: Any) -> Any:
    """The values of an axis, by labels that may be names of what is meant."""
    if values is None:
        return labels
    texts = [one for one in labels if isinstance(one, str)]
    if isinstance(values, Mapping):
        by_name = dict(values)
    else:
        by_name = {one.name: one for one in values if hasattr(one, "name")}
    if not by_name or len(texts) < len(labels):
        return labels
    unknown = [text for text in texts if text not in by_name]
    if unknown:
        raise InputError(
            f"axes[{name!r}] has nothing named {brief(unknown[0])}; expected one of "
            f"{', '.join(map(str, by_name))}"
        )
    if isinstance(values, Mapping):
        return {text: by_name[text] for text in texts}
    return [by_name[text] for text in texts]


put_many.__module__ = "swarmgrid"  # users import it from there
