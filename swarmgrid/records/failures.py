"""Failures of points: JSON objects beside the manifest's segments."""

from __future__ import annotations

import itertools
import json
import logging
import math
import re
from collections import Counter
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.format.encrypted_text import decrypted_text, encrypted_text
from swarmgrid.space.points import Points
from swarmgrid.store import checked_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.records.manifest import Manifest
    from swarmgrid.store.blobs import Blobs
    from swarmgrid.store.layout import GridPath

SUFFIX = ".err"
"""The suffix of the names of such objects."""
MAX_NBYTES = 2**28
"""The most bytes of such an object."""
COMPACT_FROM = 8
"""So many objects are compacted into one."""
Place = tuple[tuple[int, ...], tuple[int, ...]]
"""A point: its chunk's index, and its own index within the chunk."""


_LAYOUT = re.compile(r"\.(\d{1,10})\.err$", re.ASCII)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FailedPoint:
    """A point at which the function failed."""

    index: tuple[int, ...]
    offset: tuple[int, ...]
    point: Mapping[str, Any]
    """The axis values, by axis."""
    exception: str
    reason: str
    traceback: str
    attempt: int
    time: str
    """The time of the failure, UTC, ISO 8601."""
    extent: tuple[int, ...] | None = None
    """Of a block that failed as one: the box of its points within the chunk. See `Points`."""
    bits: str = ""
    """The points of that box, as a bitmap in hex; empty: all."""
    commit: int = 0
    """The number of the commit that it came with, as of rows; 0: it is still to be committed."""
    ciphertext: str = ""
    """The reason and the traceback, encrypted, as they are stored; empty: as they are here."""
    key_id: str = ""
    """The id of the key that encrypts them."""

    def encrypted_with(self, key_id: str) -> FailedPoint:
        """The failure as a grid with a key stores it; an empty id: a grid that is not encrypted.

        One that this process cannot read stays as it is.
        """
        is_closed = self.key_id and decrypted_text(self.ciphertext, self.key_id) is None
        if is_closed or self.key_id == key_id:
            return self
        text = encrypted_text(json.dumps([self.reason, self.traceback]), key_id) if key_id else ""
        return replace(self, ciphertext=text, key_id=key_id)

    @property
    def points(self) -> Points:
        """The points within the chunk."""
        if self.extent is None:
            return Points.at(self.offset)
        return Points(self.extent, bytes.fromhex(self.bits) or None)

    @property
    def place(self) -> Place:
        """The place of the point in the grid."""
        return self.index, self.offset


class FailureLog:
    """Writes the failures of one run, and keeps them in few objects.

    The newest objects are compacted, never one without all that are newer: of several failures of
    a point the one in the last object holds.

    Parameters
    ----------
    blobs, path
        The grid, as the holder of its lease writes it.
    new_name, new_commit : callable
        A name, and a number, that come after all that were used before.
    key_id : str
        The id of the key that the grid is encrypted with; empty: none.
    """

    def __init__(
        self,
        blobs: Blobs,
        path: GridPath,
        new_name: Callable[[], str],
        new_commit: Callable[[], int],
        key_id: str = "",
    ) -> None:
        self._blobs = blobs
        self._key_id = key_id
        self._path = path
        self._new_name = new_name
        self._new_commit = new_commit
        self._sizes: dict[str, int] = {}

    def write(self, failures: Sequence[FailedPoint]) -> list[FailedPoint]:
        """Keep some failures; they are returned with the numbers of their commits."""
        numbered = [
            replace(f, commit=f.commit or self._new_commit()).encrypted_with(self._key_id)
            for f in failures
        ]
        self._sizes |= write_failures(self._blobs, self._path, self._new_name(), numbered)
        names = newest_to_compact(self._sizes)
        if names:
            written = compact_failures(self._blobs, self._path, names, self._new_name())
            n = sum(self._sizes.pop(old) for old in names)
            if len(written) == 1:  # else they are as large as they can be, and stay
                self._sizes |= dict.fromkeys(written, n)
        return numbered


def newest_to_compact(sizes: Mapping[str, int]) -> list[str]:
    """The newest objects, to be compacted so that O(log n) of them stay; maybe none.

    An object's class is that of the largest among it and the newer ones, each class
    ``COMPACT_FROM`` times the next; a full class is compacted, with all that are newer.
    """
    names = sorted(sizes, reverse=True)
    largest = itertools.accumulate((sizes[name] for name in names), max)
    levels = [next(i for i in itertools.count() if n < COMPACT_FROM ** (i + 1)) for n in largest]
    full = [level for level, n in Counter(levels).items() if n >= COMPACT_FROM]
    return names[: sum(level <= max(full) for level in levels)] if full else []


def compact_failures(
    blobs: Blobs,
    path: GridPath,
    names: Sequence[str],
    name: str,
    is_computed: Callable[[Place], bool] = lambda _place: False,
) -> dict[str, int]:
    """Replace objects by one, or few, with the last failure of each point that is not computed.

    A kill in between leaves failures that are there twice, which says the same.

    Parameters
    ----------
    blobs, path
        The grid, as the holder of its lease writes it.
    names : sequence of str
        The objects.
    name : str
        The new object's, which comes after theirs.
    is_computed : callable, optional
        Whether the point at a place has been computed since.

    Returns
    -------
    dict
        By new object the failures in it.
    """
    found = read_failures(blobs, path, names).items()
    left = [failure for place, failure in found if not is_computed(place)]
    written = write_failures(blobs, path, name, left) if left else {}
    # only now: a kill in between leaves failures twice, never none
    for old in names:
        blobs.delete(path.manifest + old)
    return written


def suffix_of(layout: int) -> str:
    """The suffix of the names of objects with failures of one layout of a grid."""
    return f".{layout}{SUFFIX}" if layout else SUFFIX


def is_of(name: str, layout: int) -> bool:
    """Whether an object holds failures of one layout: of another, places mean other points."""
    found = _LAYOUT.search(name)
    return name.endswith(SUFFIX) and (0 if found is None else int(found[1])) == layout


def write_failures(
    blobs: Blobs,
    path: GridPath,
    name: str,
    failures: Sequence[FailedPoint],
    new_commit: Callable[[], int] = lambda: 0,
) -> dict[str, int]:
    """Keep some failures under a new name: by object the failures in it.

    Several objects, where one would be larger than the store takes; their names begin alike. Each
    failure that has no number yet gets one.
    """
    numbered = [replace(f, commit=f.commit or new_commit()) for f in failures]
    plain = [replace(f, reason="", traceback="") if f.ciphertext else f for f in numbered]
    # axis values may be no JSON: they are kept as text
    records = json.loads(json.dumps([asdict(failure) for failure in plain], default=str))
    return _write_records(blobs, path, name, records)


def _write_records(
    blobs: Blobs, path: GridPath, name: str, records: list[dict[str, Any]]
) -> dict[str, int]:
    key, data = f"{path.manifest}{name}", b""
    # so that readers, which bound what they read, take it
    for cut in ("", "traceback", "reason", "ciphertext"):
        records = [{**record, cut: ""} for record in records] if cut else records
        document = checked_json.with_checksum({"attributes": {"key": key, "failures": records}})
        data = json.dumps(document).encode()
        if len(data) <= min(MAX_NBYTES, blobs.max_nbytes):
            break
        if len(records) > 1:
            # `-0` sorts before `-1`, and both before what is written later
            begin, dot, rest = name.partition(".")
            half = len(records) // 2
            return {
                **_write_records(blobs, path, f"{begin}-0{dot}{rest}", records[:half]),
                **_write_records(blobs, path, f"{begin}-1{dot}{rest}", records[half:]),
            }
    blobs.put(key, data)
    return {name: len(records)}


def read_failures(blobs: Blobs, path: GridPath, names: Iterable[str]) -> dict[Place, FailedPoint]:
    """The last failure of every point that failed, by place; unreadable objects are left out."""
    ordered = sorted(names)
    found: dict[Place, FailedPoint] = {}
    for name, data in _read(blobs, path, ordered):
        failures = [] if data is None else decoded_failures(data, path.manifest + name)
        if failures is None:  # what is lost is a message; the points are tried again anyway
            _log.warning("%s%s cannot be read: failures are lost", path.manifest, name)
        # in the order of the names: of several failures of a point the one written last stays
        found |= {failure.place: failure for failure in failures or ()}
    return found


def _read(
    blobs: Blobs, path: GridPath, names: Sequence[str]
) -> Iterator[tuple[str, bytes | None]]:
    """The objects' bytes: of a few at a time, as each may be large."""
    for start in range(0, len(names), COMPACT_FROM):
        part = names[start : start + COMPACT_FROM]
        keys = [path.manifest + name for name in part]
        yield from zip(part, blobs.get_many(keys, MAX_NBYTES), strict=True)


def read_all_failures(blobs: Blobs, grid: StoredGrid) -> dict[Place, FailedPoint]:
    """The last failures of a grid that a writer may be compacting meanwhile."""
    path = grid.path
    while True:
        names = [name for name in blobs.names(path.manifest) if is_of(name, grid.layout)]
        found = read_failures(blobs, path, names)
        # else some were compacted into one that was not listed: read again
        if {*names} <= {*blobs.names(path.manifest)}:
            return found


def decoded_failures(data: bytes, key: str) -> list[FailedPoint] | None:
    """The failures that an object holds; None if it is not as it was written under its key."""
    try:
        attributes = checked_json.checked_attributes(data)
        if attributes["key"] != key:
            return None
        return [_from_record(record) for record in attributes["failures"]]
    except checked_json.MALFORMED:
        return None


def _from_record(record: dict[str, Any]) -> FailedPoint:
    """A failure; ValueError if a member is of another type, or out of bounds."""
    known = {
        field.name: record[field.name] for field in fields(FailedPoint) if field.name in record
    }
    for name in ("index", "offset", "extent"):
        if known.get(name) is not None:
            known[name] = tuple(known[name])
    failure = FailedPoint(**known)
    places = (failure.index, failure.offset, failure.extent or ())
    numbers = [failure.attempt, *itertools.chain.from_iterable(places)]
    is_commit = type(failure.commit) is int and 0 <= failure.commit < 2**64
    texts = [failure.exception, failure.reason, failure.traceback, failure.time, failure.bits]
    texts += [failure.ciphertext, failure.key_id]
    if not (
        all(type(n) is int and 0 <= n < 2**31 for n in numbers)
        and len(failure.index) == len(failure.offset) == len(failure.extent or failure.index)
        and all(type(text) is str for text in texts)
        and type(failure.point) is dict
        and is_commit
    ):
        raise ValueError("a member is of another type, or out of bounds")
    return _decrypted(failure) if failure.ciphertext else failure


def _decrypted(failure: FailedPoint) -> FailedPoint:
    """A failure with its texts; without the key a text that says which one it needs."""
    text = decrypted_text(failure.ciphertext, failure.key_id)
    if text is None:
        closed = f"encrypted with the key {failure.key_id}, which this process does not have"
        return replace(failure, reason=closed)
    reason, traceback = json.loads(text)
    if type(reason) is not str or type(traceback) is not str:
        raise ValueError("it is encrypted, and no text")
    return replace(failure, reason=reason, traceback=traceback)


def within(failures: Mapping[Place, FailedPoint], grid: StoredGrid) -> dict[Place, FailedPoint]:
    """Those of some failures that are of points of a grid."""
    return {place: failure for place, failure in failures.items() if _is_within(failure, grid)}


def still_failed(failures: Mapping[Place, FailedPoint], manifest: Manifest) -> list[FailedPoint]:
    """The failures of points that are not computed since."""
    if not failures:
        return []
    index = manifest.rows.index
    is_near = np.ones(len(index), bool)  # to sort a million rows by chunk takes seconds
    for d, places in enumerate(zip(*(index for index, _ in failures), strict=True)):
        is_near &= np.isin(index[:, d], np.array(places))
    near = replace(manifest, rows=manifest.rows.subset(np.flatnonzero(is_near)))
    return [failure for place, failure in failures.items() if not near.holds(*place)]


def is_inside(place: Place, grid: StoredGrid) -> bool:
    """Whether a place is one that a grid has, or gets when it grows: points fail before that."""
    index, offset = place
    lengths = grid.chunk_shape
    return len(index) == len(offset) == len(lengths) and all(
        o < n for o, n in zip(offset, lengths, strict=True)
    )


def _is_within(failure: FailedPoint, grid: StoredGrid) -> bool:
    extent = failure.extent or tuple(i + 1 for i in failure.offset)
    # a record may come from anywhere: no reader may index beyond a chunk by it
    if not is_inside(failure.place, grid):
        return False
    if any(not 0 < e <= n for e, n in zip(extent, grid.chunk_shape, strict=True)):
        return False
    try:
        n_bits = len(bytes.fromhex(failure.bits))
    except ValueError:
        return False
    return n_bits in {0, -(-math.prod(extent) // 8)}
