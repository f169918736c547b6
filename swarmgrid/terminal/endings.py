"""The exit codes of the program, and the message that an error becomes."""

from __future__ import annotations

import json
import os
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import click

from swarmgrid.errors import DamageError, InputError, PointError, StoreError, WorkerError
from swarmgrid.terminal.wording import in_shell

if TYPE_CHECKING:
    from types import TracebackType

OK, FOUND, USAGE, NOTHING, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes. ``FOUND``: failed points, damage, differences, or what ``--yes`` would change."""
PIPE_CLOSED = 141
"""The exit code of a program that nothing reads any more, as the shell counts it."""
_PACKAGE = str(Path(__file__).parents[1]) + os.sep


class NothingError(click.ClickException):
    """No grid matches what a command was asked for."""

    exit_code = NOTHING


def exit_code(error: BaseException) -> int | None:
    """The exit code of an error that is not a bug; None for any other."""
    if isinstance(error, click.ClickException):
        return error.exit_code
    if isinstance(error, (PointError, WorkerError, DamageError)):
        return FOUND
    if isinstance(error, (InputError, StoreError)):
        return USAGE
    return INTERRUPTED if isinstance(error, (KeyboardInterrupt, click.Abort)) else None


def message(error: BaseException, command: click.Command | None = None) -> str:
    """The text of an error for the shell: no traceback but that of the user's own function.

    Arguments of Python that it names are the options of a command, where that has them.
    """
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, click.Abort):
        error = error.__cause__ or KeyboardInterrupt()
    if isinstance(error, KeyboardInterrupt):
        return ": ".join(["interrupted", *map(str, error.args)])
    parts = [str(error), *getattr(error, "__notes__", ())]
    if command is not None:
        options = [option for option in command.params if isinstance(option, click.Option)]
        names = {str(option.name): max(option.opts, key=len) for option in options}
        parts = [in_shell(part, names) for part in parts]
    if isinstance(error, PointError) and error.__cause__ is not None and not error.details:
        parts.insert(1, _users_traceback(error.__cause__))
    return "\n".join(parts)


def to_document(error: BaseException, command: click.Command | None = None) -> str:
    """An error as the JSON document that stands in place of a result."""
    kind = "Interrupted" if exit_code(error) == INTERRUPTED else type(error).__name__
    return json.dumps({"error": {"kind": kind, "message": message(error, command)}})


def _users_traceback(error: BaseException) -> str:
    """The traceback of an error of the user's function, from its frame on."""
    frames: TracebackType | None = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(_PACKAGE):
        frames = frames.tb_next
    lines = traceback.format_exception(type(error), error, frames, chain=False)
    return "".join(lines).rstrip()
