"""A conversion under the eyes of readers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from swarmgrid.format.chunk_io import read_block
from swarmgrid.format.grid import StoredGrid
from swarmgrid.format.grid_io import write_grid
from swarmgrid.format.segment import Rows
from swarmgrid.leases import lease
from swarmgrid.maintenance.convert import convert_output
from swarmgrid.maintenance.verify import bad_rows, verify_grid
from swarmgrid.outputs.outputs import Output, Schema
from swarmgrid.records.grid_state import read_state
from swarmgrid.records.manifest import write_segment
from swarmgrid.store.location import to_location
from tests.stores.grids import PATH, Recorder, directory, fill_grid, new_grid, some_values

SCHEMA = Schema({"n": Output(dtype="int32"), "m": Output(("t",), (2,), "int32")})
N_READS = 8
"""The document, an axis' chunk, and three segments; more where a reader looks again."""


def made(root: Path) -> StoredGrid:
    grid = new_grid({"s": [1, 2, 3, 4, 5]}, {"s": 2}, SCHEMA)
    with lease.acquire(to_location(root), PATH) as held:
        write_grid(held.blobs, grid, None)
        for i, row in enumerate(fill_grid(held.blobs, grid)):
            write_segment(held.blobs, PATH, f"{i}.seg", grid, Rows.from_rows([row], 1, 2))
    return grid


def convert(root: Path) -> None:
    with lease.acquire(to_location(root), PATH) as held:
        assert convert_output(held, PATH, "n", "float64")


def converting_reader(root: Path, k: int) -> Recorder:
    """A reader before whose read number ``k`` the grid is converted."""
    reader = Recorder(directory(root))

    def before_read(_key: str) -> None:
        if len(reader.reads) == k:
            convert(root)

    reader.before_read = before_read
    return reader


@pytest.mark.parametrize("k", range(1, N_READS))
def test_a_reader_has_all_of_before_or_of_after_whenever_it_looks(k: int, tmp_path: Path) -> None:
    made(tmp_path)
    state = read_state(converting_reader(tmp_path, k), PATH)
    assert state is not None
    grid, manifest = state.grid, state.manifest
    assert (manifest.damaged, manifest.ahead) == ((), ())
    assert sorted(manifest.rows.index.tolist()) == [[0], [1], [2]]
    blobs = directory(tmp_path)
    for index, numbers in manifest.chunks():
        assert bad_rows(blobs, grid, manifest, index, numbers).key == ""
        found = read_block(blobs, grid, index)
        n = 1 if index == (2,) else 2
        assert found["n"][:n].tolist() == some_values("int32", (n,)).tolist()
        assert found["m"][:n].tolist() == some_values("int32", (n, 2)).tolist()
        assert found["n"].dtype in (np.int32, np.float64)


@pytest.mark.parametrize("k", range(1, N_READS))
def test_verify_finds_nothing_wrong_whenever_it_looks(k: int, tmp_path: Path) -> None:
    made(tmp_path)
    report = verify_grid(converting_reader(tmp_path, k), PATH)
    assert (report.problems, report.points) == ((), 5)


def test_segments_that_a_killed_conversion_left_cost_one_more_look(tmp_path: Path) -> None:
    grid = made(tmp_path)
    before = Path(tmp_path, PATH.manifest, "0.seg").read_bytes()
    convert(tmp_path)
    Path(tmp_path, PATH.manifest, "0.seg").write_bytes(before)
    reader = Recorder(directory(tmp_path))
    state = read_state(reader, PATH)
    assert state is not None
    assert state.manifest.others == ("0.seg",)
    assert len(state.manifest.rows) == 3
    assert reader.reads.count(PATH.metadata) == 2
    assert state.grid.data_types() == {**grid.data_types(), "n": "float64"}
