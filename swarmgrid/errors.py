"""The errors that swarmgrid raises, grouped by what the caller would do about them.

::

    SwarmgridError
    ├── InputError (ValueError)           correct the call; nothing was computed or written
    │   ├── AxisError                       an axis or one of its values
    │   ├── ChunksError                     a chunk spec
    │   ├── ConflictError                   two grids have other values at a point
    │   ├── IdentityError (TypeError)       a value that has no stable digest
    │   └── SignatureError (TypeError)      params and axes against the function's signature
    ├── PointError (RuntimeError)         correct the function; what was finished is kept
    │   ├── OutputError (TypeError)         it returned something that does not fit the grid
    │   └── WorkerLostError                 it took its worker process with it, again and again
    ├── WorkerError (RuntimeError)        workers cannot do as the caller does; see what it names
    └── StoreError (OSError)              look after the store
        ├── ArchivedError                   the values of a grid are in an archive
        ├── EncryptionError                 an encrypted grid, and not its key
        ├── DamageError                     stored bytes are not what was written
        ├── FormatError                     the store belongs to a newer format
        ├── LeaseLostError                  another process has taken over the grid
        └── UnsafeStoreError                the store cannot keep two writers apart

Every error survives pickling: its arguments are the ones it was made with, and its text is
built when it is shown. The text of each class names its page of the documentation.
"""

from __future__ import annotations

from typing import Any


class SwarmgridError(Exception):
    """Any error that swarmgrid raises on purpose.

    See docs/reference/api.md#errors
    """


class InputError(SwarmgridError, ValueError):
    """The call cannot be carried out as written; nothing was computed or written.

    See docs/how-to/cheat-sheet.md
    """


class AxisError(InputError):
    """An axis, or a value on it, cannot be used.

    See docs/how-to/grow-an-axis.md#what-counts-as-the-same-value
    """


class ChunksError(InputError):
    """A chunk spec cannot be used, or is not the one that the stored grid has.

    See docs/how-to/grow-an-axis.md#choose-the-chunks
    """


class ConflictError(InputError):
    """Two grids have computed points with other values; nothing was written.

    See docs/how-to/merge-stores.md#conflicts

    Parameters
    ----------
    conflicts : tuple of Conflict
        The first of these points.
    count : int
        The number of all.
    remedy : str
        The next step.
    """

    def __init__(self, conflicts: tuple[Any, ...], count: int, remedy: str) -> None:
        super().__init__(conflicts, count, remedy)
        self.conflicts = conflicts
        self.count = count
        self.remedy = remedy

    def __str__(self) -> str:
        points = "1 point has" if self.count == 1 else f"{self.count} points have"
        shown = "\n".join(f"  {conflict}" for conflict in self.conflicts[:5])
        more = f"\n  and {self.count - 5} more" if self.count > 5 else ""
        return (
            f"{points} other values in the target: nothing was written. {self.remedy}\n"
            f"{shown}{more}"
        )


class IdentityError(InputError, TypeError):
    """A value has no digest that is the same in every process.

    See docs/how-to/why-computed-again.md#what-to-do

    Parameters
    ----------
    place : str
        The place of the value, as an expression: ``params['model'][3]``.
    reason : str
        The kind of the value, and the reason why it has no digest.
    """

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(place, reason)
        self.place = place
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"{self.place} cannot be part of a cache key: {self.reason}. Use numbers, strings, "
            "arrays, dates, paths, enums, dataclasses and containers of these, or give the class "
            f"a method __swarmgrid_token__() that returns such a value{self._ways_out()}"
        )

    def _ways_out(self) -> str:
        """The other remedies, if the function reaches the value and no param holds it."""
        kind, _, rest = self.place.partition(" '")
        kinds = {"global", "closure variable", "default", "attribute", "annotation"}
        if kind not in kinds:
            return ""
        name = rest.partition("'")[0].rpartition(".")[2]
        return (
            f"; or make it a param; or leave it out with ignore={{{name!r}}}, if no result "
            "depends on it; or let version= stand for the function's code"
        )


class SignatureError(InputError, TypeError):
    """``params`` and ``axes`` do not fit the function's signature.

    See docs/tutorials/first-grid.md#the-grid
    """


class PointError(SwarmgridError, RuntimeError):
    """The function failed at one point; every point finished before it is kept.

    See docs/how-to/survive-failures.md#points-that-raise

    Parameters
    ----------
    function : str
        The function's name.
    point : dict
        The axis values of the point, by axis name.
    reason : str
        The error, on one line.
    details : str
        The worker's traceback, or an empty string.
    """

    def __init__(
        self, function: str, point: dict[str, Any], reason: str, details: str = ""
    ) -> None:
        super().__init__(function, point, reason, details)
        self.function = function
        self.point = point
        self.reason = reason
        self.details = details

    @property
    def labels(self) -> str:
        """The labels of the point as text, such as ``x=-1, y=0.5``."""
        return ", ".join(f"{name}={brief(value)}" for name, value in self.point.items())

    def __str__(self) -> str:
        text = f"{self.function}({self.labels}) failed: {self.reason}"
        if self.details:
            text += "\n\nTraceback of the worker:\n" + self.details.rstrip()
        return text


class OutputError(PointError, TypeError):
    """The function returned something that does not fit the grid's outputs.

    See docs/how-to/array-outputs.md#declare-the-outputs
    """


class WorkerLostError(PointError):
    """The function ended its worker process at one point: a crash, a kill, too much memory.

    See docs/how-to/survive-failures.md
    """


class WorkerError(SwarmgridError, RuntimeError):
    """Worker processes cannot compute what the caller would; every finished point is kept.

    See docs/how-to/use-a-cluster.md#what-workers-compute-with

    Parameters
    ----------
    function : str
        The function's name.
    reason : str
        The obstacle, and the remedy.
    details : str
        The worker's traceback, or an empty string.
    """

    def __init__(self, function: str, reason: str, details: str = "") -> None:
        super().__init__(function, reason, details)
        self.function = function
        self.reason = reason
        self.details = details

    def __str__(self) -> str:
        text = f"workers cannot compute {self.function}: {self.reason}"
        if self.details:
            text += "\n\nTraceback of the worker:\n" + self.details.rstrip()
        return text


class StoreError(SwarmgridError, OSError):
    """The store cannot be used as asked.

    See docs/explanation/reliability.md
    """


class ArchivedError(StoreError):
    """The values of a grid are in an archive; none is lost.

    See docs/how-to/archive.md

    Parameters
    ----------
    grid : str
        The grid, as ``function/id``.
    archive : str
        The folder or URL of the archive.
    since : str
        The time since which they are there, in UTC.
    remedy : str
        The next step.
    """

    def __init__(self, grid: str, archive: str, since: str, remedy: str) -> None:
        super().__init__(grid, archive, since, remedy)
        self.grid = grid
        self.archive = archive
        self.since = since
        self.remedy = remedy

    def __reduce__(self) -> tuple[Any, ...]:
        # of four arguments, OSError keeps three
        return type(self), (self.grid, self.archive, self.since, self.remedy)

    def __str__(self) -> str:
        return (
            f"the values of grid {self.grid} are in the archive {self.archive!r} since "
            f"{self.since}; none is lost. {self.remedy}"
        )


class DamageError(StoreError):
    """Stored bytes are not what was written.

    See docs/how-to/repair.md

    Parameters
    ----------
    key : str
        The key of the damaged object, relative to the store's root.
    reason : str
        The damage.
    remedy : str
        The next step; empty: the usual one.
    """

    def __init__(self, key: str, reason: str, remedy: str = "") -> None:
        super().__init__(key, reason, remedy)
        self.key = key
        self.reason = reason
        self.remedy = remedy

    def __str__(self) -> str:
        remedy = self.remedy or (
            "Call compute again: it restores metadata and computes damaged points again. "
            "Grid.verify() lists all damage; Grid.repair() repairs what it can"
        )
        return f"{self.key} is damaged: {self.reason}. {remedy}"


class EncryptionError(StoreError):
    """A grid is encrypted, and this process does not have its key; nothing of it is damaged.

    See docs/how-to/encrypt.md
    """


class FormatError(StoreError):
    """The store was written in a newer format than this swarmgrid reads.

    See docs/reference/format.md
    """


class LeaseLostError(StoreError):
    """Another process has taken over the grid that this one was writing.

    A run waits for that process, and goes on. It raises this where its lease was deleted, or where
    it was overtaken twice before it had committed anything.

    See docs/how-to/slurm.md#things-to-know
    """


class UnsafeStoreError(StoreError):
    """The store cannot keep two writers apart: its conditional create does not hold.

    See docs/how-to/use-s3.md#what-the-server-must-be-able-to-do
    """


def no_function(value: object) -> InputError:
    """The error that something is no function."""
    return InputError(
        f"func is {brief(value)}; expected a function of one point. Pass the function itself, "
        "without quotes and without calling it: func=simulate"
    )


def brief(value: object) -> str:
    """A value as an error shows it: its ``repr``, shortened; never an error of its own."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001  # the user's own method
        text = object.__repr__(value)
    return text if len(text) <= 200 else f"{text[:197]}..."


for _public in list(globals().values()):
    if isinstance(_public, type) and issubclass(_public, SwarmgridError):
        _public.__module__ = "swarmgrid"  # it is part of digests and of pickles: no path in it
del _public
