"""The metadata documents, as zarr reads them, and their checksum."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from swarmgrid.format import zarr_metadata
from swarmgrid.outputs.encoding import fill_value
from swarmgrid.outputs.outputs import Output
from swarmgrid.store import checked_json
from tests.stores.grids import DTYPES, file_at

SHAPES = {
    "0-d": ((), ()),
    "1-d": ((5,), (2,)),
    "3-d": ((5, 1, 7), (2, 1, 8)),
    "empty": ((0, 3), (0, 3)),
}
ATTRIBUTES = {"units": "m", "limits": [1, None], "nested": {"is": True}}


@pytest.mark.parametrize(("shape", "chunks"), SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_zarr_reads_an_array_document(
    dtype: str, shape: tuple[int, ...], chunks: tuple[int, ...], tmp_path: Path
) -> None:
    dims = tuple("xyz"[: len(shape)])
    array = zarr_metadata.array_document(dtype, shape, chunks, dims, {"long_name": "wave"})
    group = zarr_metadata.group_document({"of": "a group"}, {"a": array})
    file_at(tmp_path, "zarr.json").write_bytes(checked_json.to_bytes(group))
    file_at(tmp_path, "a/zarr.json").write_bytes(checked_json.to_bytes(array))

    opened = zarr.open_consolidated(tmp_path, mode="r")
    read: Any = opened["a"]
    alone: Any = zarr.open_array(tmp_path / "a", mode="r")
    is_time = dtype in {"datetime64[ns]", "timedelta64[ns]"}
    assert dict(opened.attrs) == {"of": "a group"}
    for got in (read, alone):
        assert got.shape == shape
        assert got.chunks == tuple(max(n, 1) for n in chunks)
        assert got.attrs["long_name"] == "wave"
        assert got.metadata.dimension_names == dims
        if dtype == "string":
            assert got.dtype.kind in "TO"
        else:
            assert got.dtype == ("int64" if is_time else dtype)
        expected = np.iinfo("int64").min if is_time else fill_value(dtype)
        np.testing.assert_array_equal(np.array(got.fill_value), np.array(expected))
    assert str(read.metadata) == str(alone.metadata)


@pytest.mark.parametrize("attributes", [{}, ATTRIBUTES], ids=["no attributes", "attributes"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_an_output_is_read_from_its_document(dtype: str, attributes: dict[str, Any]) -> None:
    output = Output(("t", "u"), (3, 0), dtype, attributes)
    written = zarr_metadata.array_document(
        dtype, (9, 3, 0), (4, 3, 0), ("s", "t", "u"), attributes
    )
    read = zarr_metadata.stored_output(json.loads(checked_json.to_bytes(written)), 1)
    assert read.fits(output)
    if "time" not in dtype:
        assert read.attrs == attributes
    assert zarr_metadata.chunk_shape(written) == (4, 3, 1)


COUNTS = [{"units": "nanoseconds"}, {"units": "nanoseconds", "dtype": "int64"}, {"dtype": "f8"}]


@pytest.mark.parametrize("attributes", COUNTS, ids=str)
def test_an_integer_with_units_of_time_stays_an_integer(attributes: dict[str, str]) -> None:
    document = zarr_metadata.array_document("int64", (2,), (2,), ("s",), attributes)
    assert zarr_metadata.stored_output(document, 1) == Output(dtype="int64", attrs=attributes)


def test_a_time_keeps_its_units_whatever_the_attributes_say() -> None:
    document = zarr_metadata.array_document(
        "timedelta64[ns]", (2,), (2,), ("s",), {"units": "days"}
    )
    assert document["attributes"]["units"] == "nanoseconds"
    assert zarr_metadata.stored_output(document, 1).dtype == "timedelta64[ns]"


@pytest.mark.parametrize("separator", [".", "/"])
def test_zarr_finds_chunks_by_the_separator(separator: str, tmp_path: Path) -> None:
    document = zarr_metadata.array_document("int8", (2, 2), (1, 1), ("x", "y"), {}, separator)
    file_at(tmp_path, "zarr.json").write_bytes(checked_json.to_bytes(document))
    array: Any = zarr.open_array(tmp_path, mode="r+")
    array[1, 0] = 1
    assert (tmp_path / separator.join("c10")).is_file()
    assert zarr_metadata.separator(document) == separator


def test_a_document_that_is_no_json_object_is_refused() -> None:
    for data in (b"", b"[]", b"null", b"{", b"\xff\xfe"):
        with pytest.raises(ValueError, match=r"."):
            checked_json.from_bytes(data)


def test_a_number_that_json_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        checked_json.to_bytes(zarr_metadata.group_document({"limit": float("nan")}))


# ---- the checksum


def checked_bytes() -> bytes:
    array = zarr_metadata.array_document(
        "float64", (12,), (4,), ("s",), {"swarmgrid_kind": "float"}
    )
    attributes = {"swarmgrid_format": 1, "swarmgrid_axes": ["s"], "note": "é"}
    return checked_json.to_bytes(
        checked_json.with_checksum(zarr_metadata.group_document(attributes, {"s": array}))
    )


def test_a_document_keeps_its_checksum_through_json() -> None:
    document = checked_json.from_bytes(checked_bytes())
    checked_json.check_checksum(document)
    assert checked_json.with_checksum(document) == document
    shuffled = dict(reversed(list(document.items())))
    checked_json.check_checksum(checked_json.from_bytes(json.dumps(shuffled).encode()))


def test_the_checksum_shows_every_single_changed_byte_that_json_can_show() -> None:
    data = checked_bytes()
    whole = checked_json.from_bytes(data)
    n_parsed = 0
    for i in range(len(data)):
        for flip in (1, 2, 4, 8, 16, 32, 64, 128):
            changed = data[:i] + bytes([data[i] ^ flip]) + data[i + 1 :]
            try:
                document = checked_json.from_bytes(changed)
            except ValueError:
                continue
            if document == whole:  # another blank
                continue
            n_parsed += 1
            with pytest.raises((ValueError, KeyError)):
                checked_json.check_checksum(document)
    assert n_parsed > len(data)


def test_a_document_without_a_checksum_is_refused() -> None:
    with pytest.raises(ValueError, match="checksum does not match"):
        checked_json.check_checksum(zarr_metadata.group_document({"swarmgrid_format": 1}))


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"attributes": {}}', b'{"attributes": 3}'])
def test_a_group_that_is_no_grid_has_no_axes(data: bytes) -> None:
    assert zarr_metadata.stored_axes(data) is None


def test_a_grids_axes_are_in_its_groups_document() -> None:
    assert zarr_metadata.stored_axes(checked_bytes()) == ["s"]
