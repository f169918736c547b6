"""The request of a user, checked: the function, its params, the axes, the grid they name."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from swarmgrid import identity
from swarmgrid.codecs.given import GivenEncodings, to_given
from swarmgrid.codecs.keys import Key, hold
from swarmgrid.errors import AxisError, InputError, brief, no_function
from swarmgrid.outputs.labels import MisfitError
from swarmgrid.outputs.outputs import Output, Schema, dtype_name
from swarmgrid.outputs.results import coords_of, json_attrs
from swarmgrid.planning.depends import Depends, to_depends
from swarmgrid.planning.fixed import Defaults
from swarmgrid.planning.origin import ORIGIN
from swarmgrid.planning.shown import shown_params
from swarmgrid.planning.signature import check_signature, may_sweep
from swarmgrid.planning.where import requested_points
from swarmgrid.space.axis import to_axes, with_code
from swarmgrid.space.chunks import to_chunk_spec
from swarmgrid.space.function import PointFunction
from swarmgrid.space.names import checked_name
from swarmgrid.space.shards import to_shard_spec
from swarmgrid.store.grid_ref import GridRef
from swarmgrid.store.layout import GridPath

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from swarmgrid.space.axis import Axis
    from swarmgrid.store.location import Location


@dataclass(frozen=True)
class Domain:
    """The points that are asked for."""

    axes: tuple[Axis, ...]
    """In the order that the user wants."""
    mask: NDArray[np.bool_] | None = None
    """The points asked for, an array over the axes; None: all."""
    tolerance: Mapping[str, float] = field(default_factory=dict)
    """By float axis, how close a value must lie to a stored one to stand for it."""
    is_lookup: bool = False
    """Whether nothing is to be computed, so that labels do not need what they stand for."""

    @property
    def names(self) -> tuple[str, ...]:
        """The axes' names."""
        return tuple(axis.name for axis in self.axes)

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of values on every axis."""
        return tuple(len(axis) for axis in self.axes)

    @property
    def n_requested(self) -> int:
        """The number of requested points."""
        return math.prod(self.shape) if self.mask is None else int(self.mask.sum())


@dataclass(frozen=True)
class Layout:
    """The requested chunks, shards and outputs of the grid."""

    chunks: Mapping[str, int] = field(default_factory=dict)
    """The chunk lengths asked for; empty: what is stored, or what we choose."""
    shards: Mapping[str, int] | Literal[False] | None = None
    """The shard lengths asked for; False: no shards; None: what is stored, or what we choose."""
    schema: Schema | None = None
    """The declared outputs."""
    key_id: str | None = None
    """The id of the key that the grid is to be encrypted with; None: whatever it has."""
    encodings: GivenEncodings = field(default_factory=GivenEncodings)
    """The encodings asked for; none: what is stored, or the usual one."""


@dataclass(frozen=True)
class Request:
    """A checked request; making one reads nothing and writes nothing."""

    grid: GridRef
    function: PointFunction
    domain: Domain
    layout: Layout
    depends: Mapping[str, str] = field(default_factory=dict)
    """The function's further dependencies, as text for people, by name."""


@dataclass(frozen=True, slots=True)
class Function:
    """The identity of a function."""

    name: str
    """``module.qualname``."""
    version: str
    """As the user pinned it, or ``code-<fingerprint>``."""
    code: object
    """The identity of its code: the version and what the function holds, or the fingerprint."""
    how: Mapping[str, Any]
    """The form of the call, if that changes its result: with a generator, or with blocks."""
    defaults: Defaults
    depends: Depends
    origin: Mapping[str, str] = field(default_factory=dict)
    """See `identity.Origin`; nothing without a version, which is no more than a name."""

    def path(self, params: Mapping[str, Any], axes: Collection[str]) -> GridPath:
        """The grid of some params and axes."""
        fixed = self.defaults.filled(params, axes)
        grid = identity.grid_id(
            self.name, self.code, fixed, axes, how=self.how, depends=self.depends.key()
        )
        return GridPath(self.short_name, grid)

    def ref(self, location: Location, params: Mapping[str, Any], axes: Collection[str]) -> GridRef:
        """The same, in a store, and what its group says of the function."""
        attributes: dict[str, Any] = {
            "swarmgrid_function": self.short_name,
            "swarmgrid_params": shown_params(params),
            "swarmgrid_version": self.version,
        }
        if defaults := self.defaults.used(params, axes):
            attributes[DEFAULTS] = dict(sorted(defaults.items()))
        if self.depends:
            attributes["swarmgrid_depends"] = json.dumps(self.depends.shown())
        if self.origin:
            attributes[ORIGIN] = self.origin
        return GridRef(location, self.path(params, axes), attributes)

    @property
    def short_name(self) -> str:
        """The last part of the name."""
        return self.name.rpartition(".")[2]


DEFAULTS = "swarmgrid_defaults"
"""The attribute of a group: the digests of the defaults that the call used, by parameter."""
_CODE = re.compile(r"code-([0-9a-f]{4,32})")


def code_digits(version: object) -> str | None:
    """The digits of a version that names code, ``code-3535``; None for any other version."""
    found = _CODE.fullmatch(version) if isinstance(version, str) else None
    return None if found is None else found[1]


def identified(
    func: Callable[..., Any],
    version: str | None,
    rng: str | None,
    *,
    vectorized: bool,
    depends: object = None,
    ignore: Collection[str] | None = None,
    defaults: Mapping[str, str] | None = None,
) -> Function:
    """The identity of a function, by its version or, without one, by its code.

    ``defaults`` are the digests of the defaults of earlier code; see `swarmgrid.finding.versions`.

    Raises
    ------
    IdentityError
        If it can reach a value that has no stable digest.
    InputError
        If something that it depends on is not there.
    """
    name, ignore = identity.function_name(func), ignore or ()
    how = {"rng": rng, "vectorized": bool(vectorized)}
    code: tuple[object, ...]
    origin: Mapping[str, str] = {}
    digits = code_digits(version)
    if digits is not None:  # of a grid that is stored; see `swarmgrid.finding.versions`
        shown, code = str(version), ("code", digits)
    elif version is not None:
        shown, code = str(version), ("version", str(version), identity.bound(func, ignore))
        origin = identity.Origin(func)
    else:
        fingerprint = identity.fingerprint(func, ignore)
        shown, code = f"code-{fingerprint}", ("code", fingerprint)
    fixed = replace(Defaults.of(func, name, rng, ignore), stored=defaults)
    return Function(name, shown, code, how, fixed, to_depends(depends), origin)


def to_request(
    func: Callable[..., Any],
    params: Mapping[str, Any] | None,
    axes: Mapping[str, Any] | None,
    location: Location,
    *,
    version: str | None = None,
    ignore: Collection[str] | None = None,
    chunks: object = None,
    shards: object = None,
    outputs: object = None,
    tolerance: Mapping[str, float] | None = None,
    vectorized: bool = False,
    rng: str | None = None,
    where: object = None,
    depends: object = None,
    defaults: Mapping[str, str] | None = None,
    encoding: object = None,
    codec: object = None,
    key: Key | None = None,
) -> Request:
    """The request that a call describes.

    Raises
    ------
    InputError
        If anything about it is wrong; see its subclasses.
    """
    params = to_params(params)
    if not callable(func):
        raise no_function(func)
    if axes is None and (params or may_sweep(func, rng)):
        raise _no_axes(params)
    axes = to_mapping("axes", axes)
    if vectorized and rng is not None:
        raise InputError(
            "rng and vectorized exclude each other: a block's random numbers would depend on how "
            "the grid is chunked. Call the function point by point, or make the seed an axis"
        )
    check_signature(func, params, axes, rng)
    checked = to_axes(axes)
    if version is None:  # it would stand for this code, too
        checked = tuple(map(with_code, checked))
    names = tuple(axis.name for axis in checked)
    function = identified(
        func,
        version,
        rng,
        vectorized=vectorized,
        depends=depends,
        ignore=ignore,
        defaults=defaults,
    )
    schema = to_schema(outputs, names)
    encodings = to_given(encoding, codec)
    chunks, shards = encodings.layout(names, chunks, shards)
    spec = to_chunk_spec(chunks, names)
    if schema is not None:
        schema.check(names)
    return Request(
        function.ref(location, params, names),
        PointFunction(func, params, vectorized, rng, frozenset(ignore or ())),
        Domain(
            checked,
            requested_points(where, checked, params),
            checked_tolerance(tolerance, checked),
        ),
        Layout(
            spec,
            to_shard_spec(shards, spec, names),
            schema,
            None if key is None else hold(key).id,
            encodings,
        ),
        function.depends.shown(),
    )


def to_schema(outputs: object, axes: Collection[str] = ()) -> Schema | None:
    """The schema that a user declares: `Output` by name, or an ``xr.Dataset`` as of one point."""
    if outputs is None:
        return None
    if isinstance(getattr(outputs, "data_vars", None), Mapping):
        return _from_template(outputs, axes)
    if not isinstance(outputs, Mapping) or not outputs:
        raise InputError(
            f"outputs is {brief(outputs)}; expected a mapping from names to swarmgrid.Output, or "
            "an xr.Dataset as of one point"
        )
    wrong = [name for name, output in outputs.items() if not isinstance(output, Output)]
    if wrong:
        raise InputError(
            f"outputs[{wrong[0]!r}] is {brief(outputs[wrong[0]])}; expected a swarmgrid.Output"
        )
    for name, output in outputs.items():
        lost = sorted(map(repr, output.attrs.keys() - json_attrs(output.attrs).keys()))
        if lost:
            raise InputError(
                f"outputs[{name!r}] has the attribute {lost[0]}, which JSON cannot hold; expected "
                "text, finite numbers, and lists and dicts of these"
            )
    return Schema({checked_name("an output", name): o for name, o in outputs.items()})


def _from_template(template: Any, axes: Collection[str]) -> Schema:
    outputs = {
        checked_name("an output", name): Output(
            tuple(checked_name("a dim of an output", dim) for dim in array.dims),
            array.shape,
            dtype_name(array.dtype),
            json_attrs(array.attrs),
        )
        for name, array in template.data_vars.items()
    }
    if not outputs:
        raise InputError("the outputs template has no data variables; expected one per output")
    try:
        coords = coords_of(template)
    except MisfitError as error:
        raise InputError(f"the outputs template cannot be used: {error}") from None
    coords = {name: c for name, c in coords.items() if c.dims or name not in axes}
    return Schema(outputs, coords, json_attrs(template.attrs))


def _no_axes(params: Mapping[str, Any]) -> InputError:
    """The error that a call has no axes; it names the params that look like some."""
    sizes = {name: value for name, value in params.items() if isinstance(value, _COLLECTIONS)}
    meant = f"axes={{{', '.join(f'{name!r}: ...' for name in sizes)}}}" if sizes else "axes={...}"
    return InputError(
        "axes is not given, so nothing would be swept; expected a mapping from parameters to "
        f"their values: compute(params, {meant}). For the single point of the params alone, pass "
        "axes={}"
    )


_COLLECTIONS = (list, tuple, range, np.ndarray)


def to_params(params: object) -> dict[str, Any]:
    """The params as the function receives them: numbers of numpy's as Python's, as on an axis."""
    given = to_mapping("params", params)
    return {name: identity.as_python(value) for name, value in given.items()}


def to_mapping(what: str, value: object) -> Mapping[str, Any]:
    """Check params or axes as given; InputError if they are no mapping from names."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        example = {"axes": "axes={'s': [1, 2, 3]}"}.get(what, f"{what}={{'alpha': 0.4}}")
        hint = ". Pass the function first, or by name: func=" if callable(value) else ""
        raise InputError(
            f"{what} is {brief(value)}; expected a mapping from names to values, such as "
            f"{example}{hint}"
        )
    wrong = [name for name in value if not isinstance(name, str)]
    if wrong:
        raise InputError(f"{what} has the key {brief(wrong[0])}; expected names of parameters")
    return value


def checked_tolerance(
    tolerance: Mapping[str, float] | None, axes: tuple[Axis, ...]
) -> dict[str, float]:
    """A tolerance by axis; AxisError where one is of no axis of numbers."""
    kinds = {axis.name: axis.kind for axis in axes}
    for name in tolerance or {}:
        if kinds.get(name) not in {"float", "int"}:
            raise AxisError(
                f"tolerance names {name!r}, which is no axis of floats; the axes are "
                f"{', '.join(f'{n} ({kind})' for n, kind in kinds.items()) or 'none'}"
            )
    return dict(tolerance or {})
