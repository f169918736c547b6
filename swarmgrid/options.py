"""Every option of a grid, and `set_options`, which supplies those that a call leaves out."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, Self, TypedDict, TypeVar, Unpack

from swarmgrid.option_checks import checked
from swarmgrid.option_words import unknown_option
from swarmgrid.run_options import RunOptions

if TYPE_CHECKING:
    import os

    import xarray as xr

    from swarmgrid.codecs.keys import Key
    from swarmgrid.outputs.outputs import Output


class OptionTypes(TypedDict, total=False):
    """The options but the function, and their types; `Options` says what each means."""

    store: str | os.PathLike[str] | Any
    storage_options: Mapping[str, Any] | None
    version: str | None
    depends: Any
    ignore: Collection[str] | None
    tags: Mapping[str, Any] | None
    chunks: int | Mapping[str, int | Mapping[str, int] | None] | None
    shards: int | Mapping[str, int | Mapping[str, int] | None] | Literal[False] | None
    outputs: Mapping[str, Output] | xr.Dataset | None
    encoding: Mapping[str, Any] | None
    codec: Any
    key: Key | None
    tolerance: Mapping[str, float] | None
    vectorized: bool
    rng: str | None
    executor: Literal["processes", "threads", "sync"] | None
    client: Any
    workers: int | None
    exec_chunk_size: int | None
    flush_interval: float | None
    on_error: Literal["raise", "record"]
    retries: int
    retry_failed: bool
    timeout: float | None
    rate: str | float | None
    memory_limit: str | int | None
    max_tasks_per_child: int | None
    isolate: bool
    gc: Literal["task"] | None
    pause_at: float
    kill_at: float
    durability: Literal["process", "power"]
    lease_seconds: float
    log: str | os.PathLike[str] | None
    on_event: Callable[[Any], Any] | None
    view_chunks: Literal["auto"] | Mapping[str, Any] | None
    verbose: Literal[0, 1, 2]


class CallOptions(OptionTypes, total=False):
    """All options."""

    func: Callable[..., Any] | None


CallOptions.__module__ = "swarmgrid"
AnyCallable = TypeVar("AnyCallable", bound=Callable[..., Any])


@dataclass(frozen=True)
class Options(RunOptions):
    """The options of a grid: how it is identified, stored, computed and shown."""

    func: Callable[..., Any] | None = None
    """The function of one point: ``func(**params, **point)``."""
    store: Any = None
    """A directory, a URL (``memory://``, ``sqlite:///``, ``lmdb:///``, ``redis://``, ``dynamodb://``,
    ``s3://``, ``gs://``, ``az://``) or a Zarr store."""
    storage_options: Mapping[str, Any] | None = None
    """Options with which a URL is opened: endpoint, credentials, ..."""
    version: str | None = None
    """Stands for the function's code in the identity; None: the code itself does."""
    depends: Any = None
    """The further things that results depend on, besides code and params: the name of an installed
    package, whose version counts, a `pathlib.Path`, whose content counts, a mapping from names to
    paths and values, or a list of these."""
    ignore: Collection[str] | None = None
    """Names that the function uses and that do not count as its code, ``{"args"}``: of globals,
    closure variables, defaults and attributes, as ``name`` or ``module:name``."""
    tags: Mapping[str, Any] | None = None
    """Notes that are kept with the grid, by name, to find it again; they change no result."""
    chunks: Any = None
    """Chunk lengths by axis, ``{"s": 50}`` or ``{"s": {"size": 50}}``, or one for all; an axis
    left out is chosen for you, and an existing grid keeps what it has."""
    shards: Any = None
    """Shard lengths by axis, multiples of the chunk lengths: the chunks of a shard are stored in
    one object. False: no shards; None: chosen for you, where there are very many tiny chunks."""
    outputs: Any = None
    """Declared outputs: `Output` by name, or an ``xr.Dataset`` as of one point; None: inferred
    from the first point."""
    encoding: Mapping[str, Any] | None = None
    """The encodings of outputs, by name, under xarray's keys: ``{"value": {"dtype": "float32"}}``;
    an existing grid keeps what it has."""
    codec: Any = None
    """The compressor of every output: a Zarr codec, a list of them, or ``"auto"``."""
    key: Key | None = None
    """The key that encrypts the stored values: `Key`. None: they are not encrypted, or with the
    key that the grid has, if this process has it."""
    tolerance: Mapping[str, float] | None = None
    """By float axis, how close a value must lie to a stored one to stand for it."""
    vectorized: bool = False
    """Whether the function takes a whole block, every axis as an array that broadcasts."""
    rng: str | None = None
    """The function's parameter that receives a ``numpy.random.Generator`` made for the point."""
    view_chunks: Any = None
    """None: results are lazily indexed, without dask. ``{}`` (the stored chunks), ``"auto"`` or a
    mapping: they are dask arrays of such chunks."""

    def updated(self, changes: Mapping[str, Any]) -> Options:
        """The options with some changed, and those of a `GridFunction` that is the function.

        Raises
        ------
        InputError
            If there is no option of such a name, or it cannot be of such a value.
        """
        bound = getattr(changes.get("func"), "__swarmgrid_options__", {})
        changes = {**(bound if isinstance(bound, Mapping) else {}), **changes}
        names = [f.name for f in fields(self)]
        for name in changes:
            if name not in names:
                raise unknown_option(name, names, changes.get("func", self.func))
        return replace(self, **{name: checked(name, value) for name, value in changes.items()})

    def of_the_run(self) -> RunOptions:
        """The options that say how a run is carried out."""
        return RunOptions(**{f.name: getattr(self, f.name) for f in fields(RunOptions)})


_global = Options()


class set_options:  # noqa: N801  # xarray's name and its two uses
    """Supply options that later calls leave out: for good, or within a ``with`` block.

    Parameters
    ----------
    **options
        Any option of `swarmgrid.compute`.

    Raises
    ------
    InputError
        If there is no option of such a name, or it cannot be of such a value.

    Examples
    --------
    >>> import swarmgrid
    >>> def area(width, height):
    ...     return width * height
    >>> with swarmgrid.set_options(func=area, store="memory://options", executor="sync"):
    ...     ds = swarmgrid.compute({"height": 2.0}, {"width": [1, 2, 3]})
    >>> ds["value"].values
    array([2., 4., 6.])
    """

    __module__ = "swarmgrid"

    def __init__(self, **options: Unpack[CallOptions]) -> None:
        global _global  # noqa: PLW0603  # an option of the whole process, as in xarray
        self._previous = _global
        _global = _global.updated(options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        global _global  # noqa: PLW0603
        _global = self._previous


def current_options() -> Options:
    """The options that `set_options` has set."""
    return _global


def signed(
    like: Callable[..., Any] | None = None, *, has_func: bool = True
) -> Callable[[AnyCallable], AnyCallable]:
    """Give a function a signature that shows every option with its default.

    Parameters
    ----------
    like : callable, optional
        The function whose parameters it has besides; None: its own.
    has_func : bool, default True
        Whether ``func`` is among the options.
    """

    def enter(func: AnyCallable) -> AnyCallable:
        own = inspect.signature(like or func).parameters.values()
        names = [*(["func"] if has_func else []), *OptionTypes.__annotations__]
        defaults, kind = Options(), inspect.Parameter.KEYWORD_ONLY
        options = [
            inspect.Parameter(
                name,
                kind,
                default=getattr(defaults, name),
                annotation=getattr(note, "__forward_arg__", note),
            )
            for name in names
            for note in [CallOptions.__annotations__[name]]
        ]
        parameters = [one for one in own if one.kind is not one.VAR_KEYWORD]
        result = inspect.signature(func).return_annotation
        vars(func)["__signature__"] = inspect.Signature(
            [*parameters, *options], return_annotation=result
        )
        return func

    return enter


signed()(set_options.__init__)
