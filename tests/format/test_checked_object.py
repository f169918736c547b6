"""An object with a checksum comes back as it was, or is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmgrid.errors import FormatError
from swarmgrid.format.checked_object import from_bytes, to_bytes

HEADERS = st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=4), max_size=3)


@given(HEADERS, st.lists(st.binary(max_size=8), max_size=3), st.data())
def test_it_comes_back_and_no_other_bytes_are_taken_for_it(
    header: dict[str, Any], parts: list[bytes], data: st.DataObject
) -> None:
    header.pop("format", None)
    stored = to_bytes(b"ABCD", header, parts)
    assert from_bytes(b"ABCD", stored, "a thing") == ({"format": 1, **header}, b"".join(parts))
    place = data.draw(st.integers(0, len(stored) - 1))
    flipped = stored[place] ^ data.draw(st.integers(1, 255))
    for other in (
        stored[:place],
        stored[:place] + bytes([flipped]) + stored[place + 1 :],
        stored + b"\0",
    ):
        with pytest.raises(ValueError, match=r"checksum|does not begin as a thing does"):
            from_bytes(b"ABCD", other, "a thing")
    with pytest.raises(ValueError, match="does not begin as another does"):
        from_bytes(b"ABCE", stored, "another")


def test_a_newer_format_is_named_with_the_key_where_that_is_known() -> None:
    stored = to_bytes(b"ABCD", {"format": 2}, [])
    with pytest.raises(FormatError, match="^a thing has the format version 2; .* up to 1"):
        from_bytes(b"ABCD", stored, "a thing")
    with pytest.raises(FormatError, match="^things/a has the format version 2"):
        from_bytes(b"ABCD", stored, "a thing", "things/a")


@pytest.mark.parametrize("version", [0, None, "1", 1.5])
def test_a_format_that_never_was_is_damage(version: Any) -> None:
    with pytest.raises(ValueError, match="its format version is "):
        from_bytes(b"ABCD", to_bytes(b"ABCD", {"format": version}, []), "a thing")
