"""One axis of a grid: its values, in the one form that is stored, compared and handed on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from swarmgrid.errors import AxisError, InputError, brief
from swarmgrid.identity import as_python, digest, enum_code, member_digest
from swarmgrid.space.collection import one_dimensional, repeated
from swarmgrid.space.names import check_n_dims, checked_name
from swarmgrid.space.texts import to_text
from swarmgrid.space.times import to_nanoseconds

if TYPE_CHECKING:
    from numpy.typing import NDArray

Kind = Literal["int", "float", "bool", "str", "datetime", "timedelta", "enum", "label"]

_DTYPES: dict[Kind, np.dtype[Any]] = {
    "int": np.dtype("int64"),
    "float": np.dtype("float64"),
    "bool": np.dtype("bool"),
    "str": np.dtype(object),
    "enum": np.dtype(object),
    "label": np.dtype(object),
    "datetime": np.dtype("int64"),
    "timedelta": np.dtype("int64"),
}
MAX_EXACT = 2**53
"""Every integer up to this size is a float64 as well."""


@dataclass(frozen=True, slots=True)
class Axis:
    """The values of one axis, in order."""

    name: str
    """The name of the function's parameter, the coordinate and the dimension."""
    kind: Kind
    """The kind of value that the function receives: an int, float, bool, str, datetime64,
    timedelta64 or enum; for a label the object that it stands for."""
    values: NDArray[Any]
    """``(n,)``: int64 (times in ns), float64, bool, or object holding str (enums by name,
    labels)."""
    enum: type[Enum] | None = None
    """The class of an enum axis; None on an axis read from a store."""
    enum_name: str | None = None
    """The qualified name of that class."""
    is_int: NDArray[np.bool_] | None = None
    """``(n,)``, of a float axis: the values that the function receives as ints, because they were
    ints when they were first asked for; None: there are none."""

    enum_code: str | None = None
    """The digest of what that class' code can do; None: a version stands for it, or unknown."""
    digests: NDArray[Any] | None = None
    """``(n,)`` str, of labels and members: the digest of what each stands for; None: unknown."""
    objects: Mapping[str, Any] | None = None
    """The objects that labels stand for; None on an axis read from a store."""

    def __len__(self) -> int:
        return len(self.values)

    def labels(self) -> NDArray[Any]:
        """The values as an xarray coordinate shows them, ``(n,)``."""
        if self.kind == "datetime":
            return self.values.view("datetime64[ns]")
        if self.kind == "timedelta":
            return self.values.view("timedelta64[ns]")
        if self.kind in {"str", "enum", "label"}:
            return to_text(self.values)
        return self.values

    def arguments(self) -> list[Any]:
        """The values as the function receives them."""
        if self.kind == "enum":
            if self.enum is None:
                raise AxisError(
                    f"axis {self.name!r} holds names of {self.enum_name}; pass its members"
                )
            return [self.enum[name] for name in self.values]
        if self.kind in {"datetime", "timedelta"}:
            return list(self.labels())
        values: list[Any] = self.values.tolist()
        if self.is_int is None:
            return values
        return [int(v) if i else v for v, i in zip(values, self.is_int.tolist(), strict=True)]

    def hashed(self, part: slice = slice(None)) -> NDArray[Any]:
        """``(n,)``: what identifies some values; of a label what it stands for, too."""
        if self.kind != "label" or self.digests is None:
            return self.values[part]
        pairs = zip(self.values[part], self.digests[part], strict=True)
        both = [f"{len(v)}:{v}{d}" for v, d in pairs]
        return np.array([*both, None], object)[:-1]

    def label(self, position: int) -> Any:
        """One value as people read it: a plain Python value, or a datetime64 or timedelta64."""
        if self.kind in {"str", "enum", "label"}:
            return str(self.values[position])
        value = self.labels()[position]
        return value if self.kind in {"datetime", "timedelta"} else value.item()

    @property
    def has_both(self) -> bool:
        """Whether it holds floats by its kind, and ints among them."""
        return self.is_int is not None and bool(self.is_int.any())

    def take(self, positions: NDArray[np.intp] | NDArray[np.bool_] | slice) -> Axis:
        """The axis holding only the values at ``positions = (k,)``, a mask or a slice."""
        is_int = None if self.is_int is None else self.is_int[positions]
        digests = None if self.digests is None else self.digests[positions]
        return replace(self, values=self.values[positions], is_int=is_int, digests=digests)

    def extended(self, more: Axis) -> Axis:
        """The axis with the values of another of its kind appended."""
        if len(more) == 0:
            return self
        is_int = None
        if self.has_both or more.has_both:
            is_int = np.concatenate(
                [np.zeros(len(a), bool) if a.is_int is None else a.is_int for a in (self, more)]
            )
        digests = None
        if self.digests is not None and more.digests is not None:
            digests = np.concatenate([self.digests, more.digests])
        values = np.concatenate([self.values, more.values])
        return replace(self, values=values, is_int=is_int, digests=digests)


def to_axes(axes: Mapping[str, Any]) -> tuple[Axis, ...]:
    """The axes of a request, in its order.

    Raises
    ------
    AxisError
        If a name is no identifier, or an axis cannot be used.
    """
    check_n_dims("the grid", len(axes))
    for name in axes:
        if not isinstance(name, str) or not name.isidentifier():
            raise AxisError(
                f"axis name {name!r} is not a name that a function's parameter can have"
            )
        try:
            checked_name("an axis", name)
        except InputError as error:
            raise AxisError(str(error)) from None
    return tuple(to_axis(name, values) for name, values in axes.items())


def to_axis(name: str, values: object) -> Axis:
    """The axis that a user's values describe.

    Parameters
    ----------
    name : str
        The axis' name.
    values : iterable or mapping
        ``(n,)`` ints, floats, bools, strings, datetimes, timedeltas or members of one enum: a
        list, tuple, range, numpy array, pandas index or series, or xarray coordinate. A mapping
        from labels to whatever the function is to receive.

    Raises
    ------
    AxisError
        If the values are not one-dimensional, of no kind that an axis can have, of mixed kinds,
        missing (NaN, NaT, None), too large for 64 bits, or not unique.
    """
    if isinstance(values, Mapping) and not hasattr(values, "data_vars"):
        return _from_labels(name, values)
    items = one_dimensional(name, values)
    axis = _from_array(name, items) if isinstance(items, np.ndarray) else _from_list(name, items)
    _check_text(axis)
    _check_unique(axis)
    return axis


def _from_labels(name: str, values: Mapping[Any, Any]) -> Axis:
    """The axis of labels that stand for any values which have a digest."""
    wrong = [label for label in values if not isinstance(label, str)]
    if wrong:
        raise AxisError(
            f"axis {name!r} has the label {brief(wrong[0])}; expected a mapping from texts to "
            "values, such as {'none': None, '4': 4}"
        )
    labels = [str.__str__(label) for label in values]
    objects = dict(zip(labels, map(as_python, values.values()), strict=True))
    digests = [digest(value, f"axes[{name!r}][{label!r}]") for label, value in objects.items()]
    columns = [np.array([*column, None], object)[:-1] for column in (labels, digests)]
    axis = Axis(name, "label", columns[0], digests=columns[1], objects=objects)
    _check_text(axis)
    return axis


def promoted(axis: Axis, kind: Kind) -> Axis:
    """The axis as one of another kind: an int axis as a float one.

    The function receives its values as ints all the same: what it is called with at a point does
    not depend on which other points were asked for since.

    Raises
    ------
    AxisError
        If the kinds do not mix, or a value would change.
    """
    if axis.kind == kind:
        return axis
    if (axis.kind, kind) != ("int", "float"):
        raise AxisError(
            f"axis {axis.name!r} holds {axis.kind} values here and {kind} values in the stored "
            "grid; pass one kind, or use another name or store"
            + (". Labels are a mapping from texts to values" if kind == "label" else "")
        )
    large = (axis.values > MAX_EXACT) | (axis.values < -MAX_EXACT)
    if large.any():
        raise AxisError(
            f"axis {axis.name!r} holds the integer {axis.values[large][0]}, which is no exact "
            "float64; it cannot share an axis with floats"
        )
    return Axis(axis.name, "float", axis.values.astype("float64"), is_int=np.ones(len(axis), bool))


def _from_list(name: str, items: list[Any]) -> Axis:
    if not items:
        return Axis(name, "float", np.empty(0, "float64"))
    kinds = {_kind_of(name, item) for item in items}
    if kinds == {"int", "float"}:
        is_int = np.array([not isinstance(i, (float, np.floating)) for i in items])
        numbers = [_exact(name, i) if whole else i for i, whole in zip(items, is_int, strict=True)]
        return replace(_from_array(name, np.array(numbers, "float64")), is_int=is_int)
    if len(kinds) > 1:
        raise AxisError(
            f"axis {name!r} mixes values of the kinds {', '.join(sorted(kinds))}; expected one. "
            f"Labels stand for any values: axes={{{name!r}: {{'a': ..., 'b': ...}}}}"
        )
    (kind,) = kinds
    if kind == "enum":
        return _from_enum(name, items)
    if kind == "str":
        return Axis(
            name, "str", np.array([str.__str__(item) for item in items] + [None], object)[:-1]
        )
    if kind == "int":
        return Axis(name, "int", np.array([_int64(name, item) for item in items], "int64"))
    if kind in {"datetime", "timedelta"}:
        return _from_times(name, items, kind)
    return _from_array(name, np.array(items, None if kind == "float" else _DTYPES[kind]))


def _kind_of(name: str, item: object) -> Kind:
    if isinstance(item, Enum):
        return "enum"
    for kind, types in _KINDS.items():
        if isinstance(item, types):
            is_own = kind in {"int", "float", "str"} and not isinstance(item, np.generic)
            if is_own and type(item) not in types:  # the function would get a plain one
                raise AxisError(
                    f"axis {name!r} holds {brief(item)}, a {type(item).__name__}, which is more "
                    f"than a plain {kind}; pass {kind}(...) of each value, or give it a label: "
                    f"axes={{{name!r}: {{'label': ...}}}}"
                )
            return kind
    label = "none" if item is None else ""
    raise AxisError(
        f"axis {name!r} holds {brief(item)}, a {type(item).__name__}; expected int, float, bool, "
        f"str, datetime, timedelta or enum values. {_labelled(name, label)}"
    )


def _labelled(name: str, label: str = "") -> str:
    """The advice to give values labels."""
    if label:
        return f"Give any other value a label: axes={{{name!r}: {{{label!r}: ...}}}}"
    return (
        "Give any other value a label, which stands on the axis in place of it: "
        f"axes={{{name!r}: {{'label': value}}}}, or {{str(value): value for value in ...}}"
    )


_KINDS: dict[Kind, tuple[type, ...]] = {  # in this order: a bool is an int, a timedelta64 too
    "bool": (bool, np.bool_),
    "timedelta": (dt.timedelta, np.timedelta64),
    "datetime": (dt.date, np.datetime64),
    "int": (int, np.integer),
    "float": (float, np.floating),
    "str": (str,),
}


def _exact(name: str, item: Any) -> float:
    try:
        number = float(item)
    except OverflowError:
        number = float("inf")
    if number != item or abs(number) > MAX_EXACT:
        raise AxisError(
            f"axis {name!r} mixes floats with the integer {brief(item)}, which is no exact float64"
        )
    return number


def _int64(name: str, item: Any) -> int:
    number = int(item)
    if not -(2**63) <= number < 2**63:
        raise AxisError(f"axis {name!r} holds {brief(number)}, which does not fit 64 bits")
    return number


def _from_enum(name: str, items: list[Enum]) -> Axis:
    classes = {type(item) for item in items}
    if len(classes) > 1:
        names = ", ".join(sorted(cls.__qualname__ for cls in classes))
        raise AxisError(f"axis {name!r} mixes members of the enums {names}; expected one")
    (cls,) = classes
    unnamed = [item for item in items if item.name not in cls.__members__]
    if unnamed:
        raise AxisError(
            f"axis {name!r} holds {brief(unnamed[0])}, which is no single member of the enum; "
            "expected members with a name"
        )
    values = np.array([item.name for item in items] + [None], object)[:-1]
    digests = np.array([member_digest(item) for item in items] + [None], object)[:-1]
    return Axis(name, "enum", values, cls, cls.__qualname__, digests=digests)


def with_code(axis: Axis) -> Axis:
    """The axis, of an enum with what its members can do: the function reaches that by them."""
    return axis if axis.enum is None else replace(axis, enum_code=enum_code(axis.enum))


def _from_times(name: str, items: list[Any], kind: Kind) -> Axis:
    unit = "datetime64" if kind == "datetime" else "timedelta64"
    if any(getattr(item, "tzinfo", None) is not None for item in items):
        raise AxisError(
            f"axis {name!r} holds times with a time zone; convert them to UTC and drop it"
        )
    exact = [getattr(item, "to_numpy", lambda item=item: np.array(item, unit))() for item in items]
    nanoseconds = [_nanoseconds(name, np.asarray(item)) for item in exact]
    return _from_array(name, np.array(nanoseconds, f"{unit}[ns]"))


def _nanoseconds(name: str, times: NDArray[Any]) -> NDArray[Any]:
    try:
        return to_nanoseconds(times)
    except ValueError as error:
        raise AxisError(f"axis {name!r} holds {error}") from None


def _from_array(name: str, array: NDArray[Any]) -> Axis:
    code = array.dtype.kind
    if code in "iu":
        if array.size and int(array.max()) >= 2**63:
            raise AxisError(f"axis {name!r} holds {array.max()}, which does not fit 64 bits")
        return Axis(name, "int", array.astype("int64"))
    if code == "f":
        values = array.astype("float64") + 0.0  # -0.0 and 0.0 are one label: it becomes 0.0
        if not np.array_equal(values, array):
            raise AxisError(
                f"axis {name!r} holds NaN, or a value that is no exact float64; leave it out, or "
                f"give all values labels: axes={{{name!r}: {{'nan': float('nan'), ...}}}}"
            )
        return Axis(name, "float", values)
    if code == "b":
        return Axis(name, "bool", array.astype(bool))
    if code == "U":
        return Axis(name, "str", array.astype(object))
    if code in "mM":
        if np.isnat(array).any():
            raise AxisError(f"axis {name!r} holds NaT, which cannot be looked up")
        kind: Kind = "datetime" if code == "M" else "timedelta"
        return Axis(name, kind, _nanoseconds(name, array).view("int64"))
    raise AxisError(
        f"axis {name!r} has dtype {array.dtype}; expected int, float, bool, str, datetime, "
        f"timedelta or enum values. {_labelled(name)}"
    )


def _check_text(axis: Axis) -> None:
    try:
        "".join(axis.values if axis.kind in {"str", "label"} else ()).encode()
    except UnicodeEncodeError as error:
        raise AxisError(
            f"axis {axis.name!r} holds text that UTF-8 cannot hold: {error.reason}"
        ) from None


def _check_unique(axis: Axis) -> None:
    found = repeated(axis.values)
    if len(found):
        one = replace(axis, values=found[:1], is_int=None)
        raise AxisError(
            f"axis {axis.name!r} holds {one.label(0)!r} more than once; expected each "
            "value once, as in list(dict.fromkeys(values))"
        )
