"""The function that a text names: ``module:function`` or ``path/to/file.py:function``."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarmgrid.errors import InputError, brief

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

_FULL = "SWARMGRID_TRACEBACK"


def load_function(text: str, folder: Path) -> Callable[..., Any]:
    """Import a function.

    A file is imported as Python would import it from its folder, or from that of its package: the
    function has the same name, and so the same grids, either way.

    Parameters
    ----------
    text : str
        ``module:function`` or ``path/to/file.py:function``.
    folder : Path
        The folder that paths begin at, and modules are looked for in.

    Raises
    ------
    InputError
        If there is no such module, file or function, or importing it fails.
    """
    place, separator, name = text.rpartition(":")
    if not separator or not place or not name:
        raise InputError(
            f"{text!r} names no function; expected module:function or path/to/file.py:function"
        )
    if place.endswith(".py") or os.sep in place:
        module = _import_file(folder / Path(place).expanduser(), place)
    else:
        module = _import_module(place, folder)
    return _member(module, name, text)


def is_function_name(text: str) -> bool:
    """Whether a text is meant as the name of a function, and not as a store or a grid."""
    return ":" in text and "://" not in text and not text.endswith(":")


def _import_module(name: str, folder: Path) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        raise InputError(
            f"{name!r} is no name of a module; expected one such as 'model', or a path that ends "
            "in .py"
        )
    _look_in(folder)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise _failed(name, error) from None
        hint = ""
        if (folder / f"{name.replace('.', os.sep)}.py").exists():
            hint = f"; {error.name!r} is something else"
        raise InputError(
            f"there is no module {error.name!r}, neither in {str(folder)!r} nor installed{hint}"
        ) from None
    except (Exception, SystemExit) as error:  # noqa: BLE001  # the user's own code
        raise _failed(name, error) from None


def _import_file(path: Path, shown: str) -> ModuleType:
    file = Path(os.path.normpath(path.absolute()))  # links are places, too
    if not file.is_file() or file.suffix != ".py":
        raise InputError(f"there is no file {shown!r} of Python code")
    if not file.stem.isidentifier():
        return _import_as_script(file)
    root, parts = file.parent, [file.stem]
    while (root / "__init__.py").is_file() and root.name.isidentifier():
        parts.insert(0, root.name)
        root = root.parent
    if parts[-1] == "__init__":
        parts.pop()
    name = ".".join(parts)
    module = _import_module(name, root)
    found = getattr(module, "__file__", None)
    if found is None or not file.samefile(found):
        raise InputError(
            f"{shown!r} would be the module {name!r}, but that is {found or 'built into Python'}; "
            "give the file another name"
        )
    return module


def _import_as_script(file: Path) -> ModuleType:
    """Import a file whose name is no name of a module; it is known by it as a script would be."""
    loaded = sys.modules.get(file.stem)
    if loaded is not None and getattr(loaded, "__file__", None) == str(file):
        return loaded
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    _look_in(file.parent)
    module = sys.modules[file.stem] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # noqa: BLE001
        del sys.modules[file.stem]
        raise _failed(file.name, error) from None
    return module


def _look_in(folder: Path) -> None:
    """Have Python look for modules in a folder first, as for those of a script there."""
    place = str(folder.absolute())
    if sys.path[:1] != [place]:
        sys.path.insert(0, place)
        importlib.invalidate_caches()


def _failed(name: str, error: BaseException) -> InputError:
    """The error that the user's module cannot be imported, with the line that fails."""
    if os.environ.get(_FULL) == "full":
        text = "".join(traceback.format_exception(error))
        return InputError(f"importing {name!r} failed:\n{text.rstrip()}")
    frames = traceback.extract_tb(error.__traceback__)
    own = [one for one in frames if "importlib" not in one.filename and one.filename != __file__]
    where = f" in {own[-1].filename}, line {own[-1].lineno}" if own else ""
    if isinstance(error, SyntaxError):
        where = f" in {error.filename}, line {error.lineno}"
    said = error.msg if isinstance(error, SyntaxError) else str(error)
    return InputError(f"importing {name!r} failed{where}: {type(error).__name__}: {said}")


def _member(module: ModuleType, name: str, text: str) -> Callable[..., Any]:
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            known = [one for one in vars(module) if callable(vars(module)[one])]
            close = get_close_matches(part, known, 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise InputError(f"{text.rpartition(':')[0]!r} has no function {name!r}{hint}")
        found = getattr(found, part)
    if not callable(found):
        raise InputError(f"{text!r} is {brief(found)}, which is no function")
    return found  # type: ignore[no-any-return]  # whatever can be called
