"""The encodings of pandas and xarray objects, neither of which is imported here.

A process that holds such an object has imported its library already.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from swarmgrid.identity import plain
from swarmgrid.identity.encode import Spot, family, frame
from swarmgrid.user_code.ownership import holds_users


def _of(library: str, *names: str) -> Callable[[Any], bool]:
    """Return a test whether a value is of one of a library's classes."""

    def is_member(value: Any) -> bool:
        module = sys.modules.get(library)
        return any(type(value) is getattr(module, name, None) for name in names)

    return is_member


_WITH_ACCESSORS = {
    "pandas": ("DataFrame", "Series", "Index"),
    "xarray": ("DataArray", "Dataset", "DataTree"),
}


def accessors(names: Collection[str]) -> dict[str, Any]:
    """Return what the user has registered with classes of pandas and xarray by some names."""
    classes = [
        (f"{library}.{name}", getattr(sys.modules[library], name))
        for library, kinds in _WITH_ACCESSORS.items()
        if library in sys.modules
        for name in kinds
        if hasattr(sys.modules[library], name)
    ]
    return {
        f"{label}.{name}": vars(cls)[name]
        for label, cls in classes
        for name in vars(cls).keys() & names
        if holds_users(vars(cls)[name])
    }


def _is_index(value: Any) -> bool:
    index = getattr(sys.modules.get("pandas"), "Index", None)
    return index is not None and isinstance(value, index)


def _is_missing(value: Any) -> bool:
    pandas = sys.modules.get("pandas")
    return value is not None and value is getattr(pandas, "NaT", None)


@family(_is_missing)
def _not_a_time(_value: Any, _spot: Spot) -> bytes:
    return frame("NaT")


@family(lambda value: value is getattr(sys.modules.get("pandas"), "NA", ...))
def _not_available(_value: Any, _spot: Spot) -> bytes:
    return frame("NA")


@family(_of("pandas", "Timestamp"))
def _timestamp(value: Any, spot: Spot) -> bytes:
    instant = spot.child(value.to_datetime64())  # of an aware one, in UTC
    zone = [] if value.tzinfo is None else [plain.zone_bytes(value, spot)]
    return frame("Timestamp", instant, bytes([value.fold]), *zone)


@family(_of("pandas", "Timedelta"))
def _timedelta(value: Any, spot: Spot) -> bytes:
    return frame("Timedelta", spot.child(value.to_timedelta64()))


@family(_of("pandas", "Period"))
def _period(value: Any, spot: Spot) -> bytes:
    return frame("Period", spot.child(value.freqstr), spot.child(value.ordinal))


@family(_of("pandas", "Interval"))
def _interval(value: Any, spot: Spot) -> bytes:
    ends = (spot.child(value.left, ".left"), spot.child(value.right, ".right"))
    return frame("Interval", spot.child(value.closed), *ends)


@family(_of("pandas", "Categorical"))
def _categorical(value: Any, spot: Spot) -> bytes:
    codes = np.asarray(value.codes, np.int64)  # their dtype depends on how many there could be
    ordered = spot.child(bool(value.ordered))
    return frame("Categorical", ordered, spot.child(codes), spot.child(value.categories))


@family(_is_index)
def _index(value: Any, spot: Spot) -> bytes:
    kind, names = spot.child(type(value)), spot.child(list(value.names), ".names")
    if value.nlevels > 1:
        levels = [spot.child(level, ".levels") for level in value.levels]
        codes = [spot.child(np.asarray(one, np.int64)) for one in value.codes]
        return frame("MultiIndex", kind, names, *levels, *codes)
    step = spot.child(getattr(value, "freqstr", None))
    return frame("Index", kind, names, step, _column(value.array, spot))


@family(_of("pandas", "Series"))
def _series(value: Any, spot: Spot) -> bytes:
    values = _column(value.array, spot)
    return frame("Series", spot.child(value.name, ".name"), values, *_labels(value, spot))


@family(_of("pandas", "DataFrame"))
def _data_frame(value: Any, spot: Spot) -> bytes:
    columns = [_column(column.array, spot) for _, column in value.items()]
    names = spot.child(value.columns, ".columns")
    return frame("DataFrame", names, *_labels(value, spot), *columns)


def _labels(value: Any, spot: Spot) -> tuple[bytes, ...]:
    flags = spot.child(value.flags.allows_duplicate_labels)
    return spot.child(value.index, ".index"), spot.child(value.attrs, ".attrs"), flags


def _column(column: Any, spot: Spot) -> bytes:
    """Encode a pandas array: numpy's own dtypes as they are, pandas' own element by element."""
    if _of("pandas", "Categorical")(column):
        return spot.child(column)
    if isinstance(column.dtype, np.dtype):
        return spot.child(np.asarray(column), ".values")
    dtype = spot.child(str(column.dtype))
    return frame("column", dtype, spot.child(np.asarray(column, dtype=object), ".values"))


@family(_of("xarray", "Variable", "IndexVariable"))
def _variable(value: Any, spot: Spot) -> bytes:
    dims, attrs = spot.child(value.dims), spot.child(value.attrs, ".attrs")
    return frame("Variable", dims, attrs, spot.child(value.values, ".values"))


@family(_of("xarray", "DataArray"))
def _data_array(value: Any, spot: Spot) -> bytes:
    coords = {name: coord.variable for name, coord in value.coords.items()}
    parts = (spot.child(value.name, ".name"), spot.child(coords, ".coords"))
    return frame("DataArray", *parts, spot.child(value.variable))


@family(_of("xarray", "Dataset"))
def _dataset(value: Any, spot: Spot) -> bytes:
    coords = {name: coord.variable for name, coord in value.coords.items()}
    outputs = {name: array.variable for name, array in value.data_vars.items()}
    attrs = spot.child(value.attrs, ".attrs")
    return frame(
        "Dataset",
        spot.child(type(value)),
        attrs,
        spot.child(coords, ".coords"),
        spot.child(outputs),
    )
