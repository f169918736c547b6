"""Reads everything of a grid, and says what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from swarmgrid.errors import DamageError
from swarmgrid.format import zarr_metadata
from swarmgrid.format.chunk_io import chunk_key, chunk_limit, decoded_chunk, empty_values
from swarmgrid.format.grid import read_grid
from swarmgrid.maintenance.orphans import CHUNK_NAME, V2_CHUNK_NAME, orphan_findings, own_chunks
from swarmgrid.maintenance.replicas import COPY, replica_findings
from swarmgrid.maintenance.report import Finding, Report, to_report
from swarmgrid.outputs.widening import is_wider
from swarmgrid.records.checked_chunk import DIFFERS, wrong_rows
from swarmgrid.records.damage_marks import mark_name, marks
from swarmgrid.records.manifest import older_than, read_manifest
from swarmgrid.space.points import union
from swarmgrid.store import checked_json
from swarmgrid.store.archive import unmarked
from swarmgrid.store.layout import METADATA

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.records.manifest import Manifest
    from swarmgrid.space.points import Points
    from swarmgrid.store.blobs import Blobs
    from swarmgrid.store.layout import GridPath

_TRIES = 20
_LOOKS = 3
"""Damage that was found while a writer was at work is looked for again, so many times."""


def verify_grid(blobs: Blobs, path: GridPath) -> Report:
    """Read a grid's metadata, coordinates, manifest and every chunk that holds a computed point.

    Nothing is written. Of a grid whose metadata cannot be read, or whose values are in an archive,
    no chunk is looked at.
    """
    generation: tuple[int, dict[str, str]] | None = None
    for i in range(_TRIES):
        names = blobs.names(path.manifest)  # first: the axes are then as long as segments say
        document = blobs.get(path.metadata, checked_json.MAX_DOCUMENT)
        try:
            grid = read_grid(blobs, path, document)
        except DamageError as error:
            if i < _LOOKS and blobs.get(path.metadata, checked_json.MAX_DOCUMENT) != document:
                continue  # a new layout replaced the document, and then coordinates
            damage = Finding(error.key, error.reason)
            orphans = orphan_findings(blobs, path, None)
            return to_report([*_parents(blobs, path), damage, *orphans])
        if grid is None:
            return to_report(
                [*_without_group(blobs, path, names), *orphan_findings(blobs, path, None)]
            )
        segments = [name for name in names if name.endswith(".seg")]
        manifest = read_manifest(blobs, path, segments, grid)
        before, generation = generation, grid.generation()
        # else a writer compacted segments, or converted an output, meanwhile: read again
        if manifest is not None and (not manifest.others or generation == before):
            report, bad = _verified(blobs, grid, manifest, names)
            is_last = i >= _LOOKS or not report.problems
            if is_last or not _has_changed(blobs, manifest, segments, document, grid, bad):
                return report
    return to_report([Finding(path.manifest, "it kept changing while it was read")])


def _has_changed(
    blobs: Blobs,
    manifest: Manifest,
    segments: list[str],
    document: bytes | None,
    grid: StoredGrid,
    bad: set[tuple[int, ...]],
) -> bool:
    """Whether a writer changed what a finding rests upon: the document, or rows of bad chunks."""
    now = [name for name in blobs.names(grid.path.manifest) if name.endswith(".seg")]
    if blobs.get(grid.path.metadata, checked_json.MAX_DOCUMENT) != document:
        return True
    if not bad or now == segments:
        return False
    found = read_manifest(blobs, grid.path, now, grid)
    return found is None or any(_rows(found, index) != _rows(manifest, index) for index in bad)


def _rows(manifest: Manifest, index: tuple[int, ...]) -> set[tuple[bytes, Points]]:
    """The points and checksums of the rows of a chunk."""
    rows = manifest.rows
    return {
        (rows.checksums[i].tobytes(), rows.points(i)) for i in manifest.rows_of(index).tolist()
    }


def _verified(
    blobs: Blobs, grid: StoredGrid, manifest: Manifest, names: list[str]
) -> tuple[Report, set[tuple[int, ...]]]:
    """The report of a grid that can be read, and its damaged chunks."""
    path = grid.path
    findings = [*_parents(blobs, path), *_documents(blobs, grid), *replica_findings(blobs, grid)]
    if manifest.ahead:
        findings.append(Finding(path.metadata, older_than(manifest)))
    findings += [
        Finding(path.manifest + name, "it is no whole segment of this grid")
        for name in manifest.damaged
        # these are sound, and reported above: it is the document that is old
        if name not in manifest.ahead
    ]
    findings += [Finding(path.manifest + n, _OTHERS, is_note=True) for n in manifest.others]
    if grid.archive is not None:
        findings += [*_left_here(blobs, grid), *orphan_findings(blobs, path, grid)]
        n = _n_points(manifest)
        return replace(to_report(findings, 0, n), archive=grid.archive.store, unread=n), set()
    chunks = points = 0
    bad_chunks = set[tuple[int, ...]]()
    rowless = list(_chunks_without_rows(blobs, grid, manifest))
    for index, numbers in manifest.chunks():
        bad = bad_rows(blobs, grid, manifest, index, numbers)
        chunks += len(grid.schema.outputs)
        points += sum(len(manifest.rows.points(int(i))) for i in numbers)
        lost = sum(len(manifest.rows.points(i)) for i in bad.rows)
        rowless += [bad.rowless] if bad.rowless else []
        if bad.key:
            findings.append(Finding(bad.key, bad.reason, points=lost))
            bad_chunks.add(index)
    for index in marks(names):
        if index not in bad_chunks:
            key = path.manifest + mark_name(index)
            reason = "a reader found this chunk damaged, but it is not: the next compute sees that"
            findings.append(Finding(key, reason, is_note=True, is_removed=True))
    if rowless:
        findings.append(_values_without_row(rowless))
    report = to_report([*findings, *orphan_findings(blobs, path, grid)], chunks, points)
    return report, bad_chunks


def _n_points(manifest: Manifest) -> int:
    return sum(
        len(manifest.rows.points(int(i))) for _, numbers in manifest.chunks() for i in numbers
    )


def _left_here(blobs: Blobs, grid: StoredGrid) -> Iterator[Finding]:
    """Chunks of an archived grid that are here: of an archiving, or a thaw, that was cut short."""
    keys = [key for name in grid.schema.outputs for key in own_chunks(blobs, grid, name)]
    if keys:
        reason = (
            f"it and {len(keys) - 1} more chunks are still, or again, here: archive with the same "
            "target deletes them, and thaw goes on with them"
        )
        yield Finding(keys[0], reason, is_note=True)


def _without_group(blobs: Blobs, path: GridPath, names: list[str]) -> Iterator[Finding]:
    """A grid's document is missing: a loss if it ever had values, else it was never there."""
    if any(name.endswith(".seg") for name in names) or _has_values(blobs, path, names):
        yield from _parents(blobs, path)
        yield Finding(path.metadata, "it is missing")
    else:
        yield Finding(path.metadata, "the grid was being made: nothing is lost", is_note=True)


def _has_values(blobs: Blobs, path: GridPath, names: list[str]) -> bool:
    """Whether there are chunks of arrays that have no second copies: of outputs."""
    for array in blobs.names(path.prefix):
        is_copied = any(name.startswith(f"{COPY}{array}-") for name in names)
        if array != METADATA and not is_copied:
            found = blobs.names(f"{path.prefix}{array}/")
            if any(CHUNK_NAME.fullmatch(n) or V2_CHUNK_NAME.fullmatch(n) for n in found):
                return True
    return False


@dataclass(frozen=True, slots=True)
class BadRows:
    """The rows of one chunk whose values are not there any more."""

    rows: tuple[int, ...]
    key: str = ""
    """The first object found damaged; empty if none is."""
    reason: str = ""
    rowless: str = ""
    """An object that also holds values of points without a row; empty if none does."""


def bad_rows(
    blobs: Blobs,
    grid: StoredGrid,
    manifest: Manifest,
    index: tuple[int, ...],
    numbers: NDArray[np.intp],
) -> BadRows:
    """Hold one chunk of every output against its rows."""
    # a set in order: the same damage is reported in the same words each time
    bad: dict[int, None] = {}
    key = reason = rowless = ""
    starts = zip(index, grid.chunk_shape, grid.axes, strict=True)
    is_outside = any(i * n >= len(axis) for i, n, axis in starts)
    parts = {int(i): manifest.rows.points(int(i)) for i in numbers}
    rest: NDArray[np.bool_] | None = None
    for name in grid.schema.outputs:
        this = chunk_key(grid, name, index)
        data = None if is_outside else blobs.get(this, chunk_limit(grid, name))
        try:
            block = decoded_chunk(data, this, grid, name)
        except DamageError as error:
            key, reason = key or this, reason or error.reason
            # every point of the chunk is lost, also those whose other outputs are whole
            bad |= dict.fromkeys(parts)
            continue
        for i in wrong_rows(grid, manifest, name, index, block):
            key, reason = key or this, reason or DIFFERS
            bad[i] = None
        if rest is None:  # made once a chunk of that size is seen to be there
            rest = ~union(parts.values(), grid.chunk_shape)
        if (
            not rowless
            and rest.any()
            and _has_any(block[rest], empty_values(grid, name).reshape(-1)[:1])
        ):
            rowless = this
    return BadRows(tuple(bad), key, reason, rowless)


def _has_any(values: NDArray[np.generic], missing: NDArray[np.generic]) -> bool:
    """Whether any of some values is another than ``missing``, of a point that was not computed."""
    if not len(missing):
        return False
    if values.dtype.kind in "fcmM" and np.isnan(missing).all():
        return not bool(np.isnan(values).all())
    return bool((values != missing[0]).any())


def _chunks_without_rows(blobs: Blobs, grid: StoredGrid, manifest: Manifest) -> Iterator[str]:
    """The keys of chunks of which no row says anything."""
    indices = [index for index, _ in manifest.chunks()]
    for name in grid.schema.outputs:
        known = {chunk_key(grid, name, index) for index in indices}
        yield from (key for key in own_chunks(blobs, grid, name) if key not in known)


def _values_without_row(keys: list[str]) -> Finding:
    """The finding for values without a row: a kill came between the two, or a segment was lost."""
    count = f"this chunk and {len(keys) - 1} more hold" if len(keys) > 1 else "this chunk holds"
    reason = f"{count} values that have no row in any segment: they are computed again when needed"
    return Finding(keys[0], reason, is_note=True)


def chunk_index(grid: StoredGrid, key: str) -> tuple[int, ...] | None:
    """The index of the chunk that a key is of; None if it is of none of the grid's outputs."""
    name, _, chunk = key.removeprefix(grid.path.prefix).partition("/")
    pattern = V2_CHUNK_NAME if name in grid.v2_keys else CHUNK_NAME
    if name not in grid.schema.outputs or not pattern.fullmatch(chunk):
        return None
    numbers = [int(text) for text in chunk.split(".") if text != "c"]
    return tuple(numbers[: len(grid.axes)])


def _parents(blobs: Blobs, path: GridPath) -> Iterator[Finding]:
    for key in path.parents:
        data = blobs.get(key, checked_json.MAX_DOCUMENT)
        if not zarr_metadata.is_group(data):
            yield Finding(key, "it is missing" if data is None else "it is no Zarr group")


def _documents(blobs: Blobs, grid: StoredGrid) -> Iterator[Finding]:
    """Array documents that differ from their copies in the group's."""
    expected = grid.documents()
    keys = [grid.path.array_metadata(name) for name in expected]
    found = blobs.get_many(keys, checked_json.MAX_DOCUMENT)
    for key, document, data in zip(keys, expected.values(), found, strict=True):
        if data is None:
            yield Finding(key, "it is missing")
        elif data != checked_json.to_bytes(document):
            is_ahead = _is_ahead(data, document)
            reason = "it is ahead: a growth was cut short" if is_ahead else _DIFFERS
            if _is_of_other_place(data, document):
                is_ahead, reason = True, "it is of before the grid was archived, or thawed"
            if _is_of_other_layout(data, document):
                is_ahead, reason = True, "it is of before the grid was laid out anew"
            yield Finding(key, reason, is_note=is_ahead)


_OTHERS = "it is of a conversion, or of another layout, which is at work or was cut short"
_DIFFERS = "it differs from the group's"


def _is_ahead(data: bytes, document: checked_json.Document) -> bool:
    """Whether an array's document is what a growth, or a promotion, makes of the one before."""
    try:
        found = checked_json.from_bytes(data)
        longer = zip(found["shape"], document["shape"], strict=True)
        kinds = [d["attributes"].get("swarmgrid_kind") for d in (document, found)]
        return (
            all(n >= m for n, m in longer)
            and (found != document)
            and _at_any_length(found) == _at_any_length(document)
        ) or (
            (kinds == ["int", "float"] and found["chunk_grid"] == document["chunk_grid"])
            or _is_converted(found, document)
        )
    except checked_json.MALFORMED:
        return False


def _is_of_other_place(data: bytes, document: checked_json.Document) -> bool:
    """Whether an array's document differs only in whether the values are in an archive."""
    try:
        found = checked_json.from_bytes(data)
        homes = []
        for each in (found, document):
            key_encoding, _ = unmarked(each["chunk_key_encoding"])
            homes.append({**each, "chunk_key_encoding": key_encoding})
    except checked_json.MALFORMED:
        return False
    return homes[0] == homes[1]


def _is_of_other_layout(data: bytes, document: checked_json.Document) -> bool:
    """Whether an array's document is of before a new layout, which was cut short at its end."""
    try:
        found = checked_json.from_bytes(data)
        layouts = [zarr_metadata.stored_layout(d) for d in (found, document)]
        # a new order of an axis moves its chunks; a promotion does that, too, and changes the kind
        is_axis = zarr_metadata.CHECKSUMS in document["attributes"]
        is_alike = all(
            found[key] == document[key] for key in ("shape", "data_type")
        ) and zarr_metadata.separator(found) != zarr_metadata.separator(document)
        return layouts[0] < layouts[1] or (is_axis and is_alike)
    except checked_json.MALFORMED:
        return False


def _is_converted(found: checked_json.Document, document: checked_json.Document) -> bool:
    """Whether an array's document is what a conversion makes of an output's."""
    changed = ("data_type", "fill_value", "codecs", "chunk_key_encoding")
    rest = [{k: v for k, v in d.items() if k not in changed} for d in (found, document)]
    return rest[0] == rest[1] and is_wider(found["data_type"], document["data_type"])


def _at_any_length(document: checked_json.Document) -> checked_json.Document:
    """An array's document without what a growth changes in it."""
    grown = {"swarmgrid_ints", zarr_metadata.CHECKSUMS}
    attributes = {k: v for k, v in document["attributes"].items() if k not in grown}
    return {**document, "shape": 0, "attributes": attributes}
