"""Gathers the results of many points into one array per output."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.outputs.labels import MisfitError
from swarmgrid.outputs.outputs import STRING
from swarmgrid.outputs.results import DEFAULT_NAME, check_text, fitted, unpacked

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from swarmgrid.outputs.outputs import Schema

_PLAIN: dict[str, tuple[type, type]] = {
    "float64": (float, np.float64),
    "int64": (int, np.int64),
    "bool": (bool, np.bool_),
    "complex128": (complex, np.complex128),
    STRING: (str, np.str_),
}
"""The types, Python's first, whose values need no check to be stored under a dtype."""
_TYPE_CODES = {"float64": "d", "int64": "q", "bool": "b"}


class Collector:
    """Takes the results of up to ``n`` points, in order, checking each against the schema.

    What was taken can be read by another thread while more is added.
    """

    def __init__(self, schema: Schema, n: int) -> None:
        self._schema = schema
        self._count = 0
        outputs = schema.outputs
        # lists and arrays that grow: how many points of a part succeed is not known beforehand
        is_plain = all(o.shape == () and o.dtype in _PLAIN for o in outputs.values())
        is_plain &= not any(one.is_packed for one in schema.encodings.values())
        self._columns: dict[str, Any] = (
            {name: _column(output.dtype) for name, output in outputs.items()} if is_plain else {}
        )
        self._kinds = {name: _PLAIN[outputs[name].dtype] for name in self._columns}
        self._limited = [n for n, kinds in self._kinds.items() if kinds[0] in (int, str)]
        self._buffers: dict[str, NDArray[Any]] = (
            {}
            if is_plain
            else {name: np.empty((n, *o.shape), o.memory_dtype) for name, o in outputs.items()}
        )

    def floats(self) -> tuple[tuple[type, ...], Callable[[float], None] | None]:
        """The types that may be appended to the only output, and the function that does so.

        It saves the caller a call to `add` for every point of the commonest function of all.
        """
        if list(self._columns) == [DEFAULT_NAME] and self._kinds[DEFAULT_NAME][0] is float:
            return self._kinds[DEFAULT_NAME], self._columns[DEFAULT_NAME].append
        return (), None

    def add(self, result: object) -> None:
        """Take the next point's result.

        Raises
        ------
        MisfitError
            If it does not fit the schema; it is not taken then.
        """
        values = self._plain_values(result)
        if values is None:
            arrays = fitted(unpacked(result), self._schema)
            if not self._columns:
                for name, value in arrays.items():
                    self._buffers[name][self._count] = value[()]
                self._count += 1
                return
            values = {name: value.item() for name, value in arrays.items()}
        for name in self._limited:
            value = values[name]
            if type(value) is str:
                check_text(f"output {name!r}", value)
            elif not -(2**63) <= value < 2**63:
                raise MisfitError(f"output {name!r} is {value}: too large for int64")
        for name, value in values.items():
            self._columns[name].append(value)

    def __len__(self) -> int:
        """The number of results added so far."""
        # the shortest: Ctrl-C may have come between the columns of the last result
        return min(map(len, self._columns.values())) if self._columns else self._count

    def drop_last(self) -> None:
        """Take back the last result."""
        n = len(self) - 1
        for column in self._columns.values():
            del column[n:]
        self._count = n

    def arrays(self, start: int, stop: int) -> dict[str, NDArray[Any]]:
        """Some of the results taken: ``(stop - start, *output.shape)`` by output."""
        if not self._columns:
            return {name: buffer[start:stop] for name, buffer in self._buffers.items()}
        # the slice is a copy: an array cannot grow while numpy looks at its memory
        return {
            name: np.array(column[start:stop], self._schema.outputs[name].memory_dtype)
            for name, column in self._columns.items()
        }

    def _plain_values(self, result: object) -> dict[str, Any] | None:
        """The result by output, as Python's own types; None if it needs to be looked at."""
        found = result if type(result) is dict else {DEFAULT_NAME: result}
        if found.keys() != self._kinds.keys():
            return None
        for name, value in found.items():
            kinds = self._kinds[name]
            if type(value) is not kinds[0]:
                if type(value) is not kinds[1]:
                    return None
                # numpy's own ways to a str drop nulls at its end
                plain = str.__str__(value) if kinds[0] is str else np.asarray(value).item()
                found = {**found, name: plain}
        return found


def _column(dtype: str) -> Any:
    return array(_TYPE_CODES[dtype]) if dtype in _TYPE_CODES else []
