"""`verify` finds damage; `repair` changes nothing before it is agreed to."""

from __future__ import annotations

from pathlib import Path

import pytest

import swarmgrid
from tests.cli.shell import shell


def value(x: int) -> float:
    return x / 2


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """A store of one grid, whose chunk has another byte at its end."""
    swarmgrid.stream({}, {"x": range(4)}, func=value, store=tmp_path, version="1", executor="sync")
    (chunk,) = (tmp_path / "data.zarr" / "value").glob("*/value/c*")
    data = bytearray(chunk.read_bytes())
    data[-1] ^= 255
    chunk.write_bytes(bytes(data))
    return tmp_path


def test_a_sound_store_is_verified(store: str) -> None:
    done = shell("verify", store)
    assert done.code == 0
    assert done.out.count("nothing is wrong") == 4  # three grids, and all of them
    found = shell("verify", store, "--json").document
    assert [grid["problems"] for grid in found["grids"]] == [[], [], []]


def test_damage_is_found_and_repaired_only_with_consent(damaged: Path) -> None:
    before = {path: path.read_bytes() for path in damaged.rglob("*") if path.is_file()}
    found = shell("verify", damaged, "--json")
    assert found.code == 1
    ((problem,),) = (grid["problems"] for grid in found.document["grids"])
    assert problem["points"] == 4
    assert "problem" in shell("verify", damaged).out
    dry = shell("repair", damaged)
    assert dry.code == 1
    assert "nothing was changed; pass --yes" in dry.err
    assert {path: path.read_bytes() for path in damaged.rglob("*") if path.is_file()} == before
    done = shell("repair", damaged, "--yes", "--json")
    assert done.code == 0
    assert done.document["repaired"]
    assert done.document["problems_left"] == 0
    assert shell("verify", damaged).code == 0
    assert shell("repair", damaged).code == 0
    assert shell("status", damaged, "--json").document["grids"][0]["points"]["missing"] == 4
