"""Words for the syntax of source, without its layout, spelling, comments and docstrings.

Equal trees compile to the same code, so quotes, parentheses, trailing commas and the spelling of
numbers and strings do not count. ``ast.dump`` differs between versions of Python; this does not.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

_SPELLING = frozenset({"ctx", "kind", "type_comment"})
"""Fields that say nothing of their own: of a name by its place, of a string by its prefix."""
_NODE, _LIST, _VALUE, _END = " node", " list", " value", " end"
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def to_words(nodes: Sequence[ast.AST], *, is_local: bool) -> tuple[Any, ...]:
    """Return strings and constants from which the nodes could be built again.

    Parameters
    ----------
    nodes : sequence of ast.AST
        Statements, or expressions.
    is_local : bool
        Whether they stand in a function, where Python never evaluates what annotates a variable.
    """
    words: list[Any] = []
    pending: list[tuple[Any, bool]] = [(_without_texts(list(nodes)), is_local)]
    while pending:  # Python's own stack is too short for a sum of thousands of terms
        item, local = pending.pop()
        if isinstance(item, _Word):
            words.append(item.text)
        elif isinstance(item, ast.AST):
            inside = isinstance(item, _SCOPES) or (local and not isinstance(item, ast.ClassDef))
            words += (_NODE, "Assign" if _is_plain(item, is_local=local) else type(item).__name__)
            pending.append((_Word(_END), local))
            for name, value in reversed(_fields(item, is_local=local)):
                pending += ((value, inside), (_Word(name), inside))
        elif isinstance(item, list):
            words += (_LIST, len(item))
            pending += ((one, local) for one in reversed(item))
        else:
            words += (_VALUE, item)
    return tuple(words)


class _Word:
    """A word that stands for itself."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


def _fields(node: ast.AST, *, is_local: bool) -> list[tuple[str, Any]]:
    """Return the fields of a node that say something, by name; a version may add empty ones."""
    found: dict[str, Any] = dict(ast.iter_fields(node))
    if isinstance(node, ast.AnnAssign) and is_local:
        del found["annotation"], found["simple"]
        if _is_plain(node, is_local=True):
            found["targets"] = [found.pop("target")]
    if isinstance(node, ast.JoinedStr):
        found["values"] = list(_joined(node.values))
    if isinstance(node, ast.Constant):
        return [("value", node.value)]  # None says something here
    found = {n: _without_texts(v) if isinstance(v, list) else v for n, v in found.items()}
    return [
        (name, value)
        for name, value in sorted(found.items())
        if name not in _SPELLING and value is not None and value != []
    ]


def _is_plain(node: ast.AST, *, is_local: bool) -> bool:
    """Tell whether a node does what an assignment without annotation does."""
    return is_local and isinstance(node, ast.AnnAssign) and node.value is not None


def _without_texts(values: list[Any]) -> list[Any]:
    """Return a list without statements that are only a string: docstrings, for the most part."""
    return [one for one in values if not (isinstance(one, ast.Expr) and _is_text(one.value))]


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _joined(parts: list[ast.expr]) -> Iterator[ast.expr]:
    """Yield the parts of an f-string; versions of Python divide its text in other ways."""
    text = ""
    for part in parts:
        if isinstance(part, ast.Constant):
            text += str(part.value)
            continue
        if text:
            yield ast.Constant(text)
        text = ""
        yield part
    if text:
        yield ast.Constant(text)


def code_words(node: Function) -> tuple[Any, ...]:
    """Return what a function does: without its decorators and the annotations of its parameters.

    Those of functions and classes inside it count: code evaluates them, and may read them.
    """
    plain = copy.copy(node)
    plain.args = copy.copy(node.args)
    for kind in ("posonlyargs", "args", "kwonlyargs"):
        setattr(plain.args, kind, [_bare(one) for one in getattr(node.args, kind)])
    plain.args.vararg, plain.args.kwarg = _bare(node.args.vararg), _bare(node.args.kwarg)
    if not isinstance(plain, ast.Lambda):
        plain.decorator_list, plain.returns = [], None
        vars(plain)["type_params"] = []  # from Python 3.12 on
    return to_words([plain], is_local=True)


def _bare(parameter: ast.arg | None) -> Any:
    return None if parameter is None else ast.arg(parameter.arg)


def only_called(node: Function) -> frozenset[str]:
    """Return the names, such as ``helper`` and ``module.helper``, that code does nothing but call.

    A function that is passed on, stored or looked at may have its annotations read; one that is
    only called cannot.
    """
    called: set[str] = set()
    other: set[str] = set()
    pending: list[ast.AST] = [*_inside(node)]
    while pending:
        one = pending.pop()
        is_call = isinstance(one, ast.Call)
        chain = _chain(one.func if isinstance(one, ast.Call) else one)
        if chain is None:
            pending += ast.iter_child_nodes(one)
            continue
        (called if is_call else other).add(".".join(chain))
        # What is taken of a name is taken of all that stand before it.
        other.update(".".join(chain[:depth]) for depth in range(1, len(chain)))
        if isinstance(one, ast.Call):
            pending += (*one.args, *one.keywords)
    return frozenset(called - other)


def _inside(node: Function) -> list[ast.AST]:
    return [node.body] if isinstance(node, ast.Lambda) else [*node.body]


def _chain(node: ast.AST) -> tuple[str, ...] | None:
    """Return ``("module", "helper")`` for the expression ``module.helper``; None for others."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return (node.id, *reversed(names)) if isinstance(node, ast.Name) else None
