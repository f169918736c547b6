"""Code that may look up anything: by a text that is made at run time, or through a frame."""

from __future__ import annotations

import gc
import inspect
import sys
from collections.abc import Collection
from importlib import import_module
from types import CodeType
from typing import Any

from swarmgrid.user_code import instructions

_READERS = (eval, exec, globals)
_IMPORTERS = (import_module, __import__, sys.modules)
_OTHERS = (
    *(locals, vars, sys._getframe),  # noqa: SLF001
    *(inspect.currentframe, inspect.stack, gc.get_objects),
)


def looks_up(code: CodeType, values: Collection[Any]) -> bool:
    """Tell whether code may get at values of other code, also where it renames what does that.

    Parameters
    ----------
    code : code object
        The code.
    values : collection
        The values that it takes from outside.
    """
    if instructions.looks_up(code):
        return True
    return _is_any(values, (*_READERS, *_IMPORTERS, *_OTHERS))


def names_in_text(code: CodeType, values: Collection[Any]) -> frozenset[instructions.Chain]:
    """Return the names in the texts of code that looks up globals by text, under whatever name."""
    return instructions.names_in_text(code, is_reader=_is_any(values, _READERS))


def modules_in_text(code: CodeType, values: Collection[Any]) -> frozenset[str]:
    """Return the texts of code that looks up modules by text, under whatever name."""
    return instructions.modules_in_text(code, is_importer=_is_any(values, _IMPORTERS))


def _is_any(values: Collection[Any], known: Collection[Any]) -> bool:
    return any(value is one for value in values for one in known)
