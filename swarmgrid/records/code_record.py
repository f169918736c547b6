"""The code that made a grid, as it was then: to say later why another grid was made."""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from swarmgrid.store import checked_json

if TYPE_CHECKING:
    from swarmgrid.identity import Fingerprint
    from swarmgrid.store.blobs import Blobs
    from swarmgrid.store.layout import GridPath

NAME = "code.src"
"""The name of the record, beside the manifest's segments."""
MAX_NBYTES = 2**24
"""The most bytes of a record before compression; a longer one is written without sources."""


@dataclass(frozen=True, slots=True)
class CodePart:
    """A part of a fingerprint."""

    path: str
    """The place of the part: ``code of helper``, ``global 'args' of train``."""
    kind: str
    """The kind of the part: ``code``, or the name of its class."""
    digest: str
    file: str = ""
    """Of code: the name of its file, without folders."""
    source: str = ""
    """Of code: its source without comments and layout; empty: not known."""


def code_parts(fingerprint: Fingerprint) -> tuple[CodePart, ...]:
    """The parts of a fingerprint with the sources of its code."""
    sources = fingerprint.sources()
    return tuple(
        CodePart(part.path, part.kind, part.digest, *sources.get(part.path, ("", "")))
        for part in fingerprint.parts
    )


def write_code(blobs: Blobs, path: GridPath, parts: tuple[CodePart, ...]) -> None:
    """Keep the parts of the fingerprint that named a grid."""
    key = path.manifest + NAME
    # the digests alone still tell which part has changed
    for with_sources in (True, False):
        rows = [
            [p.path, p.kind, p.digest, p.file, p.source if with_sources else ""] for p in parts
        ]
        data = json.dumps({"key": key, "parts": rows}).encode()
        # without the time: the same code makes the same bytes
        small = gzip.compress(data, 6, mtime=0) if len(data) <= MAX_NBYTES else None
        if small is not None and len(small) <= blobs.max_nbytes:
            blobs.put(key, small)
            return


def read_code(blobs: Blobs, path: GridPath) -> tuple[CodePart, ...]:
    """The parts that were kept of a grid; none if there is no record, or it cannot be read."""
    data = blobs.get(path.manifest + NAME, MAX_NBYTES)
    return () if data is None else decoded_code(data, path.manifest + NAME) or ()


def decoded_code(data: bytes, key: str) -> tuple[CodePart, ...] | None:
    """The parts that a record holds; None if it is not as it was written under its key."""
    # bounded: gzip.decompress would expand whatever it is given
    decoder = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        text = decoder.decompress(data, MAX_NBYTES)
        document = checked_json.from_bytes(text)
        parts = tuple(CodePart(*part) for part in document["parts"])
        # `eof` is false where the text is longer than the bound, too
        is_sound = decoder.eof and document["key"] == key
    except (*checked_json.MALFORMED, zlib.error):
        return None
    texts = (t for p in parts for t in (p.path, p.kind, p.digest, p.file, p.source))
    return parts if is_sound and all(type(t) is str for t in texts) else None
