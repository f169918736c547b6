"""`State`: named values whose change during a block can be recorded and replayed."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any, Self

from swarmgrid.errors import InputError, brief
from swarmgrid.memoized.object_graph import Pending, check_value, object_graph


class State(MutableMapping[str, Any]):
    """Named values whose change during a block `memoize` can record and replay.

    A mapping like a dict. It holds what is put into it, not copies: an array or list that is
    changed in place is changed in the state.

    Parameters
    ----------
    values : mapping or iterable of pairs, optional
        The first values. Names are strings; values are numbers, strings, bytes, bools, None,
        numpy arrays and scalars, DataArrays, and lists, tuples and dicts of these.
    **named
        Further values, by name.

    Raises
    ------
    InputError
        If a name or value is of another kind.

    Examples
    --------
    >>> import swarmgrid
    >>> state = swarmgrid.State(seed=1, log=[])
    >>> state["log"].append("started")
    >>> state
    State({'seed': 1, 'log': ['started']})
    """

    __module__ = "swarmgrid"

    def __init__(
        self, values: Mapping[str, Any] | Iterable[tuple[str, Any]] = (), /, **named: Any
    ) -> None:
        self._values: dict[str, Any] = {}
        self._lock = threading.RLock()
        try:
            pairs = dict(values)
        except Exception:  # noqa: BLE001  # the user's own class may raise anything
            raise InputError(
                f"a State is made of {brief(values)}; expected a mapping from names to values"
            ) from None
        self.update(pairs, **named)

    def __getitem__(self, name: str) -> Any:
        with self._lock:
            value = self._values[name]
        if not isinstance(value, Pending):
            return value
        built = value.build()  # without the lock: it reads the store
        with self._lock:  # of two threads that read a pending value, both get the same
            if self._values.get(name) is value:
                self._values[name] = built
        return self[name]

    def __setitem__(self, name: str, value: Any) -> None:
        if type(name) is not str:
            raise InputError(f"a State has string names; got {name!r}")
        check_value(value, f"state[{name!r}]")
        with self._lock:
            self._values[name] = value

    def __delitem__(self, name: str) -> None:
        with self._lock:
            del self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __ior__(self, values: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> Self:
        self.update(values)
        return self

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, State):
            return NotImplemented
        return self.__swarmgrid_token__() == other.__swarmgrid_token__()

    __hash__ = None  # type: ignore[assignment]  # it can be changed

    def __swarmgrid_token__(self) -> str:
        return object_graph(self._values).digest()

    def __reduce__(self) -> tuple[type[State], tuple[dict[str, Any]]]:
        return State, (dict(self),)

    def __repr__(self) -> str:
        shown = (
            f"{name!r}: {'...' if isinstance(value, Pending) else repr(value)}"
            for name, value in self._values.items()
        )
        return f"State({{{', '.join(shown)}}})"


class StateTarget:
    """A `State` as graphs and replays see it."""

    def __init__(self, state: State) -> None:
        self._state = state

    kind = "State"

    def held(self) -> Mapping[str, Any]:
        """Its values by name; those not read since a replay are pending."""
        return self._state._values  # noqa: SLF001  # the two are one

    def live(self) -> Mapping[str, Any]:
        """Its values by name; a pending one is read when it is taken."""
        return self._state

    def replace(self, changed: Mapping[str, Any], removed: list[str], order: list[str]) -> None:
        """Put values in place; ``order`` is empty where it is that of before, then the new."""
        values = self._state._values  # noqa: SLF001
        for name in removed:
            values.pop(name, None)
        values.update(changed)
        if order:
            sorted_values = {name: values[name] for name in order if name in values}
            rest = {name: values[name] for name in values if name not in sorted_values}
            values.clear()
            values.update(sorted_values | rest)
