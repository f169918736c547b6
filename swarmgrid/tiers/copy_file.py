"""The file of a copy on a disk: it says whose it is, how it is encoded, and if it is whole."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

import google_crc32c

from swarmgrid.view.copies import Recoded

if TYPE_CHECKING:
    from pathlib import Path

_MAGIC = b"SWT1"
_HEAD = struct.Struct("<4sIQII")
"""The magic, the checksum of all that follows, and the lengths of the data, the key and the form;
then come the key, the form and the data."""
_CHECKED_FROM = 8


def packed(copy: bytes | Recoded, key: str) -> tuple[bytes, bytes]:
    """The bytes of a copy's file: what comes before its data, and these."""
    form, data = (copy.form, copy.data) if isinstance(copy, Recoded) else ("", copy)
    name, form_bytes = key.encode(), form.encode()
    lengths = _HEAD.pack(_MAGIC, 0, len(data), len(name), len(form_bytes))[_CHECKED_FROM:]
    rest = lengths + name + form_bytes
    crc = google_crc32c.extend(google_crc32c.value(rest), data)
    return _MAGIC + crc.to_bytes(4, "little") + rest, data


def read_copy(number: int, nbytes: int, key: str) -> bytes | Recoded | None:
    """The copy in a file; None if it is not what was written under the key."""
    name = key.encode()
    head = os.read(number, _HEAD.size + len(name))
    if len(head) < _HEAD.size + len(name):
        return None
    magic, crc, n_data, n_name, n_form = _HEAD.unpack_from(head)
    is_whole = _HEAD.size + n_name + n_form + n_data == nbytes
    if magic != _MAGIC or not is_whole or head[_HEAD.size :] != name or n_name != len(name):
        return None
    form, data = _read_bytes(number, n_form), _read_bytes(number, n_data)
    if form is None or data is None:
        return None
    found = google_crc32c.extend(google_crc32c.value(head[_CHECKED_FROM:]), form)
    if google_crc32c.extend(found, data) != crc:
        return None
    return Recoded(form.decode(), data) if form else data


def _read_bytes(number: int, nbytes: int) -> bytes | None:
    """So many bytes; None if there are fewer."""
    if not nbytes:
        return b""
    data = os.read(number, nbytes)
    while len(data) < nbytes:  # one call reads 2 GB at most
        more = os.read(number, nbytes - len(data))
        if not more:
            return None
        data += more
    return data


def key_in(path: Path) -> str:
    """The key of a copy, as its file says; empty where it cannot be read."""
    try:
        with path.open("rb") as file:
            magic, _, _, n_name, _ = _HEAD.unpack(file.read(_HEAD.size))
            # keys are shorter: a damaged head may say any length
            return file.read(min(n_name, 2**16)).decode() if magic == _MAGIC else ""
    except (OSError, ValueError, struct.error):
        return ""


def copy_in(path: Path, key: str) -> bytes | Recoded | None:
    """The copy of a key in a file; None if it is not there."""
    try:
        with path.open("rb", buffering=0) as file:
            return read_copy(file.fileno(), path.stat().st_size, key)
    except OSError:
        return None
