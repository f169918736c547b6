"""The question before something is deleted or repaired; ``--yes`` answers it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

import click

from swarmgrid.terminal.output import note

if TYPE_CHECKING:
    from collections.abc import Callable

AnyFunction = TypeVar("AnyFunction", bound="Callable[..., Any]")


def yes_option(text: str) -> Callable[[AnyFunction], AnyFunction]:
    """The option ``--yes``."""
    return click.option("-y", "--yes", is_flag=True, help=text)


def is_agreed(question: str, *, yes: bool, as_json: bool) -> bool:
    """Whether the user agrees: by ``--yes``, or by an answer in a terminal."""
    if yes:
        return True
    if as_json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        note("nothing was changed; pass --yes")
        return False
    agreed = click.confirm(question, err=True)
    if not agreed:
        note("nothing was changed")
    return agreed
