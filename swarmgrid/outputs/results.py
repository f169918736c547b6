"""Results of a function as named arrays, checked against the grid's outputs."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from swarmgrid.errors import InputError
from swarmgrid.outputs.labels import (
    MisfitError,
    axes_first,
    check_coords,
    in_order,
    labelled_kind,
    own_coords,
    own_name,
)
from swarmgrid.outputs.outputs import STRING, Coord, Output, Schema, dtype_name
from swarmgrid.outputs.widening import wider
from swarmgrid.space.names import checked_name
from swarmgrid.space.times import to_nanoseconds

DEFAULT_NAME = "value"
"""The name of the only output of a function that returns a bare number or array."""
_SCALARS = (float, int, bool, complex, str, np.generic, dt.datetime, dt.timedelta)


_WIDEST = 8
"""Bytes that any number may have; of more, complex ones of two such parts are stored."""


@dataclass(slots=True)
class Unpacked:
    """The outputs of one call."""

    values: dict[str, Any]
    """Numbers, strings or arrays, by output."""
    dims: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The dims, of a block without the axes, of those that came with names for them."""
    coords: dict[str, Coord] = field(default_factory=dict)
    attrs: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    whole_attrs: Mapping[str, Any] = field(default_factory=dict)
    """The attributes of the Dataset, if it was one."""


def unpacked(result: object) -> Unpacked:
    """The named outputs in what a function returned.

    Parameters
    ----------
    result : object
        A number, string or array; a mapping, dataclass or named tuple of these; an
        ``xr.DataArray`` or ``xr.Dataset``.

    Raises
    ------
    MisfitError
        If it is anything else.
    """
    kind = labelled_kind(result)
    if kind == "Dataset":
        return _from_dataset(result)
    if kind == "DataArray":
        name = own_name(result)
        return _from_data_array(result, DEFAULT_NAME if name is None else _name("an output", name))
    if kind is not None or isinstance(result, (*_SCALARS, np.ndarray)):
        return Unpacked({DEFAULT_NAME: result})
    found = Unpacked({})
    for key, value in _items(result):
        name = _name("an output", key)
        if labelled_kind(value) == "DataArray":
            part = _from_data_array(value, name)
            found.values |= part.values
            found.dims |= part.dims
            check_coords(found.coords, part.coords)
            found.coords |= part.coords
            found.attrs |= part.attrs
        else:
            found.values[name] = value
    if not found.values:
        raise MisfitError("it returned no output")
    return found


def inferred(result: Unpacked, axes: Collection[str] = (), lead: int = 0) -> Schema:
    """The schema that the first result shows.

    Parameters
    ----------
    result : Unpacked
        The outputs of a call.
    axes : collection of str
        The names of the axes: a scalar coordinate of such a name says where the point is.
    lead : int
        The number of leading dims of each array that are the axes of a block.

    Raises
    ------
    MisfitError
        If an output cannot be stored.
    """
    found = {}
    for name, value in result.values.items():
        array = _array(f"output {name!r}", value)
        shape = array.shape[lead:]
        dims = result.dims.get(name) or unnamed(name, len(shape))
        try:
            found[name] = Output(dims, shape, dtype_name(array.dtype), result.attrs.get(name, {}))
        except InputError as error:
            raise MisfitError(f"output {name!r}: {error}") from None
    named = {*axes, *found}
    coords = {  # copied: the function may use the memory again
        name: replace(coord, values=coord.values.copy())
        for name, coord in result.coords.items()
        if coord.dims or name not in named
    }
    return Schema(found, coords, result.whole_attrs)


def unnamed(name: str, n: int) -> tuple[str, ...]:
    """The dims of an output that came without names for them."""
    return tuple(f"{name}_dim_{i}" for i in range(n))


def of_block(result: Unpacked, axes: Mapping[str, NDArray[Any]]) -> Unpacked:
    """The result of a block function, with the axes as the arrays' first dims, unnamed.

    Parameters
    ----------
    result : Unpacked
        The outputs of the call. Those with named dims have the axes among them, in any order.
    axes : mapping
        The block's values, ``(n,)`` by axis.

    Raises
    ------
    MisfitError
        If an axis is missing, or a coordinate along one has other values.
    """
    values, own = dict(result.values), {}
    for name, dims in result.dims.items():
        array = _array(f"output {name!r}", values[name])
        values[name], own[name] = axes_first(name, array, dims, tuple(axes))
    return replace(result, values=values, dims=own, coords=own_coords(result.coords, axes))


def fitted(
    result: Unpacked, schema: Schema, lead: tuple[int, ...] = ()
) -> dict[str, NDArray[Any]]:
    """The outputs as arrays of ``lead + output.shape`` in the schema's dtypes.

    Raises
    ------
    MisfitError
        If an output is missing or too many, has another shape, or a value would change.
    """
    if result.values.keys() != schema.outputs.keys():
        raise MisfitError(
            f"it returned the outputs {sorted(result.values)}; expected {sorted(schema.outputs)}"
        )
    check_coords(schema.coords, result.coords)
    arrays = {}
    for name, output in schema.outputs.items():
        array = result.values[name]
        is_empty = type(array) is np.ndarray and array.dtype == object and not array.size
        if output.dtype != STRING or not is_empty:  # an empty one of objects may be of strings
            array = _array(f"output {name!r}", array)
        if name in result.dims:
            array = in_order(name, array, result.dims[name], output.dims, len(lead))
        arrays[name] = schema.storable(name, _fitted_output(name, array, output, lead))
    return arrays


def _fitted_output(
    name: str, array: NDArray[Any], output: Output, lead: tuple[int, ...]
) -> NDArray[Any]:
    expected = lead + output.shape
    if array.shape != expected:
        raise MisfitError(
            f"output {name!r} has the shape {array.shape}; expected {expected}, the same at every "
            "point: pad shorter arrays, for example with NaN"
        )
    if output.dtype == STRING:
        return array if array.dtype == object else _not_castable(name, array, output)
    dtype = output.memory_dtype
    if array.dtype == dtype:
        return array
    if array.dtype == object or not _may_cast(array.dtype, dtype):
        _not_castable(name, array, output)
    with np.errstate(over="ignore", invalid="ignore"):
        cast = array.astype(dtype)
        # numpy compares int64 with float64 as floats: only the way back shows a lost digit
        back = (cast.real if array.dtype.kind != "c" else cast).astype(array.dtype)
    may_be_nan = array.dtype.kind in "fcmM"
    if not all(np.array_equal(array, a, equal_nan=may_be_nan) for a in (cast, back)):
        _not_castable(name, array, output)
    return cast


def _may_cast(have: np.dtype[Any], want: np.dtype[Any]) -> bool:
    """Whether the kinds go together; whether the values do is looked at."""
    order = {"b": 0, "i": 1, "u": 1, "f": 2, "c": 3}
    if have.kind in order and want.kind in order:
        return order[have.kind] <= order[want.kind] and (have.kind == "b") == (want.kind == "b")
    return have.kind == want.kind


def _not_castable(name: str, array: NDArray[Any], output: Output) -> NDArray[Any]:
    sample = f" (value {array.reshape(-1)[0]!r})" if array.size == 1 else ""
    dtype = wider(output.dtype, array.dtype)
    way_out = (
        f"A new grid (version=, another store) may declare outputs={{{name!r}: "
        "swarmgrid.Output(dtype=...)}"
        if dtype is None
        else f"Nothing that is stored need be computed again: swarmgrid.grid(func, store=..., "
        f"...).convert({name!r}, {dtype!r}) makes the stored output one of {dtype}"
    )
    raise MisfitError(
        f"output {name!r} has the dtype {array.dtype}{sample}, which is not safely cast to "
        f"{output.dtype}; return one dtype at every point. {way_out}"
    )


def _array(what: str, value: Any) -> NDArray[Any]:
    """An output as an array whose strings are Python objects and whose times are in ns."""
    # a subclass, such as a masked array, may mean more than its numbers
    array = value if type(value) is np.ndarray else np.asarray(_bare(what, value))
    if array.dtype.kind in "UTO":
        return _texts(what, array)
    if array.dtype.kind in "mM":
        try:
            return to_nanoseconds(array)
        except ValueError as error:
            raise MisfitError(f"{what} holds {error}") from None
    if array.dtype.kind not in "biufc" or array.dtype.itemsize > _WIDEST:
        try:
            dtype_name(array.dtype)
        except InputError as error:
            raise MisfitError(f"{what} is of a {error}") from None
    return array


_INSTEAD = dict.fromkeys(["list", "tuple"], ": return np.array(...) of it") | {
    "dict": ": return its values as outputs of their own",
    "NoneType": ": return NaN for a missing number, '' for a missing text",
}


def _bare(what: str, value: Any) -> Any:
    """An output as numpy can take it, where that loses nothing."""
    if isinstance(value, str):
        return np.array(str.__str__(value), object)
    if isinstance(value, (dt.datetime, dt.timedelta)):
        return _time(what, value)
    kind = labelled_kind(value)
    if kind == "Dataset" or isinstance(value, (list, tuple, Mapping, set)) or value is None:
        name = type(value).__name__
        raise MisfitError(
            f"{what} is a {name}; expected a number, a string or an array{_INSTEAD.get(name, '')}"
        )
    if kind is not None:
        raise MisfitError(
            f"{what} is a pandas {kind}, whose index would be lost; return .to_xarray(), which "
            "makes coordinates of it, or .to_numpy()"
        )
    if np.ma.is_masked(value):
        raise MisfitError(
            f"{what} has masked values, and masks are not stored; return an array without them, "
            "such as .filled(...), or the mask as an output of its own"
        )
    return value


def _time(what: str, value: Any) -> np.datetime64 | np.timedelta64:
    if getattr(value, "tzinfo", None) is not None:
        raise MisfitError(f"{what} is a time with a time zone; return it in UTC, without")
    if hasattr(value, "to_numpy"):  # pandas' own, which are finer than Python's
        exact: np.datetime64 | np.timedelta64 = value.to_numpy()
        return exact
    return np.datetime64(value) if isinstance(value, dt.datetime) else np.timedelta64(value)


def _texts(what: str, array: NDArray[Any]) -> NDArray[Any]:
    """An array of strings as one of Python objects."""
    texts = array.astype(object, copy=False)
    wrong = next((type(item) for item in texts.flat if not isinstance(item, str)), None)
    if wrong is not None or (array.dtype == object and array.size == 0):
        kind = "no strings" if wrong is None else f"{wrong.__name__} objects"
        kind += " (integers beyond 64 bits)" if wrong is int else ""
        kind += " (of a MultiIndex: .reset_index(...) makes coordinates of it)" * (wrong is tuple)
        raise MisfitError(
            f"{what} holds {kind}; expected numbers, strings or arrays of one dtype, with NaN, "
            "NaT or '' for what is missing"
        )
    check_text(what, "".join(texts.flat))
    return texts


def check_text(what: str, text: str) -> None:
    """Raise MisfitError if a text cannot be stored."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise MisfitError(
            f"{what} holds {text[error.start : error.end]!r}, which UTF-8 cannot hold: "
            f"{error.reason}; return text without it, such as "
            ".encode(errors='replace').decode()"
        ) from None


def _items(result: object) -> list[tuple[Any, Any]]:
    if isinstance(result, Mapping):
        return list(result.items())
    if dataclasses.is_dataclass(result) and not isinstance(result, type):
        return [(f.name, getattr(result, f.name)) for f in dataclasses.fields(result)]
    if isinstance(result, tuple) and hasattr(result, "_fields"):
        return list(zip(result._fields, result, strict=True))
    if hasattr(result, "__array__") and not isinstance(result, type):
        return [(DEFAULT_NAME, result)]
    raise MisfitError(
        f"it returned {'None' if result is None else f'a {type(result).__name__}'}; expected a "
        "number, a string, an array, a dict, dataclass or named tuple of these, an xr.DataArray "
        f"or an xr.Dataset{_RETURN_HINTS.get(type(result), '')}"
    )


_RETURN_HINTS: dict[type, str] = {
    type(None): ". Is there a return at the end?",
    list: ". np.asarray(...) makes an array of it",
    tuple: ". Give its parts names, {'a': ..., 'b': ...}, or make an array of it, np.asarray(...)",
}


def _from_data_array(array: Any, name: str) -> Unpacked:
    return Unpacked(
        {name: array.values},
        {name: _dims(array)},
        coords_of(array),
        {name: json_attrs(array.attrs)},
    )


def _from_dataset(dataset: Any) -> Unpacked:
    found = Unpacked({})
    for name, array in dataset.data_vars.items():
        part = _from_data_array(array, _name("an output", name))
        found.values |= part.values
        found.dims |= part.dims
        found.attrs |= part.attrs
    found.coords = coords_of(dataset)
    found.whole_attrs = json_attrs(dataset.attrs)
    if not found.values:
        names = f"{list(dataset.coords)}; rename what has the name of its dim"
        raise MisfitError(f"it returned a Dataset without data variables, but coordinates {names}")
    return found


def coords_of(labelled: Any) -> dict[str, Coord]:
    """The coordinates of a DataArray or Dataset, by name."""
    found = {}
    for key, coord in labelled.coords.items():
        name = _name("a coordinate", key)
        values = _array(f"coordinate {name!r}", coord.values)
        found[name] = Coord(_dims(coord), values, json_attrs(coord.attrs))
    return found


def _dims(labelled: Any) -> tuple[str, ...]:
    return tuple(_name("a dim", dim) for dim in labelled.dims)


def _name(what: str, name: object) -> str:
    try:
        return checked_name(what, name)
    except InputError as error:
        raise MisfitError(f"it returned what cannot be stored: {error}") from None


def json_attrs(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    """Copies of those attributes that JSON can hold: the function may change its own later."""
    kept = {}
    for name, value in attrs.items():
        is_numpy = isinstance(value, (np.generic, np.ndarray))
        try:
            text = json.dumps(value.tolist() if is_numpy else value, allow_nan=False)
            plain = json.loads(text)
            json.dumps({name: plain}, ensure_ascii=False).encode()
        except (TypeError, ValueError):
            continue  # attributes are for people; the values are what is promised
        if isinstance(name, str):
            kept[str.__str__(name)] = plain
    return kept
