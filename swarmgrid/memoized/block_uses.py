"""The names that a block reads from outside: functions, constants, variables; code, too.

A variable of the function around the block is to the block what a closure variable is to a
function. What the block only adds to, as in ``log.append(...)``, tells it nothing: it does not
count. Neither does a name to which the block gives a value before it reads it.
"""

from __future__ import annotations

import ast
import builtins
import copy
import inspect
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

from swarmgrid.errors import InputError
from swarmgrid.identity import digest
from swarmgrid.identity.encode import Spot, exactly, frame
from swarmgrid.identity.reached import used_values
from swarmgrid.memoized.block_code import PARSING, BlockSource
from swarmgrid.user_code.instructions import used_names
from swarmgrid.user_code.ownership import is_own_module, top_level

_CONTAINERS = (list, dict, set, deque, Counter, OrderedDict, defaultdict)
_ADDERS = {"add", "append", "appendleft", "clear", "discard", "extend", "insert", "remove"}
_ADDERS |= {"reverse", "setdefault", "sort", "update"}
_EARLY = ("value", "iter", "items", "test")
"""The parts of a statement that are read before its targets are assigned."""
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class BlockCode:
    """A block's statements and what they read."""

    text: tuple[Any, ...]
    """The syntax of the statements."""
    variables: Mapping[str, Any]
    """Values of the function around the block, by name."""
    shared: Mapping[str, Any]
    """Values of the module, or of its own modules, by name."""


@exactly(BlockCode)
def _block(code: BlockCode, spot: Spot) -> bytes:
    variables, shared = dict(code.variables), dict(code.shared)
    return frame(
        "block", spot.child(code.text), spot.named(variables, _place), spot.named(shared, _place)
    )


def _place(name: str) -> str:
    return f"the variable {name!r}, which the block reads,"


def code_digest(block: BlockSource, around: FrameType, state: object) -> str:
    """Return 32 hex digits for a block and what it reads.

    Parameters
    ----------
    block : BlockSource
        The block.
    around : frame
        The frame that runs the block.
    state : State or xr.Dataset
        The state, which counts by itself.

    Raises
    ------
    IdentityError
        If it reads a variable, of the function around it, that has no stable digest.
    """
    home = top_level(str(around.f_globals.get("__name__", "")))
    with PARSING:
        values, shared = _values(block, around, home)
        code = BlockCode(block.text, _without(values, state), _without(shared, state))
        return digest(code, "the block", home=home, is_reach=True)


def _without(values: Mapping[str, Any], state: object) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not state}


def _values(
    block: BlockSource, around: FrameType, home: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    is_function = bool(around.f_code.co_flags & inspect.CO_OPTIMIZED)
    inner = dict(around.f_locals) if is_function else {}
    outer = around.f_globals if is_function else {**around.f_globals, **around.f_locals}
    compiled, names = _compiled(block.body, {**outer, **inner})
    used = {chain[0] for chain in used_names(compiled)}
    variables = {name: inner[name] for name in {*used, *names} if name in inner}
    # A module of the user's is followed to what the block takes of it, wherever its name is.
    modules = {name: one for name, one in variables.items() if is_own_module(one, home)}
    variables = {name: one for name, one in variables.items() if name not in modules}
    known = {name: one for name, one in {**outer, **modules}.items() if not _is_builtin(name, one)}
    shared = used_values(compiled, known, variables, home)
    shared |= {name: known[name] for name in names - {*variables} if name in known}
    return variables, shared


def _is_builtin(name: str, value: Any) -> bool:
    return value is getattr(builtins, name, _ABSENT)


def _compiled(body: Sequence[ast.stmt], values: Mapping[str, Any]) -> tuple[CodeType, set[str]]:
    """The block as a function of its own, and names that it reads before it assigns them."""
    containers = {name for name, value in values.items() if type(value) in _CONTAINERS}
    module = ast.parse("async def block(): pass")
    function = module.body[0]
    assert isinstance(function, ast.AsyncFunctionDef)
    function.body = [_Reads(containers).visit(copy.deepcopy(one)) for one in body]
    try:
        code = compile(ast.fix_missing_locations(module), "<block>", "exec", dont_inherit=True)
    except SyntaxError as error:
        raise InputError(f"the memoized block cannot be analysed: {error.msg}") from None
    (compiled,) = (const for const in code.co_consts if isinstance(const, CodeType))
    assigned = {*compiled.co_varnames, *compiled.co_cellvars} & set(values)
    return compiled, {name for name in assigned if _is_read_first(function.body, name)}


class _Reads(ast.NodeTransformer):
    """Leaves of statements that only add to something what they read for it."""

    def __init__(self, containers: set[str]) -> None:
        self._containers = containers

    def visit_Global(self, node: ast.Global) -> ast.AST:
        return ast.copy_location(ast.Pass(), node)

    def visit_Nonlocal(self, node: ast.Nonlocal) -> ast.AST:
        return ast.copy_location(ast.Pass(), node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        call = node.value
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            return node
        if call.func.attr not in _ADDERS or not self._is_container(call.func.value):
            return node
        return _reading([*call.args, *(one.value for one in call.keywords)])

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        if isinstance(node.target, ast.Name):
            return _reading([node.value])
        if isinstance(node.target, ast.Subscript) and self._is_container(node.target.value):
            return _reading([node.target.slice, node.value])
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        target = node.targets[0]
        is_one = len(node.targets) == 1 and isinstance(target, ast.Subscript)
        if is_one and isinstance(target, ast.Subscript) and self._is_container(target.value):
            return _reading([target.slice, node.value])
        return node

    def _is_container(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and node.id in self._containers


def _reading(nodes: Sequence[ast.expr]) -> ast.Expr:
    plain = [one.value if isinstance(one, ast.Starred) else one for one in nodes]
    return ast.Expr(ast.Tuple(list(plain), ast.Load()))


def _is_read_first(body: Sequence[ast.stmt], name: str) -> bool:
    names = (one for node in body for one in _names(node) if one.id == name)
    first = next(names, None)
    return first is not None and isinstance(first.ctx, ast.Load)


def _names(node: ast.AST) -> Iterator[ast.Name]:
    """The names in a statement, in the order in which they are read and assigned."""
    if isinstance(node, ast.Name):
        yield node
    fields = sorted(ast.iter_fields(node), key=lambda one: one[0] not in _EARLY)
    for _, content in fields:
        for child in content if isinstance(content, list) else [content]:
            if isinstance(child, ast.AST):
                yield from _names(child)
