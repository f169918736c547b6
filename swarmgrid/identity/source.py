"""The text of a code object: its own source's tokens, or its instructions."""

from __future__ import annotations

import ast
import dis
import functools
import io
import linecache
import threading
import token
import tokenize
import warnings
from collections.abc import Iterator, Sequence
from types import CodeType
from typing import Any, TypeAlias, TypeGuard, cast

from swarmgrid.identity.elsewhere import frame_of_walk
from swarmgrid.identity.encode import digest, encode

_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

_HEADERS = {"def", "class", "async"}
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")
_LAYOUT = {token.NEWLINE, token.INDENT, token.DEDENT}
_IGNORED = {token.COMMENT, token.NL, token.TYPE_COMMENT, token.ENDMARKER}
_FSTRING_START = getattr(token, "FSTRING_START", -1)  # Python 3.12 and later
_FSTRING_END = getattr(token, "FSTRING_END", -1)

_parsing = threading.Lock()
"""Held while source is parsed: Python 3.11 fails when two threads do that at once."""


def own_text(code: CodeType) -> bytes:
    """Return a digest of the tokens of a function's source, or of its instructions without one.

    Tokens are the same on every Python version; instructions are not, but they are still right.
    """
    if frame_of_walk() is not None:
        return _instructions(id(code), code)
    return _own_text(id(code), code)


# By identity too: code objects of different sources may be equal.
@functools.lru_cache(maxsize=4096)
def _own_text(_: int, code: CodeType) -> bytes:
    found = _segment(code)
    if found is None:
        return _instructions(id(code), code)
    return bytes.fromhex(digest(("tokens", *tokens(found))))


@functools.lru_cache(maxsize=4096)
def _instructions(_: int, code: CodeType) -> bytes:
    return bytes.fromhex(digest(("instructions", _content(code, with_positions=False))))


def tokens(source: str) -> list[str]:
    """Return the tokens of a function's source, without comments, docstrings and layout."""
    texts: list[str] = []
    statement = depth = 0  # where the statement began that is being read; its open brackets
    for kind, text in _joined(source):
        if kind == token.NEWLINE and _is_bare_string(texts[statement:]):
            del texts[statement:]
        elif kind not in _IGNORED:
            # The leading space tells these marks from all other tokens.
            texts.append(f" {token.tok_name[kind]}" if kind in _LAYOUT else text)
        depth += (text in _OPENING) - (text in _CLOSING)
        is_header = text == ":" and not depth and texts[statement] in _HEADERS
        if kind in _LAYOUT or is_header:
            statement = len(texts)
    return texts


def _is_bare_string(statement: list[str]) -> bool:
    quoted = [text.lstrip("rRuU")[:1] in {"'", '"'} for text in statement]
    return bool(quoted) and all(quoted)


def _joined(source: str) -> Iterator[tuple[int, str]]:
    """Yield kinds and texts of tokens, with an f-string in one piece as on Python 3.11."""
    lines = source.splitlines(keepends=True)
    depth, start = 0, (0, 0)
    for item in tokenize.generate_tokens(io.StringIO(source).readline):
        if item.type == _FSTRING_START:
            depth, start = depth + 1, start if depth else item.start
        elif item.type == _FSTRING_END:
            depth -= 1
            if not depth:
                yield token.STRING, _between(lines, start, item.end)
        elif not depth:
            yield item.type, item.string


def _between(lines: Sequence[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    text = [*lines[start[0] - 1 : end[0] - 1], lines[end[0] - 1][: end[1]]]
    return "".join(text)[start[1] :] if len(text) > 1 else text[0][start[1] :]


def _segment(code: CodeType) -> str | None:
    """Return the source of the very function that a code object was compiled from, or None.

    The file may have been edited since, and a line may hold several lambdas: so the file is
    compiled again, and only code that comes out equal to this one counts.
    """
    text = _text(code.co_filename)
    tree, compiled = _parsed(text, code.co_filename)
    place = (code.co_firstlineno, code.co_name)
    # Their encodings, because Python finds 1 and 1.0 equal.
    wanted = encode(_content(code, with_positions=True))
    same = (encode(_content(one, with_positions=True)) for one in compiled.get(place, ()))
    if wanted not in same:
        return None
    node = _node(tree, code)
    segment = ast.get_source_segment(text, node) if node else None
    # Inside parentheses a lambda may run over several lines.
    return f"({segment})" if segment and isinstance(node, ast.Lambda) else segment


def _text(filename: str) -> str:
    """Return a file's text as it is now, or what was typed in under that name."""
    try:
        with tokenize.open(filename) as file:
            return file.read()
    except (OSError, SyntaxError, UnicodeDecodeError):
        return "".join(linecache.getlines(filename))


@functools.lru_cache(maxsize=64)
def _parsed(text: str, filename: str) -> tuple[ast.Module, dict[tuple[int, str], list[CodeType]]]:
    """Return a file's syntax tree, and its code objects by first line and name."""
    compiled: dict[tuple[int, str], list[CodeType]] = {}
    try:
        with warnings.catch_warnings(action="ignore"):  # Python gave them at the import
            with _parsing:
                tree = ast.parse(text)
            pending = [compile(text, filename, "exec", dont_inherit=True)]
    except (SyntaxError, ValueError):  # half-written by an editor, or no Python at all
        return ast.Module([], []), {}
    while pending:
        code = pending.pop()
        compiled.setdefault((code.co_firstlineno, code.co_name), []).append(code)
        pending += (const for const in code.co_consts if isinstance(const, CodeType))
    return tree, compiled


def _node(tree: ast.Module, code: CodeType) -> _Function | None:
    """Return the innermost function in the tree that begins where the code does and holds it."""
    held = [node for node in ast.walk(tree) if _is_node_of(node, code)]
    return max(held, key=lambda node: (node.lineno, node.col_offset), default=None)


def _is_node_of(node: ast.AST, code: CodeType) -> TypeGuard[_Function]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        first = min((node.lineno, *(one.lineno for one in node.decorator_list)))
        return (first, node.name) == (code.co_firstlineno, code.co_name)
    if not isinstance(node, ast.Lambda) or code.co_name != "<lambda>":
        return False
    return node.lineno == code.co_firstlineno and _holds(node.body, code)


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
