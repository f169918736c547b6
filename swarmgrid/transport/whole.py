"""Objects of the user's taken apart as they are, whatever they say to pickle.

A class whose ``__getstate__`` leaves something out would arrive without it, and so compute
something else there than here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from swarmgrid.identity.arrays import memory_order
from swarmgrid.identity.objects import content_type, held_by, is_pickling_itself, is_transparent
from swarmgrid.user_code.ownership import is_own_class

_FILLED = {dict: dict.update, list: list.extend, set: set.update, bytearray: bytearray.extend}


def taken_apart(value: Any) -> tuple[Any, ...] | None:
    """Return what pickle makes an object from; None: the way of its class shows all of it."""
    cls = type(value)
    if not is_own_class(cls, None) or not is_pickling_itself(cls):
        return None
    if not is_transparent(cls) or hasattr(cls, "__swarmgrid_token__"):
        return None
    try:
        value.__reduce_ex__(4)
    except Exception:  # noqa: BLE001  # whatever it raises: it says that it is not to be copied
        return None
    content, attributes = held_by(value)
    base = content_type(cls)
    made = content if base not in _FILLED else []
    state = [] if base not in _FILLED else content, attributes
    return _made, (cls, base, made), state, None, None, _fill


def array_taken_apart(array: np.ndarray[Any, Any]) -> tuple[Any, ...] | None:
    """Return what pickle makes an array from whose axes it would put in order; else None.

    Sums round by the order of the axes in memory.
    """
    order = memory_order(array)
    if order is None or array.flags.f_contiguous:
        return None
    axes = [*order, *(axis for axis in range(array.ndim) if axis not in order)]
    inner = np.ascontiguousarray(array.transpose(axes))
    return np.transpose, (inner, [axes.index(axis) for axis in range(array.ndim)])


def _made(cls: type, base: Any, content: list[Any]) -> Any:
    """Make an object without its ``__init__``."""
    if issubclass(base, BaseException):
        return base.__new__(cls, *content[0])
    return base.__new__(cls, *content)


def _fill(value: Any, state: tuple[list[Any], dict[str, Any]]) -> None:
    """Give an object what it holds."""
    for one in state[0]:
        for base, fill in _FILLED.items():
            if isinstance(value, base):
                fill(value, one)
    space = getattr(value, "__dict__", None)
    for name, one in state[1].items():
        if space is None or _is_slot(type(value), name):
            object.__setattr__(value, name, one)
        else:
            space[name] = one


def _is_slot(cls: type, name: str) -> bool:
    return any(name in vars(base) for base in cls.__mro__ if "__slots__" in vars(base))
