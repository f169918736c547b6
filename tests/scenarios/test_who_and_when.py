"""Rows say when their points were computed and which process led the run, whatever comes after."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import swarmgrid
from swarmgrid.format.segment import Rows
from swarmgrid.format.writers import JOB_VARIABLES, WriterId
from swarmgrid.records.grid_state import read_state
from swarmgrid.store.layout import GridPath
from swarmgrid.store.location import to_location


def simulate(x: int) -> int:
    return x + 1


def rows_of(store: Path, grid: swarmgrid.Grid) -> Rows:
    state = read_state(to_location(store).open(), GridPath(grid.function, grid.id))
    assert state is not None
    return state.manifest.rows


def facts(rows: Rows) -> set[tuple[int, int, WriterId]]:
    """Each row's chunk, time and writer."""
    numbers = zip(rows.index[:, 0].tolist(), rows.time.tolist(), rows.writer.tolist(), strict=True)
    return {(index, at, rows.writers[writer]) for index, at, writer in numbers}


@pytest.mark.parametrize("executor", ["sync", "processes"])
def test_rows_name_the_job_that_led_the_run_and_keep_that_through_every_rewriting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, executor: str
) -> None:
    for name in JOB_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    options: dict[str, Any] = {"func": simulate, "store": tmp_path, "chunks": 1, "verbose": 0}
    before = int(time.time())
    jobs = ["", *(str(100 + i) for i in range(9))]
    for i, job in enumerate(jobs):
        monkeypatch.setenv("SLURM_JOB_ID", job)
        swarmgrid.stream(axes={"x": [i]}, executor=executor, workers=1, **options)
    grid = swarmgrid.Grid.open(tmp_path, "simulate/")
    first = facts(rows_of(tmp_path, grid))
    host, pid = socket.gethostname(), os.getpid()
    assert {(i, writer) for i, _, writer in first} == {
        (i, WriterId(host, pid, job)) for i, job in enumerate(jobs)
    }
    assert all(before <= at <= time.time() for _, at, _ in first)
    segments = list((tmp_path / "manifest" / grid.id).glob("*.seg"))
    assert len(segments) < len(jobs)  # some were merged
    grid.convert("value", "float64")
    assert facts(rows_of(tmp_path, grid)) == first
    (tmp_path / "data.zarr" / "simulate" / grid.id / "value" / "3").write_bytes(b"torn")
    grid.repair()
    assert facts(rows_of(tmp_path, grid)) == {fact for fact in first if fact[0] != 3}


def test_points_of_one_chunk_that_come_from_several_tasks_have_the_time_of_the_last(
    tmp_path: Path,
) -> None:
    before = int(time.time())
    swarmgrid.stream(
        axes={"x": np.arange(6)}, func=simulate, store=tmp_path, chunks=6, exec_chunk_size=1,
        executor="threads", workers=2, verbose=0,
    )  # fmt: skip
    (at,) = {at for _, at, _ in facts(rows_of(tmp_path, swarmgrid.Grid.open(tmp_path, "")))}
    assert before <= at <= time.time()
