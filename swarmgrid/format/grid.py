"""A stored grid: its axes, chunk shape and outputs, as its group's metadata says them."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from swarmgrid.errors import DamageError
from swarmgrid.format import described, zarr_metadata
from swarmgrid.format.codec import checksum, key_ids
from swarmgrid.format.grid_io import Columns
from swarmgrid.outputs.outputs import STRING, Coord, Output, Schema, dtype_name
from swarmgrid.space.axis import MAX_EXACT, Axis, Kind
from swarmgrid.space.canonical import canonical_bytes
from swarmgrid.space.runs import from_runs, to_runs
from swarmgrid.store import checked_json
from swarmgrid.store.blobs import MAX_OBJECT
from swarmgrid.store.checked_json import check_format
from swarmgrid.store.known import Understood
from swarmgrid.store.layout import FORMAT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from swarmgrid.store.archive import Archive
    from swarmgrid.store.blobs import Blobs
    from swarmgrid.store.layout import GridPath

_TIMES: dict[str, str] = {"datetime": "datetime64[ns]", "timedelta": "timedelta64[ns]"}


@dataclass(frozen=True, slots=True)
class StoredAxis:
    """An axis as the store holds it: values in first-seen order, only ever appended to."""

    axis: Axis
    chunk: int
    """Values per chunk of the grid."""
    coord_chunk: int
    """Values per chunk of the coordinate array."""
    separator: str = "."
    """Of the coordinate's chunk keys; ``/`` once ints became floats, so that a reader of the old
    metadata still finds the old bytes."""

    @property
    def bytes_dtype(self) -> str:
        """The dtype name of its values as they are written: times are integers."""
        return "int64" if self.axis.kind in _TIMES else self.dtype

    @property
    def dtype(self) -> str:
        """The dtype name of the coordinate."""
        return _TIMES.get(self.axis.kind, dtype_name(self.axis.values.dtype))

    @classmethod
    def new(cls, axis: Axis, chunk: int, max_nbytes: int = MAX_OBJECT) -> StoredAxis:
        """The stored form of an axis of a new grid, in a store of objects of so many bytes."""
        # with room, and of a power of two: values that are appended mostly go into the last chunk
        room = 2 ** max(len(axis) - 1, 0).bit_length()
        least, most = described.MIN_COORD_CHUNK, described.MAX_COORD_CHUNK
        found = cls(axis, chunk, min(max(room, least), most))
        return found.within(max_nbytes)

    def within(self, max_nbytes: int) -> StoredAxis:
        """The axis with a coordinate in chunks that a store takes, whose objects are small."""
        if max_nbytes >= MAX_OBJECT:
            return self
        width = 8
        if self.bytes_dtype == STRING:  # each with its length
            width = 4 + max((len(text.encode()) for text in self.axis.values.tolist()), default=0)
        fitting = max(1, max_nbytes // (width + 1))
        most = max(described.MIN_COORD_CHUNK, 2 ** (fitting.bit_length() - 1))
        return self if self.coord_chunk <= most else replace(self, coord_chunk=most)

    def checksums(self) -> list[int]:
        """The CRC-32C of the values of every chunk of the coordinate, unused ones left out."""
        length, values = self.coord_chunk, self.axis.values
        parts = (values[i : i + length] for i in range(0, len(values), length))
        return [checksum(part, self.bytes_dtype) for part in parts]

    def document(self) -> checked_json.Document:
        """The metadata document of the coordinate."""
        attributes: dict[str, Any] = {"swarmgrid_kind": self.axis.kind}
        if self.axis.enum_name:
            attributes["swarmgrid_enum"] = self.axis.enum_name
        if self.axis.enum_code:
            attributes["swarmgrid_enum_code"] = self.axis.enum_code
        if self.axis.digests is not None:
            attributes["swarmgrid_labels"] = self.axis.digests.tolist()
        if self.axis.is_int is not None and self.axis.has_both:
            attributes["swarmgrid_ints"] = to_runs(self.axis.is_int)
        attributes[zarr_metadata.CHECKSUMS] = self.checksums()
        n, dims = len(self.axis), (self.axis.name,)
        return zarr_metadata.array_document(
            self.dtype, (n,), (self.coord_chunk,), dims, attributes, self.separator
        )


@dataclass(frozen=True)
class StoredGrid:
    """Everything about a grid but its data and its manifest."""

    path: GridPath
    stored_axes: tuple[StoredAxis, ...]
    """In the order of the stored arrays' dims."""
    schema: Schema
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """The group's attributes about the function, its version and params."""
    inner_shape: tuple[int, ...] | None = None
    """In a sharded grid the shape along the axes of the chunks that are stored together."""
    v2_keys: frozenset[str] = frozenset()
    """Outputs whose chunk keys are of Zarr's second kind, as those of one that was converted."""
    layout: int = 0
    """The number of times that the chunks were laid out anew: rows of another do not count."""
    archive: Archive | None = None
    """The store that has the chunks of the outputs; None: this one."""

    @functools.cached_property
    def axes(self) -> tuple[Axis, ...]:
        """The axes, in stored order."""
        return tuple(stored.axis for stored in self.stored_axes)

    @functools.cached_property
    def chunk_shape(self) -> tuple[int, ...]:
        """The shape, along the axes, of what is stored in one object: of a chunk or a shard."""
        return tuple(stored.chunk for stored in self.stored_axes)

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """The axes' names."""
        return tuple(axis.name for axis in self.axes)

    def chunk_spec(self) -> dict[str, int]:
        """The chunk length of every axis, shards set aside."""
        return dict(zip(self.names, self.inner_shape or self.chunk_shape, strict=True))

    def shard_spec(self) -> dict[str, int] | None:
        """The shard length of every axis; None in a grid without shards."""
        if self.inner_shape is None:
            return None
        return dict(zip(self.names, self.chunk_shape, strict=True))

    @property
    def key_ids(self) -> set[str]:
        """The ids of the keys that encrypt the outputs; none: they are not encrypted."""
        return key_ids(self.schema)

    @property
    def key_id(self) -> str:
        """The one of these that new records get; empty: the grid is not encrypted."""
        return min(self.key_ids, default="")

    def at_home(self) -> StoredGrid:
        """The same grid with its values in this store."""
        return replace(self, archive=None)

    def check_at_home(self) -> None:
        """Raise ArchivedError where the values are in an archive."""
        if self.archive is not None:
            raise self.archive.error(self.path)

    def axes_differ(self, other: StoredGrid) -> bool:
        """Whether the other grid has more values, or values of another kind."""
        return any(
            len(a) != len(b) or a.kind != b.kind
            for a, b in zip(self.axes, other.axes, strict=True)
        )

    def block_shape(self, output: Output) -> tuple[int, ...]:
        """The shape of one stored object of an output."""
        return self.chunk_shape + output.shape

    def inner_block_shape(self, output: Output) -> tuple[int, ...] | None:
        """The shape of an output's chunks within a shard; None in a grid without shards."""
        return None if self.inner_shape is None else self.inner_shape + output.shape

    def axis_digest(self, name: str, n: int | None = None) -> str:
        """The digest of an axis' first ``n`` values, the same before and after a promotion."""
        values = self.axes[self.names.index(name)].hashed()
        n = len(values) if n is None else n
        # kept: every segment that is read asks for it
        if (name, n) not in self._digests:
            data = canonical_bytes(values[:n])
            self._digests[name, n] = hashlib.blake2b(data, digest_size=16).hexdigest()
        return self._digests[name, n]

    @functools.cached_property
    def _digests(self) -> dict[tuple[str, int], str]:
        """Answers of `axis_digest`; no field, so that a copy with other axes has none."""
        return {}

    def bin_bytes(self, index: tuple[int, ...]) -> list[bytes]:
        """For every axis the values of one chunk's bin, as `chunk_digest` takes them."""
        return [
            canonical_bytes(axis.hashed(slice(i * chunk, (i + 1) * chunk)))
            for axis, chunk, i in zip(self.axes, self.chunk_shape, index, strict=True)
        ]

    def documents(self) -> dict[str, checked_json.Document]:
        """The metadata document of every array of the group, by name."""
        found = {stored.axis.name: stored.document() for stored in self.stored_axes}
        for name, coord in self.schema.coords.items():
            output = coord.output
            sums = [checksum(coord.values, output.dtype)] if coord.values.size else []
            plain = zarr_metadata.plain_attributes(coord.attrs, output.dtype)
            attributes = {**plain, zarr_metadata.CHECKSUMS: sums}
            found[name] = zarr_metadata.array_document(
                output.dtype, output.shape, output.shape, output.dims, attributes
            )
        lengths = tuple(len(axis) for axis in self.axes)
        layout = {zarr_metadata.LAYOUT: self.layout} if self.layout else {}
        for name, output in self.schema.outputs.items():
            found[name] = zarr_metadata.array_document(
                output.dtype,
                lengths + output.shape,
                self.block_shape(output),
                self.names + output.dims,
                {**zarr_metadata.plain_attributes(output.attrs, output.dtype), **layout},
                inner=self.inner_block_shape(output),
                keys=zarr_metadata.V2_KEYS if name in self.v2_keys else zarr_metadata.DEFAULT_KEYS,
                encoding=self.schema.encodings.get(name),
                archive=self.archive,
            )
        return found

    def data_types(self) -> dict[str, str]:
        """The stored data type of every output: checksums are of values of these types."""
        return {
            name: zarr_metadata.data_type(output.dtype)
            for name, output in self.schema.outputs.items()
        }

    def generation(self) -> tuple[int, dict[str, str]]:
        """The layout and data types, of which a segment must be, to count."""
        return self.layout, self.data_types()

    def group_document(self) -> checked_json.Document:
        """The metadata document of the group, its arrays' consolidated in it."""
        documents = self.documents()
        dims = {dim for document in documents.values() for dim in document["dimension_names"]}
        attributes = {
            **_users(self.schema.attrs),
            **self.attributes,
            "swarmgrid_format": FORMAT,
            "swarmgrid_grid": self.path.grid,
            "swarmgrid_axes": list(self.names),
            "swarmgrid_outputs": list(self.schema.outputs),
        }
        # readers take a variable of no dim of its own for data unless it is named here
        labels = [name for name in self.schema.coords if name not in dims]
        if labels:
            attributes["coordinates"] = " ".join(labels)
        return checked_json.with_checksum(zarr_metadata.group_document(attributes, documents))


def read_grid(blobs: Blobs, path: GridPath, data: bytes | None) -> StoredGrid | None:
    """The stored grid whose group document is ``data``; None if there is none.

    Reads the coordinates.

    Raises
    ------
    DamageError
        If a document or a coordinate is not as it was written.
    FormatError
        If the grid was written in a newer format.
    """
    if data is None:
        return None
    columns, grid = _understood.get(data, path) or (None, None)
    if columns is not None and columns.are_still(blobs):
        return grid
    try:
        document = checked_json.from_bytes(data)
        attributes = checked_json.attributes_of(document)
        check_format(attributes, path.metadata)
        checked_json.check_checksum(document)
    except ValueError as error:
        raise DamageError(path.metadata, str(error)) from None
    try:  # a repair may have rebuilt the group's document from a damaged one of an array
        documents = described.checked_documents(document, attributes, path.grid)
        names = [name for name in documents if name not in attributes["swarmgrid_outputs"]]
        columns = Columns.read(blobs, path, documents, names)
        grid = _interpreted(path, attributes, documents, columns.values(documents))
        described.check_same(grid.documents(), documents, grid.names)
    except checked_json.MALFORMED as error:
        raise DamageError(path.metadata, f"it cannot be understood: {error!r}") from None
    if grid.schema.is_bare:
        _understood.put(data, path, (columns, grid), columns.nbytes + 8 * sum(map(len, grid.axes)))
    return grid


_understood: Understood[tuple[Columns, StoredGrid]] = Understood()
"""Grids by document and path, with the coordinates that were read for them."""


def _interpreted(
    path: GridPath,
    attributes: Mapping[str, Any],
    documents: Mapping[str, checked_json.Document],
    values: Mapping[str, NDArray[Any]],
) -> StoredGrid:
    """The grid that a group's attributes and its arrays' documents describe."""
    axis_names, outputs = attributes["swarmgrid_axes"], attributes["swarmgrid_outputs"]
    n_axes = len(axis_names)
    # of any output: `check_same` sees to it that all have these
    lengths = zarr_metadata.chunk_shape(documents[outputs[0]])[:n_axes]
    stored_axes = tuple(
        _stored_axis(documents[name], name, values[name], chunk)
        for name, chunk in zip(axis_names, lengths, strict=True)
    )
    coords = {
        name: Coord(
            tuple(documents[name]["dimension_names"]), values[name], _attrs(documents[name])
        )
        for name in values
        if name not in axis_names
    }
    schema = Schema(
        {name: zarr_metadata.stored_output(documents[name], n_axes) for name in outputs},
        coords,
        _users(attributes),
        {
            name: encoding
            for name in outputs
            if not (encoding := zarr_metadata.stored_encoding(documents[name])).is_usual
        },
    )
    schema.check(tuple(axis_names))
    # others are the user's, or of a release that knows more
    own = {k: v for k, v in attributes.items() if k in OWN_ATTRIBUTES}
    inner = zarr_metadata.inner_shape(documents[outputs[0]])
    v2_keys = {n for n in outputs if zarr_metadata.keys(documents[n]) == zarr_metadata.V2_KEYS}
    layout = zarr_metadata.stored_layout(documents[outputs[0]])
    shards = inner and inner[:n_axes]
    archive = zarr_metadata.stored_archive(documents[outputs[0]])
    return StoredGrid(path, stored_axes, schema, own, shards, frozenset(v2_keys), layout, archive)


def _attrs(document: checked_json.Document) -> dict[str, Any]:
    """A coordinate's attributes that are the user's."""
    attrs = zarr_metadata.stored_output(document, 0).attrs
    return {name: value for name, value in attrs.items() if name != zarr_metadata.CHECKSUMS}


def _users(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a group's attributes that are not ours, nor mean something to xarray."""
    return {
        name: value
        for name, value in attributes.items()
        if not name.startswith("swarmgrid_") and name != "coordinates"
    }


OWN_ATTRIBUTES = (
    "swarmgrid_function",
    "swarmgrid_params",
    "swarmgrid_version",
    "swarmgrid_defaults",
    "swarmgrid_depends",
    "swarmgrid_origin",
)


def _label_digests(digests: Any, n: int) -> NDArray[Any]:
    """The digests of what an axis' labels stand for; ValueError if they are none."""
    is_whole = isinstance(digests, list) and len(digests) >= n  # a growth may have begun
    if not is_whole or not all(isinstance(d, str) and len(d) == 32 for d in digests):
        raise ValueError("swarmgrid_labels does not say what each label stands for")
    return np.array([*digests[:n], None], object)[:-1]


def _stored_axis(
    document: checked_json.Document, name: str, values: NDArray[Any], chunk: int
) -> StoredAxis:
    attributes = document["attributes"]
    if attributes["swarmgrid_kind"] not in get_args(Kind):
        raise ValueError(f"{attributes['swarmgrid_kind']!r} is no kind of axis")
    # an axis holds times as the integers that they are stored as
    values = values.view("int64") if values.dtype.kind in "mM" else values
    kind, enum_name = attributes["swarmgrid_kind"], attributes.get("swarmgrid_enum")
    is_int = None
    if kind == "float" and "swarmgrid_ints" in attributes:
        is_int = from_runs(attributes["swarmgrid_ints"], len(values))
        ints = values[is_int]
        if not ((np.abs(ints) <= MAX_EXACT) & (ints == np.trunc(ints))).all():
            raise ValueError("swarmgrid_ints names a value that is no exact integer")
    digests = None
    if kind == "label" or (kind == "enum" and "swarmgrid_labels" in attributes):
        digests = _label_digests(attributes["swarmgrid_labels"], len(values))
    code = attributes.get("swarmgrid_enum_code") if kind == "enum" else None
    axis = Axis(name, kind, values, None, enum_name, is_int, code, digests)
    (coord_chunk,) = zarr_metadata.chunk_shape(document)
    return StoredAxis(axis, chunk, coord_chunk, zarr_metadata.separator(document))
