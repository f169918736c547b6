"""Recorded blocks in a store: Zarr groups of their arrays, and a commit that is written last.

A group is named after what it holds, so two processes that record the same write the same, and
one that is killed leaves a group that no commit refers to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.errors import DamageError, StoreError
from swarmgrid.format import zarr_metadata
from swarmgrid.identity import digest
from swarmgrid.memoized import recorded_arrays
from swarmgrid.memoized.delta import Delta
from swarmgrid.memoized.object_graph import ObjectGraph
from swarmgrid.memoized.object_records import reference
from swarmgrid.memoized.recorded_arrays import RecordedArray
from swarmgrid.space.names import checked_name
from swarmgrid.store import checked_json
from swarmgrid.store.blobs import writing
from swarmgrid.store.checked_json import check_format, check_root_format
from swarmgrid.store.layout import BLOCKS, DATA, FORMAT, MANIFEST, METADATA

if TYPE_CHECKING:
    from swarmgrid.store.blobs import Blobs
    from swarmgrid.store.location import Location

MAX_COMMIT = 2**28
"""The most bytes of a commit."""
_GROUP = re.compile(rf"{BLOCKS}/[0-9a-f]{{32}}/[0-9a-f]{{32}}")
_HIDDEN_STEPS = {"variable", "data"}


@dataclass(frozen=True, slots=True)
class Recording:
    """A recorded block: its change, and where its arrays are."""

    location: Location
    delta: Delta
    arrays: Mapping[int, RecordedArray]
    """By the number of the object."""

    def load(self, number: int) -> np.ndarray[Any, Any]:
        """An array's values, checked."""
        return self.arrays[number].read(self.location.open())

    def lazy(self, number: int) -> Any:
        """An array that xarray reads when it is used."""
        from swarmgrid.memoized import labelled

        record = self.delta.records[number]
        return labelled.lazy(self.location, self.arrays[number], record.meta["digest"])


def commit_key(key: str) -> str:
    """The key of the object that says that a block is recorded, and what it did."""
    return f"{MANIFEST}/{BLOCKS}/{key}.json"


def read_recording(location: Location, key: str) -> Recording | None:
    """The recording of a block; None if there is none. Reads one object.

    Raises
    ------
    DamageError
        If it is not as it was written.
    FormatError
        If it was written in a newer format.
    """
    data = location.open().get(commit_key(key), MAX_COMMIT)
    if data is None:
        return None
    try:
        document = checked_json.from_bytes(data)
        attributes = checked_json.attributes_of(document)
        check_format(attributes, commit_key(key))
        checked_json.check_checksum(document)
        group, stored = attributes["group"], attributes["arrays"]
        if attributes["swarmgrid_block"] != key or not _GROUP.fullmatch(group):
            raise ValueError("it is that of another block")
        found = {int(number): _array(group, one) for number, one in stored.items()}
        delta = Delta.from_json(attributes["delta"])
        delta.check(found)
    except checked_json.MALFORMED as error:
        raise DamageError(commit_key(key), str(error)) from None
    return Recording(location, delta, found)


def check_writable(location: Location) -> None:
    """Raise StoreError unless a recording can be written, before anything is computed for it."""
    if getattr(location.store, "read_only", False):
        raise StoreError(f"store {location.url!r} cannot be written: it was opened read-only")
    key = f"{DATA}/{METADATA}"
    data = location.open().get(key, checked_json.MAX_DOCUMENT)
    if data is not None:
        try:
            check_root_format(checked_json.attributes_of(checked_json.from_bytes(data)), key)
        except ValueError as error:
            raise DamageError(key, str(error)) from None


def write_recording(
    location: Location, key: str, delta: Delta, after: ObjectGraph, *, is_new: bool
) -> None:
    """Write a block's arrays, then the commit.

    Parameters
    ----------
    location, key
        The store, and the key.
    delta : Delta
        The changes by the block.
    after : ObjectGraph
        The state at its end, whose arrays are written.
    is_new : bool
        Whether a recording that another process wrote meanwhile stays.
    """
    numbers = [n for n, record in delta.records.items() if record.kind == "array"]
    names = _names(numbers, after)
    group = f"{BLOCKS}/{key}/{digest([delta.to_json(), names])}"
    blobs = location.open()
    with writing(blobs):
        written = {}
        if numbers:
            for parent in _parents(group):
                # created, not written over: other recordings lie below the same groups
                blobs.create(parent, _group_bytes({"swarmgrid_format": FORMAT}))
            documents = {}
            dims = _dims(after, names)
            for number in numbers:
                values = np.asarray(after.values[number])
                array = RecordedArray(group, names[number], values.dtype, values.shape)
                documents[array.name] = array.document(dims.get(number))
                written[number] = _write_array(blobs, array, values, documents[array.name])
            attributes = _group_attributes(key, after, names)
            blobs.put(f"{DATA}/{group}/{METADATA}", _group_bytes(attributes, documents))
        commit = _commit(key, group, delta, written)
        # last: without it no array counts. Of two processes that ran the block the first stays, as
        # a reader may use its arrays already; a damaged one, or one to replace, does not
        (blobs.create if is_new else blobs.put)(commit_key(key), commit)


def _write_array(
    blobs: Blobs, array: RecordedArray, values: np.ndarray[Any, Any], document: dict[str, Any]
) -> dict[str, Any]:
    """Write an array; what the commit says of it."""
    checksums = []
    if values.size:
        for key, data, checksum in array.encoded_chunks(values):
            blobs.put(key, data)
            checksums.append(checksum)
    blobs.put(array.metadata_key, checked_json.to_bytes(document))
    return {
        "name": array.name,
        "dtype": recorded_arrays.dtype_text(array.dtype),
        "shape": list(array.shape),
        "checksums": checksums,
    }


def _array(group: str, stored: Mapping[str, Any]) -> RecordedArray:
    dtype, shape = recorded_arrays.to_dtype(stored["dtype"]), tuple(stored["shape"])
    name, checksums = checked_name("an array", stored["name"]), tuple(stored["checksums"])
    if len(shape) > zarr_metadata.MAX_DIMS or not all(
        type(n) is int and 0 <= n < 2**62 for n in shape
    ):
        raise ValueError(f"array {name!r} has lengths that no array has")
    array = RecordedArray(group, name, dtype, shape, checksums)
    if array.n_chunks != len(checksums):
        raise ValueError(f"array {name!r} has {len(checksums)} checksums of its chunks")
    return array


def _commit(key: str, group: str, delta: Delta, written: Mapping[int, Any]) -> bytes:
    attributes = {
        "swarmgrid_format": FORMAT,
        "swarmgrid_block": key,
        "group": group,
        "delta": delta.to_json(),
        "arrays": {str(number): one for number, one in written.items()},
    }
    return checked_json.to_bytes(
        checked_json.with_checksum({"attributes": attributes}), MAX_COMMIT
    )


def _parents(group: str) -> list[str]:
    parts = group.split("/")[:-1]
    folders = [DATA, *(f"{DATA}/{'/'.join(parts[: i + 1])}" for i in range(len(parts)))]
    return [f"{folder}/{METADATA}" for folder in folders]


def _group_bytes(
    attributes: Mapping[str, Any], documents: Mapping[str, Any] | None = None
) -> bytes:
    return checked_json.to_bytes(zarr_metadata.group_document(attributes, documents))


def _group_attributes(key: str, after: ObjectGraph, names: Mapping[int, str]) -> dict[str, Any]:
    """The group's attributes: for xarray, they name the arrays that are coordinates."""
    found = {"swarmgrid_format": FORMAT, "swarmgrid_block": key}
    labels = [names[n] for n in names if any(_is_coord(step) for step in after.paths[n])]
    return found | ({"coordinates": " ".join(labels)} if labels else {})


def _is_coord(step: str | int) -> bool:
    return isinstance(step, str) and step.startswith("coord ")


def _names(numbers: Iterable[int], after: ObjectGraph) -> dict[int, str]:
    """A name for every array, after where it sits: ``items.3``; no two differ in case only."""
    found: dict[int, str] = {}
    taken: set[str] = {METADATA}
    for number in numbers:
        steps = [str(step).removeprefix("data ") for step in after.paths[number]]
        shown = [steps[0], *(one for one in steps[1:] if one not in _HIDDEN_STEPS)]
        label = ".".join(one.removeprefix("coord ") for one in shown)
        plain = re.sub(r"[^A-Za-z0-9_.-]", "_", label).lstrip("._") or "array"
        name, count = plain, 1
        while name.lower() in taken:
            name, count = f"{plain}-{count}", count + 1
        taken.add(name.lower())
        found[number] = name
    return found


def _dims(after: ObjectGraph, names: Mapping[int, str]) -> dict[int, list[str]]:
    """The dims of the arrays that are data of variables; only a Dataset's agree in size."""
    found: dict[int, list[str]] = {}
    for number, record in after.records.items():
        if record.kind != "variable" or (data := reference(record.children["data"])) not in names:
            continue
        path = after.paths[number]
        prefix = "" if len(path) == 1 else f"{path[0]}."
        found.setdefault(data or 0, [prefix + dim for dim in record.meta["dims"]])
    return found
