"""The code of a ``with`` block: its statements, found through the frame that entered it.

Python keeps no code object of a block. Its statements are read from the source, and trusted only
if they compile to the very instructions that run.
"""

from __future__ import annotations

import ast
import dis
import functools
import inspect
import linecache
import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any, TypeAlias

from swarmgrid.errors import InputError
from swarmgrid.user_code.syntax import to_words

_With: TypeAlias = ast.With | ast.AsyncWith
PARSING = threading.RLock()
"""Held while source is parsed: in Python 3.11 that fails in two threads at a time (gh-106905)."""
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_LEAVES = (ast.Return, ast.Yield, ast.YieldFrom)


@dataclass(frozen=True, slots=True)
class BlockSource:
    """The source of a block."""

    text: tuple[Any, ...] = ()
    """The syntax of its statements: without comments, docstrings, layout and spelling."""
    body: tuple[ast.stmt, ...] = ()
    """Its statements; none where the source is not known."""


def block_source(frame: FrameType, state: object) -> BlockSource:
    """The source of the block that a frame is just entering.

    Raises
    ------
    InputError
        If the frame is not at a ``with`` statement, or the block does what a replay could not
        repeat: leaves by return, yield, or a break or continue of a loop around it, or gives
        another value to the name by which its ``with`` statement was given the state.
    """
    code, at = frame.f_code, frame.f_lasti
    steps = {step.offset: step for step in dis.get_instructions(code)}
    if at not in steps or steps[at].opname != "BEFORE_WITH":
        raise InputError(
            "memoize(...) must be entered by a with statement itself, not through another context "
            "manager such as an ExitStack: the block's code is part of what is remembered"
        )
    node = _found(frame, steps[at])
    if node is None:
        return BlockSource()
    _check_exits(node)
    _check_names(node, state, {**frame.f_globals, **frame.f_locals})
    words = to_words(node.body, is_local=bool(code.co_flags & inspect.CO_OPTIMIZED))
    return BlockSource(("syntax", *words), tuple(node.body))


def missing_source(frame: FrameType) -> InputError:
    """The error that a block's code is to count, but cannot be read."""
    return InputError(
        f"the source of the memoized block in line {frame.f_lineno} of "
        f"{frame.f_code.co_filename!r} cannot be read, or is not what runs: it is not known what "
        "the block reads. Put it into a file, and leave that alone while it runs; or let the code "
        "not count, as in hash_by=('state', 'salt'), with a salt that says what else counts"
    )


def _found(frame: FrameType, step: dis.Instruction) -> _With | None:
    """The statement in the source that a step enters; None where it is not what runs."""
    code, node = frame.f_code, None
    for is_fresh in (False, True):  # first as it was read before: it may have been edited since
        if is_fresh:
            linecache.checkcache(code.co_filename)
        text = "".join(linecache.getlines(code.co_filename, frame.f_globals))
        with PARSING:
            node = _trusted_node(id(code), code, step, text)
        if node is not None:
            break
    return node


# By identity too: code objects of different sources may be equal.
@functools.lru_cache(maxsize=256)
def _trusted_node(_: int, code: CodeType, step: dis.Instruction, text: str) -> _With | None:
    node = _with_node(text, step)
    if node is None:
        return None
    return (
        node if _same(code, text, (node.body[0].lineno, node.body[-1].end_lineno or 0)) else None
    )


def _with_node(text: str, step: dis.Instruction) -> _With | None:
    """The statement that an instruction enters: it has the place of that, or of its item."""
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(text)
    except (SyntaxError, ValueError):  # edited since, or no Python at all
        return None
    found = (node for node in ast.walk(tree) if isinstance(node, ast.With | ast.AsyncWith))
    place = step.positions and tuple(step.positions)
    return next((node for node in found if place in _places(node)), None)


def _places(node: _With) -> list[tuple[int | None, ...]]:
    inside = [node, *(item.context_expr for item in node.items)]
    return [(one.lineno, one.end_lineno, one.col_offset, one.end_col_offset) for one in inside]


def _same(code: CodeType, text: str, lines: tuple[int, int]) -> bool:
    """Whether a text compiles to the instructions that a code object has for some lines."""
    with warnings.catch_warnings(action="ignore"):
        pending = [compile(text, code.co_filename, "exec", dont_inherit=True)]
    own = list(_in_lines(code, lines))
    for one in pending:
        if (one.co_name, one.co_firstlineno) == (code.co_name, code.co_firstlineno):
            return list(_in_lines(one, lines)) == own
        pending += (const for const in one.co_consts if isinstance(const, CodeType))
    return False


def _in_lines(code: CodeType, lines: tuple[int, int]) -> Iterator[tuple[Any, ...]]:
    for step in dis.get_instructions(code):
        line = step.positions.lineno if step.positions else None
        if step.opname == "EXTENDED_ARG":  # the next one's argument says as much
            continue
        if line is not None and lines[0] <= line <= lines[1]:
            yield (step.opname, _argument(step), step.positions)


def _argument(step: dis.Instruction) -> Any:
    """The argument of an instruction, the same wherever the block stands in its function."""
    if step.opcode in dis.hasjrel or step.opcode in dis.hasjabs:
        return None  # how far it is to a handler depends on the rest of the function
    if isinstance(step.argval, CodeType):
        return [(one.opname, _argument(one)) for one in dis.get_instructions(step.argval)]
    if step.opcode in dis.hasconst:
        return (type(step.argval).__name__, repr(step.argval))  # 1 == 1.0
    is_named = isinstance(step.argval, str | tuple)
    return step.argval if is_named else None if step.argval is step.arg else repr(step.argval)


def _check_exits(node: _With) -> None:
    for found in _exits(node.body, in_loop=False):
        word = type(found).__name__.lower().replace("yieldfrom", "yield from")
        raise InputError(
            f"the memoized block has a {word} in line {found.lineno}, which a replay could not "
            "repeat: put the result into the state, and do this after the block"
        )


def _exits(nodes: list[Any], *, in_loop: bool) -> Iterator[Any]:
    """The statements that leave the block other than at its end or by an exception."""
    for node in nodes:
        if isinstance(node, _LEAVES if in_loop else (*_LEAVES, ast.Break, ast.Continue)):
            yield node
        if isinstance(node, ast.For | ast.AsyncFor | ast.While):
            yield from _exits(node.body, in_loop=True)
            yield from _exits(node.orelse, in_loop=in_loop)
        elif not isinstance(node, _SCOPES):
            yield from _exits(list(ast.iter_child_nodes(node)), in_loop=in_loop)


def _check_names(node: _With, state: object, values: Mapping[str, Any]) -> None:
    calls = [item.context_expr for item in node.items if isinstance(item.context_expr, ast.Call)]
    given = [value for call in calls for value in (*call.args, *(k.value for k in call.keywords))]
    names = {value.id for value in given if isinstance(value, ast.Name)}
    for name in (name for name in names if values.get(name) is state):
        for found in _bindings(node.body, name):
            raise InputError(
                f"the memoized block binds or deletes the name {name!r}, by which it was given "
                f"its state, in line {found.lineno}; a replay could not repeat that. Change the "
                f"state itself: {name}[...] = ... or {name}.update(...), not {name} = ..."
            )


def _bindings(nodes: Iterable[ast.AST], name: str) -> Iterator[Any]:
    """The nodes that bind or delete a name, in the block's own scope."""
    for node in nodes:
        if _bound(node) == name:
            yield node
        if not isinstance(node, _SCOPES):
            yield from _bindings(_below(node), name)


def _bound(node: ast.AST) -> str | None:
    """The name that a node itself binds or deletes."""
    if isinstance(node, ast.Name):
        return None if isinstance(node.ctx, ast.Load) else node.id
    if isinstance(node, ast.alias):
        return node.asname or node.name.partition(".")[0]
    return getattr(node, "name", None) or getattr(node, "rest", None)  # def, except, case ...


def _below(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of a node, but not the name that a comprehension binds, or ``+=``.

    The one is the comprehension's own; the other stays what it is, as states change in place.
    """
    target = getattr(node, "target", None)
    is_left_out = isinstance(node, ast.comprehension) or (
        isinstance(node, ast.AugAssign) and isinstance(target, ast.Name)
    )
    return (one for one in ast.iter_child_nodes(node) if not (is_left_out and one is target))
