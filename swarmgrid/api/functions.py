"""The face of swarmgrid: `compute` and its companions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from swarmgrid.api.evaluation import Call, opened
from swarmgrid.options import CallOptions, current_options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr

    from swarmgrid.observe.diagnostics import Diagnostics
    from swarmgrid.planning.estimate import Plan


def compute(
    params: Mapping[str, Any] | None = None,
    axes: Mapping[str, Any] | None = None,
    *,
    where: Any = None,
    **options: Unpack[CallOptions],
) -> xr.Dataset:
    """Evaluate a function at every point of a grid, computing only what was never computed.

    Parameters
    ----------
    params : mapping, optional
        The fixed values of the run, by parameter of the function. They are part of the identity
        of the grid. Each call gets its own lists, dicts and objects, and arrays that are
        read-only: what it changes in place no other call sees, nor the caller.
    axes : mapping, optional
        The swept values, by parameter: lists, ranges, arrays, pandas indexes or xarray
        coordinates of ints, floats, bools, strings, datetimes, timedeltas or enum members; or
        mappings from labels to any values, ``{"none": None, "4": 4}``. The grid is their
        cartesian product; ``{}`` is the single point of the params.
    where : callable or xr.DataArray, optional
        Which points are wanted: a function of (some of) the axes and params that returns a bool,
        or a boolean array over (some of) the axes. The others read as missing: integers become
        floats for that (a RuntimeWarning says where one loses digits), bools objects.
    func : callable
        The function of one point, called as ``func(**params, **point)``. It returns a number, a
        string, an array; a dict, dataclass or named tuple of these; a DataArray or a Dataset.
    store : str, path or zarr.abc.store.Store
        Where results are kept: a directory, ``memory://name``, ``s3://``, ``gs://``, ``az://``
        (extra ``cloud``), or a Zarr store object.
    storage_options : mapping, optional
        What a URL needs: endpoint, credentials, ...; see ``obstore.store.from_url``.
    version : str, optional
        Stands for the function's code in the identity. Left out, the code itself does: an
        edited function, or one that it calls, makes a new grid.
    depends : str or Path or mapping or list, optional
        What the results depend on that neither code nor params show, beside either of them: an
        installed package by its name, whose version counts; a ``pathlib.Path``, whose content
        counts; a mapping from names to paths and values; or a list of these.
    ignore : collection of str, optional
        Names that the function uses and that do not count as its code: of globals, closure
        variables, defaults and attributes, as ``name`` or ``module:name``. Left out, all that it
        can reach counts; ``plan(explain=True)`` lists it.
    chunks : int or mapping, optional
        Points per chunk and axis, ``{"s": 50}`` or ``{"s": {"size": 50}}``. Axes left out are
        chosen for you; an existing grid keeps what it has.
    shards : int or mapping or False, optional
        Points per shard and axis, multiples of the chunk lengths: the chunks of a shard are
        stored in one object. An axis left out has the chunk's length. Default: chosen for you,
        where there are very many tiny chunks; False: never. An existing grid keeps what it has.
    outputs : mapping of Output or xr.Dataset, optional
        The outputs, declared; else the first point shows them.
    tolerance : mapping, optional
        By float axis, how close a value must lie to a stored one to stand for it. Default: exact.
    vectorized : bool, default False
        Whether ``func`` takes a whole block: every axis as an array that broadcasts against the
        others. It returns arrays of the block's shape, then their own dims.
    rng : str, optional
        The parameter that receives a ``numpy.random.Generator``, seeded by the point's identity.
    executor : {"processes", "threads", "sync"}, optional
        Left out: the active dask client, what dask is configured to use, or processes.
    client : distributed.Client, optional
        A client to compute with.
    workers : int, optional
        The number of processes or threads. Default: one per CPU.
    exec_chunk_size : int, optional
        Points per task. Default: by what a point costs.
    flush_interval : float, optional
        Seconds that a finished point may stay in memory before it is in the store. Default: about
        one, or up to ten where writing would take more than 2 % of the run.
    view_chunks : {}, "auto" or mapping, optional
        Return dask arrays of such chunks. Default: lazily indexed arrays, without dask.
    on_error : {"raise", "record"}, default "raise"
        Whether the first failing point ends the run, or failures are kept (`Grid.errors`), read
        as missing, and the run goes on.
    retries : int, default 0
        How often the function is called again at a point where it failed, after a growing pause.
    retry_failed : bool, default True
        Whether points that failed in an earlier run are tried again.
    timeout : float, optional
        Seconds for one call; the worker that takes longer is ended. With ``retries`` the point is
        tried again, else it failed.
    rate : str or float, optional
        The most calls in a time: ``"10/s"``, ``"30/min"``, or calls per second.
    memory_limit : str or int, optional
        Bytes that one worker may take, ``"2GB"``; more is a MemoryError at the point.
    max_tasks_per_child : int, optional
        Tasks after which a worker process is replaced by a fresh one.
    isolate : bool, default False
        Whether every task gets a fresh process.
    gc : {"task"}, optional
        Whether garbage is collected after every task.
    pause_at, kill_at : float, default 0.80 and 0.90
        The part of the machine's memory in use at which work goes on one task at a time, and at
        which the run's own largest worker is ended and its work done with fewer.
    durability : {"process", "power"}, default "process"
        What committed results survive: the death of any process, or a loss of power as well.
    lease_seconds : float, default 30
        How long a process that shows no sign of life keeps a grid to itself; at most an hour.
    log : path-like, optional
        A file that gets one JSON line per event of the run.
    verbose : {0, 1, 2}, default 1
        Whether a progress bar is shown: never, to somebody who watches, always.

    Returns
    -------
    xr.Dataset
        A variable per output; its dims are the axes in the order asked for, then its own. Nothing
        is read before it is used.

    Raises
    ------
    InputError
        If the call is wrong; nothing was computed or written then.
    PointError
        If the function failed at a point. What was finished is kept.
    StoreError
        If the store cannot be used, or what is read from it is damaged.

    Examples
    --------
    >>> import swarmgrid
    >>> def area(width, height):
    ...     return width * height
    >>> options = dict(func=area, store="memory://compute", executor="sync")
    >>> ds = swarmgrid.compute({"height": 2.0}, {"width": [1, 2]}, **options)
    >>> ds = swarmgrid.compute({"height": 2.0}, {"width": [3, 1, 2]}, **options)  # computes 3
    >>> ds["value"].values
    array([6., 2., 4.])
    """
    return run(params, axes, where=where, **options)[0]


def run(
    params: Mapping[str, Any] | None = None,
    axes: Mapping[str, Any] | None = None,
    *,
    where: Any = None,
    **options: Unpack[CallOptions],
) -> tuple[xr.Dataset, Diagnostics]:
    """The same as `compute`, and what was done for it."""
    call = Call(current_options().updated(options), params, axes, where)
    done = call.filled()
    return call.dataset(), done


def stream(
    params: Mapping[str, Any] | None = None,
    axes: Mapping[str, Any] | None = None,
    *,
    where: Any = None,
    **options: Unpack[CallOptions],
) -> Diagnostics:
    """Compute into the store what is missing, as `compute` does, and return no data."""
    return Call(current_options().updated(options), params, axes, where).filled()


def plan(
    params: Mapping[str, Any] | None = None,
    axes: Mapping[str, Any] | None = None,
    *,
    where: Any = None,
    explain: bool = False,
    **options: Unpack[CallOptions],
) -> Plan:
    """What `compute` would do with the same arguments; calls and writes nothing.

    With ``explain=True`` the plan also lists what names the grid: the function's code, everything
    that it can reach, and the params, each with its digest.

    Examples
    --------
    >>> import swarmgrid
    >>> def area(width, height):
    ...     return width * height
    >>> p = swarmgrid.plan({"height": 2.0}, {"width": [1, 2]}, func=area, store="memory://plan")
    >>> p.points_total, p.points_missing
    (2, 2)
    """
    return Call(current_options().updated(options), params, axes, where).plan(explain=explain)


def open(  # noqa: A001  # the name that xarray and zarr use for it
    params: Mapping[str, Any] | None = None,
    axes: Mapping[str, Any] | Sequence[str] | None = None,
    **options: Unpack[CallOptions],
) -> xr.Dataset:
    """What is stored of a function's grid, lazily, computing nothing.

    Parameters
    ----------
    params : mapping, optional
        The fixed values of the run.
    axes : mapping or sequence of str, optional
        The values wanted, or only the axes' names, for every stored value; in the order that the
        dims are to have. Left out: every stored value of the axes that the grid with these params
        has.
    **options
        Options of `compute`, ``func`` and ``store`` among them.

    Returns
    -------
    xr.Dataset
        As `compute` returns it; points that are not computed read as missing.

    Raises
    ------
    InputError
        If nothing is stored for these params and axes.

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
    return opened(current_options().updated(options), params, axes)


for _public in (compute, run, stream, plan, open):
    _public.__module__ = "swarmgrid"  # where it is imported from, wherever it lies
