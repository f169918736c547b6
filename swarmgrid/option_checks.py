"""The values that each option may have: one table, which every public function checks against."""

from __future__ import annotations

import math
import numbers
import operator
import os
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.codecs.given import to_given
from swarmgrid.codecs.keys import checked_key
from swarmgrid.errors import InputError, brief, no_function
from swarmgrid.option_words import meant
from swarmgrid.quantities import check_flags, check_plain
from swarmgrid.run_options import EXECUTORS, to_bytes, to_interval, to_names
from swarmgrid.space.chunks import to_lengths
from swarmgrid.space.tags import checked_tags
from swarmgrid.store.lease_record import MAX_LEASE_SECONDS
from swarmgrid.store.location import Location

if TYPE_CHECKING:
    from swarmgrid.outputs.outputs import Schema

MAX_SECONDS = 1e9
"""About 30 years: the system's clocks and locks refuse to wait much longer."""
MAX_COUNT = 10**9


def checked(name: str, value: object) -> Any:
    """The value of an option in its plain form: a numpy integer becomes an int.

    Raises
    ------
    InputError
        If the option cannot be of that value.
    """
    try:
        return CHECKS[name](name, value)
    except InputError:
        raise
    except Exception as error:  # from a method of the value
        raise InputError(f"{name} is {brief(value)}, which raises {error!r}") from error


# ---- the kinds of options: each returns the plain value, or raises


Check = Callable[[str, Any], Any]


def _wrong(name: str, value: object, expected: str) -> InputError:
    return InputError(f"{name} is {brief(value)}; expected {expected}")


def _optional(check: Check) -> Check:
    return lambda name, value: None if value is None else check(name, value)


def _is_number(value: object) -> bool:
    return isinstance(value, (numbers.Real, np.number)) and not isinstance(value, (bool, np.bool_))


def _seconds(name: str, value: Any) -> float:
    if not _is_number(value) or not 0 < value <= MAX_SECONDS:
        raise _wrong(name, value, f"seconds above 0, at most {MAX_SECONDS:g}")
    return value if type(value) is int else float(value)


def _lease(name: str, value: Any) -> float:
    if not _is_number(value) or not 0 < value <= MAX_LEASE_SECONDS:
        expected = (
            f"seconds above 0, at most {MAX_LEASE_SECONDS:g}: so long a grid is kept waiting"
        )
        raise _wrong(name, value, f"{expected} where its owner is gone")
    return _seconds(name, value)


def _part(name: str, value: Any) -> float:
    if not _is_number(value) or not 0 < value <= 1:
        raise _wrong(name, value, "a part of the machine's memory, above 0 and at most 1")
    return float(value)


def _whole(least: int) -> Check:
    expected = f"an integer, at least {least} and at most {MAX_COUNT}"
    if least == 1:
        expected = f"a positive integer, at most {MAX_COUNT}"

    def check(name: str, value: Any) -> int:
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
            raise _wrong(name, value, expected)
        if not least <= value <= MAX_COUNT:
            raise _wrong(name, value, expected)
        return operator.index(value)

    return check


def _flag(name: str, value: Any) -> bool:
    check_flags(**{name: value})
    return bool(value)


def _one_of(*words: Any) -> Check:
    listed = ", ".join(map(repr, words))

    def check(name: str, value: Any) -> Any:
        if not isinstance(value, (str, int)):
            raise _wrong(name, value, f"one of {listed}")
        if value not in words:
            close = meant(value, [word for word in words if isinstance(word, str)])
            hint = f". Did you mean {close!r}?" if close else ""
            raise InputError(f"{name} is {brief(value)}; expected one of {listed}{hint}")
        return words[words.index(value)]

    return check


def _func(name: str, value: Any) -> Any:  # noqa: ARG001  # as every check
    if not callable(value):
        raise no_function(value)
    return value


def _depends(name: str, value: Any) -> Any:
    if isinstance(value, (str, Path, Mapping, list, tuple)):
        return value
    raise _wrong(name, value, "packages' names, pathlib.Paths, named values, or a list of these")


def _store(name: str, value: Any) -> Any:  # noqa: ARG001  # as every check
    if isinstance(value, (str, os.PathLike)) or hasattr(value, "set_if_not_exists"):
        return value
    if isinstance(value, Location) or isinstance(getattr(value, "location", None), Location):
        return value  # the place of a store, or a scope
    raise InputError(
        f"store is {brief(value)}, a {type(value).__name__}; expected a path, a URL or a "
        "zarr.abc.store.Store"
    )


def _named(expected: str) -> Check:
    def check(name: str, value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise _wrong(name, value, expected)
        wrong = [key for key in value if not isinstance(key, str)]
        if wrong:
            raise InputError(f"{name} has the key {brief(wrong[0])}; expected names")
        return value

    return check


def _version(name: str, value: Any) -> str:
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise _wrong(name, value, "a text that is not empty, such as '1', or None for the code")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"version is {value!r}, which UTF-8 cannot hold: {error}") from None
    return str(value)


def _lengths(name: str, value: Any) -> Any:
    if name == "shards" and (value is False or value is np.False_):
        return False
    to_lengths(value, list(value) if isinstance(value, Mapping) else [], name.removesuffix("s"))
    return value


def _outputs(name: str, value: Any) -> Any:
    if not hasattr(value, "data_vars") and not isinstance(value, Mapping):
        expected = "a mapping from names to swarmgrid.Output, or an xr.Dataset as of one point"
        raise _wrong(name, value, expected)
    return value


def _encoding(name: str, value: Any) -> Any:  # noqa: ARG001  # as every check
    to_given(value)
    return value


def _codec(name: str, value: Any) -> Any:  # noqa: ARG001  # as every check
    to_given(None, value)
    return value


def _tolerance(name: str, value: Any) -> Any:
    if _is_number(value):
        raise _wrong(name, value, f"a mapping from axes to numbers, {{'x': {value!r}}}")
    for axis, distance in _named("a mapping from axes to numbers")(name, value).items():
        if not _is_number(distance) or not 0 <= distance < math.inf:
            raise InputError(
                f"the tolerance of axis {axis!r} is {brief(distance)}; expected a finite number, "
                "at least 0"
            )
    return {axis: float(distance) for axis, distance in value.items()}


def _identifier(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.isidentifier():
        raise _wrong(name, value, "the name of a parameter of the function, such as 'rng'")
    return str(value)


def _client(name: str, value: Any) -> Any:
    if isinstance(value, type) or not (hasattr(value, "scatter") and hasattr(value, "map")):
        raise _wrong(name, value, "a dask.distributed.Client")
    return value


def _rate(name: str, value: Any) -> Any:
    if not isinstance(value, str) and not _is_number(value):
        raise _wrong(name, value, "calls per time, such as '10/s' or '30/min'")
    value = value if isinstance(value, str) else float(value)
    if to_interval(value) > MAX_SECONDS:
        raise _wrong(name, value, f"a call in {MAX_SECONDS:g} s at least, such as '1/h'")
    return value


def _size(name: str, value: Any) -> Any:
    if not isinstance(value, str) and not _is_number(value):
        raise _wrong(name, value, "bytes, or a text such as '2GB'")
    to_bytes(value)
    return value


def _callback(name: str, value: Any) -> Any:
    if not callable(value) or isinstance(value, type):
        raise _wrong(name, value, "a function of one swarmgrid.Event, or None")
    check_plain(name, value)
    return value


def _log(name: str, value: Any) -> str:
    if not isinstance(value, (str, os.PathLike)):
        raise _wrong(name, value, "the path of a file")
    text = os.fspath(value)
    if not isinstance(text, str) or not text or "\0" in text:
        raise _wrong(name, value, "the path of a file")
    return text


def _view_chunks(name: str, value: Any) -> Any:
    expected = "None, {} for the stored chunks, 'auto', or chunk lengths by dim"
    if isinstance(value, str):
        return _one_of("auto")(name, value)
    for dim, length in _named(expected)(name, value).items():
        _check_dask_chunk(dim, length)
    return dict(value)


def _check_dask_chunk(dim: str, length: Any) -> None:
    """Raise InputError unless dask, too, takes a chunk length of a dim, or several."""
    parts = length if isinstance(length, tuple) and length else (length,)
    is_word = length is None or (isinstance(length, str) and length == "auto")
    least = 1 if parts is not length else 0
    for part in () if is_word else parts:
        is_whole = isinstance(part, (int, np.integer)) and not isinstance(part, bool)
        if not is_whole or not (part >= least or (part == -1 and parts is not length)):
            raise InputError(
                f"view_chunks has {brief(length)} for dim {dim!r}; expected a positive integer, "
                "-1 for the whole dim, 'auto', None, or a tuple of lengths"
            )


def check_view_chunks(
    chunks: Any, axes: Sequence[str], lengths: Sequence[int], schema: Schema | None
) -> None:
    """Raise InputError where chunks of a view do not fit its dims.

    Parameters
    ----------
    chunks : mapping, str or None
        The option ``view_chunks``.
    axes, lengths : sequence
        The names of the axes, and how many values each has.
    schema : Schema or None
        The outputs, which may have further dims; None: they are not known.
    """
    if not isinstance(chunks, Mapping):
        return
    sizes = dict(zip(axes, lengths, strict=True))
    for output in schema.outputs.values() if schema is not None else ():
        sizes |= dict(zip(output.dims, output.shape, strict=True))
    for dim, length in chunks.items():
        if dim not in sizes and schema is not None:
            close = get_close_matches(dim, sizes, 1)
            hint = f". Did you mean {close[0]!r}?" if close else ""
            raise InputError(
                f"view_chunks names {dim!r}, which is no dim; the dims are "
                f"{', '.join(sizes) or 'none'}{hint}"
            )
        if isinstance(length, tuple) and dim in sizes and sum(length) != sizes[dim]:
            raise InputError(
                f"view_chunks has the lengths {length} for dim {dim!r}; expected lengths that sum "
                f"up to its own, {sizes[dim]}"
            )


CHECKS: dict[str, Check] = {
    "func": _optional(_func),
    "store": _optional(_store),
    "storage_options": _optional(_named("a mapping, such as {'region': 'eu-west-1'}")),
    "version": _optional(_version),
    "depends": _optional(_depends),
    "ignore": _optional(to_names),
    "tags": _optional(lambda _, value: checked_tags(value)),
    "chunks": _optional(_lengths),
    "shards": _optional(_lengths),
    "outputs": _optional(_outputs),
    "encoding": _optional(_encoding),
    "codec": _optional(_codec),
    "key": _optional(checked_key),
    "tolerance": _optional(_tolerance),
    "vectorized": _flag,
    "rng": _optional(_identifier),
    "executor": _optional(_one_of(*EXECUTORS)),
    "client": _optional(_client),
    "workers": _optional(_whole(1)),
    "exec_chunk_size": _optional(_whole(1)),
    "flush_interval": _optional(_seconds),
    "on_error": _one_of("raise", "record"),
    "retries": _whole(0),
    "retry_failed": _flag,
    "timeout": _optional(_seconds),
    "rate": _optional(_rate),
    "memory_limit": _optional(_size),
    "max_tasks_per_child": _optional(_whole(1)),
    "isolate": _flag,
    "gc": _optional(_one_of("task")),
    "pause_at": _part,
    "kill_at": _part,
    "durability": _one_of("process", "power"),
    "lease_seconds": _lease,
    "log": _optional(_log),
    "on_event": _optional(_callback),
    "view_chunks": _optional(_view_chunks),
    "verbose": _one_of(0, 1, 2),
}
"""By option: takes its name and a value, and returns the value in its plain form, or raises."""
