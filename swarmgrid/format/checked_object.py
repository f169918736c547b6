"""An object with a checksum, as bytes and back: its kind, a JSON header, and the parts.

::

    4 bytes that name its kind  u4 crc32c of all that follows  u4 length of the header
    header  JSON: format, and what the kind needs
    parts, one after the other
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING

import google_crc32c

from swarmgrid.errors import FormatError
from swarmgrid.store import checked_json
from swarmgrid.store.layout import FORMAT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swarmgrid.store.checked_json import Document

_HEAD = struct.Struct("<4sII")


def to_bytes(magic: bytes, header: Document, parts: Sequence[bytes]) -> bytes:
    """An object as it is stored; ``magic`` is the four bytes that name its kind."""
    text = json.dumps({"format": FORMAT, **header}).encode()
    length = struct.pack("<I", len(text))
    checksum = 0
    for part in (length, text, *parts):  # nothing so large is put together twice
        checksum = google_crc32c.extend(checksum, part)
    return b"".join([magic, struct.pack("<I", checksum), length, text, *parts])


def from_bytes(magic: bytes, data: bytes, kind: str, key: str = "") -> tuple[Document, bytes]:
    """The header of a stored object, and its parts as one.

    Parameters
    ----------
    magic : bytes
        The four bytes with which such an object begins.
    data : bytes
        The object.
    kind : str
        Its kind in an error: ``"a manifest segment"``.
    key : str
        Its key, where that is known.

    Raises
    ------
    ValueError
        If the bytes are not those that were written.
    FormatError
        If they were written in a newer format.
    """
    if len(data) < _HEAD.size or data[:4] != magic:
        raise ValueError(f"it does not begin as {kind} does")
    _, crc, length = _HEAD.unpack_from(data)
    if google_crc32c.value(data[8:]) != crc:
        raise ValueError("its checksum does not match")
    # not parsed before the checksum matched: nothing of the rest is looked at in a damaged one
    header = checked_json.from_bytes(data[_HEAD.size : _HEAD.size + length])
    version = header.get("format")
    if type(version) is int and version > FORMAT:
        raise FormatError(
            f"{key or kind} has the format version {version}; this swarmgrid reads up to "
            f"{FORMAT}. Install a newer swarmgrid-zarr"
        )
    if version != FORMAT:
        raise ValueError(f"its format version is {checked_json.shortened(version)}")
    return header, data[_HEAD.size + length :]
