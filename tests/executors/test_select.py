"""The executor follows from the options, and where these leave it open, from dask's setup."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import dask
import dask.config
import pytest
from dask.local import get_sync

from swarmgrid.errors import InputError
from swarmgrid.executors import select
from swarmgrid.executors.dask_local import DaskInProcess
from swarmgrid.executors.in_process import InProcess
from swarmgrid.executors.processes import DaskProcesses
from swarmgrid.executors.select import Configured, configured, executor_for, has_client
from swarmgrid.run_options import RunOptions
from swarmgrid.space.function import PointFunction
from swarmgrid.store.grid_ref import GridRef
from swarmgrid.store.layout import GridPath
from swarmgrid.store.location import to_location
from swarmgrid.transport.messages import Job


def own_get(graph: Any, keys: Any, **options: Any) -> Any:
    """A scheduler function of the user's own."""
    return get_sync(graph, keys, **options)


CLIENT: Any = object()


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(PointFunction(abs), GridRef(to_location(tmp_path), GridPath("f", "0")), (), "w")


@pytest.mark.parametrize(
    ("scheduler", "expected"),
    [
        (None, Configured()),
        ("sync", Configured(executor="sync")),
        ("synchronous", Configured(executor="sync")),
        ("threads", Configured(executor="threads")),
        ("processes", Configured(executor="processes")),
        (own_get, Configured(get=own_get)),
    ],
    ids=["nothing", "sync", "synchronous", "threads", "processes", "a function"],
)
def test_dask_s_configuration_names_an_executor(scheduler: Any, expected: Configured) -> None:
    with dask.config.set(scheduler=scheduler):
        found = configured()
    assert found == expected
    assert found.is_default == (scheduler is None)


@pytest.mark.parametrize(
    ("options", "scheduler", "kind", "n_workers"),
    [
        pytest.param({"executor": "sync"}, None, InProcess, 1, id="this process"),
        pytest.param({"executor": "threads", "workers": 3}, None, DaskInProcess, 3, id="threads"),
        pytest.param(
            {"executor": "processes", "workers": 3}, None, DaskProcesses, 3, id="its own"
        ),
        pytest.param({"workers": 3}, None, DaskProcesses, 3, id="nothing is said"),
        pytest.param({}, "sync", InProcess, 1, id="dask says this process"),
        pytest.param({"workers": 3}, "threads", DaskInProcess, 3, id="dask says threads"),
        pytest.param({"workers": 3}, own_get, DaskInProcess, 3, id="dask has another scheduler"),
        pytest.param({"executor": "sync"}, "threads", InProcess, 1, id="the option goes first"),
        pytest.param(
            {"executor": "processes", "workers": 2, "timeout": 9.0},
            "sync",
            DaskProcesses,
            2,
            id="an option that needs processes",
        ),
    ],
)
def test_the_executor_is_the_one_that_is_asked_for(
    job: Job, options: dict[str, Any], scheduler: Any, kind: type, n_workers: int
) -> None:
    with (
        dask.config.set(scheduler=scheduler),
        closing(executor_for(job, RunOptions(**options))) as found,
    ):
        assert type(found) is kind
        assert found.traits.n_workers == n_workers


@pytest.mark.parametrize("scheduler", ["sync", "threads"])
def test_an_option_that_needs_processes_does_not_go_with_dask_s_choice(
    job: Job, scheduler: str
) -> None:
    with (
        dask.config.set(scheduler=scheduler),
        pytest.raises(InputError, match="need worker processes"),
    ):
        executor_for(job, RunOptions(timeout=1.0))


@pytest.mark.parametrize(
    ("modules", "variables", "folders", "may_be"),
    [
        ([], {}, [], False),
        (["dask"], {}, [], True),
        ([], {"DASK_SCHEDULER": "sync"}, [], True),
        ([], {"DASK": "sync"}, [], False),
        ([], {}, ["dask"], True),
    ],
    ids=["nothing", "imported", "a variable", "another variable", "a folder"],
)
def test_dask_is_only_imported_where_it_may_be_set_up(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    modules: list[str],
    variables: dict[str, str],
    folders: list[str],
    may_be: bool,
) -> None:
    for name in folders:
        (tmp_path / name).mkdir()
    monkeypatch.setattr(select, "CONFIG_FOLDERS", (str(tmp_path / "dask"),))
    monkeypatch.setattr("os.environ", variables)
    monkeypatch.setattr(sys, "modules", dict.fromkeys(modules))
    found = select._may_be_set_up()
    monkeypatch.undo()
    assert found == may_be


def test_a_client_makes_the_workers_those_of_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    assert has_client(RunOptions(client=CLIENT))
    with dask.config.set(scheduler="threads"):
        assert not has_client(RunOptions())
    monkeypatch.setattr(select, "configured", lambda: Configured(client=CLIENT))
    assert has_client(RunOptions())
    assert not has_client(RunOptions(executor="sync"))


def test_workers_of_a_cluster_cannot_write_to_a_store_in_memory() -> None:
    ref = GridRef(to_location("memory://select"), GridPath("f", "0"))
    with pytest.raises(InputError, match=r"lives in this process' memory"):
        executor_for(Job(PointFunction(abs), ref, (), "w"), RunOptions(client=CLIENT))
