"""Classes whose objects do not leave the code that makes them: no one reads their annotations."""

from __future__ import annotations

from collections.abc import Collection
from types import FunctionType
from typing import Any

from swarmgrid.identity.classes import METHODS, is_written
from swarmgrid.identity.source import reads_of_owner
from swarmgrid.user_code.ownership import is_own_class, is_own_function


def is_closed(cls: type, reads: Collection[str], home: str | None) -> bool:
    """Tell whether objects of a class that are kept where they are made leave nowhere else.

    Parameters
    ----------
    cls : type
        The class.
    reads : collection of str
        The attributes that the code that makes the objects reads of them.
    home : str or None
        The top-level module whose code counts as the user's own.
    """
    if type(cls) is not type or cls.__bases__ != (object,) or not is_own_class(cls, home):
        return False
    read, methods = set(reads), set()
    for name, value in vars(cls).items():
        if not hasattr(type(value), "__get__") or not is_written(cls, name, value, home):
            continue
        more = _reads_of_method(value, home)
        if more is None:
            return False
        read |= more
        if not isinstance(value, property):
            methods.add(name)
    return read.isdisjoint(methods)  # a method that is read, and not called, holds its object


def _reads_of_method(value: Any, home: str | None) -> set[str] | None:
    """Return the attributes that a method or property reads of its object; None if it leaves."""
    if isinstance(value, property):
        functions = [one for one in (value.fget, value.fset, value.fdel) if one is not None]
    else:
        functions = [value.__func__ if type(value) in METHODS else value]
    read: set[str] = set()
    for one in functions:
        if not isinstance(one, FunctionType) or not is_own_function(one, home):
            return None
        more = reads_of_owner(one.__code__, is_static=isinstance(value, staticmethod))
        if more is None:
            return None
        read |= more
    return read
