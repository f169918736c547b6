"""The text of a traceback with the user's frames only."""

from __future__ import annotations

import traceback
from pathlib import Path
from types import TracebackType

_HERE = str(Path(__file__).parents[1])


def user_traceback(error: BaseException) -> str:
    """The traceback of an error of the function's, without the frames of this package."""
    found = traceback.TracebackException(type(error), error, _own_part(error.__traceback__))
    _drop_ours(found, set())
    return "".join(found.format())


def _own_part(frames: TracebackType | None) -> TracebackType | None:
    """The part of a traceback from the function on; None if it could not be called."""
    while frames is not None and _is_ours(frames.tb_frame.f_code.co_filename):
        frames = frames.tb_next
    return frames


def _drop_ours(found: traceback.TracebackException, seen: set[int]) -> None:
    """Drop the frames of this package, also from what the error was caused by."""
    # causes may form a circle
    if id(found) in seen:
        return
    seen.add(id(found))
    if found.stack:
        kept = [frame for frame in found.stack if not _is_ours(frame.filename)]
        found.stack = traceback.StackSummary.from_list(kept)
    inner = [found.__cause__, found.__context__, *(found.exceptions or ())]
    for other in inner:
        if other is not None:
            _drop_ours(other, seen)


def _is_ours(filename: str) -> bool:
    return filename.startswith(_HERE)
