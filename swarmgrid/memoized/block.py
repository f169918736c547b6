"""`memoize`: a ``with`` block that is skipped when what it does to a state is known."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Self

from swarmgrid.errors import DamageError, InputError, brief
from swarmgrid.identity import digest
from swarmgrid.memoized import running
from swarmgrid.memoized import store as blocks
from swarmgrid.memoized.block_code import BlockSource, block_source, missing_source
from swarmgrid.memoized.block_uses import code_digest
from swarmgrid.memoized.delta import difference
from swarmgrid.memoized.object_graph import ObjectGraph, Pending, object_graph
from swarmgrid.memoized.replay import Replay
from swarmgrid.memoized.state import State, StateTarget
from swarmgrid.option_checks import checked
from swarmgrid.options import current_options
from swarmgrid.store.location import to_location
from swarmgrid.store.scoping import check_no_scope

if TYPE_CHECKING:
    import os

    import xarray as xr

    from swarmgrid.memoized.replay import Target

_logger = logging.getLogger(__name__)

PARTS = frozenset({"state", "code", "salt"})
MODES = ("use", "ignore", "rewrite", "require")


def memoize(
    state: State | xr.Dataset,
    store: str | os.PathLike[str] | Any = None,
    salt: object = None,
    *,
    hash_by: Collection[str] = ("state", "code", "salt"),
    mode: str = "use",
    storage_options: Mapping[str, Any] | None = None,
) -> Block:
    """Record what a ``with`` block does to a state; next time, replay it and skip the block.

    Call ``begin()`` on what the ``with`` statement gives, where the work starts. If the block was
    recorded for this state, this code and this salt, the rest is skipped, and the state becomes
    what it became then; arrays are read from the store when they are used. Else the block runs,
    and the net change of the state is written at its end. A block that raises leaves nothing.

    Only the state is restored: not the block's local variables, nor what it printed or sent.

    Parameters
    ----------
    state : State or xr.Dataset
        The state that the block changes.
    store : str, path or zarr.abc.store.Store, optional
        The store of the recordings, as in `compute`. Default: that of `set_options`.
    salt : object, optional
        Anything that has a digest: numbers, strings, arrays, containers, functions, ...
    hash_by : collection of {"state", "code", "salt"}
        The parts of a recording's key. The state counts as it is at ``begin()``. The code is the
        block's own, and the functions and variables that it reads.
    mode : {"use", "ignore", "rewrite", "require"}
        ``"ignore"``: run the block, and leave the store alone. ``"rewrite"``: run it, and replace
        the recording. ``"require"``: an error if there is none.
    storage_options : mapping, optional
        Options with which obstore opens a URL: endpoint, credentials, ...

    Returns
    -------
    Block
        A context manager, for one ``with`` statement. Its ``begin()`` starts the block, and
        ``is_hit`` and ``key`` say afterwards what happened.

    Raises
    ------
    InputError
        If an argument is wrong, the state holds what cannot be recorded, or the block leaves by
        return, yield, or a break or continue of a loop around it, or gives another value to the
        name that ``state`` is passed by; if the code counts and cannot be read; with
        ``mode="require"``, if there is no recording.
    DamageError
        If an array is used that is missing from the store or not as it was written.

    Examples
    --------
    >>> import numpy as np
    >>> import swarmgrid
    >>> def run():
    ...     state = swarmgrid.State(seed=3)
    ...     with swarmgrid.memoize(state, store="memory://memoize") as mem:
    ...         mem.begin()
    ...         state["field"] = np.random.default_rng(state["seed"]).normal(size=3)
    ...     return mem.is_hit, state["field"].shape
    >>> run(), run()
    ((False, (3,)), (True, (3,)))
    """
    if not isinstance(mode, str) or mode not in MODES:
        raise InputError(f"mode is {brief(mode)}; expected one of {', '.join(map(repr, MODES))}")
    try:
        parts = {hash_by} if isinstance(hash_by, str) else set(hash_by)
    except Exception:  # noqa: BLE001  # no collection, or one that raises anything
        parts = set()
    if not parts <= PARTS or not parts:
        raise InputError(f"hash_by is {brief(hash_by)}; expected some of {sorted(PARTS)}")
    options = current_options()
    store, storage_options = checked("store", store), checked("storage_options", storage_options)
    if store is None:
        store, storage_options = options.store, options.storage_options
    if store is None and mode != "ignore":
        raise InputError("memoize needs a store: give store=..., or set_options(store=...)")
    location = to_location(store, storage_options) if mode != "ignore" else None
    if location is not None:
        check_no_scope("memoize")
        check_no_scope("memoize", location)
    return Block(state, _BlockOptions(location, salt, frozenset(parts), mode))


@dataclass(frozen=True, slots=True)
class _BlockOptions:
    location: Any
    salt: object
    hash_by: frozenset[str]
    mode: str


class _Skip(BaseException):
    """Ends a block that is known. Not an Exception: it must reach the end of the block."""

    def __str__(self) -> str:
        return (
            "a memoized block was found in the store; this signal ends it and must reach the end "
            "of its with statement"
        )


class Block:
    """One ``with`` block on a state; made by `memoize`."""

    def __init__(self, state: State | xr.Dataset, options: _BlockOptions) -> None:
        self._state, self._options = state, options
        self._target = _target(state)
        self._frame: FrameType | None = None
        self._source: BlockSource | None = None
        self._runner: object = None
        self._before: ObjectGraph | None = None
        self._skip: tuple[_Skip, Replay, str] | None = None
        self._is_new = options.mode == "use"
        self.key = ""
        """The key of the recording: 32 hex digits, once begun."""
        self.is_hit: bool = False
        """Whether the block was skipped."""

    def __swarmgrid_token__(self) -> str:
        return "block"  # one that an inner block mentions tells it nothing

    def __enter__(self) -> Self:
        if self._source is not None:
            raise InputError("a memoized block is for one with statement: call memoize(...) anew")
        frame = sys._getframe(1)  # noqa: SLF001  # there is no public way to the caller
        self._source = block_source(frame, self._state)
        if "code" in self._options.hash_by and not self._source.body:
            raise missing_source(frame)
        self._frame, self._runner = frame, running.runner()
        return self

    def begin(self) -> None:
        """Start the block, or skip it: nothing after this call is run then.

        Reads the recording, if there is one. A damaged one counts as none.
        """
        self._check_begin()
        running.add(self._state, self, self._runner)
        options = self._options
        now = object_graph(self._target.held())
        self.key = self._key(now)
        if options.mode == "ignore":
            return
        if options.mode != "rewrite" and (replay := self._read_recording()) is not None:
            self._skip = _Skip(), replay, now.digest() if "state" in options.hash_by else ""
            raise self._skip[0]
        if options.mode == "require":
            raise InputError(
                f"there is no recording {self.key} of this block in {options.location.url!r}, "
                "and mode is 'require'"
            )
        blocks.check_writable(options.location)
        self._before = self._settled(now)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        # a frame and a graph keep alive all that they refer to
        before, self._before, self._frame = self._before, None, None
        running.discard(self._state, self)
        if self._skip is not None:
            return self._end_hit(*self._skip, error)
        if error is None and not self.key:
            warnings.warn(
                "a memoized block ended without begin(): nothing was looked up or stored",
                stacklevel=2,
            )
        elif error is None and before is not None:
            self._record(before)
        return False

    def _check_begin(self) -> None:
        if self._frame is None or self.key:
            where = "twice in" if self.key else "outside of"
            raise InputError(f"begin() was called {where} its with block")
        if running.runner() != self._runner:
            raise InputError("begin() was called in another thread or task than its with block")

    def _key(self, now: ObjectGraph) -> str:
        assert self._frame is not None
        assert self._source is not None
        parts: dict[str, Any] = {"kind": self._target.kind}
        if "state" in self._options.hash_by:
            parts["state"] = now.digest()
        if "code" in self._options.hash_by:
            parts["code"] = code_digest(self._source, self._frame, self._state)
        if "salt" in self._options.hash_by:
            parts["salt"] = digest(self._options.salt, "salt")
        return digest(["memoized block", parts])

    def _read_recording(self) -> Replay | None:
        """The recording, ready for the state; None if there is none that is whole."""
        try:
            recording = blocks.read_recording(self._options.location, self.key)
            if recording is None:
                return None
            is_lazy = isinstance(self._state, State)
            return Replay(recording.delta, recording, self._target, is_lazy=is_lazy)
        except DamageError as error:
            self._is_new = False
            _logger.warning("%s: the block is run again", error)
            return None

    def _settled(self, now: ObjectGraph) -> ObjectGraph:
        """The graph with nothing pending: what is read later would count as changed."""
        if not any(isinstance(value, Pending) for value in self._target.held().values()):
            return now
        dict(self._target.live())
        return object_graph(self._target.held())

    def _end_hit(
        self, signal: _Skip, replay: Replay, begun: str, error: BaseException | None
    ) -> bool:
        self._skip = None
        if error is not None and error is not signal:
            return False
        if error is None:
            raise InputError(
                "something in the memoized block caught the signal that ends it: catch Exception "
                "there, not BaseException, or call begin() before the try"
            )
        if begun and object_graph(self._target.held()).digest() != begun:
            raise InputError(
                "a finally clause or context manager in the memoized block changed the state "
                "while the block was skipped: call begin() before it"
            )
        replay.apply()
        self.is_hit = True
        return True

    def _record(self, before: ObjectGraph) -> None:
        after = object_graph(self._target.held(), before=before)
        delta = difference(before, after)
        location = self._options.location
        blocks.write_recording(location, self.key, delta, after, is_new=self._is_new)


def _target(state: Any) -> Target:
    if isinstance(state, State):
        return StateTarget(state)
    if "xarray" in sys.modules:  # code that has a Dataset has imported it
        from swarmgrid.memoized.labelled import DatasetTarget, is_dataset

        if is_dataset(state):
            return DatasetTarget(state)
    raise InputError(
        f"state is of the type {type(state).__qualname__}; expected a swarmgrid.State or an "
        "xr.Dataset"
    )


memoize.__module__ = "swarmgrid"
