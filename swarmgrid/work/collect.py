"""Gathers the results of many points into one array per output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.space.outputs import STRING
from swarmgrid.work.unpack import DEFAULT_NAME, MisfitError, fitted, unpacked

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from swarmgrid.space.outputs import Schema

_PLAIN = {"float64": float, "int64": int, "bool": bool, "complex128": complex, STRING: str}
"""The Python type whose values need no check to be stored under a dtype."""


class Collector:
    """Takes the results of up to ``n`` points, in order, checking each against the schema."""

    def __init__(self, schema: Schema, n: int) -> None:
        self._schema = schema
        self._count = 0
        self._buffers = {
            name: np.empty((n, *output.shape), output.memory_dtype)
            for name, output in schema.outputs.items()
        }
        scalars = all(output.shape == () for output in schema.outputs.values())
        plain = {name: _PLAIN.get(output.dtype) for name, output in schema.outputs.items()}
        self._plain = plain if scalars and None not in plain.values() else {}
        self._only = plain.get(DEFAULT_NAME) if list(self._plain) == [DEFAULT_NAME] else None

    def add(self, result: object) -> None:
        """Take the next point's result.

        Raises
        ------
        MisfitError
            If it does not fit the schema; it is not taken then.
        """
        if type(result) is self._only:
            self._set(DEFAULT_NAME, result)
        elif type(result) is dict and self._is_plain(result):
            for name, value in result.items():
                self._set(name, value)
        else:
            for name, array in fitted(unpacked(result), self._schema).items():
                self._buffers[name][self._count] = array[()]
        self._count += 1

    def __len__(self) -> int:
        return self._count

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The results taken: ``(n_taken, *output.shape)`` by output."""
        return {name: buffer[: self._count] for name, buffer in self._buffers.items()}

    def _is_plain(self, result: dict[Any, Any]) -> bool:
        return result.keys() == self._plain.keys() and all(
            type(value) is self._plain[name] for name, value in result.items()
        )

    def _set(self, name: str, value: Any) -> None:
        try:
            self._buffers[name][self._count] = value
        except OverflowError as error:
            raise MisfitError(f"output {name!r} is {value}: {error}") from None
