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

_BY_TEXT = (eval, exec, globals, locals, vars, import_module, __import__)
_BY_FRAME = (sys._getframe, inspect.currentframe, inspect.stack, gc.get_objects)  # noqa: SLF001


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
    return any(one is known for one in values for known in (*_BY_TEXT, *_BY_FRAME))
