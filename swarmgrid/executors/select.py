"""Chooses the executor: by the user's options, by dask's configuration, or worker processes."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarmgrid.errors import InputError
from swarmgrid.executors.cluster import Cluster, is_in_task
from swarmgrid.executors.daemon_threads import DaemonThreads
from swarmgrid.executors.dask_local import DaskInProcess
from swarmgrid.executors.in_process import InProcess
from swarmgrid.executors.processes import DaskProcesses
from swarmgrid.leases.sharing import try_sharing
from swarmgrid.process_pool.process import process_count
from swarmgrid.transport.parcel import to_parcel

if TYPE_CHECKING:
    from swarmgrid.executors.base import Executor
    from swarmgrid.run_options import RunOptions
    from swarmgrid.transport.messages import Job


def executor_for(job: Job, options: RunOptions) -> Executor:
    """The executor that the user's options and dask configuration ask for.

    Raises
    ------
    InputError
        If the function or a param cannot be sent to another process, or an option needs worker
        processes of our own and there are none.
    """
    n = options.workers or process_count()
    client, executor = options.client, options.executor
    if client is None and executor is None:
        found = configured()
        client, executor = found.client, found.executor
        if executor == "sync" and options.needs_processes and is_in_task():
            executor = "processes"
        replace(options, client=client, executor=executor).check()
        if found.get is not None:
            return DaskInProcess(job, found.get, n)
    if client is not None:
        if not try_sharing(job.grid.location):
            raise InputError(
                f"store {job.grid.location.url!r} lives in this process' memory, where workers "
                "of a distributed client cannot write; use a path, a URL, or executor='threads'"
            )
        return Cluster(job, pickled_job(job), client)
    if executor == "sync":
        return InProcess(job)
    if executor == "threads":
        from dask.threaded import get

        threads = DaemonThreads(n)
        own_get = functools.partial(get, pool=threads)
        return DaskInProcess(job, own_get, n, end_threads=threads.close)
    return DaskProcesses(job, pickled_job(job), n, options.limits())


def pickled_job(job: Job) -> bytes:
    """The job as it travels to other processes.

    Raises
    ------
    InputError
        If it cannot, naming the part at fault.
    """
    return (job.parcel or to_parcel(job)).to_bytes(job)


CONFIG_FOLDERS = ("/etc/dask", f"{sys.prefix}/etc/dask", "~/.config/dask", "~/.dask")
"""The folders from which dask reads its configuration, beside ``DASK_CONFIG`` and the like."""


@dataclass(frozen=True, slots=True)
class Configured:
    """The executor that dask's configuration names; at most one of the three is set."""

    client: Any = None
    executor: str | None = None
    get: Callable[..., Any] | None = None
    """A scheduler function of the user's own."""

    @property
    def is_default(self) -> bool:
        """Whether nothing is set up."""
        return self == Configured()


def configured() -> Configured:
    """The executor that dask's configuration, or an active client, names."""
    if not _may_be_set_up():
        return Configured()
    import dask.config

    if dask.config.get("scheduler", None) is None and "distributed" not in sys.modules:
        return Configured()  # dask would import distributed to find that it has no client
    import dask.base
    import dask.local
    import dask.multiprocessing
    import dask.threaded

    get = dask.base.get_scheduler()
    owner = getattr(get, "__self__", None)
    if get is None:
        return Configured()
    if owner is not None and hasattr(owner, "scatter") and is_in_task():
        return Configured(executor="sync")  # the task has one thread; the others have tasks, too
    if owner is not None and hasattr(owner, "scatter"):
        return Configured(client=owner)
    names = {
        dask.local.get_sync: "sync",
        dask.threaded.get: "threads",
        dask.multiprocessing.get: "processes",
    }
    return Configured(executor=names[get]) if get in names else Configured(get=get)


def has_client(options: RunOptions) -> bool:
    """Whether the workers are those of a cluster, which may be on other machines."""
    if options.client is not None:
        return True
    return options.executor is None and configured().client is not None


def _may_be_set_up() -> bool:
    """Whether dask may be configured at all: importing it to ask takes 0.1 s."""
    return (
        "dask" in sys.modules
        or any(name.startswith("DASK_") for name in os.environ)
        or any(Path(folder).expanduser().is_dir() for folder in CONFIG_FOLDERS)
    )
