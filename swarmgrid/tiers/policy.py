"""The rules by which tiers keep copies, and the figures that they tell."""

from __future__ import annotations

import functools
import pickle
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from swarmgrid.errors import InputError, brief
from swarmgrid.quantities import span_seconds

K = TypeVar("K")
_SPANS = ("hot_to_warm", "warm_to_cold", "cold_to_home")


@dataclass(slots=True)
class CopyStats:
    """The use of one copy in a tier."""

    __module__ = "swarmgrid"

    nbytes: int
    last_used: float
    """By the clock of the policy, in seconds."""
    reads: int = 0
    pool: str = ""
    priority: int = 0
    pins: int = 0


@dataclass(frozen=True)
class TierPolicy:
    """The rules by which tiers keep copies.

    A demotion never loses anything: the home store holds everything.

    Parameters
    ----------
    promote_after : int
        After so many reads from a lower tier or from home, a chunk gets a copy in memory.
    hot_to_warm, warm_to_cold, cold_to_home : str or float, optional
        A copy that was not used for so long, such as ``"24h"``, leaves the device for memory,
        memory for the disk, or the disk: after one of the next reads, or with `Tiered.trim`.
        Default: only for want of space.
    should_keep : callable, optional
        Takes the key of a chunk in its store, its `CopyStats` and the time; copies for which it
        returns True are evicted last. On the disk, reads, pool and priority are not known.
    watermark : float
        A tier that is full is emptied to this part of its budget.
    read_ahead : int
        The number of reads that are made in the background ahead of a reader that walks along an
        axis, chunk after chunk or by a stride; 0: none.
    submit : callable, optional
        Takes a function without arguments, and has it called in the background. Default: one
        thread, which ends when there is nothing to do.
    clock : callable
        The time in seconds.

    Notes
    -----
    A store that is pickled takes its policy along, but for functions that cannot be pickled, such
    as a ``lambda``: in the other process these are the usual ones.
    """

    __module__ = "swarmgrid"

    promote_after: int = 1
    hot_to_warm: str | float | None = None
    warm_to_cold: str | float | None = None
    cold_to_home: str | float | None = None
    should_keep: Callable[[str, CopyStats, float], bool] | None = None
    watermark: float = 0.9
    read_ahead: int = 2
    submit: Callable[[Callable[[], None]], object] | None = field(default=None, repr=False)
    clock: Callable[[], float] = field(default=time.time, repr=False)

    def __post_init__(self) -> None:
        for name in _SPANS:
            self.idle_seconds(name)
        for name in ("should_keep", "submit", "clock"):
            given = getattr(self, name)
            if not callable(given) and (name == "clock" or given is not None):
                raise InputError(f"{name} is {brief(given)}; expected a function")
        if type(self.promote_after) is not int or self.promote_after < 1:
            raise InputError(
                f"promote_after is {brief(self.promote_after)}; expected a number of reads, 1 or "
                "more"
            )
        if type(self.read_ahead) is not int or self.read_ahead < 0:
            raise InputError(
                f"read_ahead is {brief(self.read_ahead)}; expected a number of reads, 0 for none"
            )
        if not isinstance(self.watermark, (int, float)) or not 0 < self.watermark <= 1:
            raise InputError(
                f"watermark is {brief(self.watermark)}; expected a part of the budget, such as 0.9"
            )

    def idle_seconds(self, name: str) -> float | None:
        """One of the spans of time in seconds; None: copies stay."""
        span = getattr(self, name)
        return None if span is None else span_seconds(name, span)

    @functools.cached_property
    def shortest_span(self) -> float | None:
        """The shortest of them in seconds; None: there is none."""
        spans = [self.idle_seconds(name) for name in _SPANS]
        return min((span for span in spans if span is not None), default=None)

    def travelling(self) -> TierPolicy:
        """The policy for another process: a function that cannot be pickled stays in this one."""
        given = {name: getattr(self, name) for name in ("should_keep", "submit", "clock")}
        usual = TierPolicy()
        left = {name: getattr(usual, name) for name, one in given.items() if not _travels(one)}
        return replace(self, **left) if left else self

    def victims(
        self, copies: Iterable[tuple[str, CopyStats]], excess: int, now: float
    ) -> list[str]:
        """The copies to evict so that ``excess`` bytes go: the least worth keeping first.

        Pinned ones stay, even if too few bytes go.
        """
        free = [(key, stats) for key, stats in copies if not stats.pins]

        def worth(item: tuple[str, CopyStats]) -> tuple[bool, int, float]:
            key, stats = item
            # after the name of the store, which a folder may have several of
            chunk = key.rpartition("\0")[2]
            return self._is_kept(chunk, stats, now), stats.priority, stats.last_used

        chosen: list[str] = []
        for key, stats in sorted(free, key=worth):
            if excess <= 0:
                break
            chosen.append(key)
            excess -= stats.nbytes
        return chosen

    def _is_kept(self, key: str, stats: CopyStats, now: float) -> bool:
        if self.should_keep is None:
            return False
        try:
            return bool(self.should_keep(key, stats, now))
        except Exception as error:  # noqa: BLE001  # no run of hours ends for a copy
            warnings.warn(
                f"should_keep failed for {key!r} ({type(error).__name__}: {error}); the copy "
                "counts as one that need not be kept",
                RuntimeWarning,
                stacklevel=2,
            )
            return False


def _travels(function: object) -> bool:
    try:
        pickle.dumps(function)
    except Exception:  # noqa: BLE001  # each object has its own way to refuse that
        return False
    return True


@dataclass(frozen=True)
class TierMetrics:
    """The figures of one tier since the store was made, or of home."""

    __module__ = "swarmgrid"

    hits: int = 0
    misses: int = 0
    nbytes: int = 0
    """Bytes of its copies."""
    budget: int = 0
    copies: int = 0
    evictions: int = 0
    damaged: int = 0
    """Copies that were dropped because they did not hold what the manifest says."""
    prefetched: int = 0
    """Of the hits of home: chunks that were read ahead of a reader that walks along an axis."""
    prefetched_used: int = 0
    """Chunks among these that were asked for since."""

    @property
    def hit_rate(self) -> float:
        """The part of the reads that it answered; NaN before the first."""
        reads = self.hits + self.misses
        return self.hits / reads if reads else float("nan")

    @property
    def percent_used(self) -> float:
        """The part of the budget that is taken, in percent."""
        return 100 * self.nbytes / self.budget if self.budget else 0.0


@dataclass(slots=True)
class Counts:
    """The counts of a tier, changed under its lock."""

    hits: int = 0
    misses: int = 0
    evictions: int = 0
    damaged: int = 0

    def metrics(self, nbytes: int, budget: int, copies: int) -> TierMetrics:
        """The figures, with the bytes and the number of the copies."""
        return TierMetrics(
            self.hits, self.misses, nbytes, budget, copies, self.evictions, self.damaged
        )
