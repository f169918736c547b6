"""One call of a public function: options, store, run and view, in this order."""

from __future__ import annotations

import contextlib
import math
import time
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from swarmgrid.errors import DamageError, StoreError
from swarmgrid.finding.resolve import func_of, location_of
from swarmgrid.finding.versions import stored_code, without_present_code
from swarmgrid.identity import Part, bound, changes, digest, explained, function_name
from swarmgrid.observe.diagnostics import Diagnostics
from swarmgrid.option_checks import check_view_chunks
from swarmgrid.planning.coverage import Coverage
from swarmgrid.planning.fixed import Defaults
from swarmgrid.planning.growth import covered, new_grid
from swarmgrid.planning.layers import Beneath
from swarmgrid.planning.origin import warn_of_another_origin
from swarmgrid.planning.request import Request, to_request
from swarmgrid.records.code_record import NAME, code_parts, write_code
from swarmgrid.records.grid_state import read_state
from swarmgrid.space.match import warn_of_near_misses
from swarmgrid.store.blobs import writing

if TYPE_CHECKING:
    import xarray as xr

    from swarmgrid.identity import Fingerprint
    from swarmgrid.options import Options
    from swarmgrid.planning.estimate import Plan
    from swarmgrid.records.code_record import CodePart
    from swarmgrid.records.grid_state import GridState

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
        needs_key: bool = True,
        chunks_if_new: Mapping[str, Any] | None = None,
    ) -> None:
        self._needs_key: bool = needs_key
        """Whether values will be read or written, which of an encrypted grid needs its key."""
        defaults = None
        if is_lookup:
            options, defaults = stored_code(options, func_of(options), location_of(options))
        elif options.version is not None:
            options = without_present_code(options, func_of(options))
        self._options = options
        self.request = request = _request(options, params, axes, where, defaults)
        if is_lookup:
            self.request = replace(request, domain=replace(request.domain, is_lookup=True))
        self._snapshot: GridState | None = None
        self._coverage: Coverage | None = None
        self._beneath: Beneath | None = None
        """In a scope the part of the request that the shared store has."""
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
        domain = self.request.domain
        for state in self._states():
            warn_of_near_misses(state.grid.axes, domain.axes, domain.tolerance, stacklevel=4)
            warn_of_another_origin(self.request.grid, state.grid.attributes)

    def plan(self, *, explain: bool = False) -> Plan:
        """Count the points that `compute` would compute; nothing is called."""
        from swarmgrid.api.explanation import explanation
        from swarmgrid.planning.estimate import planned

        self._check()
        manifest = self._snapshot.manifest if self._snapshot else None
        plan = planned(self.request, self._counted(), manifest)
        if not explain:
            return plan
        why = None if self.is_stored else explanation(self.request, self._code())
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
            with contextlib.suppress(StoreError), writing(blobs):  # only an explanation is lost
                write_code(blobs, self.request.grid.path, code)

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

    def keep_beside(self) -> None:
        """Keep tags and code beside points that were put."""
        self._look()
        self._keep_tags()
        if self._snapshot is not None and NAME not in self._snapshot.names:
            self._keep_code(self._code())

    def _keep_tags(self) -> None:
        if self._options.tags:
            from swarmgrid.inventory.keeping import tag

            tag(self.request.grid.location, self.request.grid.path, self._options.tags)

    def _fill(self) -> Diagnostics:
        start = time.monotonic()
        coverage = self._counted()
        requested = self.request.domain.n_requested
        missing = requested if coverage is None else coverage.n_missing()
        if missing == 0 and self._damage is None:
            done = self._nothing_done(coverage, requested, time.monotonic() - start)
            if self._options.log is not None:
                from swarmgrid.api.reporting import log_nothing_done

                log_nothing_done(self.request.grid, self._options.log, done)
            self._remember(done)
            return done
        from swarmgrid.api.reporting import reported
        from swarmgrid.coordinator.fill import fill  # a warm call needs no scheduler

        before, held = self._fingerprint(), self._held()
        has_code = self._snapshot is not None and NAME in self._snapshot.names
        code = () if has_code or before is None else code_parts(before)
        options = self._options.of_the_run()
        request, known = self.request, self._known()
        if self._beneath is not None:
            request, known = replace(request, domain=self._beneath.rest(request.domain)), None
        with reported(self.request.grid, self._options) as witness:
            done, state = fill(request, options, self._remember, known, witness)
        if self._beneath is not None:
            n = requested - request.domain.n_requested
            done = replace(
                done, points_cached=done.points_cached + n, points_skipped=done.points_skipped - n
            )
            self._remember(done)
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
        return {f"default {name!r}": one for name, one in defaults.filled({}, ()).items()} | {
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
        under, chunks = self._beneath, self._options.view_chunks
        if under is not None and under.coverage.selection.size:
            shared = ref.location.layers[-1]
            if self._snapshot is None or coverage is None:
                ref = replace(ref, location=shared)
                return dataset.dataset(ref, axes, under.coverage, under.state.manifest, chunks)
            from swarmgrid.view.layered import Under

            below = Under(shared, under.coverage, under.state.manifest)
            manifest = self._snapshot.manifest
            return dataset.dataset(ref, axes, coverage, manifest, chunks, under=below)
        if coverage is None or self._snapshot is None or coverage.selection.size == 0:
            schema = coverage.grid.schema if coverage else self.request.layout.schema
            return dataset.empty_dataset(ref, axes, schema)
        return dataset.dataset(ref, axes, coverage, self._snapshot.manifest, chunks)

    @property
    def is_stored(self) -> bool:
        """Whether there is such a grid in the store."""
        self._check()
        return bool(self._states())

    def _states(self) -> list[GridState]:
        """The grid in each store that counts."""
        shared = None if self._beneath is None else self._beneath.state
        return [state for state in (self._snapshot, shared) if state is not None]

    def _look(self) -> None:
        """Read what is stored."""
        location, path = self.request.grid.location, self.request.grid.path
        self._snapshot = read_state(location.open(), path)
        if location.below is not None:
            shared = read_state(location.below.open(), path)
            if shared is not None:
                needs_key = self._needs_key
                self._beneath = Beneath.of(self.request, shared, needs_key=needs_key)
            if self._beneath is not None and self._snapshot is None:
                layout = self._beneath.layout(self.request.layout)
                self.request = replace(self.request, layout=layout)
        self._coverage = self._covered()

    def _counted(self) -> Coverage | None:
        """The coverage, with the points of the shared store; see `Beneath.counted`."""
        if self._beneath is None or self._coverage is None:
            return self._coverage
        return self._beneath.counted(self._coverage, self.request.domain)

    def _check(self) -> None:
        if self._damage is not None:
            raise self._damage

    def _check_view_chunks(self) -> None:
        """Raise InputError where they are of no dim, as far as the dims are known."""
        coverage, request, domain = self._coverage, self.request, self.request.domain
        schema = request.layout.schema if coverage is None else coverage.grid.schema
        check_view_chunks(self._options.view_chunks, domain.names, domain.shape, schema)

    def _check_kept(self, done: Diagnostics) -> None:
        """Raise if the manifest no longer has a row for every computed point."""
        coverage = self._counted()
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
            grid, manifest = self._snapshot.grid, self._snapshot.manifest
            return covered(domain, layout, grid, manifest, needs_key=self._needs_key)
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
