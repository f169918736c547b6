"""Carrying out a recorded change: everything is looked up and made first, then put in place."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

import numpy as np

from swarmgrid.errors import InputError
from swarmgrid.memoized import recorded_arrays, scalar_json
from swarmgrid.memoized.delta import Delta, references, unshared
from swarmgrid.memoized.object_graph import Pending
from swarmgrid.memoized.object_records import Path, Record, nodes_in, reference
from swarmgrid.memoized.scalar_json import Node


class Target(Protocol):
    """A state, as graphs and replays see it."""

    kind: str
    """The kind of object, which is part of every key."""

    def held(self) -> Mapping[str, Any]:
        """Its values by name; those not read since a replay are `Pending`."""

    def live(self) -> Mapping[str, Any]:
        """Its values by name, none of them pending."""

    def replace(self, changed: Mapping[str, Any], removed: list[str], order: list[str]) -> None:
        """Put values in place; ``order`` is empty where it is that of before, then the new."""


class Source(Protocol):
    """The store of the recorded arrays."""

    def load(self, number: int) -> np.ndarray[Any, Any]:
        """An array's values, checked."""

    def lazy(self, number: int) -> Any:
        """An array that xarray reads when it is used."""


class Replay:
    """A recorded change, made ready for one state; nothing of the state is changed yet.

    Parameters
    ----------
    delta : Delta
        The change.
    source : Source
        The store of its arrays. Arrays that are put into old objects are read now.
    target : Target
        The state.
    is_lazy : bool
        Whether the state takes `Pending` values.

    Raises
    ------
    InputError
        If the state lacks an object that the block changed.
    DamageError
        If an array that is read now is missing or damaged.
    """

    def __init__(self, delta: Delta, source: Source, target: Target, *, is_lazy: bool) -> None:
        self._delta, self._source, self._target = delta, source, target
        every = [*delta.changed.values(), *(n for r in delta.records.values() for n in _of(r))]
        self._uses = Counter(number for node in every for number in references(node))
        live = target.live()
        self._made: dict[int, Any] = {
            n: _found(live, path, is_written=n in delta.records) for n, path in delta.old.items()
        }
        alone = unshared(delta) if is_lazy else set()
        self._changed = {
            name: self._pending(node)
            if name in alone and reference(node) is not None
            else self._value(node)
            for name, node in delta.changed.items()
        }
        self._steps = [
            self._step(n, record) for n, record in delta.records.items() if n in delta.old
        ]

    def apply(self) -> None:
        """Change the state."""
        for step in self._steps:
            step()
        delta = self._delta
        self._target.replace(self._changed, delta.removed, delta.order or [])

    def _pending(self, node: Node) -> Pending:
        return Pending(node, self._delta.records, partial(self._value, node))

    def _value(self, node: Node) -> Any:
        number = reference(node)
        if number is not None:
            # made once: what was one object in several places is one object again
            if number not in self._made:
                self._made[number] = self._build(number, self._delta.records[number])
            return self._made[number]
        if isinstance(node, dict) and "tuple" in node:
            return tuple(map(self._value, nodes_in(node)))
        return scalar_json.from_node(node)

    def _build(self, number: int, record: Record) -> Any:
        if record.kind == "array":
            return self._source.load(number)
        children = {step: self._child(record, step) for step in record.children}
        if record.kind == "list":
            return list(children.values())
        if record.kind == "dict":
            return children
        from swarmgrid.memoized import labelled

        return labelled.build(record, children)

    def _child(self, record: Record, step: Any) -> Any:
        """A child's value; an array that only a variable holds is not read."""
        node = record.children[step]
        number = reference(node)
        is_data = record.kind == "variable" and step == "data" and number not in self._made
        if is_data and number is not None and self._uses[number] == 1:
            return self._source.lazy(number)
        return self._value(node)

    def _step(self, number: int, record: Record) -> Callable[[], None]:
        """A function that changes an old object in place."""
        live = self._made[number]
        if record.kind == "array":
            _check_layout(live, record, self._delta.old[number])
            return partial(np.copyto, live, self._source.load(number))
        children = {step: self._child(record, step) for step in record.children}
        if record.kind == "list" and type(live) is list:
            return partial(live.__setitem__, slice(None), list(children.values()))
        if record.kind == "dict" and type(live) is dict:
            return partial(_refill, live, children)
        if "xarray" in sys.modules:
            from swarmgrid.memoized import labelled

            if (step := labelled.change(live, record, children)) is not None:
                return step
        raise _misfit(self._delta.old[number], f"is no {record.kind}")


def _of(record: Record) -> list[Node]:
    return list(record.children.values())


def _refill(live: dict[Any, Any], children: Mapping[Any, Any]) -> None:
    live.clear()
    live.update(children)


def _found(live: Mapping[str, Any], path: Path, *, is_written: bool) -> Any:
    """The object at a path; data that will be written to is read into memory."""
    value: Any = live
    try:
        for step in path:
            value = _below(value, step, in_memory=is_written)
    except (KeyError, IndexError, TypeError, AttributeError):
        raise _misfit(path, "is not there") from None
    return value


def _below(value: Any, step: Any, *, in_memory: bool) -> Any:
    if isinstance(value, list | tuple | Mapping):
        return value[step]
    from swarmgrid.memoized import labelled

    return labelled.child(value, step, in_memory=in_memory)


def _check_layout(live: Any, record: Record, path: Path) -> None:
    shape, dtype = tuple(record.meta["shape"]), recorded_arrays.to_dtype(record.meta["dtype"])
    if type(live) is not np.ndarray or (live.shape, live.dtype) != (shape, dtype):
        raise _misfit(path, f"is no array of shape {shape} and dtype {dtype}")
    if not live.flags.writeable:
        raise _misfit(path, "is read-only")


def _misfit(path: Path, what: str) -> InputError:
    place = "state" + "".join(f"[{step!r}]" for step in path)
    return InputError(
        f"the block was recorded for another state: {place} {what}. Let the state count "
        "(hash_by), or use mode='rewrite'"
    )
