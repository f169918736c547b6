"""The program ``swarmgrid``: finds the command, runs it, and ends with its exit code."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import shell_complete

from swarmgrid.terminal.endings import PIPE_CLOSED, exit_code, message, to_document
from swarmgrid.terminal.output import note, plain, write

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HOMES = {
    "ls": "listing",
    "show": "showing",
    "status": "following",
    "watch": "following",
    "errors": "showing",
    "plan": "computing",
    "run": "computing",
    "verify": "upkeep",
    "repair": "upkeep",
    "delete": "removing",
    "prune": "removing",
    "export": "handing",
    "copy": "handing",
    "merge": "handing",
    "scopes": "scoping",
    "publish": "scoping",
    "discard": "scoping",
    "snapshot": "history",
    "snapshots": "history",
    "diff": "history",
    "restore": "history",
    "archive": "archiving",
    "thaw": "archiving",
    "why": "computing",
    "report": "pages",
    "serve": "pages",
    "about": "about",
}
"""By command its module, which is imported when the command is used."""
COMPLETION = "_SWARMGRID_COMPLETE"
"""The environment variable by which a shell asks for completions."""
EXIT_CODES = """\b
Exit codes: 0 done; 1 it found something (failed points, damage, or something to
delete or repair that --yes is needed for); 2 wrong usage, or a store that cannot
be used; 3 nothing matches; 130 interrupted.

The store may also be given as --store, or by the variable SWARMGRID_STORE.
Completion of bash (zsh, fish): eval "$(_SWARMGRID_COMPLETE=bash_source swarmgrid)"
"""


class Commands(click.Group):
    """The group of all commands; it imports a command's module when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # as click has it
        return list(HOMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        home = HOMES.get(cmd_name)
        if home is None:
            return None
        found = getattr(import_module(f"swarmgrid.cli.{home}"), cmd_name)
        assert isinstance(found, click.Command)
        for param in found.params:
            if param.callback is None and param.default != "":
                param.callback = _refuse_blank
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in HOMES and not ctx.resilient_parsing:
            close = get_close_matches(args[0], HOMES, 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            ctx.fail(f"there is no command {args[0]!r}{hint} Commands: {', '.join(HOMES)}")
        return super().resolve_command(ctx, args)


def _refuse_blank(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """Refuse a blank word: without its content a selection would be of more than was meant."""
    words = value if isinstance(value, tuple) else (value,)
    if any(isinstance(word, str) and not word.strip() for word in words):
        raise click.BadParameter("it is blank; is a variable not set?", ctx, param)
    return value


def _version() -> str:
    return str(import_module("swarmgrid").__version__)


@click.group(
    cls=Commands,
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(_version(), message="swarmgrid %(version)s")
def program() -> None:
    """Look at stored grids, compute grids, and keep stores in order.

    \b
    Examples:
      swarmgrid ls cache
      swarmgrid run model.py:simulate -p alpha=0.4 -a s=0:200 --store cache
      swarmgrid status cache --watch
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command: its exit code. Errors of the user are one message, on standard error."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):  # a stream of another kind
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        with _plain_warnings():
            code = _run(given)
            sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()
        return PIPE_CLOSED
    except (Exception, KeyboardInterrupt) as error:
        found = exit_code(error)
        if found is None:
            raise
        _tell(error, given)
        return found
    else:
        return code


def _run(given: list[str]) -> int:
    """Run a command, or answer a shell that completes one: the exit code."""
    instruction = os.environ.get(COMPLETION)
    if instruction:
        return shell_complete(program, {}, "swarmgrid", COMPLETION, instruction)
    try:
        with program.make_context("swarmgrid", list(given)) as ctx:
            found: Any = program.invoke(ctx)
    except click.exceptions.Exit as end:  # of --help and --version
        return end.exit_code
    return found if isinstance(found, int) else 0


def _drop_output() -> None:
    """Let go of what nothing reads, as after ``swarmgrid ls | head``, also at the exit."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())  # type: ignore[union-attr]


def _tell(error: BaseException, given: Sequence[str]) -> None:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        note(error.format_message())
        return
    if isinstance(error, click.UsageError) and error.ctx is not None:
        note(error.ctx.get_usage())
    command = program.get_command(click.Context(program), given[0]) if given else None
    note(f"swarmgrid: {plain(message(error, command), lines=True)}")
    options = given[: given.index("--")] if "--" in given else given
    if "--json" in options:
        write(to_document(error, command))


@contextlib.contextmanager
def _plain_warnings() -> Iterator[None]:
    """Show warnings as one line on standard error, without a line of code."""

    def show(text: Warning | str, *_: Any) -> None:
        note(f"swarmgrid: warning: {plain(str(text), lines=True)}")

    with warnings.catch_warnings():
        if not sys.warnoptions:
            warnings.simplefilter("default", RuntimeWarning)
        warnings.showwarning = show  # type: ignore[assignment]  # it takes the rest, too
        yield
