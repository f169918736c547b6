"""One call of a public function: options, store, run and view, in this order."""

from __future__ import annotations

import contextlib
import math
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.api.explanation import explanation
from swarmgrid.errors import DamageError, StoreError
from swarmgrid.format.code_record import NAME, code_parts, write_code
from swarmgrid.format.grid_state import read_state
from swarmgrid.handle.grid import Grid
from swarmgrid.handle.resolve import axis_names, func_of, grid_ref, location_of, not_stored
from swarmgrid.handle.versions import stored_code, without_present_code
from swarmgrid.identity import Part, bound, changes, digest, explained, function_name
from swarmgrid.inventory.keeping import tag
from swarmgrid.observe.diagnostics import Diagnostics
from swarmgrid.option_checks import check_view_chunks
from swarmgrid.planning.coverage import Coverage
from swarmgrid.planning.estimate import Plan, planned
from swarmgrid.planning.fixed import Defaults
from swarmgrid.planning.growth import covered, new_grid
from swarmgrid.planning.origin import warn_of_another_origin
from swarmgrid.planning.request import Request, to_request
from swarmgrid.space.match import NEAR, near_misses

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import xarray as xr

    from swarmgrid.format.code_record import CodePart
    from swarmgrid.format.grid_state import GridState
    from swarmgrid.identity import Fingerprint
    from swarmgrid.options import Options

_told: set[tuple[str, tuple[str, ...]]] = set()
"""The warnings that were given: functions, and the names that their runs changed."""


class Call:
    """One call: its options checked, its request made, and what of it is stored."""

    def __init__(
        self,
        options: Options,
        params: Mapping[str, Any] | None,
        axes: Mapping[str, Any] | None,
        where: Any,
        *,
        is_lookup: bool = False,
        chunks_if_new: Mapping[str, Any] | None = None,
    ) -> None:
        defaults = None
        if is_lookup:
            options, defaults = stored_code(options, func_of(options), location_of(options))
        elif options.version is not None:
            options = without_present_code(options, func_of(options))
        self._options = options
        request = _request(options, params, axes, where, defaults)
        if is_lookup:
            request = replace(request, domain=replace(request.domain, is_lookup=True))
        self.request = request
        self._snapshot: GridState | None = None
        self._coverage: Coverage | None = None
        self._damage: DamageError | None = None
        """The damage found in the metadata, if any; the next run repairs it."""
        try:
            self._look()
        except DamageError as error:
            self._damage = error
        if chunks_if_new is not None and self._snapshot is None and self._damage is None:
            self._options = options.updated({"chunks": chunks_if_new})
            self.request = _request(self._options, params, axes, where)
            self._coverage = self._covered()
        self._check_view_chunks()
        self._warn_of_near_misses()
        if self._snapshot is not None:
            warn_of_another_origin(self.request.grid, self._snapshot.grid.attributes)

    def plan(self, *, explain: bool = False) -> Plan:
        """Count the points that `compute` would compute; nothing is called."""
        self._check()
        manifest = self._snapshot.manifest if self._snapshot else None
        plan = planned(self.request, self._coverage, manifest)
        if not explain:
            return plan
        why = None if self._snapshot is not None else explanation(self.request, self._code())
        return replace(plan, parts=self._parts(), why=why)

    def _code(self) -> tuple[CodePart, ...]:
        """The parts of the code as it is now; none if it has a version."""
        fingerprint = self._fingerprint()
        return () if fingerprint is None else code_parts(fingerprint)

    def _keep_code(self, code: tuple[CodePart, ...]) -> None:
        """Keep the code of a grid that has none yet, for `Grid.why`."""
        if code and self._snapshot is not None and NAME not in self._snapshot.names:
            is_durable = self._options.of_the_run().durability == "power"
            blobs = replace(self.request.grid.location, is_durable=is_durable).open()
            with contextlib.suppress(StoreError):  # nothing but an explanation is lost
                blobs.begin_writing()
                write_code(blobs, self.request.grid.path, code)
                blobs.end_writing()

    def _parts(self) -> tuple[Part, ...]:
        code = self._fingerprint()
        params = (
            Part(f"params[{name!r}]", type(value).__qualname__, digest(value, f"params[{name!r}]"))
            for name, value in sorted(self.request.function.params.items())
        )
        return (*(code.parts if code else ()), *params)

    def _fingerprint(self) -> Fingerprint | None:
        """The fingerprint of the function's code as it is now; None: it has a version."""
        if self._options.version is not None:
            return None
        return explained(self.request.function.func, self._options.ignore or ())

    def fill(self) -> Diagnostics:
        """Compute what is missing, and keep the tags that are given."""
        try:
            done = self._fill()
        except BaseException:
            with contextlib.suppress(Exception):  # what ended the run is what the caller is to see
                self._keep_tags()
            raise
        self._keep_tags()
        return done

    def _keep_tags(self) -> None:
        if self._options.tags:
            tag(self.request.grid.location, self.request.grid.path, self._options.tags)

    def _fill(self) -> Diagnostics:
        start = time.monotonic()
        coverage = self._coverage
        requested = self.request.domain.n_requested
        missing = requested if coverage is None else coverage.n_missing()
        if missing == 0 and self._damage is None:
            done = self._nothing_done(coverage, requested, time.monotonic() - start)
            if self._options.log is not None:
                self._log(done)
            self._remember(done)
            return done
        from swarmgrid.coordinator.fill import fill  # a warm call needs no scheduler

        before, held = self._fingerprint(), self._held()
        has_code = self._snapshot is not None and NAME in self._snapshot.names
        code = () if has_code or before is None else code_parts(before)
        options = self._options.of_the_run()
        with self._telling():
            done, state = fill(self.request, options, self._remember, self._known())
        self._damage = None
        if state is None:
            self._look()
        else:
            self._snapshot, self._coverage = state, None
            self._coverage = self._covered()
        self._keep_code(code)
        self._check_kept(done)
        self._warn_of_changes(before, held, done)
        return done

    def _telling(self) -> AbstractContextManager[None]:
        """Tell the events of the run, where something listens: the store is read for that."""
        if self._options.on_event is None:
            return contextlib.nullcontext()
        from swarmgrid.following.telling import told

        grid = self.request.grid
        return told(grid.location, grid.path, [self._options.on_event])

    def _remember(self, done: Diagnostics) -> None:
        """Let a decorated function know what its last run did."""
        func = self._options.func
        if hasattr(func, "__swarmgrid_options__"):
            vars(func)["last_run"] = done

    @property
    def is_damaged(self) -> bool:
        """Whether the store could not be read, because something in it is damaged."""
        return self._damage is not None

    @property
    def stored(self) -> tuple[GridState, Coverage] | None:
        """The stored part of the request, as it was last read; None if there is no grid."""
        self._check()
        return self._known()

    def _known(self) -> tuple[GridState, Coverage] | None:
        if self._snapshot is None or self._coverage is None:
            return None
        return self._snapshot, self._coverage

    def _held(self) -> dict[str, str]:
        """Digests of what counts beside a version: defaults, and what the function holds."""
        if self._options.version is None:
            return {}
        func, ignore = self.request.function.func, self._options.ignore or ()
        defaults = Defaults.of(func, function_name(func), self._options.rng, ignore)
        found = defaults.filled({}, ())
        return {f"default {name!r}": one for name, one in found.items()} | {
            "what it holds": digest(bound(func, ignore))
        }

    def _warn_of_changes(
        self, before: Fingerprint | None, held: dict[str, str], done: Diagnostics
    ) -> None:
        """Say once what the run has changed of what counts for the function."""
        after, still = self._fingerprint(), self._held()
        paths = [path for path, one in held.items() if still.get(path) != one]
        if before is not None and after is not None and before.digest != after.digest:
            paths += changes(before, after)
        if paths:
            self._tell(
                paths,
                "has changed {}, which counts as its code: the next call makes a new grid and "
                "computes all points again",
            )
        elif done.changed:
            self._tell(
                list(done.changed),
                "has changed {} in its workers, where later points see it: results may depend on "
                "the order of the calls",
            )

    def _tell(self, paths: list[str], text: str) -> None:
        name = self.request.grid.path.function
        if (name, tuple(paths)) not in _told:
            _told.add((name, tuple(paths)))
            warnings.warn(
                f"the run of {name} {text.format(', '.join(paths[:3]))}. Leave it out by its "
                "name, as in ignore={'cache'}, if no result depends on it",
                RuntimeWarning,
                stacklevel=5,
            )

    def dataset(self) -> xr.Dataset:
        """The view of what is stored."""
        self._check()
        self._check_view_chunks()
        from swarmgrid.store.sources import remember
        from swarmgrid.view import dataset

        remember(self.request.grid.location)
        ref, axes, coverage = self.request.grid, self.request.domain.axes, self._coverage
        if coverage is None or self._snapshot is None or coverage.selection.size == 0:
            schema = coverage.grid.schema if coverage else self.request.layout.schema
            return dataset.empty_dataset(ref, axes, schema)
        manifest = self._snapshot.manifest
        return dataset.dataset(ref, axes, coverage, manifest, self._options.view_chunks)

    def _log(self, done: Diagnostics) -> None:
        """Tell the log of a run that had nothing to compute."""
        from swarmgrid.observe.events import RunEnded, RunStarted
        from swarmgrid.observe.log import RunLog

        path, n_cached = self.request.grid.path, done.points_cached
        log = RunLog(self._options.log)
        log(RunStarted(path.function, path.grid, n_cached, n_cached))
        log(RunEnded("finished", done))

    @property
    def is_stored(self) -> bool:
        """Whether there is such a grid in the store."""
        self._check()
        return self._snapshot is not None

    def _look(self) -> None:
        """Read what is stored."""
        self._snapshot = read_state(self.request.grid.location.open(), self.request.grid.path)
        self._coverage = self._covered()

    def _check(self) -> None:
        if self._damage is not None:
            raise self._damage

    def _check_view_chunks(self) -> None:
        """Raise InputError where they are of no dim, as far as the dims are known."""
        coverage, request, domain = self._coverage, self.request, self.request.domain
        schema = request.layout.schema if coverage is None else coverage.grid.schema
        check_view_chunks(self._options.view_chunks, domain.names, domain.shape, schema)

    def _warn_of_near_misses(self) -> None:
        """Warn of floats that are new for a digit at their end."""
        if self._snapshot is None:
            return
        stored = {axis.name: axis for axis in self._snapshot.grid.axes}
        for axis in self.request.domain.axes:
            tolerance = self.request.domain.tolerance.get(axis.name, 0.0)
            near = near_misses(stored[axis.name], axis, tolerance)
            if len(near):
                largest = float(np.abs(near).max())
                warnings.warn(
                    f"axis {axis.name!r}: {len(near)} of {len(axis)} values, such as "
                    f"{float(near[0])!r}, differ from stored ones by less than 1e-9 of their "
                    "size, and count as new. If they are meant to be the same, pass "
                    f"tolerance={{{axis.name!r}: {largest * NEAR:.0e}}}",
                    RuntimeWarning,
                    stacklevel=5,
                )

    def _check_kept(self, done: Diagnostics) -> None:
        """Raise if the manifest no longer has a row for every computed point."""
        coverage = self._coverage
        n = 0 if coverage is None else coverage.n_missing() - done.points_failed
        if n > 0:
            manifest = self.request.grid.path.manifest
            raise StoreError(
                f"{n} points were computed, but {manifest} does not say so any "
                "more; is something else deleting files there? Call compute again"
            )

    def _covered(self) -> Coverage | None:
        domain, layout = self.request.domain, self.request.layout
        if self._snapshot is not None:
            return covered(domain, layout, self._snapshot.grid, self._snapshot.manifest)
        if layout.schema is not None and domain.n_requested:
            return covered(domain, layout, new_grid(self.request, layout.schema), None)
        return None

    def _nothing_done(self, coverage: Coverage | None, n: int, seconds: float) -> Diagnostics:
        total = math.prod(self.request.domain.shape)
        outputs = len(coverage.grid.schema.outputs) if coverage else 0
        return Diagnostics(
            points_total=total,
            points_cached=n,
            points_computed=0,
            points_skipped=total - n,
            chunks_total=coverage.complete.size * outputs if coverage else 0,
            chunks_written=0,
            bytes_written=0,
            seconds=seconds,
            seconds_in_function=0.0,
        )


def opened(
    options: Options,
    params: Mapping[str, Any] | None,
    axes: Mapping[str, Any] | Sequence[str] | None,
) -> xr.Dataset:
    """Open the stored points of some params; see `swarmgrid.open`."""
    if isinstance(axes, Mapping):
        call = Call(options, params, axes, None, is_lookup=True)
        if not call.is_stored:
            raise not_stored(call.request.grid)
        return call.dataset()
    names = axis_names(axes)
    grid = Grid(grid_ref(options, params, names))
    return grid.dataset(names, view_chunks=options.view_chunks)


def _request(
    options: Options,
    params: Mapping[str, Any] | None,
    axes: Mapping[str, Any] | None,
    where: Any,
    defaults: Mapping[str, str] | None = None,
) -> Request:
    """The request of a call, once everything about it has been checked."""
    options.check()
    return to_request(
        func_of(options),
        params,
        axes,
        location_of(options),
        version=options.version,
        ignore=options.ignore,
        chunks=options.chunks,
        shards=options.shards,
        outputs=options.outputs,
        tolerance=options.tolerance,
        vectorized=options.vectorized,
        rng=options.rng,
        where=where,
        depends=options.depends,
        defaults=defaults,
        encoding=options.encoding,
        codec=options.codec,
        key=options.key,
    )
