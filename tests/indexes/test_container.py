"""An index is read as it was written, and nothing else is."""

from __future__ import annotations

import copy
import functools
import json
import struct
from typing import Any

import google_crc32c
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from zarr.storage import MemoryStore

import swarmgrid
from swarmgrid.indexes import container
from swarmgrid.indexes.covered import Covered

pytest.importorskip("usearch")


def vector(i: int) -> dict[str, Any]:
    return {"v": np.array([i, 1, i % 3.0], "f4")}


def points_of(covered: Covered) -> int:
    return sum(len(covered.rows.points(i)) for i in range(len(covered)))


@functools.cache
def stored() -> tuple[str, bytes]:
    """An index and its key."""
    store = MemoryStore()
    ds = swarmgrid.compute(
        axes={"i": range(6)}, func=vector, store=store, version="1", executor="sync", verbose=0,
        chunks={"i": 4},
    )  # fmt: skip
    ds.swarmgrid.index("v")
    (key,) = (key for key in store._store_dict if key.startswith("indexes/"))
    data = store._store_dict[key].to_bytes()
    settings, covered, _ = container.from_bytes_of(data, key)
    assert (settings.output, points_of(covered)) == ("v", 6)
    return key, data


def test_one_bit_of_the_graph_is_noticed() -> None:
    key, whole = stored()
    with pytest.raises(ValueError, match="checksum does not match"):
        container.from_bytes_of(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:], key)


@given(data=st.data())
def test_no_bytes_are_taken_for_an_index(data: st.DataObject) -> None:
    key, whole = stored()
    changed = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        changed = changed[: data.draw(st.integers(0, len(changed)))]
    if bytes(changed) != whole:
        with pytest.raises(ValueError, match=r".+"):
            container.from_bytes_of(bytes(changed), key)


def test_a_header_that_lies_is_refused() -> None:
    key, data = stored()
    length = struct.unpack_from("<I", data, 8)[0]
    header = json.loads(data[12 : 12 + length])

    def changed(**members: Any) -> bytes:
        text = json.dumps({**copy.deepcopy(header), **members}).encode()
        body = struct.pack("<I", len(text)) + text + data[12 + length :]
        return b"SWGX" + struct.pack("<I", google_crc32c.value(body)) + body

    container.from_bytes_of(changed(), key)
    parts = header["parts"]
    for members in (
        {"key": "other"}, {"settings": {}}, {"settings": {**header["settings"], "metric": "l3"}},
        {"settings": {**header["settings"], "connectivity": 10**9}},
        {"settings": {**header["settings"], "kind": "another"}}, {"chunk_shape": [4, 1]},
        {"chunk_shape": [1]}, {"chunk_shape": "ab"}, {"layout": 3}, {"data_type": "int8"},
        {"shape": [0]}, {"parts": parts[:-1]}, {"parts": [-1, *parts]}, {"parts": None},
        {"parts": [parts[0] - 1, parts[1] + 1, *parts[2:]]}, {"format": "1"},
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r".+"):
            container.from_bytes_of(changed(**members), key)
    with pytest.raises(swarmgrid.FormatError, match="Install a newer"):
        container.from_bytes_of(changed(format=2), key)
