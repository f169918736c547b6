"""A row of the inventory: a grid in brief, as it was at one instant."""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from swarmgrid.store import checked_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from swarmgrid.store.checked_json import Document


class AxisBrief(NamedTuple):
    """One axis of a grid."""

    kind: str
    size: int
    least: Any = None
    """The smallest value: a number, or a text; None for labels, and for an axis without values."""
    largest: Any = None
    """The largest value."""

    def __str__(self) -> str:
        if self.least is None or self.size == 0:
            return f"{self.size}"
        if self.size == 1:
            return f"{self.least}"
        return f"{self.size}: {self.least} … {self.largest}"


class _Stored(NamedTuple):
    """The members of a row, in the order of their columns; texts are JSON until they are read."""

    grid: str
    """The grid id."""
    folder: str
    """The group of the function's grids, under ``data.zarr``."""
    function: str = ""
    """The function's name."""
    version: str = ""
    """The version that stands for the function's code, or ``code-`` and its fingerprint."""
    params_text: str = "{}"
    axes_text: str = "{}"
    outputs_text: str = "{}"
    tags_text: str = "{}"
    points_total: int = 0
    points_computed: int = 0
    points_failed: int = 0
    chunks: int = 0
    """Chunks of the grid that hold computed points."""
    nbytes: int = 0
    """Bytes of the stored chunks, as far as they are known."""
    seconds: float = 0.0
    """Time spent inside the function."""
    created: int = 0
    """The time of the oldest row of the manifest, in seconds since 1970; 0: not known."""
    written: int = 0
    """The time of the newest one."""
    checksum: str = ""
    """The checksum of the grid's document: another one says that the row is old."""
    time_ns: int = 0
    """The time at which the grid was read, in nanoseconds since 1970: the newest row counts."""
    is_gone: bool = False
    """Whether the grid was deleted."""
    archive: str = ""
    """The archive that has the values; empty: they are in the store."""
    about: str = ""
    """The texts in the attributes of the grid and of its outputs."""


COLUMNS = (
    *("grid", "folder", "function", "version", "params", "axes", "outputs", "tags", "total"),
    *(
        "computed",
        "failed",
        "chunks",
        "bytes",
        "seconds",
        "created",
        "written",
        "checksum",
        "time",
    ),
    *("gone", "archive", "about"),
)
"""The names of the columns, in the order of a row's members."""
_DEFAULTS = dict(zip(COLUMNS[2:], _Stored("", "")[2:], strict=True))
_TYPES: dict[str, type] = {name: type(value) for name, value in _DEFAULTS.items()}


class GridRow(_Stored):
    """A grid in brief."""

    @property
    def points_missing(self) -> int:
        """The points that are neither computed nor failed."""
        return max(0, self.points_total - self.points_computed - self.points_failed)

    @functools.cached_property
    def params(self) -> dict[str, Any]:
        """The params, as far as JSON holds them."""
        return _mapping(self.params_text)

    @functools.cached_property
    def tags(self) -> dict[str, Any]:
        """The tags."""
        return _mapping(self.tags_text)

    @functools.cached_property
    def axes(self) -> dict[str, AxisBrief]:
        """The axes, in stored order."""
        return {
            name: AxisBrief(*axis)
            for name, axis in _mapping(self.axes_text).items()
            if isinstance(axis, list) and len(axis) == len(AxisBrief._fields)
        }

    @functools.cached_property
    def outputs(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        """By output its dtype and its own dims."""
        return {
            name: (str(output[0]), tuple(map(str, output[1:])))
            for name, output in _mapping(self.outputs_text).items()
            if isinstance(output, list) and output
        }

    def is_of(self, function: str) -> bool:
        """Whether it is of a function, by its own name, its last part, or its group's."""
        return function in {self.function, self.folder, self.function.rpartition(".")[2]}

    @property
    def document(self) -> Mapping[str, Any]:
        """The row as nested mappings, which queries ask by path: ``params.alpha``."""
        return _Document(self)


class _Document(Mapping[str, Any]):
    """A row as a mapping; a text is read as JSON when its content is used."""

    def __init__(self, row: GridRow) -> None:
        self._row = row

    def __getitem__(self, name: str) -> Any:
        return _MEMBERS[name](self._row)

    def __iter__(self) -> Iterator[str]:
        return iter(_MEMBERS)

    def __len__(self) -> int:
        return len(_MEMBERS)


_MEMBERS: dict[str, Callable[[GridRow], Any]] = {
    "grid": lambda row: row.grid,
    "function": lambda row: row.function,
    "version": lambda row: row.version,
    "params": lambda row: row.params,
    "axes": lambda row: {
        name: {"kind": axis.kind, "size": axis.size, "min": axis.least, "max": axis.largest}
        for name, axis in row.axes.items()
    },
    "outputs": lambda row: {
        name: {"dtype": dtype, "dims": list(dims)} for name, (dtype, dims) in row.outputs.items()
    },
    "points": lambda row: {
        "total": row.points_total,
        "computed": row.points_computed,
        "failed": row.points_failed,
        "missing": row.points_missing,
    },
    "chunks": lambda row: row.chunks,
    "bytes": lambda row: row.nbytes,
    "seconds": lambda row: row.seconds,
    "created": lambda row: row.created,
    "written": lambda row: row.written,
    "tags": lambda row: row.tags,
    "archived": lambda row: bool(row.archive),
    "archive": lambda row: row.archive or None,
}


ROOTS = tuple(_MEMBERS)
"""The first parts of the paths that a query may ask for."""
GRID_NAME = re.compile(r"(?:([^/]+)/)?([0-9a-f]{0,32})")
"""A grid id or its first digits, alone or behind the function's name and a ``/``."""


def rows_named(rows: Iterable[GridRow], name: str) -> list[GridRow]:
    """The rows that a name may mean; none if it is no name of a grid."""
    parts = GRID_NAME.fullmatch(name)
    if parts is None:
        return []
    function, prefix = parts.groups()
    return [
        row
        for row in rows
        if row.grid.startswith(prefix) and (function is None or row.is_of(function))
    ]


def to_columns(rows: Sequence[GridRow]) -> Document:
    """Rows as they are stored: a list for each column, which is read in a third of the time."""
    return {name: [row[i] for row in rows] for i, name in enumerate(COLUMNS)}


def from_columns(columns: Mapping[str, Any]) -> list[GridRow]:
    """Stored rows; ValueError if a member is of another type, or out of bounds."""
    try:
        n = len(columns["grid"])
        lists = [columns.get(name) or [_DEFAULTS[name]] * n for name in COLUMNS[2:]]
        lists = [columns["grid"], columns["folder"], *lists]
        rows = list(map(GridRow._make, zip(*lists, strict=True)))
        _check(dict(zip(COLUMNS, lists, strict=True)))
    except checked_json.MALFORMED as error:
        raise ValueError(f"its rows make no sense: {error!r}") from None
    return rows


def _check(columns: Mapping[str, Sequence[Any]]) -> None:
    for name, values in columns.items():
        expected = _TYPES.get(name, str)
        types = {int, float} if expected is float else {expected}
        if not {*map(type, values)} <= types:
            raise ValueError(f"column {name!r} holds something else than {expected.__name__}")
        if expected in {int, float} and values and not 0 <= min(values) <= max(values) < 2**63:
            raise ValueError(f"column {name!r} has values out of bounds")
    if not all(map(math.isfinite, columns["seconds"])):
        raise ValueError("column 'seconds' has values that are no numbers")
    if not all(len(grid) == 32 and grid.isalnum() for grid in columns["grid"]):
        raise ValueError("a grid id has not 32 digits")
    folders = {*columns["folder"]}
    if not all(text and "/" not in text and not text.startswith(".") for text in folders):
        raise ValueError("the folder of a function is none")


def newest(rows: Iterable[GridRow]) -> dict[str, GridRow]:
    """The newest row of every grid, those of deleted ones among them."""
    found: dict[str, GridRow] = {}
    for row in rows:
        other = found.get(row.grid)
        if other is None or row.time_ns >= other.time_ns:
            found[row.grid] = row
    return found


def _mapping(text: str) -> dict[str, Any]:
    """The mapping that a text holds; an empty one where it holds none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
