"""Fills a grid: alone under its lease, and ended in order by whatever ends it."""

from __future__ import annotations

import itertools
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from swarmgrid.coordinator.endings import explain
from swarmgrid.coordinator.run import Run, job_of
from swarmgrid.errors import DamageError, StoreError
from swarmgrid.executors.interrupt import ended_by_sigterm
from swarmgrid.format.letter_case import array_names, check_letter_case
from swarmgrid.inventory.keeping import recorded
from swarmgrid.leases import lease
from swarmgrid.leases.preflight import check_writable
from swarmgrid.maintenance.repair import invalidate_bad_rows, restore_metadata, tidy
from swarmgrid.maintenance.verify import chunk_index
from swarmgrid.records.grid_state import read_state
from swarmgrid.transport.messages import TerminatedError
from swarmgrid.transport.parcel import to_parcel

if TYPE_CHECKING:
    from collections.abc import Callable

    from swarmgrid.coordinator.witness import Witness
    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.observe.diagnostics import Diagnostics
    from swarmgrid.planning.coverage import Coverage
    from swarmgrid.planning.request import Request
    from swarmgrid.records.grid_state import GridState
    from swarmgrid.run_options import RunOptions
    from swarmgrid.transport.parcel import Parcel


MAX_VAIN = 2
"""The number of leases in a row under which a run that is overtaken may commit nothing: two runs
could take the grid from each other for ever (decision 0042)."""
MAX_REPAIRS = 2
"""The most repairs of damaged chunks in a run: first of the one that stopped it, then of all."""

_log = logging.getLogger(__name__)


def fill(
    request: Request,
    options: RunOptions,
    ended: Callable[[Diagnostics], None] = lambda _: None,
    known: tuple[GridState, Coverage] | None = None,
    witness: Witness | None = None,
) -> tuple[Diagnostics, GridState | None]:
    """Compute and store every missing point of a request.

    Waits while another process fills the same grid, and reuses what it finished.

    Parameters
    ----------
    request, options : Request, RunOptions
        The points to compute, and the options of the run.
    ended : callable
        Is called with what each run did, also one that an error ended.
    known : tuple of GridState and Coverage, optional
        The state and coverage that the caller has read: used if they are still those of the store.
    witness : Witness, optional
        Is told what is put into the store.

    Returns
    -------
    Diagnostics, GridState
        The counts of the run, and the grid as it was read afterwards; None: read it again.

    Raises
    ------
    ArchivedError
        If the values of the grid are in an archive; nothing was computed.
    PointError
        If the function failed at a point and ``on_error="raise"``; everything finished is kept.
    StoreError
        If the store cannot be written.
    """
    if known is not None:
        known[0].grid.check_at_home()  # before any wait for the lease
    if options.durability == "power":
        location = replace(request.grid.location, is_durable=True)
        request = replace(request, grid=replace(request.grid, location=location))
    parcel = None
    if options.executor in {None, "processes"}:  # what cannot travel is said before any write
        parcel = to_parcel(job_of(request, options, request.domain.axes, ""))
    # before the lease, for which the caller may have to wait
    check_writable(request.grid.location)
    with ended_by_sigterm():
        return _filled(request, options, parcel, ended, known, witness)


def _filled(
    request: Request,
    options: RunOptions,
    parcel: Parcel | None,
    ended: Callable[[Diagnostics], None],
    known: tuple[GridState, Coverage] | None,
    witness: Witness | None,
) -> tuple[Diagnostics, GridState | None]:
    """Run under one lease, or under the next one where another process has overtaken the run."""
    n_vain = 0
    location, path = request.grid.location, request.grid.path
    while True:
        held = lease.acquire(location, path, options.lease_seconds)
        try:
            # within the lease: no other owner changes the grid before its row in the catalog is
            # written
            with held, recorded(held, path) as recording:
                done = _fill(request, options, held, parcel, ended, known, witness)
        # of any kind: a request that was under way while this process slept has met its time limit
        except StoreError:
            n_vain = 0 if held.has_committed else n_vain + 1
            if not held.is_overtaken or n_vain == MAX_VAIN:
                raise
            _log.warning(
                "another process has overtaken the run of grid %s, which showed no sign of life "
                "for %g s. It goes on after that one, with the points that are missing then",
                path.grid,
                options.lease_seconds,
            )
            known = None  # what this one had is old: everything is read again
        else:
            return done, recording.state


def _fill(
    request: Request,
    options: RunOptions,
    held: lease.Lease,
    parcel: Parcel | None,
    ended: Callable[[Diagnostics], None],
    known: tuple[GridState, Coverage] | None,
    witness: Witness | None,
) -> Diagnostics:
    """Run until no damage stops it: a chunk, then the whole grid is repaired, and no more."""
    for n_repairs in itertools.count():
        before, coverage = known or (None, None)
        if witness is not None:
            witness.look()  # others' commits, and the damage that is repaired now
        grid_state = _repair_and_read(held, request, before)
        if witness is not None and grid_state is not None and grid_state is not before:
            witness.look()  # what the repair has removed
        schema = request.layout.schema if grid_state is None else grid_state.grid.schema
        check_letter_case(held.blobs, array_names(request.domain.names, schema))
        if grid_state is not before:
            coverage = None
        run = Run(request, options, held, grid_state, parcel, coverage, witness)
        try:
            return _finish(run, ended, is_recording=options.on_error == "record")
        except DamageError as error:  # a chunk that is only partly filled cannot be read
            if n_repairs == MAX_REPAIRS:
                raise _not_kept(request, error) from error
            if grid_state is None or not _invalidate(held, grid_state.grid, error, n_repairs):
                raise
    raise AssertionError


def _finish(run: Run, ended: Callable[[Diagnostics], None], *, is_recording: bool) -> Diagnostics:
    """Execute a run and close it, whatever ends it; the last commit may meet damage, too."""
    try:
        run.execute()
    except BaseException as error:
        try:
            done = run.close(type(error).__name__)
        except (KeyboardInterrupt, TerminatedError) as second:  # a signal while it was ending
            ended(run.diagnostics())
            explain(second, run.diagnostics(), is_recording=is_recording)
            raise
        ended(done)
        explain(error, done, is_recording=is_recording)
        raise
    done = run.close("finished")
    ended(done)
    return done


def _invalidate(held: lease.Lease, grid: StoredGrid, error: DamageError, n_repairs: int) -> bool:
    """Count a damaged chunk's points as not computed; whether it was one of the grid's chunks.

    The second time in a run, that is done with every chunk that is damaged.
    """
    index = chunk_index(grid, error.key)
    if index is None:
        return False
    _log.warning("%s; its points are computed again now", error)
    return invalidate_bad_rows(held, grid, [index] if n_repairs == 0 else None) > 0


def _not_kept(request: Request, error: DamageError) -> StoreError:
    url = request.grid.location.url
    return StoreError(
        f"store {url!r} does not keep what is written: {error.key} is damaged "
        f"({error.reason}) although the grid was repaired {MAX_REPAIRS} times in this run. See "
        "whether something else changes or deletes objects there, or whether each process has a "
        "store of its own; what is intact is kept"
    )


def _repair_and_read(
    held: lease.Lease, request: Request, known: GridState | None
) -> GridState | None:
    """Repair the metadata, invalidate rows with a damage mark, and read the grid's state."""
    try:
        grid_state = read_state(held.blobs, request.grid.path, known)
    except DamageError as error:
        if not restore_metadata(held, request.grid):
            raise
        _log.warning("%s was damaged (%s), and is repaired", error.key, error.reason)
        grid_state = read_state(held.blobs, request.grid.path)
    if grid_state is None or not tidy(held, grid_state):
        return grid_state
    return read_state(held.blobs, request.grid.path)
