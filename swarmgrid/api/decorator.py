"""A function with a store and options: the `grid` decorator, and the handles of its grids."""

from __future__ import annotations

import functools
import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Self, TypeVar, Unpack, cast, overload

from swarmgrid.api.functions import compute, run, stream
from swarmgrid.api.lookups import open, plan  # noqa: A004
from swarmgrid.api.putting import put_many
from swarmgrid.errors import InputError, brief, no_function
from swarmgrid.finding.resolve import grid_ref
from swarmgrid.handle.grid import Grid
from swarmgrid.options import CallOptions, Options, OptionTypes, current_options, signed
from swarmgrid.planning.signature import check_signature
from swarmgrid.readable import code, page, table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd
    import xarray as xr

    from swarmgrid.maintenance.report import Report
    from swarmgrid.observe.diagnostics import Diagnostics
    from swarmgrid.planning.estimate import Plan
    from swarmgrid.readable import Cell
    from swarmgrid.store.grid_ref import GridRef


P = ParamSpec("P")
R = TypeVar("R")


class GridFunction(Generic[P, R]):
    """A function bound to a store and to options; made by the `grid` decorator.

    Calling it is calling the function. Its methods are the module's functions of the same
    names, with the function and the options filled in; ``grid`` is the handle of a stored grid.

    Parameters
    ----------
    func : callable
        The function of one point; or a `GridFunction`, whose options hold where none is given now.
    **options
        Options of `compute`; those left out are what `set_options` says at each call.
    """

    __module__ = "swarmgrid"

    last_run: Diagnostics | None = None
    """The diagnostics of the last call of `compute`, `run` or `stream` in this process, also of
    one that was interrupted or failed; None: there was none."""
    __swarmgrid_function__: Callable[P, R]
    __swarmgrid_options__: OptionTypes

    def __new__(cls, func: Callable[P, R], **options: Unpack[OptionTypes]) -> Self:  # noqa: ARG004
        """Make an object of a class of its own, documented as the function is.

        `help` shows the methods of an object only where its docstring is that of its class.
        """
        own = {"__module__": cls.__module__, "__doc__": getattr(func, "__doc__", None)}
        return object.__new__(type(cls.__name__, (cls,), own))

    def __init__(self, func: Callable[P, R], **options: Unpack[OptionTypes]) -> None:
        if isinstance(func, GridFunction):  # decorated again: what is given now goes before
            options = cast("OptionTypes", {**func.__swarmgrid_options__, **options})
            func = func.__swarmgrid_function__
        if not callable(func):
            raise no_function(func)
        Options().updated({**options, "func": func})  # a wrong one is an error here, not later
        own = getattr(func, "__dict__", {})
        self.__dict__.update({n: v for n, v in own.items() if not hasattr(GridFunction, n)})
        functools.update_wrapper(self, func, updated=())
        self.__swarmgrid_options__ = options
        self.__swarmgrid_function__ = func

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function itself."""
        return self.__swarmgrid_function__(*args, **kwargs)

    def __repr__(self) -> str:
        name = getattr(self, "__qualname__", self.__swarmgrid_function__)
        return f"<swarmgrid.GridFunction of {name}>"

    def _repr_html_(self) -> str:
        func = self.__swarmgrid_function__
        try:
            call = f"{getattr(self, '__qualname__', '')}{inspect.signature(func)}"
        except (TypeError, ValueError):  # a builtin that does not tell
            call = repr(func)
        rows: list[tuple[Cell, Cell]] = [("call", code(call))]
        if doc := (inspect.getdoc(func) or "").partition("\n")[0]:
            rows.append(("", doc))
        options = ((name, code(brief(one))) for name, one in self.__swarmgrid_options__.items())
        rows += [(name, one) for name, one in options if name != "storage_options"]
        if self.last_run is not None:
            rows.append(("last run", str(self.last_run)))
        return page("GridFunction", str(getattr(self, "__name__", "")), table(rows))

    def __reduce__(self) -> str | tuple[Any, ...]:
        """By name where that leads here, as a function is pickled; else by value."""
        found: Any = sys.modules.get(self.__module__)
        name: str = getattr(self, "__qualname__", "")
        for part in name.split("."):
            found = getattr(found, part, None)
        if found is self and self.__module__ != "__main__":
            return name
        return self.__swarmgrid_reduce__()

    def __swarmgrid_reduce__(self) -> tuple[Any, ...]:
        """By value, as it travels to workers: they have what its module holds now."""
        options = dict(self.__swarmgrid_options__)
        options.pop("client", None)  # it cannot travel
        return _restored, (self.__swarmgrid_function__, options)

    @signed(has_func=False)
    def compute(
        self,
        params: Mapping[str, Any] | None = None,
        axes: Mapping[str, Any] | None = None,
        *,
        where: Any = None,
        **options: Unpack[OptionTypes],
    ) -> xr.Dataset:
        """Evaluate the function over a grid; see `swarmgrid.compute`."""
        __tracebackhide__ = True
        return compute(params, axes, where=where, **self._with(options))

    @signed(has_func=False)
    def run(
        self,
        params: Mapping[str, Any] | None = None,
        axes: Mapping[str, Any] | None = None,
        *,
        where: Any = None,
        **options: Unpack[OptionTypes],
    ) -> tuple[xr.Dataset, Diagnostics]:
        """The same as `compute`, and what was done for it."""
        __tracebackhide__ = True
        return run(params, axes, where=where, **self._with(options))

    @signed(has_func=False)
    def stream(
        self,
        params: Mapping[str, Any] | None = None,
        axes: Mapping[str, Any] | None = None,
        *,
        where: Any = None,
        **options: Unpack[OptionTypes],
    ) -> Diagnostics:
        """Compute into the store what is missing, and return no data."""
        __tracebackhide__ = True
        return stream(params, axes, where=where, **self._with(options))

    @signed(has_func=False)
    def plan(
        self,
        params: Mapping[str, Any] | None = None,
        axes: Mapping[str, Any] | None = None,
        *,
        where: Any = None,
        explain: bool = False,
        **options: Unpack[OptionTypes],
    ) -> Plan:
        """Plan what `compute` would do; see `swarmgrid.plan`."""
        __tracebackhide__ = True
        return plan(params, axes, where=where, explain=explain, **self._with(options))

    @signed(has_func=False)
    def open(
        self,
        params: Mapping[str, Any] | None = None,
        axes: Mapping[str, Any] | Sequence[str] | None = None,
        **options: Unpack[OptionTypes],
    ) -> xr.Dataset:
        """Open the stored points; see `swarmgrid.open`."""
        __tracebackhide__ = True
        return open(params, axes, **self._with(options))

    @signed(has_func=False)
    def put_many(
        self,
        values: Any,
        params: Mapping[str, Any] | None = None,
        axes: Mapping[str, Any] | Sequence[str] | None = None,
        *,
        where: Any = None,
        missing: str = "raise",
        on_conflict: str = "raise",
        **options: Unpack[OptionTypes],
    ) -> int:
        """Put known results: they count as computed; see `swarmgrid.put_many`."""
        __tracebackhide__ = True
        chosen = {"where": where, "missing": missing, "on_conflict": on_conflict}
        return put_many(values, params, axes, **chosen, **self._with(options))

    @signed(has_func=False)
    def errors(
        self,
        params: Mapping[str, Any] | None = None,
        axes: Sequence[str] | None = None,
        **options: Unpack[OptionTypes],
    ) -> pd.DataFrame:
        """The points at which the function failed and that are not computed since.

        Parameters
        ----------
        params : mapping, optional
            The fixed values of the run.
        axes : sequence of str, optional
            The axes' names, where several grids with these params are stored.

        Returns
        -------
        pandas.DataFrame
            See `Grid.errors`.
        """
        return self.grid(params, axes, **options).errors()

    @signed(has_func=False)
    def verify(
        self,
        params: Mapping[str, Any] | None = None,
        axes: Sequence[str] | None = None,
        **options: Unpack[OptionTypes],
    ) -> Report:
        """Read everything that is stored of a grid, and say what is wrong; see `Grid.verify`."""
        return self.grid(params, axes, **options).verify()

    @signed(has_func=False)
    def repair(
        self,
        params: Mapping[str, Any] | None = None,
        axes: Sequence[str] | None = None,
        **options: Unpack[OptionTypes],
    ) -> Report:
        """Repair what `verify` finds, and return what it found before; see `Grid.repair`."""
        return self.grid(params, axes, **options).repair()

    @signed(has_func=False)
    def convert(
        self,
        output: str,
        dtype: str,
        params: Mapping[str, Any] | None = None,
        axes: Sequence[str] | None = None,
        **options: Unpack[OptionTypes],
    ) -> None:
        """Convert a stored output to a wider dtype, computing nothing; see `Grid.convert`."""
        self.grid(params, axes, **options).convert(output, dtype)

    @signed(has_func=False)
    def grid(
        self,
        params: Mapping[str, Any] | None = None,
        axes: Sequence[str] | None = None,
        **options: Unpack[OptionTypes],
    ) -> Grid:
        """The handle of the grid with some params, whether or not it is stored.

        Parameters
        ----------
        params : mapping, optional
            The fixed values of the run.
        axes : sequence of str, optional
            The axes' names, where several grids with these params are stored.
        """
        found = current_options().updated(self._with(options))

        def to_ref(names: Sequence[str]) -> GridRef:
            check_signature(self.__swarmgrid_function__, params or {}, names, found.rng)
            return grid_ref(found, params, names)

        key_ids = None if found.key is None else {found.key.id}
        return Grid(grid_ref(found, params, axes), to_ref, key_ids)

    def _with(self, options: OptionTypes) -> CallOptions:
        return {"func": self, **self.__swarmgrid_options__, **options}


for _made in (GridFunction.__new__, GridFunction.__init__):
    signed(has_func=False)(_made)


def _restored(func: Callable[P, R], options: OptionTypes) -> GridFunction[P, R]:
    return GridFunction(func, **options)


@overload
def grid(func: Callable[P, R], **options: Unpack[OptionTypes]) -> GridFunction[P, R]: ...
@overload
def grid(
    **options: Unpack[OptionTypes],
) -> Callable[[Callable[P, R]], GridFunction[P, R]]: ...
@signed(has_func=False)
def grid(
    func: Callable[..., Any] | None = None, *more: object, **options: Unpack[OptionTypes]
) -> Any:
    """Bind a function to a store and to options: a decorator.

    Parameters
    ----------
    func : callable, optional
        The function, where the decorator is used without parentheses.
    **options
        Options of `compute`.

    Returns
    -------
    GridFunction
        Called, it is the function; its methods are ``compute``, ``run``, ``stream``, ``plan``,
        ``open``, ``put_many``, ``errors``, ``verify``, ``repair``, ``convert`` and ``grid``.

    Examples
    --------
    >>> import swarmgrid
    >>> @swarmgrid.grid(store="memory://area", executor="sync")
    ... def area(width, height):
    ...     return width * height
    >>> area(2, 3)
    6
    >>> area.compute(axes={"width": [1, 2], "height": [3, 4]})["value"].values
    array([[3, 4],
           [6, 8]])
    """
    if more:
        raise InputError(
            f"grid got {brief(more[0])} by position; expected options by name, "
            "such as grid(func, store=...)"
        )
    if isinstance(func, (str, Path)):
        raise InputError(
            f"func is {str(func)!r}, a text; to bind a store, pass it by name: "
            f"@swarmgrid.grid(store={str(func)!r})"
        )
    if func is not None:
        return GridFunction(func, **options)
    Options().updated(options)
    return functools.partial(GridFunction, **options)


grid.__module__ = "swarmgrid"
