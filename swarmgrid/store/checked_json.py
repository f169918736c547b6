"""JSON documents, read within bounds; those that nothing else verifies have a checksum."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NoReturn

import google_crc32c

from swarmgrid.errors import FormatError, InputError
from swarmgrid.store.layout import FORMAT

if TYPE_CHECKING:
    from collections.abc import Mapping

Document = dict[str, Any]
MALFORMED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""The errors of reading members of JSON that are of other types than expected."""
MAX_DOCUMENT = 2**26
"""The most bytes of a Zarr document."""
MAX_DEPTH = 200
"""The deepest nesting of lists and objects in any JSON that is read."""
_TOO_DEEP = f"its lists and objects lie more than {MAX_DEPTH} deep"
CHECKSUM = "swarmgrid_crc32c"
"""The attribute of a grid's group that holds the checksum of its document."""


def to_bytes(document: Document, limit: int = MAX_DOCUMENT) -> bytes:
    """A document as it is stored."""
    # NaN and Infinity are no JSON: other readers refuse them
    data = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
    if len(data) > limit:
        raise InputError(
            f"a document has {len(data)} bytes of JSON; expected at most {limit}. Hold what is "
            "large in arrays"
        )
    return data


def with_checksum(document: Document) -> Document:
    """A group's document with its checksum as an attribute."""
    attributes = {k: v for k, v in document["attributes"].items() if k != CHECKSUM}
    return {**document, "attributes": {**attributes, CHECKSUM: _checksum(document)}}


def checked_attributes(data: bytes) -> Document:
    """The attributes of a stored document whose checksum matches.

    Raises
    ------
    ValueError
        If the bytes are no such document, or its checksum does not match.
    """
    document = from_bytes(data, has_constants=True)
    check_checksum(document)
    attributes: Document = document["attributes"]
    return attributes


def attributes_of(document: Document) -> Document:
    """The attributes of a document; ValueError if it has none."""
    attributes = document.get("attributes")
    if not isinstance(attributes, dict):
        raise ValueError("it has no attributes")
    return attributes


def check_checksum(document: Document) -> None:
    """Raise ValueError if the checksum of the document does not match."""
    if attributes_of(document).get(CHECKSUM) != _checksum(document):
        raise ValueError("its checksum does not match: it was changed after it was written")


def _checksum(document: Document) -> str:
    attributes = {k: v for k, v in document["attributes"].items() if k != CHECKSUM}
    # sorted: a tool that wrote it again in another order has changed nothing
    text = json.dumps({**document, "attributes": attributes}, sort_keys=True)
    return f"{google_crc32c.value(text.encode()):08x}"


def from_bytes(data: bytes, *, has_constants: bool = False) -> Document:
    """A stored document.

    Parameters
    ----------
    data : bytes
        JSON.
    has_constants : bool
        Whether ``NaN`` and ``Infinity`` may stand in it, which are no JSON.

    Raises
    ------
    ValueError
        If the bytes are no JSON object.
    """
    if not data:
        raise ValueError("it is empty, no regular file, or larger than it can be")
    try:
        document = json.loads(
            # not the bytes: json would guess at UTF-16 and UTF-32, too
            str(data, "utf-8"),
            parse_constant=float if has_constants else _refused,
        )
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    if not isinstance(document, dict):
        raise ValueError("it is no JSON object")
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH:  # else it cannot lie deeper
        _check_depth(document)
    return document


def _refused(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


def _check_depth(document: Document) -> None:
    """Raise ValueError where lists and objects lie so deep in each other that recursion fails."""
    level: list[Any] = [document]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for one in level
            for inner in (one.values() if isinstance(one, dict) else one)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return
    raise ValueError(_TOO_DEEP)


def is_same(one: Any, other: Any) -> bool:
    """Whether two values are one in JSON, where ``1``, ``1.0`` and ``true`` differ."""
    # ``true == 1 == 1.0`` in Python: the type of each value is compared, too
    kind = type(one)
    if kind is dict:
        if type(other) is not dict or one.keys() != other.keys():
            return False
        return all(map(is_same, one.values(), map(other.__getitem__, one)))
    if kind is list or kind is tuple:
        is_list = type(other) in {list, tuple} and len(one) == len(other)
        return is_list and all(map(is_same, one, other))
    return kind is type(other) and bool(one == other)


def shortened(value: Any) -> str:
    """A value of a document as an error shows it."""
    text = ascii(value) if isinstance(value, (str, int, float)) else f"a {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:57]}..."


def check_format(attributes: Mapping[str, Any], key: str) -> None:
    """Raise FormatError where a group says that it has a newer format."""
    version = attributes.get("swarmgrid_format", FORMAT)
    if type(version) is int and version > FORMAT:
        _refuse_format(version, key)


def check_root_format(attributes: Mapping[str, Any], key: str) -> None:
    """Raise FormatError where the root says that the store has a format that is not known here.

    In a grid's document, a version that is no number is damage: its checksum tells them apart.
    The root has none, and the writer of such a version may keep other objects under our keys.
    """
    version = attributes.get("swarmgrid_format", FORMAT)
    if type(version) is not int or version > FORMAT:
        _refuse_format(version, key)


def _refuse_format(version: object, key: str) -> NoReturn:
    shown = shortened(version).strip("'")
    raise FormatError(
        f"{key} has the format version {shown}; this swarmgrid reads up to {FORMAT}. "
        "Install a newer swarmgrid-zarr, or use another store"
    )
