"""Known results, as a user gives them: the labels of their points, and the outputs there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.errors import InputError, brief
from swarmgrid.outputs.labels import MisfitError, check_point, labelled_kind
from swarmgrid.outputs.outputs import STRING
from swarmgrid.outputs.results import Unpacked, fitted, inferred, of_block, unpacked
from swarmgrid.outputs.widening import wider
from swarmgrid.space.axis import MAX_EXACT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from swarmgrid.outputs.outputs import Output, Schema

    Block = dict[str, NDArray[Any]]

MAX_SPREAD = 2**27
"""Points that a batch may lie among: each is a place in arrays of that many values."""
_FEW = 16
"""A batch of which at least each so many-th place is filled may be of any size."""


@dataclass(frozen=True)
class KnownResults:
    """The results of some points, and the labels of these."""

    labels: dict[str, Any]
    """By axis its labels, as a user gives the values of an axis."""
    results: list[Unpacked]
    """The outputs of each point; of a Dataset one, of all points as a block."""
    places: NDArray[np.intp] | None = None
    """``(n_points, n_axes)``: the places of the points on the axes; None: all, in C order."""
    points: tuple[Any, ...] = field(default=(), repr=False)
    """The points as they were given, for errors."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of labels on each axis."""
        return tuple(len(one) for one in self.labels.values())

    def mask(self) -> NDArray[np.bool_]:
        """The points whose results are known, over the axes."""
        if self.places is None:
            return np.ones(self.shape, bool)
        found = np.zeros(self.shape, bool)
        found[tuple(self.places.T)] = True
        return found

    def missing(self) -> NDArray[np.bool_]:
        """The points of a Dataset that read as missing: no output has a value there."""
        found = np.ones(self.shape, bool)
        if self.places is not None:
            return ~found
        for array in self.results[0].values.values():
            if array.shape[: len(self.shape)] == self.shape:  # else it is said to lack an axis
                own = tuple(range(len(self.shape), array.ndim))
                found &= _is_missing(array).all(axis=own)
        return found

    def schema(self, mask: NDArray[np.bool_]) -> Schema:
        """The outputs that the results at some points together show: of ints and floats, floats.

        Raises
        ------
        InputError
            If an output cannot be stored.
        """
        names = tuple(self.labels)
        try:
            if self.places is None:
                return inferred(self._block(mask), names, lead=len(names))
            schema = inferred(self.results[0], names)
        except MisfitError as error:
            raise InputError(f"the results cannot be stored: {error}") from None
        outputs = dict(schema.outputs)
        for name, output in outputs.items():
            outputs[name] = _widened(output, [one.values.get(name) for one in self.results])
        return replace(schema, outputs=outputs)

    def arrays(self, schema: Schema, mask: NDArray[np.bool_]) -> Block:
        """By output its values, an array over the axes and its own dims.

        Parameters
        ----------
        schema : Schema
            The outputs of the grid.
        mask : array
            The points that are put, over the axes: values elsewhere are of no account.

        Raises
        ------
        InputError
            If a value does not fit them.
        """
        if self.places is None:
            try:
                return fitted(self._block(mask, schema), schema, self.shape)
            except MisfitError as error:
                raise InputError(f"the results do not fit the grid: {error}") from None
        found = {
            name: np.full(
                (*self.shape, *output.shape),
                "" if output.dtype == STRING else np.zeros((), output.memory_dtype),
                output.memory_dtype,
            )
            for name, output in schema.outputs.items()
        }
        for point, place, result in zip(self.points, self.places, self.results, strict=True):
            try:
                one = fitted(result, schema)
            except MisfitError as error:
                at = dict(zip(self.labels, point, strict=True))
                raise InputError(f"the result at {brief(at)} does not fit: {error}") from None
            for name, array in one.items():
                found[name][tuple(place)] = array[()]
        return found

    def _block(self, mask: NDArray[np.bool_], schema: Schema | None = None) -> Unpacked:
        """The outputs of a Dataset, with the axes first, and blanks where nothing is put."""
        (result,) = self.results
        values = {
            name: _at_points(array, mask, None if schema is None else schema.outputs.get(name))
            for name, array in result.values.items()
        }
        axes = {name: np.asarray(labels) for name, labels in self.labels.items()}
        try:
            return of_block(replace(result, values=values), axes)
        except MisfitError as error:
            raise InputError(f"the Dataset cannot be put: {error}") from None


def known_results(values: object, names: Sequence[str]) -> KnownResults:
    """The results that a user gives.

    Parameters
    ----------
    values : mapping, xr.Dataset or xr.DataArray
        By point, a tuple of the values on the axes, or the value on the only axis, what the
        function returns there. Or arrays over the axes.
    names : sequence of str
        The axes, in the order of the tuples.

    Raises
    ------
    InputError
        If it is neither, or a point is none of these axes.
    """
    kind = labelled_kind(values)
    if kind in {"Dataset", "DataArray"}:
        return _from_labelled(values, names)
    if kind is not None:
        raise InputError(
            f"values is a pandas {kind}; expected a dict of points, or a Dataset. With the axes "
            "as its index, values.to_xarray() is one"
        )
    if not isinstance(values, Mapping):
        raise InputError(
            f"values is {brief(values)}; expected a dict from points to results, such as "
            f"{{({', '.join(['...'] * len(names))}{',' * (len(names) == 1)}): 5.0}}, or an "
            "xr.Dataset over the axes"
        )
    return _from_points(values, names)


def _from_labelled(labelled: Any, names: Sequence[str]) -> KnownResults:
    for name in names:
        if name not in labelled.dims and name in labelled.coords and not labelled[name].dims:
            labelled = labelled.expand_dims(name)  # what `sel` leaves of an axis, or `isel`
        if name not in labelled.dims:
            raise InputError(
                f"the Dataset has the dims {', '.join(map(str, labelled.dims)) or 'none'}; "
                f"expected the axis {name!r} among them: .expand_dims({name}=[...]) adds one"
            )
        if name not in labelled.coords:
            raise InputError(
                f"the Dataset has no coordinate {name!r}, so nothing says which points its values "
                f"are of; expected the values of that axis: .assign_coords({name}=[...])"
            )
    try:
        found = unpacked(labelled.transpose(*names, ...))
        # what a Dataset of swarmgrid says of its own grid
        attrs = {n: v for n, v in found.whole_attrs.items() if not n.startswith("swarmgrid_")}
        labels = {name: found.coords[name].values for name in names}
        # a coordinate of no dim says where all the points are, as a param does
        coords = {name: coord for name, coord in found.coords.items() if coord.dims}
        return KnownResults(labels, [replace(found, coords=coords, whole_attrs=attrs)])
    except MisfitError as error:
        raise InputError(f"the Dataset cannot be put: {error}") from None


def _from_points(values: Mapping[Any, Any], names: Sequence[str]) -> KnownResults:
    points = [_to_point(key, names) for key in values]
    orders: list[dict[Any, int]] = [{} for _ in names]
    places = np.empty((len(points), len(names)), np.intp)
    for k, point in enumerate(points):
        for d, (label, order) in enumerate(zip(point, orders, strict=True)):
            places[k, d] = order.setdefault(label, len(order))
    spread = int(np.prod([len(order) for order in orders], dtype=np.float64))
    if spread > max(MAX_SPREAD, _FEW * len(points)):
        raise InputError(
            f"the {len(points)} points lie among {spread} of the product of their axis values: "
            "the grid has them all. Put them in several calls, each of a part of the axes"
        )
    results = []
    for point, result in zip(points, values.values(), strict=True):
        try:
            check_point(result, names, point)
            results.append(unpacked(result))
        except MisfitError as error:
            at = dict(zip(names, point, strict=True))
            raise InputError(
                f"the result at {brief(at)} cannot be stored: {error}; a result is what the "
                "function returns there"
            ) from None
    labels = {name: list(order) for name, order in zip(names, orders, strict=True)}
    return KnownResults(labels, results, places, tuple(points))


def _to_point(key: object, names: Sequence[str]) -> tuple[Any, ...]:
    point = key if isinstance(key, tuple) else (key,)
    if len(point) != len(names):
        raise InputError(
            f"the point {brief(key)} has {len(point)} value{'s' * (len(point) != 1)}; expected "
            f"one for each axis, ({', '.join(names)}); axes=[...] says another order"
        )
    return point


def _widened(output: Output, values: Sequence[Any]) -> Output:
    """An output of a dtype that takes all values, where numbers of several were given."""
    for value in values:
        dtype = getattr(value, "dtype", None)
        if dtype is None and type(value) in (int, float, complex):
            dtype = np.dtype(type(value))
        if isinstance(dtype, np.dtype) and dtype.name != output.dtype:
            new = wider(output.dtype, dtype)
            output = output if new is None else replace(output, dtype=new)
    return output


def _is_missing(array: NDArray[Any]) -> NDArray[np.bool_]:
    if array.dtype.kind in "fc":
        return np.asarray(np.isnan(array))
    if array.dtype.kind in "mM":
        return np.asarray(np.isnat(array))
    if array.dtype == object:
        found = [isinstance(v, float) and v != v for v in array.reshape(-1).tolist()]  # noqa: PLR0124  # a NaN
        return np.array(found, bool).reshape(array.shape)
    return np.zeros(array.shape, bool)


def _at_points(
    array: NDArray[Any], mask: NDArray[np.bool_], output: Output | None
) -> NDArray[Any]:
    """An array of the values at some points, of the dtype that they had while none was missing.

    Beside missing points, integers read as floats, and bools and texts as objects.
    """
    if mask.all() or array.shape[: mask.ndim] != mask.shape:
        return array
    chosen = array[mask]
    if array.dtype == object:
        first = chosen.reshape(-1)[:1].tolist()
        blank: Any = "" if first and isinstance(first[0], str) else False
        found = np.full(array.shape, blank, object)
        found[mask] = chosen
        is_bools = all(isinstance(v, (bool, np.bool_)) for v in found.reshape(-1).tolist())
        return found.astype(bool) if is_bools else found
    found = np.zeros(array.shape, array.dtype)
    found[mask] = chosen
    if array.dtype.kind == "f" and output is not None and output.memory_dtype.kind in "iu":
        is_whole = np.isfinite(found) & (found == np.round(found)) & (np.abs(found) <= MAX_EXACT)
        if is_whole.all():
            return found.astype("int64")
    return found
