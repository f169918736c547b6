"""The names that code takes from outside, read from its instructions."""

from __future__ import annotations

import dis
import functools
import inspect
import re
import sys
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from types import CodeType
from typing import Any, TypeAlias

Chain: TypeAlias = tuple[str, ...]
Import: TypeAlias = tuple[str, str, str]

_KINDS = {
    **dict.fromkeys(["LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"], "global"),
    **dict.fromkeys(["LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF"], "cell"),
    **dict.fromkeys(["LOAD_ATTR", "LOAD_METHOD"], "attribute"),
    **dict.fromkeys(["STORE_NAME", "STORE_GLOBAL", "STORE_DEREF"], "store"),
    "IMPORT_FROM": "from",
}
"""The effect of an instruction on a name, in the same words for every version of Python."""
_FAST = re.compile("(LOAD|STORE)_FAST")
_LOCAL = {"LOAD": "local", "STORE": "store"}


@functools.lru_cache(maxsize=4096)
def used_names(code: CodeType) -> frozenset[Chain]:
    """Return the names that a function loads from outside, with the attributes it takes of them.

    ``helpers.scale(x) + PI`` gives ``("helpers", "scale")`` and ``("PI",)``. A name that the
    function imports itself counts as one from outside.
    """
    imported = {alias for alias, _, _ in imports(code)}
    # What is imported into a global is used wherever that global is.
    exported = {(alias,) for alias in imported & _stored_globals(code)}
    return frozenset(_chains(code, imported, imported | {*code.co_freevars})) | exported


_IMPORTERS = frozenset({"import_module", "__import__", "modules"})
_READERS = frozenset({"eval", "exec", "globals"})
_NAME = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")


@functools.lru_cache(maxsize=4096)
def names_in_text(code: CodeType, *, is_reader: bool = False) -> frozenset[Chain]:
    """Return the names, with attributes, in the texts of code that looks up globals by text.

    ``globals()["scale"]`` gives ``("scale",)``. ``is_reader`` tells that the code does so by
    another name: ``looked_up("scale")``.
    """
    if not is_reader and _READERS.isdisjoint(all_names(code)):
        return frozenset()
    found = {name for text in _texts(code) for name in _NAME.findall(text)}
    return frozenset(tuple(name.split(".")) for name in found)


@functools.lru_cache(maxsize=4096)
def modules_in_text(code: CodeType, *, is_importer: bool = False) -> frozenset[str]:
    """Return the texts of code that looks up modules by text, which may be names of some.

    ``is_importer`` tells that the code does so by another name: ``loaded("helpers")``.
    """
    if not is_importer and _IMPORTERS.isdisjoint(all_names(code)):
        return frozenset()
    return frozenset(text for text in _texts(code) if _NAME.fullmatch(text))


_LOOKUPS = (
    _READERS
    | _IMPORTERS
    | {"locals", "vars", "query", "__builtins__", "__closure__", "__globals__", "__subclasses__"}
    | {"_getframe", "currentframe", "f_back", "f_globals", "f_locals", "tb_frame", "gi_frame"}
    | {"ag_frame", "cr_frame", "cell_contents", "getclosurevars", "get_objects", "get_referrers"}
    | {"locate", "resolve_name"}
)


@functools.lru_cache(maxsize=4096)
def looks_up(code: CodeType) -> bool:
    """Tell whether code may get at values of other code by a text or through a frame."""
    return not _LOOKUPS.isdisjoint(all_names(code))


@functools.lru_cache(maxsize=4096)
def dotted_in_text(code: CodeType) -> frozenset[Chain]:
    """Return the names with attributes in texts of code, such as ``x > @args.lr``.

    A library, such as pandas, may look them up in the frame that calls it. Docstrings say nothing.
    """
    texts = _texts(code, with_docstrings=False)
    found = {name for text in texts for name in _NAME.findall(text) if "." in name}
    return frozenset(tuple(name.split(".")) for name in found)


def _texts(code: CodeType, *, with_docstrings: bool = True) -> Iterator[str]:
    is_first = not with_docstrings and _has_docstring(code)
    for const in code.co_consts[int(is_first) :]:
        if isinstance(const, CodeType):
            yield from _texts(const, with_docstrings=with_docstrings)
        yield from (one for one in [const] if isinstance(one, str))


_HAS_DOCSTRING = 0x4000000
"""The flag of code with a docstring, from Python 3.14 on."""


def _has_docstring(code: CodeType) -> bool:
    """Tell whether the first constant of code is its docstring."""
    if sys.version_info >= (3, 14):
        return bool(code.co_flags & _HAS_DOCSTRING)
    # Until 3.13 the first constant of a function is its docstring or None.
    is_function = bool(code.co_flags & inspect.CO_NEWLOCALS) and code.co_name[0] != "<"
    return is_function and isinstance(code.co_consts[0], str)


def _stored_globals(code: CodeType) -> set[str]:
    found = {one.argval for one in dis.get_instructions(code) if one.opname == "STORE_GLOBAL"}
    nested = (_stored_globals(const) for const in code.co_consts if isinstance(const, CodeType))
    return found.union(*nested)


def _chains(code: CodeType, names: AbstractSet[str], cells: AbstractSet[str]) -> Iterator[Chain]:
    chain: Chain = ()
    for kind, name in _events(code):
        if kind == "attribute" and chain:
            chain = (*chain, name)
            continue
        if chain:
            yield chain
        is_name = kind == "global" or (kind == "local" and name in names)
        chain = (name,) if is_name or (kind == "cell" and name in cells) else ()
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from _chains(const, names, cells)


@functools.lru_cache(maxsize=4096)
def imports(code: CodeType) -> frozenset[Import]:
    """Return what a function imports itself: the name it gives it, the module, the name there.

    ``from .helpers import scale as s`` gives ``("s", ".helpers", "scale")``. Without a name there
    the module itself is meant, by ``"."``, or by ``""`` the package at the head of its name:
    ``import a.b as c`` gives ``("c", "a.b", ".")``, and ``import a.b`` gives ``("a", "a.b", "")``.
    """
    found = set()
    module = name = ""
    has_names = False
    for kind, text in _events(code):
        if kind in {"import", "from import"}:
            module, name, has_names = text, "", kind == "from import"
        elif kind == "from":
            name = text if has_names else "."
        elif kind == "store" and module:
            found.add((text, module, name))
            module = module if has_names else ""
    nested = (imports(const) for const in code.co_consts if isinstance(const, CodeType))
    return frozenset(found).union(*nested)


@functools.lru_cache(maxsize=4096)
def imported_modules(code: CodeType) -> frozenset[tuple[str, tuple[str, ...]]]:
    """Return the modules that a function imports itself, and all names it may take of each."""
    found: dict[str, set[str]] = {}
    for _, module, name in imports(code):
        for path in (module, module.partition(".")[0]) if name == "" else (module,):
            found.setdefault(path, set(all_names(code))).add(name)
    return frozenset((path, tuple(sorted(names))) for path, names in found.items())


@functools.lru_cache(maxsize=4096)
def all_names(code: CodeType) -> frozenset[str]:
    """Return every name in code: globals, attributes, imports."""
    nested = (all_names(const) for const in code.co_consts if isinstance(const, CodeType))
    return frozenset(code.co_names).union(*nested)


def _events(code: CodeType) -> Iterator[tuple[str, str]]:
    """Yield how a code object gets at names."""
    inner = {*code.co_cellvars, *code.co_freevars}
    constants: list[Any] = [None, None]
    for step in dis.get_instructions(code):
        name, value = step.opname, step.argval
        if kind := _KINDS.get(name):
            yield kind, value
        elif name == "IMPORT_NAME":
            level, names = constants
            yield "from import" if names else "import", "." * level + value
        elif name in {"LOAD_CONST", "LOAD_SMALL_INT"}:
            constants = [constants[-1], value]
            yield "other", ""
        elif "_FAST" in name:
            yield from _locals(name, value, inner)
        elif name != "EXTENDED_ARG":
            yield "other", ""


def _locals(name: str, value: Any, inner: AbstractSet[str]) -> Iterator[tuple[str, str]]:
    """Yield what an instruction does with local variables; from Python 3.13 on with several."""
    for action, local in zip(
        _FAST.findall(name), value if isinstance(value, tuple) else (value,), strict=False
    ):
        # To make a closure, a cell is loaded as if it were a variable.
        is_use = local not in inner and name != "LOAD_FAST_AND_CLEAR"
        yield _LOCAL[action] if is_use else "other", local
