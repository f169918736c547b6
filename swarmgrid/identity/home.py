"""Where the user's code lies that belongs to no package: what tells one ``run.py`` from another.

The name of a package is chosen for the whole world; that of a script, for its folder. Paths of
this machine would be other ones on the next, so only the place within the project counts.
"""

from __future__ import annotations

import functools
import os
import platform
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType, MethodType, ModuleType
from typing import Any

from swarmgrid.identity import reached, source
from swarmgrid.identity.encode import digest
from swarmgrid.identity.ownership import (
    is_own_class,
    is_own_function,
    label,
    module_name,
    top_level,
    unwrapped,
)

_MARKERS = ("pyproject.toml", "setup.py", "setup.cfg", ".git", ".hg", ".svn")
"""What lies in the topmost folder of a project."""
_MAIN = frozenset({"__main__", "__mp_main__"})
_SESSION = re.compile(r"-jvsc-[0-9a-f-]+")
"""What an editor adds to the name of a notebook in each of its sessions."""


def code_name(value: Any) -> list[str]:
    """Return what names a function or class: ``module.qualname`` and, of no package, its home."""
    where = home(value)
    return [label(value), where] if where else [label(value)]


def home(value: Any) -> str:
    """Return the place, in its project, of the file that holds a function or class of no package.

    Empty for what is in a package or a library. Without a project it is the folder's name and the
    file's. Of code that is typed in, the notebook stands for the file or, without one, the folder
    that Python runs in.
    """
    file = _file(value)
    return "" if file is None else _place(file)


def origin(func: Callable[..., Any]) -> dict[str, str]:
    """Return digests of the file that holds a function of no package, on its machine, and of code.

    Two functions of one `home` are told apart by them. Empty for all other functions.
    """
    inner = _innermost(func)
    file = _file(inner)
    if file is None:
        return {}
    texts = sorted((label(one), source.own_text(one.__code__).hex()) for one in _functions(inner))
    return {"file": digest(["file", platform.node(), file]), "code": digest(["code", *texts])}


def _innermost(func: Any) -> Any:
    func = unwrapped(func)
    if isinstance(func, functools.partial):
        return _innermost(func.func)
    if isinstance(func, MethodType):
        return func.__func__
    return func if hasattr(func, "__name__") else type(func)


def _functions(value: Any) -> Iterator[FunctionType]:
    """Yield the user's functions that a function or class reaches by the names in its code."""
    pending, seen = [value], {id(value)}
    while pending:
        one = pending.pop()
        more: list[Any] = []
        if isinstance(one, FunctionType) and is_own_function(one, None):
            yield one
            inner = reached.cells(one)
            more = [*reached.used_values(one.__code__, one.__globals__, inner, None).values()]
            more += inner.values()
        elif isinstance(one, type) and is_own_class(one, None):
            more = [getattr(part, "__func__", part) for part in vars(one).values()]
        for found in more:
            if isinstance(found, FunctionType | type) and id(found) not in seen:
                seen.add(id(found))
                pending.append(found)


def _file(value: Any) -> str | None:
    """Return the absolute path of what holds a value of the user's; None if a package does."""
    is_function = isinstance(value, FunctionType)
    is_class = isinstance(value, type) and is_own_class(value, None)
    if not (is_class or (is_function and is_own_function(value, None))):
        return None
    name = str(value.__globals__.get("__name__", "") if is_function else value.__module__)
    if not name or _is_packaged(module_name(name)):
        return None
    space = value.__globals__ if is_function else vars(sys.modules.get(name, ModuleType(name)))
    if name in _MAIN:
        space = {**vars(sys.modules["__main__"]), **space}
    file = space.get("__file__") or (_notebook(space) if name in _MAIN else None)
    return None if file is None else os.path.normpath(Path.cwd() / file)  # links are places, too


def _is_packaged(module: str) -> bool:
    """Whether a module is part of a package; a folder without ``__init__.py`` is none."""
    package = sys.modules.get(top_level(module))
    return "." in module and getattr(package, "__file__", None) is not None


def _notebook(space: dict[str, Any]) -> str:
    """Return what stands for the file of code that is typed in."""
    told = space.get("__vsc_ipynb_file__") or os.environ.get("JPY_SESSION_NAME", "")
    name = _SESSION.sub("", str(told))
    # Some servers number their sessions instead: that would be another one each time.
    return name if name.endswith(".ipynb") else _folder_at_first()


@functools.cache
def _folder_at_first() -> str:
    return str(Path.cwd())  # a session that changes it goes on with its grids


@functools.lru_cache(maxsize=256)
def _place(file: str) -> str:
    path = Path(file)
    for folder in (path, *path.parents):
        if any((folder / marker).exists() for marker in _MARKERS):
            return path.relative_to(folder).as_posix()
    return "/".join((path.parent.name, path.name))
