"""The owner of code: the user, then it counts in full, or a library, then its name counts.

And where the user's lies that is in no package: the name of a package is chosen for the whole
world; that of a script, for its folder.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import re
import sys
import sysconfig
import tomllib
import types
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path, PurePath
from types import FunctionType, MethodType, ModuleType
from typing import Any

_MARKERS = ("pyproject.toml", "setup.py", "setup.cfg", ".git", ".hg", ".svn")
"""The files that lie in the topmost folder of a project."""
_MAIN = frozenset({"__main__", "__mp_main__"})
_SESSION = re.compile(r"-jvsc-[0-9a-f-]+")
"""The text that an editor adds to the name of a notebook in each of its sessions."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The facts that a walk over code uses instead of the files and modules of this process."""

    main: str
    """The name by which the caller's script would be imported."""
    modules: Mapping[str, ModuleType] | None = None
    """The user's own modules by name, where they have travelled; None: as they are here."""
    missing: frozenset[str] = frozenset()
    """``module.name`` of what cannot travel, of modules that are used as values."""


_frame: ContextVar[Frame | None] = ContextVar("swarmgrid_frame", default=None)


def frame_of_walk() -> Frame | None:
    """Return what the present walk goes by; None: this process' own files and modules."""
    return _frame.get()


@contextlib.contextmanager
def walking_by(frame: Frame) -> Iterator[None]:
    """Go by something else while it lasts: code counts by its instructions, not its source."""
    token = _frame.set(frame)
    try:
        yield
    finally:
        _frame.reset(token)


def type_name(cls: type) -> str:
    """Return ``module.qualname`` of a class, the same whether its module is imported or run."""
    return f"{module_name(cls.__module__)}.{cls.__qualname__}"


def module_name(name: str) -> str:
    """Return a module's name; of the running script, the name it is imported by.

    A module of swarmgrid's has the package's: no identity depends on the layout of the package.
    """
    if top_level(name) == "swarmgrid":
        return "swarmgrid"
    if name not in {"__main__", "__mp_main__"}:
        return name
    if (walk := frame_of_walk()) is not None:
        return walk.main
    main = sys.modules["__main__"]
    spec, file = getattr(main, "__spec__", None), _main_file(vars(main))
    if spec is not None:
        return str(spec.name)
    return _stem(file) if file else "__main__"


def _main_file(space: dict[str, Any]) -> str:
    """Return the file of the running script; empty if it is typed in."""
    # Python deletes `__file__` at the script's end: its threads, and what `atexit` calls, go on
    file = str(space.get("__file__") or getattr(space.get("__loader__"), "path", ""))
    return "" if file.startswith("<") else file


@functools.lru_cache(maxsize=16)
def _stem(file: str) -> str:
    return PurePath(file).stem


def label(value: Any) -> str:
    """Return ``module.qualname`` of a function, as far as it has them."""
    module = getattr(value, "__module__", None) or type(value).__module__
    return f"{module_name(module)}.{qualname(value)}"


def qualname(value: Any) -> str:
    """Return a function's name with those of the classes and functions around it."""
    return str(getattr(value, "__qualname__", value.__name__)).replace("<locals>.", "")


def unwrapped(func: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function without our decorator."""
    # in its own members only: other objects, such as mocks, have every attribute that is asked for
    try:
        members = object.__getattribute__(func, "__dict__")
    except AttributeError:
        return func
    inner: Callable[..., Any] = members.get("__swarmgrid_function__", func)
    return inner


def top_level(module: str) -> str:
    """Return the top-level package or module that a module belongs to."""
    return module.partition(".")[0]


def is_own_function(func: FunctionType, home: str | None) -> bool:
    """Tell whether the user wrote a function."""
    # Not its __module__: functools.wraps gives a library's wrapper that of the wrapped function.
    name, file = str(func.__globals__.get("__name__", "")), func.__code__.co_filename
    if file.startswith("<") and not file.startswith("<frozen"):
        file = (
            _module_file(sys.modules.get(name)) or file
        )  # a library makes methods from text, too
    return _is_own(name, file, home)


def is_own_class(cls: type, home: str | None) -> bool:
    """Tell whether the user wrote a class."""
    if top_level(cls.__module__) == "swarmgrid":
        return False  # not even for code in its docstrings: its modules note what runs just now
    module = sys.modules.get(cls.__module__)
    if cls.__module__ == "types" and getattr(types, cls.__name__, None) is not cls:
        return True  # of types.new_class, which does not ask for whom it makes a class
    # Cython makes up modules for its types; what is typed in, or runs by exec, has no file either.
    is_python = any(isinstance(one, FunctionType) for one in vars(cls).values())
    is_module = isinstance(module, ModuleType)  # the user may put anything in its place
    is_made_up = is_module and not _module_file(module) and "__builtins__" not in vars(module)
    return (is_python or not is_made_up) and _is_own(cls.__module__, _module_file(module), home)


def is_own_module(value: Any, home: str | None) -> bool:
    """Tell whether a value is a module that the user wrote."""
    return isinstance(value, ModuleType) and _is_own(value.__name__, _module_file(value), home)


def patches_of(cls: type) -> dict[str, Any]:
    """Return what of the user's code is set on a library's class."""
    return {name: one for name, one in vars(cls).items() if is_users(one)}


def is_users(value: Any) -> bool:
    """Tell whether a value is code of the user's, or an object whose class is."""
    if (function := function_of(value)) is not None:
        return is_from_own_module(function)
    if isinstance(value, functools.partial):
        return is_users(value.func)
    cls = value if isinstance(value, type) else type(value)
    return _is_in_own_module(cls) and is_own_class(cls, None)


def holds_users(value: Any) -> bool:
    """Tell whether a library's object, such as an accessor, holds code of the user's."""
    if isinstance(value, type | FunctionType) or not type(value).__dictoffset__:
        return False
    return any(map(is_users, list(vars(value).values())))


def _is_in_own_module(cls: type) -> bool:
    return cls.__module__ == "__main__" or is_own_module(sys.modules.get(cls.__module__), None)


def function_of(value: Any) -> FunctionType | None:
    """Return the function of a method, property or function as it stands in a class."""
    found = value.fget if isinstance(value, property) else value
    if isinstance(value, classmethod | staticmethod | MethodType):
        found = value.__func__
    return found if isinstance(found, FunctionType) else None


def is_from_own_module(func: FunctionType) -> bool:
    """Tell whether a function is of a module of the user's, and not made by a library from text.

    A library's dataclasses and named tuples have methods without a file.
    """
    module = sys.modules.get(str(func.__globals__.get("__name__", "")))
    return is_own_module(module, None) and is_own_function(func, None)


def own_import(name: str, package: str, home: str | None) -> ModuleType | None:
    """Import a module if it is the user's own, as the function that names it will.

    Without that, a fingerprint would depend on whether the function has run before.

    Returns
    -------
    module or None
        None for a library's module, and where there is none of this name.
    """
    try:
        absolute = importlib.util.resolve_name(name, package)
        if (walk := frame_of_walk()) is not None and walk.modules is not None:
            return walk.modules.get(absolute)
        top = top_level(absolute)
        if absolute not in sys.modules:
            spec = importlib.util.find_spec(top)
            if spec is None or not _is_own(top, spec.origin or "", home):
                return None
        module = importlib.import_module(absolute)
        return module if is_own_module(module, home) else None
    except (ImportError, ValueError):  # optional, or __main__, which has no spec
        return None


def is_importable(value: Any, home: str | None) -> bool:
    """Tell whether a library offers a value under the value's own name."""
    module = sys.modules.get(getattr(value, "__module__", None) or "")
    if not isinstance(module, ModuleType) or is_own_module(module, home):
        return False
    found: Any = module
    for name in str(getattr(value, "__qualname__", "")).split("."):
        found = getattr(found, name, None)
    return found is value


def library_home(value: Any, home: str | None) -> str | None:
    """Return ``module.name`` of an object that the module of its class offers, if a library's.

    ``numpy.random.normal`` is bound to the one generator that numpy made for itself.
    """
    module = sys.modules.get(type(value).__module__)
    if not isinstance(module, ModuleType) or is_own_module(module, home):
        return None
    found = (name for name, one in list(vars(module).items()) if one is value)
    name = min(found, default=None)
    return None if name is None else f"{module.__name__}.{name}"


def home(value: Any) -> str:
    """Return the place of the file that holds a function or class of no package.

    Empty for what is in a package or a library. It is the project's name and the path in it;
    without a project, the path from the user's home folder, or the whole path outside of that. Of
    code that is typed in, the notebook stands for the file or, without one, the folder that Python
    runs in.
    """
    file = file_of(value)
    return "" if file is None else _home_of(file)


def file_of(value: Any) -> str | None:
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
    file = (_main_file(space) or _notebook(space)) if name in _MAIN else space.get("__file__")
    if file is None:
        return None
    absolute = file if str(file).startswith("/") else Path.cwd() / file
    return os.path.normpath(absolute)  # links are places, too


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


def shortened(traceback: str) -> str:
    """Return a traceback whose files are named by their places in their projects.

    What is stored and passed on says nothing of the folders of a machine.
    """
    return re.sub(
        r'(?m)^(\s*File ")(/[^"\n]*)(?=", line \d)',
        lambda found: found[1] + _place(found[2]),
        traceback,
    )


@functools.lru_cache(maxsize=256)
def _home_of(file: str) -> str:
    path, project = Path(file), _project_of(Path(file))
    if project is not None:
        return f"{_project_name(project)}/{path.relative_to(project).as_posix()}"
    with contextlib.suppress(ValueError, RuntimeError):  # outside of it, or no user's
        return f"~/{path.relative_to(Path.home()).as_posix()}"
    return path.as_posix()


@functools.lru_cache(maxsize=256)
def _place(file: str) -> str:
    path, project = Path(file), _project_of(Path(file))
    if project is not None:
        return path.relative_to(project).as_posix()
    return "/".join((path.parent.name, path.name))


def _project_of(path: Path) -> Path | None:
    """Return the topmost folder of the project that a file lies in."""
    folders = (folder for folder in (path, *path.parents) if _is_project(folder))
    return next(folders, None)


def _is_project(folder: Path) -> bool:
    return any((folder / marker).exists() for marker in _MARKERS)


def _project_name(project: Path) -> str:
    """Return a project's own name, the same on every machine, or else its folder's."""
    try:
        text = (project / "pyproject.toml").read_text(encoding="utf-8")
        name = tomllib.loads(text)["project"]["name"]
    except (OSError, ValueError, KeyError, TypeError):
        name = project.name
    return str(name)


def _module_file(module: ModuleType | None) -> str:
    folders = getattr(module, "__path__", ())  # of a package without __init__.py
    return getattr(module, "__file__", None) or next(map(str, folders), "")


def _is_own(module: str, file: str, home: str | None) -> bool:
    top = top_level(module)
    if top == home:
        return True
    known = sys.builtin_module_names if file else sys.stdlib_module_names
    is_known = top == "swarmgrid" or top in known
    # Code typed in, or made by exec, has no file; only what is frozen into Python is a library's.
    return not (is_known or file.startswith("<frozen") or _is_library_file(file))


@functools.lru_cache(maxsize=4096)
def _is_library_file(file: str) -> bool:
    if not file or file.startswith("<"):
        return False
    path = Path(os.path.realpath(file))
    is_installed = not {"site-packages", "dist-packages"}.isdisjoint(path.parts)
    return is_installed or any(path.is_relative_to(root) for root in _library_roots())


@functools.cache
def _library_roots() -> frozenset[str]:
    kinds = ("stdlib", "platstdlib", "purelib", "platlib")
    return frozenset(os.path.realpath(sysconfig.get_path(kind)) for kind in kinds)
