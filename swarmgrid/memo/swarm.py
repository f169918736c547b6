"""SwarmMemo: a chunked memo of a function of points, in the terms of the package swarm-memo."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from swarmgrid.errors import DamageError, InputError, brief
from swarmgrid.memo.enumerated_points import enumerated
from swarmgrid.memo.memo_diagnostics import MemoDiagnostics
from swarmgrid.memo.memo_request import MemoRequest
from swarmgrid.memo.point_records import PointCall, field_names
from swarmgrid.memo.version import code_version, hashes_version
from swarmgrid.memo.wrap import to_params
from swarmgrid.option_checks import checked
from swarmgrid.options import current_options
from swarmgrid.space.axis import to_axes
from swarmgrid.space.chunks import to_chunk_spec

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Sequence

    import xarray as xr

    from swarmgrid.api.evaluation import Call
    from swarmgrid.options import CallOptions

T = TypeVar("T")


class SwarmMemo:
    """Evaluate a function at enumerated points, each once, and merge the results chunk by chunk.

    The interface is that of the package swarm-memo; below it is a grid like any other. A point
    that was ever computed for the same params and version is never computed again.

    ``run(params, split_spec)`` returns the merged output and what was done; ``run_streaming``
    only stores. ``run_wrap()`` and ``streaming_wrap()`` make decorators that do the same for
    other functions, and ``dataset(params, split_spec)`` opens what is stored.

    Parameters
    ----------
    cache_root : str, path or zarr.abc.store.Store
        The store, as ``store=`` of `swarmgrid.compute`.
    memo_chunk_spec : mapping
        Values per memo chunk and axis, ``{"s": 3}`` or ``{"s": {"size": 3}}``; an axis left out
        is not divided. They are the Zarr chunks of a new grid, too.
    exec_chunk_size : int
        Points per task of a worker.
    enumerate_points : callable
        ``enumerate_points(params, split_spec)`` gives the requested points, in their order:
        all or some of the product of the axes, each once, as tuples in ``axis_order``, as dicts
        by axis, or as bare values of a single axis.
    exec_fn : callable
        ``exec_fn(params, point)`` returns a number, a string, an array, or a flat dict of these.
    collate_fn : callable
        ``collate_fn(outputs)`` makes one value of the outputs of a memo chunk, which come in the
        order of the enumeration.
    merge_fn : callable
        ``merge_fn(chunks)`` makes the output of the collated chunks, which come in the order in
        which the enumeration first enters them.
    chunk_hash_fn : callable, optional
        ``chunk_hash_fn(params, chunk_key, cache_version)`` returns a string for each memo chunk,
        with ``chunk_key = (("strat", ("aaa",)), ("s", (1, 2, 3)))``. It is part of the cache's
        identity: results are reused while it says the same of every chunk.
    cache_version : str or None
        Stands for the code of ``exec_fn``, whose edits are not noticed: change it with them.
        None: the code itself counts, as everywhere else in swarmgrid. It does so in any case
        where a name does not tell functions apart: a lambda, a function made in another, a
        partial, a method of an object. What these hold counts, too.
    max_workers : int, optional
        The number of worker processes. Default: one per CPU.
    axis_order : sequence of str, optional
        The axes in the order of a point's values. Default: as in ``split_spec``.
    verbose : {0, 1, 2}, default 1
        0: no progress bar; 1: a bar in a terminal or notebook; 2: always.

    Examples
    --------
    >>> from swarmgrid import SwarmMemo
    >>> def enumerate_points(params, split_spec):
    ...     return [(a, b) for a in split_spec["a"] for b in split_spec["b"]]
    >>> def exec_fn(params, point):
    ...     return point[0] * point[1] * params["scale"]
    >>> memo = SwarmMemo(
    ...     "memory://swarm-memo",
    ...     {"a": 1, "b": 2},
    ...     2,
    ...     enumerate_points,
    ...     exec_fn,
    ...     collate_fn=sum,
    ...     merge_fn=list,
    ... )
    >>> output, diag = memo.run({"scale": 10}, {"a": [1, 2], "b": [1, 2, 3]})
    >>> output  # the sums of (1, 1) and (1, 2), of (1, 3), of (2, 1) and (2, 2), of (2, 3)
    [30, 30, 60, 60]
    >>> diag.total_chunks, diag.executed_chunks
    (4, 4)
    """

    __module__ = "swarmgrid"

    def __init__(
        self,
        cache_root: str | os.PathLike[str] | Any,
        memo_chunk_spec: Mapping[str, int | Mapping[str, int]],
        exec_chunk_size: int,
        enumerate_points: Callable[[Any, Any], Iterable[Any]],
        exec_fn: Callable[..., Any],
        collate_fn: Callable[[list[Any]], Any],
        merge_fn: Callable[[list[Any]], Any],
        chunk_hash_fn: Callable[[Any, tuple[Any, ...], Any], str] | None = None,
        cache_version: str | None = "v1",
        max_workers: int | None = None,
        axis_order: Sequence[str] | None = None,
        verbose: int = 1,
    ) -> None:
        functions = {
            "enumerate_points": enumerate_points,
            "exec_fn": exec_fn,
            "collate_fn": collate_fn,
            "merge_fn": merge_fn,
        }
        for name, func in functions.items():
            if not callable(func):
                raise InputError(f"{name} is {brief(func)}; expected a function")
        if chunk_hash_fn is not None and not callable(chunk_hash_fn):
            raise InputError(f"chunk_hash_fn is {brief(chunk_hash_fn)}; expected a function")
        if axis_order is not None and not isinstance(axis_order, (list, tuple)):
            raise InputError(
                f"axis_order is {brief(axis_order)}; expected a list of the axes' names"
            )
        if not isinstance(memo_chunk_spec, Mapping):
            raise InputError(
                f"memo_chunk_spec is {brief(memo_chunk_spec)}; expected a mapping from axes to "
                "lengths, such as {'s': 3}"
            )
        for option, value in {
            "store": cache_root,
            "exec_chunk_size": exec_chunk_size,
            "version": cache_version,
            "workers": max_workers,
            "verbose": verbose,
        }.items():
            checked(option, value)
        to_chunk_spec(memo_chunk_spec, list(memo_chunk_spec))  # a wrong length is an error here
        self._cache_root = cache_root
        self._memo_chunk_spec = memo_chunk_spec
        self._exec_chunk_size = exec_chunk_size
        self._enumerate_points = enumerate_points
        self._exec_fn = exec_fn
        self._collate_fn = collate_fn
        self._merge_fn = merge_fn
        self._chunk_hash_fn = chunk_hash_fn
        self._cache_version = cache_version
        self._max_workers = max_workers
        self._axis_order = axis_order
        self._verbose: Any = verbose

    def __swarmgrid_token__(self) -> str:
        return "memo"  # one that a function's object holds tells it nothing

    def run(
        self, params: Mapping[str, Any], split_spec: Mapping[str, Any]
    ) -> tuple[Any, MemoDiagnostics]:
        """Compute the points that are missing; the merged output of all, and what was done.

        Parameters
        ----------
        params : mapping
            The fixed values, by name; part of the cache's identity.
        split_spec : mapping
            The values of every axis.

        Raises
        ------
        InputError
            If the points or anything else of the call cannot be used; nothing was computed.
        PointError
            If ``exec_fn`` failed at a point. What was finished is kept.
        StoreError
            If the store cannot be used. Damaged files are repaired, or their values are computed
            again; a warning is logged.
        """
        return self._run(self._request(self._exec_fn, params, split_spec))

    def run_streaming(
        self, params: Mapping[str, Any], split_spec: Mapping[str, Any]
    ) -> MemoDiagnostics:
        """Compute the points that are missing into the store, each chunk as it is complete."""
        return self._stream(self._request(self._exec_fn, params, split_spec))

    def dataset(self, params: Mapping[str, Any], split_spec: Mapping[str, Any]) -> xr.Dataset:
        """Open the stored values of these points, lazily; compute nothing.

        A variable per field that ``exec_fn`` returned (a field named like an axis has a ``_``
        behind), or ``value``; points that are not computed read as missing.

        Raises
        ------
        InputError
            If nothing is stored for these params and axes.
        DamageError
            If what is read is damaged: the next `run` repairs it.
        """
        found = self._request(self._exec_fn, params, split_spec).dataset()
        names = tuple(map(str, found.data_vars))
        fields = field_names(names, tuple(split_spec)) or names
        shown = dict(zip(names, fields, strict=True))
        return found.rename({n: f for n, f in shown.items() if f not in {n, *split_spec}})

    def run_wrap(
        self,
    ) -> Callable[[Callable[..., Any]], Callable[..., tuple[Any, MemoDiagnostics]]]:
        """Make a decorator of functions ``exec_point(params, point, extra=1)``, to be `run`.

        The result is called as ``exec_point(params, split_spec=split_spec, extra=2)``. Keyword
        arguments, and the defaults of those left out, join the params; what is in the params
        takes the place of a default.
        """
        return functools.partial(self._wrapped, run=self._run)

    def streaming_wrap(
        self,
    ) -> Callable[[Callable[..., Any]], Callable[..., MemoDiagnostics]]:
        """Make a decorator as `run_wrap` does, for `run_streaming`."""
        return functools.partial(self._wrapped, run=self._stream)

    def _wrapped(
        self, func: Callable[..., Any], run: Callable[[MemoRequest], Any]
    ) -> Callable[..., Any]:
        @functools.wraps(func)
        def wrapper(*args: Any, split_spec: Any = None, **given: Any) -> Any:
            if split_spec is None:
                raise InputError(f"{func.__name__} needs split_spec=, by keyword")
            params, extras = to_params(func, args, given)
            joined = {**params, **extras}
            return run(self._request(func, joined, split_spec, tuple(extras)))

        return wrapper

    # ---- one request

    def _run(self, request: MemoRequest) -> tuple[Any, MemoDiagnostics]:
        output, done = self._sound(
            request, lambda call: self._merge_fn(self._collate(request, call))
        )
        return output, replace(done, merged_points=len(request.points))

    def _stream(self, request: MemoRequest) -> MemoDiagnostics:
        _, done = self._sound(request, lambda _: None)
        return replace(done, stream_flushes=done.executed_chunks)

    def _sound(
        self, request: MemoRequest, finish: Callable[[Call], T]
    ) -> tuple[T, MemoDiagnostics]:
        """Fill the request and finish it, again for everything that is found damaged."""
        done: MemoDiagnostics | None = None
        damaged: set[str] = set()
        while True:
            try:
                call = request.begun()
                filled = self._fill(request, call)
                done = filled if done is None else done.and_again(filled)
                return finish(call), done
            except DamageError as error:
                # once per object: damaged again, the store does not keep what is written
                if error.key in damaged:
                    raise request.damaged_again(error) from error
                damaged.add(error.key)
                request.repair(error)

    def _collate(self, request: MemoRequest, call: Call) -> list[Any]:
        collated: list[Any] = [None] * len(request.chunks)
        for number, outputs in request.records(call):
            collated[number] = self._collate_fn(outputs)
        return collated

    def _fill(self, request: MemoRequest, call: Call) -> MemoDiagnostics:
        before = request.stored(call)
        done = call.fill()
        total = len(request.chunks)
        cached = sum(bool(before.computed[chunk.members].all()) for chunk in request.chunks)
        return MemoDiagnostics(
            total_chunks=total,
            cached_chunks=cached,
            executed_chunks=total - cached,
            cached_points=done.points_cached,
            executed_points=done.points_computed,
            merged_points=0,
            stream_flushes=0,
        )

    def _request(
        self,
        exec_fn: Callable[..., Any],
        params: Mapping[str, Any],
        split_spec: Mapping[str, Any],
        extras: tuple[str, ...] = (),
    ) -> MemoRequest:
        """The request of a call, once everything about it has been checked."""
        axes = self._ordered(split_spec)
        to_axes(axes)
        spec = to_chunk_spec(self._memo_chunk_spec, list(axes))
        values = {name: list(column) for name, column in axes.items()}
        points = enumerated(self._enumerate_points(params, split_spec), values)
        lengths = tuple(spec.get(name, max(1, len(column))) for name, column in values.items())
        chunks = points.chunks(lengths)
        call = PointCall(exec_fn, tuple(axes), points.form, extras)
        version = f"{code_version(exec_fn, self._cache_version)} {call.description}"
        if (chunk_hash_fn := self._chunk_hash_fn) is not None:
            keys = (points.chunk_index(chunk, lengths) for chunk in chunks)
            said = {key: chunk_hash_fn(params, key, self._cache_version) for key in keys}
            version += f" {hashes_version(said)}"
        options = self._options(call, version)
        return MemoRequest(params, axes, points, lengths, chunks, spec, options)

    def _ordered(self, split_spec: Mapping[str, Any]) -> dict[str, Any]:
        """The axes in the order of a point's values."""
        if not isinstance(split_spec, Mapping) or not split_spec:
            raise InputError(
                f"split_spec is {brief(split_spec)}; expected a mapping from axes to their values"
            )
        labelled = [name for name, values in split_spec.items() if isinstance(values, Mapping)]
        if labelled:
            raise InputError(
                f"split_spec has a mapping for {labelled[0]!r}; expected a list of its values"
            )
        order = list(split_spec) if self._axis_order is None else list(self._axis_order)
        if sorted(order, key=str) != sorted(split_spec, key=str):
            raise InputError(
                f"axis_order is {order}; expected the axes of split_spec, {list(split_spec)}"
            )
        return {name: split_spec[name] for name in order}

    def _options(self, call: PointCall, version: str) -> CallOptions:
        """The grid's options: those that give it its meaning are not left to `set_options`."""
        options: CallOptions = {
            "func": call,
            "store": self._cache_root,
            "version": version,
            "chunks": None,
            "outputs": None,
            "vectorized": False,
            "rng": None,
            "view_chunks": None,
            "exec_chunk_size": self._exec_chunk_size,
            "verbose": self._verbose,
        }
        if self._max_workers is not None:
            options["workers"] = self._max_workers
        if current_options().executor is None and current_options().client is None:
            options["executor"] = "processes"  # a pool, as ever: a slow point delays no other
        return options
