"""What ``durability="power"`` adds: everything is on the disk before it counts as written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import swarmgrid


def double(x: int) -> float:
    return x * 2.0


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, str]]:
    """Every flush and every rename of this process, in order, by file."""
    noted: list[tuple[str, str]] = []
    sync, replace = os.fsync, os.replace

    def fsync(fd: int) -> None:
        noted.append(("flush", str(Path(f"/proc/self/fd/{fd}").readlink())))
        sync(fd)

    def rename(source: str, target: str, **kwargs: Any) -> None:
        noted.append(("rename", f"{source} {target}"))
        replace(source, target, **kwargs)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", rename)
    return noted


def run(store: Path, **options: Any) -> None:
    swarmgrid.stream(
        axes={"x": range(6)}, func=double, store=store, chunks=2, executor="sync", **options
    )


def test_files_are_flushed_before_and_folders_after_they_are_renamed(
    tmp_path: Path, events: list[tuple[str, str]]
) -> None:
    run(tmp_path / "s", durability="power")
    renamed = [i for i, (kind, _) in enumerate(events) if kind == "rename"]
    assert len(renamed) > 8
    for i in renamed:
        source, target = events[i][1].split()
        assert ("flush", source) in events[:i], target
        assert ("flush", str(Path(target).parent)) in events[i:], target
    data = [events[i][1].split()[1] for i in renamed if "/value/c." in events[i][1]]
    assert len(data) >= 3


def test_new_folders_are_flushed_into_the_folders_above_them(
    tmp_path: Path, events: list[tuple[str, str]]
) -> None:
    run(tmp_path / "s", durability="power")
    flushed = {name for kind, name in events if kind == "flush"}
    (grid,) = (tmp_path / "s/data.zarr").glob("*/*/value")
    for folder in (grid, *list(grid.parents)[:5]):
        assert str(folder) in flushed


def test_nothing_is_flushed_by_default(tmp_path: Path, events: list[tuple[str, str]]) -> None:
    run(tmp_path / "s")
    assert [event for event in events if event[0] == "flush"] == []
