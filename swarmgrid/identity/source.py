"""The text of a code object: the syntax of its own source, or its instructions."""

from __future__ import annotations

import ast
import dis
import functools
import linecache
import threading
import tokenize
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType
from typing import Any, cast

from swarmgrid.identity.encode import digest, encode
from swarmgrid.user_code import escapes, syntax
from swarmgrid.user_code.ownership import frame_of_walk

_Place = tuple[int, str]
"""The first line of a function, that of a decorator included, and its name."""
_parsing = threading.Lock()
"""Held while source is parsed: Python 3.11 fails when two threads do that at once."""


def own_text(code: CodeType) -> bytes:
    """Return a digest of the syntax of a function's source, or of its instructions without one.

    Syntax is the same on every Python version; instructions are not, but they are still right.
    """
    if frame_of_walk() is not None:
        return _instructions(id(code), code)
    return _read(id(code), code).text


def shown_text(code: CodeType) -> str:
    """Return the source of a function without comments and layout; empty if it is not known."""
    node = _read(id(code), code).node
    try:
        return "" if node is None else ast.unparse(node)
    except (ValueError, RecursionError):
        return ""


def only_called(code: CodeType) -> frozenset[str]:
    """Return the names that code does nothing but call, as far as its source is known."""
    return frozenset() if frame_of_walk() is not None else _read(id(code), code).only_called


def kept(code: CodeType) -> Mapping[str, frozenset[str]]:
    """Return what code calls and whose results it keeps to itself; see `escapes.kept`."""
    return {} if frame_of_walk() is not None else _read(id(code), code).kept


def reads_of_owner(code: CodeType, *, is_static: bool) -> frozenset[str] | None:
    """Return the attributes that a method reads of its object; None where it may leave."""
    node = None if frame_of_walk() is not None else _read(id(code), code).node
    return None if node is None else escapes.reads_of_owner(node, is_static=is_static)


@dataclass(frozen=True, slots=True)
class _Read:
    """The words of a function's source, and what follows from them."""

    text: bytes
    """The digest of the syntax, or of the instructions."""
    node: syntax.Function | None = None
    """The function in its source; None if that is not known."""
    only_called: frozenset[str] = frozenset()
    kept: Mapping[str, frozenset[str]] = field(default_factory=dict)


# By identity too: code objects of different sources may be equal. Once, as a code object never
# changes: its file may, and would then say less of it than it did at first.
@functools.lru_cache(maxsize=4096)
def _read(_: int, code: CodeType) -> _Read:
    node = _node_of(code)
    if node is None:
        return _Read(_instructions(id(code), code))
    text = bytes.fromhex(digest(("syntax", *syntax.code_words(node))))
    return _Read(text, node, syntax.only_called(node), escapes.kept(node))


@functools.lru_cache(maxsize=4096)
def _instructions(_: int, code: CodeType) -> bytes:
    return bytes.fromhex(digest(("instructions", _content(code, with_positions=False))))


def _node_of(code: CodeType) -> syntax.Function | None:
    """Return the very function that a code object was compiled from, in its source, or None.

    The file may have been edited since, and a line may hold several lambdas: so the file is
    compiled again, and only code that comes out equal to this one counts.
    """
    nodes, compiled = _parsed(_text(code.co_filename), code.co_filename)
    place = (code.co_firstlineno, code.co_name)
    # Their encodings, because Python finds 1 and 1.0 equal.
    own = encode(_content(code, with_positions=True))
    same = (encode(_content(one, with_positions=True)) for one in compiled.get(place, ()))
    if own not in same:
        return None
    # the innermost of those that begin where the code does and hold it
    held = [node for node in nodes.get(place, ()) if _is_node_of(node, code)]
    return max(held, key=lambda node: (node.lineno, node.col_offset), default=None)


def _text(filename: str) -> str:
    """Return a file's text as it is now, or what was typed in under that name."""
    try:
        with tokenize.open(filename) as file:
            return file.read()
    except (OSError, SyntaxError, UnicodeDecodeError):
        return "".join(linecache.getlines(filename))


@functools.lru_cache(maxsize=64)
def _parsed(
    text: str, filename: str
) -> tuple[dict[_Place, list[syntax.Function]], dict[_Place, list[CodeType]]]:
    """Return a file's functions, as syntax and as code objects, by first line and name."""
    nodes: dict[_Place, list[syntax.Function]] = {}
    compiled: dict[_Place, list[CodeType]] = {}
    try:
        with warnings.catch_warnings(action="ignore"):  # Python gave them at the import
            with _parsing:
                tree = ast.parse(text)
            pending = [compile(text, filename, "exec", dont_inherit=True)]
            if not Path(filename).exists():
                # IPython compiles each statement of a cell by itself: an import beside a function
                # then has no part in how the function's calls are compiled.
                alone = (ast.Module([one], []) for one in tree.body)
                pending += [compile(one, filename, "exec", dont_inherit=True) for one in alone]
    except (SyntaxError, ValueError):  # half-written by an editor, or no Python at all
        return {}, {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Lambda):
            nodes.setdefault((node.lineno, "<lambda>"), []).append(node)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            line = min((node.lineno, *(one.lineno for one in node.decorator_list)))
            nodes.setdefault((line, node.name), []).append(node)
    while pending:
        code = pending.pop()
        compiled.setdefault((code.co_firstlineno, code.co_name), []).append(code)
        pending += (const for const in code.co_consts if isinstance(const, CodeType))
    return nodes, compiled


def _is_node_of(node: syntax.Function, code: CodeType) -> bool:
    """Tell whether code comes from a function of its line and name: a line may hold lambdas."""
    return not isinstance(node, ast.Lambda) or _holds(node.body, code)


def _holds(body: ast.expr, code: CodeType) -> bool:
    """Tell whether all instructions of a lambda come from this expression."""
    start = (body.lineno, body.col_offset)
    end = (body.end_lineno, body.end_col_offset)
    # What comes from no expression, such as the entry, has a width of zero.
    spans = [span for span in code.co_positions() if None not in span and span[2] != span[3]]
    return bool(spans) and all(
        start <= (line, column) and (end_line, end_column) <= end
        for line, end_line, column, end_column in cast("list[tuple[int, int, int, int]]", spans)
    )


def _content(code: CodeType, *, with_positions: bool) -> list[Any]:
    """Return what a code object does, without its docstring; if asked, also where."""
    steps = [
        (step.opname, _argument(step, code, with_positions=with_positions))
        for step in dis.get_instructions(code)
        if step.opname != "EXTENDED_ARG"
    ]
    counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount)
    # The highest flags say how the code was compiled, and whether it has a docstring.
    flags = code.co_flags & 0xFFF
    names = (code.co_varnames, code.co_freevars, code.co_cellvars)
    positions = list(code.co_positions()) if with_positions else []
    return [code.co_name, counts, flags, names, code.co_exceptiontable, steps, positions]


def _argument(step: dis.Instruction, code: CodeType, *, with_positions: bool) -> Any:
    if step.opcode in dis.hasconst and step.arg is not None:
        value = code.co_consts[step.arg]  # the step itself does not know keywords' names on 3.11
        if isinstance(value, CodeType):
            return _content(value, with_positions=with_positions)
        return value
    return step.argval if step.opcode in dis.hasname else step.arg
