"""Refuses requests for outputs, chunks or shards that differ from those of a stored grid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from swarmgrid.errors import ChunksError, InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swarmgrid.outputs.outputs import Output, Schema


def check_outputs(declared: Schema | None, stored: Schema) -> None:
    """Raise InputError where a request declares other outputs than the grid has."""
    if declared is None:
        return
    for name in sorted({*declared.outputs, *stored.outputs}):
        ours, theirs = declared.outputs.get(name), stored.outputs.get(name)
        if ours is None or theirs is None or not theirs.fits(ours):
            raise InputError(
                f"output {name!r} is declared as {_described(ours)}, but the stored grid has it "
                f"as {_described(theirs)}. Declare what is stored, or make a new grid with "
                "version= or in another store"
            )


def _described(output: Output | None) -> str:
    if output is None:
        return "absent"
    return f"{output.dtype} of dims {output.dims} and shape {output.shape}"


def check_chunks(asked: Mapping[str, int], stored: Mapping[str, int]) -> None:
    """Raise ChunksError where a request asks for other chunks than the grid has."""
    wrong = {name: n for name, n in asked.items() if stored[name] != n}
    if wrong:
        raise _other_chunks("chunks", dict(asked), dict(stored))


def check_shards(
    asked: Mapping[str, int] | Literal[False] | None, stored: Mapping[str, int] | None
) -> None:
    """Raise ChunksError where a request asks for other shards than the grid has."""
    if asked is None:
        return
    have = {} if stored is None else stored
    is_same = all(have.get(name) == n for name, n in asked.items()) if asked else not have
    if not is_same:
        shown = asked and dict(asked)
        raise _other_chunks("shards", shown, "False" if stored is None else dict(stored))


def _other_chunks(what: str, asked: object, stored: object) -> ChunksError:
    return ChunksError(
        f"{what}={asked} was asked for, but the stored grid has {what}={stored}. Leave {what} out "
        f"to take the stored ones, or change those of the stored grid: Grid.rechunk({what}=...)"
    )
