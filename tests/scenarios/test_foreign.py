"""The cache opens in other tools, which know nothing of swarmgrid, with the same numbers."""

from __future__ import annotations

import enum
import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import xarray as xr
import zarr

import swarmgrid
from tests import programs
from tests.foreign.readers import read_tensorstore, read_xarray, read_xarray_tree, read_zarrita
from tests.long import first
from tests.waiting import PATIENCE, wait_until


class Mode(enum.Enum):
    FAST = 1
    EXACT = 2


def everything(i: int, x: float, s: str) -> dict[str, Any]:
    return {
        "float": float(x) * i,
        "single": np.float32(x),
        "int": i * 7,
        "byte": np.uint8(i),
        "bool": i % 2 == 0,
        "word": s * i,
        "complex": complex(x, i),
        "when": np.datetime64("2020-01-01T00:00:00", "ns") + np.timedelta64(i, "ns"),
        "lag": np.timedelta64(i, "ms"),
        "row": xr.DataArray(np.arange(4.0) * x, dims="t", coords={"t": [0.0, 0.1, 0.2, 0.3]}),
    }


NUMERIC = ["float", "single", "int", "byte", "bool", "row", "i", "x", "t"]


DIVIDED: dict[str, dict[str, Any]] = {
    "plain": {"chunks": {"i": 2, "x": 3, "s": 1}},
    "sharded": {"chunks": {"i": 2, "x": 1, "s": 1}, "shards": {"i": 4, "x": 3, "s": 1}},
    "sharded and compressed": {"chunks": {"i": 8, "x": 8, "s": 1}, "shards": {"s": 4}},
}


@pytest.fixture(scope="module", params=first(1, DIVIDED))
def stored(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, xr.Dataset]:
    """A grid that grew along two axes and has a hole, and what swarmgrid reads from it."""
    store = tmp_path_factory.mktemp("foreign") / "cache"
    options: dict[str, Any] = {"func": everything, "store": store, "executor": "sync"}
    swarmgrid.compute(
        axes={"i": [3, 1], "x": [1, 2], "s": ["b", ""]}, **DIVIDED[request.param], **options
    )
    swarmgrid.compute(axes={"i": [0, 3, 2], "x": [0.5], "s": ["ü"]}, **options)
    return store, swarmgrid.open(axes=["i", "x", "s"], func=everything, store=store)


def group(ds: xr.Dataset) -> Path:
    return Path(ds.encoding["source"])


def test_xarray_reads_the_same_without_swarmgrid(stored: tuple[Path, xr.Dataset]) -> None:
    _, ds = stored
    found = read_xarray(group(ds))
    computed = ds["float"].notnull().values
    assert set(found) == set(ds.variables)
    for name, values in found.items():
        if name in ds.coords:
            np.testing.assert_array_equal(values, ds[name].values)
        else:
            np.testing.assert_array_equal(
                values[computed], ds[name].values[computed].astype(values.dtype)
            )
    assert (found["int"][~computed] == np.iinfo("i8").min).all()
    assert np.isnan(found["float"][~computed]).all()


def test_tensorstore_reads_the_same(stored: tuple[Path, xr.Dataset]) -> None:
    _, ds = stored
    found = read_tensorstore(group(ds), [*NUMERIC, "complex"])
    computed = ds["float"].notnull().values
    for name, values in found.items():
        ours = ds[name].values
        mask = ... if name in ds.coords else computed
        np.testing.assert_array_equal(values[mask], ours[mask].astype(values.dtype))


@pytest.mark.long
def test_zarrita_reads_the_same(stored: tuple[Path, xr.Dataset], zarrita: Path) -> None:
    _, ds = stored
    found = read_zarrita(group(ds), NUMERIC, zarrita=zarrita)
    computed = ds["float"].notnull().values
    for name, values in found.items():
        ours = ds[name].values
        mask = ... if name in ds.coords else computed
        np.testing.assert_array_equal(values[mask], ours[mask].astype(values.dtype))


def test_a_data_tree_opens_all_grids_of_a_store(tmp_path: Path) -> None:
    def half(x: int) -> float:
        return x / 2

    def label(mode: Mode, n: int) -> str:
        return mode.name * n

    grids = [
        swarmgrid.compute(axes={"x": [1, 2]}, func=half, store=tmp_path),
        swarmgrid.compute({"n": 1}, {"mode": list(Mode)}, func=label, store=tmp_path),
        swarmgrid.compute({"n": 2}, {"mode": list(Mode)}, func=label, store=tmp_path),
    ]
    found = read_xarray_tree(tmp_path / "data.zarr")
    for ds in grids:
        name = "/".join(group(ds).parts[-2:])
        np.testing.assert_array_equal(found[f"/{name}/value"], ds["value"].values)


def test_the_whole_store_reads_by_the_format_page_alone(stored: tuple[Path, xr.Dataset]) -> None:
    """With zarr for the arrays and json and struct for the rest; see docs/reference/format.md."""
    store, ds = stored
    path = group(ds)
    root = zarr.open_group(path, mode="r")
    attributes = dict(root.attrs)
    assert attributes["swarmgrid_format"] == 1
    axes, outputs = attributes["swarmgrid_axes"], attributes["swarmgrid_outputs"]
    assert axes == ["i", "x", "s"]
    shape = tuple(root[axis].shape[0] for axis in axes)
    array: Any = root[outputs[0]]
    chunk_shape = (array.shards or array.chunks)[: len(axes)]
    document = json.loads((path / "zarr.json").read_text())
    arrays = document["consolidated_metadata"]["metadata"]
    types = {name: arrays[name]["data_type"] for name in outputs}
    done = np.zeros([-(-n // c) * c for n, c in zip(shape, chunk_shape, strict=True)], bool)
    for file in sorted((store / "manifest" / path.name).glob("*.seg")):
        for index, extent, bits in segment_rows(file.read_bytes(), axes, types):
            box = np.zeros(extent, bool)
            box[...] = True
            if bits:
                flat = np.unpackbits(np.frombuffer(bits, np.uint8), count=box.size)
                box = flat.astype(bool).reshape(extent)
            start = [i * c for i, c in zip(index, chunk_shape, strict=True)]
            where = tuple(slice(a, a + n) for a, n in zip(start, extent, strict=True))
            done[where] |= box
    done = done[tuple(slice(n) for n in shape)]
    np.testing.assert_array_equal(done, ds["float"].notnull().values)
    np.testing.assert_array_equal(root["word"][...][done], ds["word"].values[done])
    np.testing.assert_array_equal(root["row"][...][done], ds["row"].values[done])
    raw = root["when"][...].astype("M8[ns]")
    np.testing.assert_array_equal(raw[done], ds["when"].values[done])


def segment_rows(
    data: bytes, axes: list[str], types: dict[str, Any]
) -> list[tuple[tuple[int, ...], tuple[int, ...], bytes]]:
    """The index, extent and bitmap of every row of a manifest segment."""
    magic, _, length = struct.unpack_from("<4sII", data)
    assert magic == b"SWGS"
    header = json.loads(data[12 : 12 + length])
    assert header["format"] == 1
    assert list(header["outputs"].items()) == list(types.items())
    assert list(header["axes"]) == axes
    raw = numcodecs.Zstd().decode(data[12 + length :])
    columns, offset = {}, 0
    for name, dtype, shape in header["columns"]:
        count = int(np.prod(shape, dtype=int))
        columns[name] = np.frombuffer(raw, dtype, count, offset).reshape(shape)
        offset += columns[name].nbytes
    assert offset == len(raw)
    starts = [0, *columns["bits_end"].tolist()]
    return [
        (
            tuple(columns["index"][i].tolist()),
            tuple(columns["extent"][i].tolist()),
            columns["bits"][starts[i] : starts[i + 1]].tobytes(),
        )
        for i in range(len(columns["seconds"]))
    ]


@pytest.mark.long
def test_a_reader_never_sees_a_mixture_while_the_grid_grows(tmp_path: Path) -> None:
    """Opened again and again by xarray in another process while it grows point by point."""

    def index(i: int, j: int) -> int:
        return i * 1000 + j

    options: dict[str, Any] = {"func": index, "store": tmp_path, "version": "1"}
    options |= {"chunks": 3, "executor": "sync"}
    path = group(swarmgrid.compute(axes={"i": [0], "j": [0]}, **options))
    reader = programs.start(
        [sys.executable, "-W", "error", "-c", READER, str(path), str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    ready = tmp_path / "ready"
    wait_until(lambda: ready.exists() or reader.poll() is not None)
    for n in range(1, 9):
        swarmgrid.compute(axes={"i": range(n), "j": [0, n]}, **options)
        for _ in range(2 * (n == 4)):  # of two looks, the second began after this growth
            ready.unlink(missing_ok=True)
            wait_until(lambda: ready.exists() or reader.poll() is not None)
    (tmp_path / "stop").touch()
    out, _ = reader.communicate(timeout=PATIENCE)
    opens, shapes = map(int, out.split())
    assert reader.returncode == 0
    assert opens >= shapes > 1


READER = """
import sys, pathlib, numpy as np, xarray as xr
path, folder = sys.argv[1], pathlib.Path(sys.argv[2])
opens, shapes = 0, set()
while not (folder / "stop").exists():
    ds = xr.open_zarr(path).load()
    value, i, j = ds["value"].values, ds["i"].values, ds["j"].values
    assert value.shape == (len(i), len(j))
    assert list(i) == list(range(len(i)))
    done = value != np.iinfo("i8").min
    assert (value == i[:, None] * 1000 + j)[done].all()
    opens += 1
    shapes.add(value.shape)
    (folder / "ready").touch()
print(opens, len(shapes))
"""


def test_the_checksum_of_a_chunk_in_its_own_file_protects_other_readers(tmp_path: Path) -> None:
    ds = swarmgrid.compute(axes={"x": range(100)}, func=lambda x: x * 0.1, store=tmp_path)
    (chunk,) = group(ds).glob("value/c.*")
    data = bytearray(chunk.read_bytes())
    assert zlib.crc32(data) != 0
    data[len(data) // 2] ^= 1
    chunk.write_bytes(data)
    with pytest.raises(Exception, match=r"(?i)zstd|decompress|checksum"):
        xr.open_zarr(group(ds))["value"].load()
