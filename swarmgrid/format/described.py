"""Compares the documents of a grid, which may come from anywhere, with those of swarmgrid.

A document is sound if swarmgrid, told its shape, chunks, dims, dtype and attributes, would write
the very same one. What follows from these is bounded before anything is read by it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.format import zarr_metadata
from swarmgrid.outputs.outputs import STRING
from swarmgrid.space.chunks import MAX_NBYTES
from swarmgrid.space.names import checked_name
from swarmgrid.store import checked_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from swarmgrid.store.archive import Archive
    from swarmgrid.store.checked_json import Document

MIN_COORD_CHUNK, MAX_COORD_CHUNK = 1024, 2**20
_DTYPES = {STRING, "bool", "float16", "float32", "float64", "complex64", "complex128"} | {
    f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}


def check_array(document: Any, name: str) -> None:
    """Raise ValueError where a document is none that `array_document` makes, within bounds.

    So nothing else of it need be looked at: whatever is in it is what its shape, chunks, dims,
    dtype and attributes say. The documents of a whole grid are held against what the grid would
    write by `check_same` instead, and here only against the bounds.
    """
    check_bounds(document, name)
    try:
        output = zarr_metadata.stored_output(document, 0)
        made = zarr_metadata.array_document(
            output.dtype,
            output.shape,
            zarr_metadata.chunk_shape(document),
            output.dims,
            document["attributes"],
            zarr_metadata.separator(document),
            zarr_metadata.inner_shape(document),
            zarr_metadata.keys(document),
            zarr_metadata.stored_encoding(document),
            zarr_metadata.stored_archive(document),
        )
        if not checked_json.is_same(made, document):
            raise ValueError("it is not described as swarmgrid does that")
    except checked_json.MALFORMED as error:
        raise _of_array(name, error) from None


def check_bounds(document: Any, name: str) -> None:
    """Raise ValueError where what a document says of sizes is no sizes, or lies beyond bounds."""
    checked_name("an array", name)
    try:
        shape, chunks = document["shape"], list(zarr_metadata.chunk_shape(document))
        inner = zarr_metadata.inner_shape(document)
        for lengths in (shape, chunks, inner or ()):
            if len(lengths) > zarr_metadata.MAX_DIMS or not all(0 <= n < 2**62 for n in lengths):
                raise ValueError(
                    f"it has lengths below 0, above 2**62, or of {zarr_metadata.MAX_DIMS} dims"
                )
        # before numpy is asked: to it many more texts are dtypes, objects among them
        if document["data_type"] not in _DTYPES:
            raise ValueError(f"its data type is {checked_json.shortened(document['data_type'])}")
        dtype = zarr_metadata.stored_dtype(document)
        if zarr_metadata.data_type(dtype) not in _DTYPES:
            raise ValueError(f"its values are of {checked_json.shortened(dtype)}")
        width = 4 if dtype == STRING else np.dtype(dtype).itemsize
        # one chunk is allocated whole, at the latest when a value of it is read
        if math.prod(chunks) * width > MAX_NBYTES:
            raise ValueError(f"its chunks are larger than {MAX_NBYTES} bytes")
        encoding = zarr_metadata.stored_encoding(document)
        if encoding.is_packed:
            encoding.check(dtype)
        if inner and any(n % i for n, i in zip(chunks, inner, strict=True)):
            raise ValueError("the chunks of its shards do not divide them")
    except checked_json.MALFORMED as error:
        raise _of_array(name, error) from None


def _of_array(name: str, error: Exception) -> ValueError:
    return ValueError(f"array {checked_json.shortened(name)}: {error or type(error).__name__}")


def checked_documents(
    document: Document, attributes: Mapping[str, Any], grid: str
) -> dict[str, Document]:
    """The documents of the arrays, each one that can be read within bounds; else ValueError."""
    version, other = attributes.get("swarmgrid_format"), attributes.get("swarmgrid_grid")
    if type(version) is not int or version < 1:
        raise ValueError(f"its format version is {checked_json.shortened(version)}")
    if other != grid:
        raise ValueError(f"it is that of another grid: {checked_json.shortened(other)}")
    axes = zarr_metadata.checked_names(attributes["swarmgrid_axes"], "axes")
    outputs = zarr_metadata.checked_names(attributes["swarmgrid_outputs"], "outputs")
    documents: dict[str, Document] = document["consolidated_metadata"]["metadata"]
    for name, array in documents.items():
        check_bounds(array, name)
    for name in outputs:
        n = math.prod(zarr_metadata.chunk_shape(documents[name])[: len(axes)])
        if n > MAX_NBYTES:  # of an output that takes no bytes
            raise ValueError(f"output {name!r} has chunks of {n} points")
    for name in axes:
        (chunk,) = zarr_metadata.chunk_shape(documents[name])
        check_coordinate(documents[name])
        if not MIN_COORD_CHUNK <= chunk <= MAX_COORD_CHUNK:
            raise ValueError(f"axis {name!r} has chunks of {chunk} values")
    for name in documents.keys() - {*axes, *outputs}:
        shape = tuple(documents[name]["shape"])
        if zarr_metadata.chunk_shape(documents[name]) != tuple(max(1, n) for n in shape):
            raise ValueError(f"coordinate {name!r} has more than one chunk")
        check_coordinate(documents[name])
    return documents


def layout_in(data: bytes | None) -> int | None:
    """The layout that a group's document describes; None if it is none of a grid."""
    try:
        document = checked_json.from_bytes(data or b"")
        names = checked_json.attributes_of(document)["swarmgrid_outputs"]
        return zarr_metadata.stored_layout(document["consolidated_metadata"]["metadata"][names[0]])
    except checked_json.MALFORMED:
        return None


def outputs_in(data: bytes | None) -> list[str]:
    """The outputs that a group's document names; none if it is none of a grid."""
    try:
        names = checked_json.attributes_of(checked_json.from_bytes(data or b""))
        return zarr_metadata.checked_names(names["swarmgrid_outputs"], "outputs")
    except checked_json.MALFORMED:
        return []


def archive_in(data: bytes | None) -> Archive | None:
    """The archive that has the values of a group; None if they are at home, or it is no grid."""
    try:
        document = checked_json.from_bytes(data or b"")
        names = checked_json.attributes_of(document)["swarmgrid_outputs"]
        return zarr_metadata.stored_archive(
            document["consolidated_metadata"]["metadata"][names[0]]
        )
    except checked_json.MALFORMED:
        return None


def key_ids_in(data: bytes | None) -> set[str]:
    """The ids of the keys that encrypt a group; none if nothing does, or it is no grid."""
    try:
        documents = checked_json.from_bytes(data or b"")["consolidated_metadata"]["metadata"]
        found = [zarr_metadata.stored_encoding(one).key_id for one in documents.values()]
    except checked_json.MALFORMED:
        return set()
    return {*found} - {""}


def check_coordinate(document: Document) -> None:
    """Raise ValueError unless there is a checksum for every chunk: they bound what is read."""
    shape, (length, *_) = document["shape"], (*zarr_metadata.chunk_shape(document), 1)
    n = 1 if len(shape) != 1 else -(-shape[0] // length)
    sums = document["attributes"][zarr_metadata.CHECKSUMS]
    if not isinstance(sums, list) or len(sums) != (0 if 0 in shape else n):
        raise ValueError("a coordinate has not as many checksums as chunks")


def check_same(
    made: Mapping[str, Document], found: Mapping[str, Document], axes: Sequence[str]
) -> None:
    """Raise ValueError where a grid, written again, would have other documents: they disagree."""
    for name, document in made.items():
        stored = found[name]
        if name in axes:  # attributes that this release does not know are ignored
            known = {k: v for k, v in stored["attributes"].items() if k in document["attributes"]}
            stored = {**stored, "attributes": known}
        if not checked_json.is_same(document, stored):
            raise ValueError(f"array {name!r} does not fit the other arrays")
