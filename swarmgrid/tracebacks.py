"""Keeps our frames out of the tracebacks that users read.

An error of the function, of the call, or Ctrl-C says all by its text; the frames between the
user's call and the place that raises it do not help. So does an error of the store: it says in
words what the file system or the server said in an error of its own, which is not shown either.
What a store raises that is neither keeps its frames.
"""

from __future__ import annotations

import functools
import os
import sys
from typing import TYPE_CHECKING, Any

from swarmgrid.errors import InputError, PointError, StoreError, SwarmgridError
from swarmgrid.threads import is_interpreter_ending

if TYPE_CHECKING:
    from types import TracebackType

VARIABLE = "SWARMGRID_TRACEBACK"
"""The environment variable that, set to ``full``, has all frames shown."""
_CLIENTS = {"aiobotocore", "aiohttp", "botocore", "gcsfs", "lmdb", "obstore", "redis", "sqlite3"}
"""The libraries whose errors are those of a server or a file, and are worded."""
HIDDEN = "__tracebackhide__"
"""The local variable by which IPython and pytest know a frame that is to be hidden."""
ENDING = (
    "The interpreter is ending. Python then refuses threads, and the first import of modules that "
    "need them: call swarmgrid before the end of the script, or once before atexit calls it"
)


class UserFrames:
    """Drops the frames below the one that uses it, if an error that needs none leaves it.

    That frame, and those of ours above it, have a local variable `HIDDEN`.
    """

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        is_own = isinstance(error, SwarmgridError)
        if isinstance(error, RuntimeError) and not is_own and is_interpreter_ending():
            error.add_note(ENDING)
        is_clear = isinstance(error, (InputError, PointError, KeyboardInterrupt))
        is_clear = is_clear or _is_clear_store_error(error)
        if error is None or frames is None or not is_clear or os.environ.get(VARIABLE) == "full":
            return
        frames.tb_next = None
        if _ipython() is not None:  # it asks the error itself; of hidden frames it shows the last
            error._render_traceback_ = functools.partial(_rendered, error)  # type: ignore[attr-defined]
        elif sys.excepthook is sys.__excepthook__:  # no other code changes what is shown
            sys.excepthook = _show


def _is_clear_store_error(error: BaseException | None) -> bool:
    """Whether an error of a store says all: its kind does, or has a cause that it words."""
    if type(error) is not StoreError:
        return isinstance(error, StoreError)
    cause = error.__cause__
    is_known = cause is None or type(cause).__module__.partition(".")[0] in _CLIENTS
    return is_known or isinstance(cause, OSError)


def _without_cause(error: BaseException) -> None:
    """Drop the cause of an error of a store, just before it is shown."""
    if _is_clear_store_error(error):
        error.__cause__, error.__suppress_context__ = None, True


def _ipython() -> Any:
    """The IPython that this process is, or None."""
    found = sys.modules.get("IPython")
    return None if found is None else found.get_ipython()


def _rendered(error: BaseException) -> list[str]:
    """The lines that IPython shows."""
    error.__traceback__ = _without_hidden(error.__traceback__)
    _without_cause(error)
    lines: list[str] = _ipython().InteractiveTB.structured_traceback(
        type(error), error, error.__traceback__
    )
    return lines


def _show(kind: type[BaseException], error: BaseException, frames: TracebackType | None) -> None:
    """Show an error that ends the program as Python does, without the frames to hide."""
    sys.excepthook = sys.__excepthook__
    frames = _without_hidden(frames)
    error.__traceback__ = frames
    _without_cause(error)
    sys.__excepthook__(kind, error, frames)


def _without_hidden(frames: TracebackType | None) -> TracebackType | None:
    """A traceback without the frames to hide; the objects are linked anew."""
    if frames is None:
        return None
    rest = _without_hidden(frames.tb_next)
    if frames.tb_frame.f_locals.get(HIDDEN):
        return rest
    frames.tb_next = rest
    return frames
