"""The objects that code makes and keeps to itself: by syntax, so that code it cannot see counts.

An object is kept where it is nothing but the receiver of calls and the owner of attributes. What
is passed on, returned, stored or looked at may be read by any library, with its methods.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping

from swarmgrid.user_code.syntax import Function

_FRAMES = frozenset({"locals", "vars", "eval", "exec", "globals", "dir"})
"""Functions that hand on what is local."""


def kept(node: Function) -> Mapping[str, frozenset[str]]:
    """Return the names of what code calls and whose results it keeps, with the attributes read.

    ``box = Box(x); box.fill(y); return box.content`` gives ``{"Box": {"content"}}``.
    """
    code = _Code(node.body if isinstance(node.body, list) else [node.body])
    found = {name: code.reads_of_results(name) for name in code.names} if code.is_plain else {}
    return {name: reads for name, reads in found.items() if reads is not None}


def reads_of_owner(node: Function, *, is_static: bool = False) -> frozenset[str] | None:
    """Return the attributes that a method reads of its object; None where it hands it on."""
    code = _Code(node.body if isinstance(node.body, list) else [node.body])
    if not code.is_plain:
        return None
    if is_static:
        return frozenset()
    parameters = [*node.args.posonlyargs, *node.args.args]
    return code.reads_of(parameters[0].arg) if parameters else None


class _Code:
    """The statements of a function, each node with the one around it."""

    def __init__(self, body: Iterable[ast.AST]) -> None:
        self.around: dict[ast.AST, ast.AST] = {}
        self.names: dict[str, list[ast.Name]] = {}
        shared: set[str] = set()
        pending = [*body]
        while pending:
            node = pending.pop()
            if isinstance(node, ast.Name):
                self.names.setdefault(node.id, []).append(node)
            if isinstance(node, ast.Global | ast.Nonlocal):
                shared.update(node.names)
            children = list(ast.iter_child_nodes(node))
            self.around |= dict.fromkeys(children, node)
            pending += children
        self.shared = shared
        self.is_plain = self.names.keys().isdisjoint(_FRAMES)

    def reads_of_results(self, name: str) -> frozenset[str] | None:
        """Return the attributes read of what a name's calls return; None where that leaves."""
        found: list[frozenset[str] | None] = []
        for node in self.names[name]:
            call = self.around.get(node)
            if not isinstance(call, ast.Call) or call.func is not node:
                return None
            around = self.around.get(call)
            if isinstance(around, ast.Assign) and len(around.targets) == 1:
                found.append(self._reads_of_target(around.targets[0]))
            elif isinstance(around, ast.AnnAssign) and around.value is call:
                found.append(self._reads_of_target(around.target))
            elif not isinstance(around, ast.Expr):
                found.append(self._reads_at(call))
        return _joined(found)

    def _reads_of_target(self, target: ast.expr) -> frozenset[str] | None:
        return self.reads_of(target.id) if isinstance(target, ast.Name) else None

    def reads_of(self, name: str) -> frozenset[str] | None:
        """Return the attributes read of what a name stands for; None where that leaves."""
        if name in self.shared:
            return None
        return _joined(
            self._reads_at(node)
            for node in self.names.get(name, ())
            if not (isinstance(node.ctx, ast.Store) and self._is_assigned(node))
        )

    def _is_assigned(self, node: ast.Name) -> bool:
        return isinstance(self.around.get(node), ast.Assign | ast.AnnAssign)

    def _reads_at(self, node: ast.expr) -> frozenset[str] | None:
        """Return the attribute that is read where an object stands; None where it leaves."""
        attribute = self.around.get(node)
        if not isinstance(attribute, ast.Attribute) or attribute.attr.startswith("__"):
            return None
        call = self.around.get(attribute)
        is_call = isinstance(call, ast.Call) and call.func is attribute
        return frozenset() if is_call else frozenset({attribute.attr})


def _joined(found: Iterable[frozenset[str] | None]) -> frozenset[str] | None:
    """Return all attributes; None if there is a None."""
    joined: set[str] = set()
    for one in found:
        if one is None:
            return None
        joined |= one
    return frozenset(joined)
