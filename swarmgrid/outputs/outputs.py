"""The outputs of a function for one point: names, dims, shapes and dtypes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.errors import InputError, brief
from swarmgrid.space.names import check_different, check_n_dims, checked_name
from swarmgrid.space.times import check_unit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from swarmgrid.outputs.encoding import Encoding

STRING = "string"
STRING_NBYTES = 32
"""The assumed size of a string where chunk shapes are chosen."""


def _listed(what: str, values: Any, kind: type | tuple[type, ...]) -> tuple[Any, ...]:
    """A tuple of what was given for an output's dims or shape; InputError if it is none."""
    is_fine = isinstance(values, (tuple, list)) and all(
        isinstance(value, kind) and not isinstance(value, bool) for value in values
    )
    if not is_fine:
        expected = "('t',)" if what == "dims" else "(1000,)"
        raise InputError(
            f"an output has the {what} {brief(values)}; expected a tuple such as {expected}"
        )
    return tuple(values)


@dataclass(frozen=True, slots=True)
class Output:
    """One output of the function, as it is for every point.

    Parameters
    ----------
    dims : tuple of str
        The output's own dims; the grid's axes are put before them.
    shape : tuple of int
        Its own shape, one length per dim.
    dtype : dtype-like
        Any float, int, bool, complex, string, datetime64 or timedelta64. Times are kept in ns.
    attrs : mapping
        Attributes of the variable, such as units; JSON values.

    Examples
    --------
    >>> import swarmgrid
    >>> swarmgrid.Output(dims=("t",), shape=(1000,), dtype="f8").dtype
    'float64'
    """

    __module__ = "swarmgrid"

    dims: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    dtype: str = "float64"
    attrs: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        dims = (self.dims,) if isinstance(self.dims, str) else _listed("dims", self.dims, str)
        is_length = isinstance(self.shape, (int, np.integer))
        shape = _listed("shape", (self.shape,) if is_length else self.shape, (int, np.integer))
        shape = tuple(map(int, shape))
        object.__setattr__(self, "dims", dims)
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "dtype", dtype_name(self.dtype))
        if not isinstance(self.attrs, Mapping):
            raise InputError(
                f"an output has the attrs {brief(self.attrs)}; expected a mapping such as "
                "{'units': 'm'}"
            )
        if len(dims) != len(shape) or len(set(dims)) != len(dims) or min(shape, default=0) < 0:
            raise InputError(
                f"an output has the dims {dims} and the shape {shape}; expected as many different "
                "dims as lengths"
            )

    @property
    def size(self) -> int:
        """The number of elements of one point."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The size of one point's value in memory; strings are estimated."""
        width = STRING_NBYTES if self.dtype == STRING else np.dtype(self.dtype).itemsize
        return self.size * width

    @property
    def memory_dtype(self) -> np.dtype[Any]:
        """The numpy dtype that its values have in memory: strings are objects."""
        return np.dtype(object) if self.dtype == STRING else np.dtype(self.dtype)

    def fits(self, other: Output) -> bool:
        """Whether values of ``other`` have this output's dims, shape and dtype."""
        return (self.dims, self.shape, self.dtype) == (other.dims, other.shape, other.dtype)


@dataclass(frozen=True, slots=True)
class Coord:
    """A coordinate of the outputs' own dims, or of none, the same at every point."""

    dims: tuple[str, ...]
    values: NDArray[Any]
    attrs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def output(self) -> Output:
        """Its dims, shape and dtype."""
        return Output(self.dims, self.values.shape, dtype_name(self.values.dtype), self.attrs)


@dataclass(frozen=True, slots=True)
class Schema:
    """Every output of a function, and the coordinates of their own dims."""

    outputs: Mapping[str, Output]
    coords: Mapping[str, Coord] = field(default_factory=dict)
    attrs: Mapping[str, Any] = field(default_factory=dict)
    """Attributes of the whole result."""
    encodings: Mapping[str, Encoding] = field(default_factory=dict)
    """The encodings of outputs that do not have the usual one."""

    @property
    def point_nbytes(self) -> int:
        """The size of the largest output of one point."""
        return max((output.nbytes for output in self.outputs.values()), default=8)

    @property
    def is_bare(self) -> bool:
        """Whether there are neither attributes nor coordinates, which a user could change."""
        return not (self.coords or self.attrs or any(one.attrs for one in self.outputs.values()))

    def with_floats(self) -> Schema:
        """The schema with ``float64`` in place of integers."""
        outputs = {
            name: replace(output, dtype="float64") if "int" in output.dtype else output
            for name, output in self.outputs.items()
        }
        return replace(self, outputs=outputs)

    def storable(self, name: str, values: NDArray[Any]) -> NDArray[Any]:
        """Values of an output, as they are; MisfitError if its encoding cannot hold one."""
        encoding = self.encodings.get(name)
        if encoding is not None:  # said at the point that returned it, not when a chunk is written
            encoding.packed(name, values, self.outputs[name].dtype)
        return values

    def check(self, axes: tuple[str, ...]) -> None:
        """Raise InputError where a name cannot be used, or is that of two things."""
        for name, output in self.outputs.items():
            check_n_dims(f"output {name!r} with the axes before it", len(axes) + len(output.dims))
        own_dims = {dim for output in self.outputs.values() for dim in output.dims}
        own_dims |= {dim for coord in self.coords.values() for dim in coord.dims}
        for what, several in (
            ("an output", self.outputs),
            ("a dim of an output", own_dims),
            ("a coordinate", self.coords),
        ):
            for name in several:
                checked_name(what, name)
        check_different("names", [*axes, *self.outputs, *sorted(own_dims), *self.coords])
        for one, names, other, others in (
            ("an axis", axes, "an output", self.outputs),
            ("an axis", axes, "a dim of an output", own_dims),
            ("an axis", axes, "a coordinate of an output", self.coords),
            ("an output", self.outputs, "a dim", own_dims),
            ("an output", self.outputs, "a coordinate", self.coords),
        ):
            clash = sorted(set(names) & set(others))
            if clash:
                raise InputError(f"{clash[0]!r} is both {one} and {other}; rename one of them")
        lengths: dict[str, int] = {}
        for output in self.outputs.values():
            for dim, n in zip(output.dims, output.shape, strict=True):
                if lengths.setdefault(dim, n) != n:
                    raise InputError(
                        f"dim {dim!r} has the lengths {lengths[dim]} and {n} in two outputs; "
                        "give them dims of different names"
                    )


def dtype_name(dtype: Any) -> str:
    """The name under which a dtype is stored: ``'float64'``, ``'string'``, ``'datetime64[ns]'``.

    Raises
    ------
    InputError
        If values of that dtype cannot be stored.
    """
    if isinstance(dtype, str) and dtype == STRING:
        return STRING
    try:
        known = np.dtype(dtype)
    except Exception as error:  # noqa: BLE001  # numpy has many for what is no dtype
        raise InputError(f"{brief(dtype)} is no dtype: {error}") from None
    if known.kind in "UTO":
        return STRING
    if known.kind in "mM":
        try:
            check_unit(known, has_values=False)
        except ValueError as error:
            raise InputError(f"dtype {known} is one of {error}") from None
        return "datetime64[ns]" if known.kind == "M" else "timedelta64[ns]"
    if known.kind not in "biufc" or known.itemsize > (16 if known.kind == "c" else 8):
        raise InputError(
            f"dtype {known} cannot be stored; expected floats, ints, bools, complex numbers of up "
            f"to 64 bits a part, strings, datetime64 or timedelta64{_instead(known)}"
        )
    return str(known.name)


def _instead(dtype: np.dtype[Any]) -> str:
    """The advice on what to return instead of values of a dtype, if something is near."""
    if dtype.names:
        return f". Return its fields as outputs: {{{dtype.names[0]!r}: array[{dtype.names[0]!r}]}}"
    if dtype.kind == "S":
        return ". Decode bytes that are text: np.char.decode(array)"
    if dtype.kind in "fc":
        return f". Round them: .astype({'float64' if dtype.kind == 'f' else 'complex128'!r})"
    return ""
