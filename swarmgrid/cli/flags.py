"""The options of `compute` as options of the shell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from swarmgrid.errors import InputError
from swarmgrid.notation.conditions import to_value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

AnyFunction = TypeVar("AnyFunction", bound="Callable[..., Any]")

TEXTS = {
    "version": ("TEXT", "Stands for the function's code, which does not count then."),
    "rng": ("NAME", "The parameter that gets a random generator, seeded by the point."),
    "executor": ("WORD", "processes, threads or sync."),
    "on_error": ("WORD", "raise: the first failing point ends the run; record: go on."),
    "gc": ("WORD", "task: collect garbage after every task."),
    "durability": ("WORD", "process, or power: survive a loss of power, too."),
    "log": ("FILE", "Append a JSON line for each event."),
}
"""Options whose value is a text."""
NUMBERS = {
    "workers": ("N", "Processes or threads; one per CPU by default."),
    "exec_chunk_size": ("N", "Points per task."),
    "flush_interval": ("SECONDS", "The longest time that a finished point stays in memory."),
    "retries": ("N", "Repeated calls at a point that failed."),
    "timeout": ("SECONDS", "For one call."),
    "rate": ("RATE", "The most calls in a time: 10/s, 30/min."),
    "memory_limit": ("SIZE", "Of one worker: 2GB."),
    "max_tasks_per_child": ("N", "Tasks after which a fresh worker starts."),
    "pause_at": ("PART", "The part of the memory in use at which one task runs at a time."),
    "kill_at": ("PART", "The part at which the largest worker is ended."),
    "lease_seconds": ("SECONDS", "Without a sign of life, after which another process may go on."),
    "verbose": ("0|1|2", "0: show nothing; 1: a bar in a terminal; 2: always a bar."),
}
"""Options whose value is a number, or a text with a unit."""
VALUES = {"codec": ("auto|JSON", "The compressor of every output, as Zarr writes it.")}
"""Options whose value is JSON, or a word."""
SWITCHES = {
    "vectorized": "The function takes whole blocks.",
    "retry_failed": "Try points again that failed in an earlier run.",
    "isolate": "A fresh process for every task.",
}
"""Options that are on or off."""
NAMED = {
    "chunks": ("AXIS=N", "Points per chunk, of an axis or of all."),
    "shards": ("AXIS=N", "Points per shard, of an axis or of all; no: no shards."),
    "tolerance": ("AXIS=X", "How near a float must be to a stored one to be the same."),
    "tags": ("NAME=VALUE", "A note that is kept with the grid."),
    "encoding": ("OUTPUT=JSON", "The encoding of an output, under xarray's keys."),
}
"""Options with a value for each name, which may be repeated."""
LISTS = {
    "ignore": ("NAME", "A name that the function uses and that does not count as its code."),
    "depends": ("NAME|@FILE", "A package or a file that the results depend on, too."),
}
"""Options of several values."""
ELSEWHERE = {
    "func": "the first argument",
    "store": "--store",
    "storage_options": "--storage-option",
    "outputs": "a declaration in Python; see the decorator `grid`",
    "on_event": "a function; `swarmgrid watch --json` writes the events of a run",
    "client": "an object; see the decorator `grid`",
    "key": "the variable SWARMGRID_KEY, or `Grid.rotate` in Python: no secret stands in a command",
    "view_chunks": "of the Dataset, which the shell does not return",
}
"""The other options of `compute`, and what stands for them."""
SINGULAR = {"tags": "tag", "chunks": "chunks", "shards": "shards"}


def compute_options(function: AnyFunction) -> AnyFunction:
    """Add the options of `compute`."""
    added: list[Any] = []
    for name, (metavar, text) in [*TEXTS.items(), *NUMBERS.items(), *VALUES.items()]:
        added.append(click.option(_flag(name), name, metavar=metavar, help=text))
    for name, text in SWITCHES.items():
        flag = _flag(name)
        added.append(click.option(f"{flag}/--no-{flag[2:]}", name, default=None, help=text))
    for name, (metavar, text) in [*NAMED.items(), *LISTS.items()]:
        flag = _flag(SINGULAR.get(name, name))
        how: Any = {"multiple": True, "metavar": metavar, "help": f"{text} May be repeated."}
        added.append(click.option(flag, name, **how))
    for add in reversed(added):
        function = add(function)
    return function


def to_options(given: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The options of `compute` that the options of the shell mean; those not given are absent."""
    found: dict[str, Any] = {
        name: given[name] for name in TEXTS | SWITCHES if given.get(name) is not None
    }
    found |= {name: to_number(given[name]) for name in NUMBERS if given.get(name) is not None}
    found |= {name: to_value(given[name]) for name in VALUES if given.get(name) is not None}
    for name in NAMED:
        if given.get(name):
            found[name] = _by_name(name, given[name])
    if given.get("ignore"):
        found["ignore"] = list(given["ignore"])
    if given.get("depends"):
        found["depends"] = to_depends(given["depends"], folder)
    return found


def to_number(text: Any) -> Any:
    """A number, where a text is one."""
    found = to_value(text) if isinstance(text, str) else text
    return found if isinstance(found, (int, float)) and not isinstance(found, bool) else text


def to_depends(texts: Sequence[Any], folder: Path) -> list[Any]:
    """Packages by name, and files: ``@data.csv``."""
    found = []
    for text in [texts] if isinstance(texts, str) else texts:
        is_file = isinstance(text, str) and text.startswith("@")
        found.append(folder / Path(text[1:]).expanduser() if is_file else text)
    return found


def _by_name(name: str, texts: Sequence[str]) -> Any:
    """The values of an option by name; or one for all: ``--chunks 50``."""
    flag = _flag(SINGULAR.get(name, name))
    if len(texts) == 1 and "=" not in texts[0] and name in {"chunks", "shards"}:
        value = to_value(texts[0])
        return False if name == "shards" and value in {False, "no", "none"} else value
    return to_named(flag, texts, NAMED[name][0])


def to_named(flag: str, texts: Sequence[str], expected: str = "NAME=VALUE") -> dict[str, Any]:
    """The values of an option that is given by name, each as JSON or a text."""
    found: dict[str, Any] = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not separator or not key:
            raise InputError(f"{flag} is {text!r}; expected {expected}")
        found[key] = to_value(value)
    return found


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
