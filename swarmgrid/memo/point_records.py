"""Records: the results of `exec_fn`, on their way into the grid's variables, and back."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid import identity
from swarmgrid.outputs.labels import MisfitError
from swarmgrid.outputs.results import DEFAULT_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from swarmgrid.memo.enumerated_points import Form

_BARE = (int, float, complex, str, np.generic, np.ndarray)


class PointCall:
    """``exec_fn(params, point, **extras)`` as a grid's function: ``func(**params, **point)``.

    It bears the function's name, which is thus the grid's.

    Parameters
    ----------
    exec_fn : callable
        The user's function.
    axes : tuple of str
        The axes' names, in the order of a point's values.
    form : {"tuple", "dict", "value"}
        The form of a point.
    extras : tuple of str
        The params that the function takes by keyword as well.
    """

    def __init__(
        self,
        exec_fn: Callable[..., Any],
        axes: tuple[str, ...],
        form: Form,
        extras: tuple[str, ...] = (),
    ) -> None:
        self._exec_fn = exec_fn
        self._axes = axes
        self._form = form
        self._extras = extras
        self.__module__, _, self.__qualname__ = identity.function_name(exec_fn).rpartition(".")
        self.__name__ = self.__qualname__

    @property
    def description(self) -> str:
        """The form of the call, which is part of what its results depend on."""
        if self._form == "dict":
            point = f"{{{', '.join(sorted(self._axes))}}}"  # whose order no function sees
        else:
            point = (
                ", ".join(self._axes) if self._form == "value" else f"({', '.join(self._axes)})"
            )
        return f"{point} {' '.join(self._extras)}".rstrip()

    def __swarmgrid_token__(self) -> str:
        """The identity of its own state: the form of the call. A version names the function."""
        return self.description

    def __call__(self, /, **values: Any) -> Any:
        """The outputs of one point, by the names of their variables."""
        point = {name: values.pop(name) for name in self._axes}
        extras = {name: values[name] for name in self._extras}
        return to_outputs(self._exec_fn(values, self._to_point(point), **extras), self._axes)

    def _to_point(self, point: dict[str, Any]) -> Any:
        if self._form == "dict":
            return point
        return tuple(point.values()) if self._form == "tuple" else point[self._axes[0]]


def to_outputs(result: object, axes: tuple[str, ...]) -> Any:
    """A function's result, its fields under the names of their variables.

    Raises
    ------
    MisfitError
        If it is no number, string, array or dict.
    """
    if isinstance(result, _BARE):
        return result
    if not isinstance(result, Mapping):
        raise MisfitError(
            f"it returned {'None' if result is None else f'a {type(result).__name__}'}; expected "
            "a number, a string, an array, or a dict of these"
        )
    return dict(zip(stored_names(tuple(result), axes), result.values(), strict=True))


@functools.lru_cache(maxsize=256)
def stored_names(fields: tuple[Any, ...], axes: tuple[str, ...]) -> tuple[Any, ...]:
    """The variables' names of a dict's fields: their own, or with ``_`` where that is taken.

    Taken are the axes' names; and, for a dict of one field, the name of a bare value, so that
    the two are told apart. A name that ends in ``_`` gets one more, so that none is lost.
    """
    return tuple(f"{field}_" if _is_taken(field, axes, fields) else field for field in fields)


def field_names(variables: tuple[str, ...], axes: tuple[str, ...]) -> tuple[str, ...] | None:
    """The fields that `stored_names` gave these variables; None if they are one bare value."""
    if variables == (DEFAULT_NAME,):
        return None
    return tuple(name[:-1] if _is_taken(name, axes, variables) else name for name in variables)


def _is_taken(name: Any, axes: tuple[str, ...], others: tuple[Any, ...]) -> bool:
    """Whether a name is one that is taken, with any number of ``_`` behind it."""
    taken = (*axes, DEFAULT_NAME) if len(others) == 1 else axes
    return isinstance(name, str) and any(
        name.startswith(one) and not name[len(one) :].strip("_") for one in taken
    )


def to_records(
    columns: Mapping[str, NDArray[Any]], axes: tuple[str, ...], n: int
) -> list[dict[str, Any]] | list[Any]:
    """The function's results at ``n`` points, from the values of each variable there.

    Parameters
    ----------
    columns : mapping
        ``(n, *output.shape)`` by variable.
    axes : tuple of str
        The axes' names.
    n : int
        The number of points.
    """
    plain = [to_plain(values) for values in columns.values()]
    fields = field_names(tuple(columns), axes)
    if fields is None:
        return plain[0]
    return [dict(zip(fields, (column[i] for column in plain), strict=True)) for i in range(n)]


def to_plain(values: NDArray[Any]) -> list[Any]:
    """Python numbers and strings, or an array for each point; times stay numpy's."""
    if values.ndim == 1:
        found: Iterable[Any] = values if values.dtype.kind in "mM" else values.tolist()
        return list(found)
    return [_text(row) if row.dtype == object else row for row in values]


def _text(array: NDArray[Any]) -> NDArray[Any]:
    """An array of str as numpy has them, where that keeps them: it drops a trailing NUL."""
    fixed = array.astype(str)
    return fixed if (fixed == array).all() else array
