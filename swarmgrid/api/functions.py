"""The functions that compute: `compute`, `run` and `stream`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack, overload

from swarmgrid.api.evaluation import Call
from swarmgrid.api.given import given
from swarmgrid.options import CallOptions, OptionTypes, current_options, signed
from swarmgrid.tracebacks import UserFrames

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import xarray as xr

    from swarmgrid.observe.diagnostics import Diagnostics


def _grid_call(
    params: Mapping[str, Any] | None = None,
    axes: Mapping[str, Any] | None = None,
    *,
    where: Any = None,
    **options: Unpack[CallOptions],
) -> None:
    """The signature of a call for a grid; the function may also stand first."""


@overload
def compute(
    params: Mapping[str, Any] | None = None,
    axes: Mapping[str, Any] | None = None,
    *,
    where: Any = None,
    **options: Unpack[CallOptions],
) -> xr.Dataset: ...
@overload
def compute(
    func: Callable[..., Any],
    /,
    params: Mapping[str, Any] | None = None,
    axes: Mapping[str, Any] | None = None,
    *,
    where: Any = None,
    **options: Unpack[OptionTypes],
) -> xr.Dataset: ...
@signed(_grid_call)
def compute(*args: Any, where: Any = None, **given_options: Any) -> xr.Dataset:
    """Evaluate a function at every point of a grid; compute only the points that are not stored.

    Parameters
    ----------
    params : mapping, optional
        The fixed values of the run, by parameter of the function. They are part of the identity
        of the grid. Each call gets its own copies of lists, dicts and objects; arrays are
        read-only. No other call sees what it changes in place, and neither does the caller.
    axes : mapping, optional
        The swept values, by parameter: lists, ranges, arrays, pandas indexes or xarray
        coordinates of ints, floats, bools, strings, datetimes, timedeltas or enum members; or
        mappings from labels to any values, ``{"none": None, "4": 4}``. The grid is their
        cartesian product; ``{}`` is the single point of the params.
    where : callable or xr.DataArray, optional
        The condition that selects points: a function of some of the axes and params that returns
        a bool, or a boolean array over some of the axes. The other points are not computed and
        read as missing. For that, integers become floats (with a RuntimeWarning if one loses
        digits), and bools become objects.
    func : callable
        The function of one point; it may also stand first: ``compute(func, params, axes)``. It is
        called as ``func(**params, **point)``. It returns a number, a
        string, an array; a dict, dataclass or named tuple of these; a DataArray or a Dataset.
    store : str, path or zarr.abc.store.Store
        The place of the results: a directory, ``memory://name``, ``sqlite:///a.db``, ``s3://``,
        ``gs://``, ``az://`` (extra ``cloud``), ``lmdb:///``, ``redis://`` or ``dynamodb://`` (the
        extras of these names), or a Zarr store object.
    storage_options : mapping, optional
        Endpoint, credentials and other settings of a URL; see ``obstore.store.from_url`` and
        `swarmgrid.stores`.
    version : str, optional
        A text that replaces the function's code in the identity. Default: the code itself
        counts, so an edit of the function, or of a function that it calls, makes a new grid.
    depends : str or Path or mapping or list, optional
        Other things that the results depend on, in addition to code and params: the name of an
        installed package (its version counts), a ``pathlib.Path`` (its content counts), a mapping
        from names to paths and values, or a list of these.
    ignore : collection of str, optional
        Names that the function uses and that do not count as its code: globals, closure
        variables, defaults and attributes, as ``name`` or ``module:name``. Default: everything
        that the function can reach counts; ``plan(explain=True)`` lists it.
    tags : mapping, optional
        Notes that are kept with the grid, such as ``{"site": "a"}``: texts, numbers, bools and
        lists of these, to find it again in a `catalog`. They change no result. Tags of other
        names stay; None removes a tag.
    chunks : int or mapping, optional
        Points per chunk and axis, ``{"s": 50}`` or ``{"s": {"size": 50}}``. Default, also for
        each axis that is omitted: swarmgrid chooses the length. The chunks of an existing grid
        never change.
    shards : int or mapping or False, optional
        Points per shard and axis, multiples of the chunk lengths: one object stores the chunks of
        a shard. An omitted axis has the chunk's length. Default: swarmgrid chooses shards if
        there are very many tiny chunks. False: no shards. The shards of an existing grid never
        change.
    outputs : mapping of Output or xr.Dataset, optional
        The declared outputs. Default: the first point shows the outputs.
    encoding : mapping, optional
        The form in which outputs are stored, by name, under xarray's keys ``dtype``, ``filters``,
        ``serializer``, ``compressors``, ``fill_value``, ``scale_factor``, ``add_offset``,
        ``chunks`` and ``shards``; without names, that of all outputs. Default: as computed, with
        zstd. The encoding of an existing grid changes only by `Grid.rechunk`.
    codec : codec, list or "auto", optional
        The compressor of every output that ``encoding`` does not give one: a Zarr codec, as an
        object, a dict or a name. ``"auto"``: the best of a few, measured on the first chunk.
    key : Key, optional
        The key that encrypts the values of a new grid, or that an encrypted one has. Default: an
        encrypted grid is read with the keys that this process already has.
    tolerance : mapping, optional
        By float axis, the largest distance at which a stored value stands for a requested one.
        Default: exact.
    vectorized : bool, default False
        Whether ``func`` takes a whole block: every axis as an array that broadcasts against the
        others. It returns arrays with the block's dims, followed by the output's own dims.
    rng : str, optional
        The parameter that receives a ``numpy.random.Generator``, seeded by the point's identity.
    executor : {"processes", "threads", "sync"}, optional
        The place of the calls. Default: the active dask client, else the scheduler that dask is
        configured to use, else processes.
    client : distributed.Client, optional
        The dask client that computes.
    workers : int, optional
        The number of processes or threads. Default: one per CPU.
    exec_chunk_size : int, optional
        Points per task. Default: chosen by the cost of a point.
    flush_interval : float, optional
        Seconds after which a finished point is in the store. Default: about one, or up to ten if
        writing would take more than 2 % of the run.
    view_chunks : {}, "auto" or mapping, optional
        The chunks of the dask arrays to return. Default: lazily indexed arrays, without dask.
    on_error : {"raise", "record"}, default "raise"
        ``"raise"``: the first failing point ends the run. ``"record"``: the run stores failures
        (see `Grid.errors`) and continues; failed points read as missing.
    retries : int, default 0
        The most repeated calls at a point that failed, each after a longer pause.
    retry_failed : bool, default True
        Whether the run tries points again that failed in an earlier run.
    timeout : float, optional
        Seconds for one call. The run ends a worker that takes longer. With ``retries`` it tries
        the point again; else the point failed.
    rate : str or float, optional
        The most calls per time: ``"10/s"``, ``"30/min"``, or a number of calls per second.
    memory_limit : str or int, optional
        Bytes that one worker may use, such as ``"2GB"``; beyond that, the point gets a
        MemoryError.
    max_tasks_per_child : int, optional
        The number of tasks after which a fresh process replaces a worker process.
    isolate : bool, default False
        Whether every task gets a fresh process.
    gc : {"task"}, optional
        ``"task"``: collect garbage after every task.
    pause_at, kill_at : float, default 0.80 and 0.90
        Parts of the machine's memory. When ``pause_at`` is in use, the run starts one task at a
        time. At ``kill_at`` it ends its own largest worker and continues with one worker less.
    durability : {"process", "power"}, default "process"
        ``"process"``: committed results survive the death of any process. ``"power"``: they also
        survive a loss of power.
    lease_seconds : float, default 30
        Seconds without a heartbeat after which another process may take the grid; at most an
        hour.
    log : path-like, optional
        A file to which the run appends one JSON line per event: those of the grid as
        `Event.to_json` gives them, and those of the run itself, such as tasks and retries.
    on_event : callable, optional
        A function that is called with each `Event` of the grid from the beginning of the run to
        its end, one after the other, in a thread of this process: with points once they are
        stored. The call returns after the last event was told. An error of it harms no run; the
        first is logged.
    verbose : {0, 1, 2}, default 1
        0: the run shows nothing; 1: a bar in a terminal or notebook, elsewhere a line a minute by
        ``logging``; 2: always a bar.

    Returns
    -------
    xr.Dataset
        One variable per output. Its dims are the axes in the order of the request, followed by
        the output's own dims. It reads values when they are used.

    Raises
    ------
    InputError
        If the call is wrong. Nothing is computed or written.
    PointError
        If the function failed at a point. Finished points are kept.
    StoreError
        If the store cannot be used, or something that is read from it is damaged.

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
    __tracebackhide__ = True
    return _evaluate("compute", args, where, given_options)[0]


@overload
def run(
    params: Mapping[str, Any] | None = None,
    axes: Mapping[str, Any] | None = None,
    *,
    where: Any = None,
    **options: Unpack[CallOptions],
) -> tuple[xr.Dataset, Diagnostics]: ...
@overload
def run(
    func: Callable[..., Any],
    /,
    params: Mapping[str, Any] | None = None,
    axes: Mapping[str, Any] | None = None,
    *,
    where: Any = None,
    **options: Unpack[OptionTypes],
) -> tuple[xr.Dataset, Diagnostics]: ...
@signed(_grid_call)
def run(*args: Any, where: Any = None, **given_options: Any) -> tuple[xr.Dataset, Diagnostics]:
    """Compute as `compute` does, and return the dataset with a summary of the run.

    Parameters
    ----------
    params, axes, where
        The fixed values, the swept values and the condition, as for `compute`.
    **options
        Options of `compute`, ``func`` and ``store`` among them.

    Returns
    -------
    xr.Dataset
        The same as `compute` returns.
    Diagnostics
        The numbers of points computed, reused and left out, and the time of the run.

    Examples
    --------
    >>> import swarmgrid
    >>> def area(width, height):
    ...     return width * height
    >>> options = dict(store="memory://run", executor="sync")
    >>> ds, done = swarmgrid.run(area, {"height": 2.0}, {"width": [1, 2]}, **options)
    >>> done.points_computed
    2
    """
    __tracebackhide__ = True
    return _evaluate("run", args, where, given_options)


def _evaluate(
    name: str, args: tuple[Any, ...], where: Any, given_options: Mapping[str, Any]
) -> tuple[xr.Dataset, Diagnostics]:
    __tracebackhide__ = True
    with UserFrames():
        params, axes, options = given(name, args, given_options)
        call = Call(current_options().updated(options), params, axes, where)
        done = call.fill()
        return call.dataset(), done


@overload
def stream(
    params: Mapping[str, Any] | None = None,
    axes: Mapping[str, Any] | None = None,
    *,
    where: Any = None,
    **options: Unpack[CallOptions],
) -> Diagnostics: ...
@overload
def stream(
    func: Callable[..., Any],
    /,
    params: Mapping[str, Any] | None = None,
    axes: Mapping[str, Any] | None = None,
    *,
    where: Any = None,
    **options: Unpack[OptionTypes],
) -> Diagnostics: ...
@signed(_grid_call)
def stream(*args: Any, where: Any = None, **given_options: Any) -> Diagnostics:
    """Compute the missing points into the store, as `compute` does, and return no data.

    Parameters
    ----------
    params, axes, where
        The fixed values, the swept values and the condition, as for `compute`.
    **options
        Options of `compute`, ``func`` and ``store`` among them.

    Returns
    -------
    Diagnostics
        The numbers of points computed, reused and left out, and the time of the run.

    Examples
    --------
    >>> import swarmgrid
    >>> def area(width, height):
    ...     return width * height
    >>> options = dict(store="memory://stream", executor="sync")
    >>> swarmgrid.stream(area, {"height": 2.0}, {"width": [1, 2]}, **options).points_computed
    2
    """
    __tracebackhide__ = True
    with UserFrames():
        params, axes, options = given("stream", args, given_options)
        return Call(current_options().updated(options), params, axes, where).fill()


for _public in (compute, run, stream):
    _public.__module__ = "swarmgrid"  # users import it from there
