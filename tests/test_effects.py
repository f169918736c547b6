"""A function with an effect is named by a verb: no predicate or participle changes anything."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import swarmgrid

PACKAGE = Path(swarmgrid.__file__).parent
VERBS = "add|check|count|drop|get|keep|look|mark|note|put|read|write"
NO_VERB = re.compile(rf"_*+((is|has|may|can|are)_\w+|(?!({VERBS})_)\w*(ed|made|kept|found))")
WRITES = {
    *("put", "create", "delete", "unlink", "rename", "mkdir", "write", "write_bytes"),
    *("begin_writing", "end_writing", "fence_others", "start", "release"),
}
CHANGES = {
    *("append", "appendleft", "extend", "add", "update", "setdefault", "put"),
    *("pop", "popleft", "remove", "discard", "clear"),
}
ALLOWED = {
    "policies/queue.py:is_empty": "it looks one part ahead, which `get` returns first",
    "records/manifest.py:is_whole": "it keeps its answers",
    "store/directory.py:_staged": "a context manager, which removes its file",
}
"""Functions that are right as they are, and why."""


def effects(function: ast.FunctionDef) -> set[str]:
    """The assignments to members of ``self``, and the calls that write or change such a member."""
    found = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store):
            if ast.unparse(node).startswith("self."):
                found.add(ast.unparse(node))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            is_own = ast.unparse(node.func.value).startswith("self.")
            if node.func.attr in WRITES or (is_own and node.func.attr in CHANGES):
                found.add(ast.unparse(node.func))
    return found


def test_what_has_an_effect_is_named_by_a_verb() -> None:
    found = {}
    n_pure = 0
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and NO_VERB.fullmatch(node.name):
                place = f"{path.relative_to(PACKAGE).as_posix()}:{node.name}"
                n_pure += 1
                if place not in ALLOWED and (done := effects(node)):
                    found[place] = done
    assert found == {}
    assert n_pure > 200


def test_every_allowed_one_is_still_there_and_needs_it() -> None:
    for place in ALLOWED:
        path, _, name = place.partition(":")
        tree = ast.parse((PACKAGE / path).read_text())
        (function,) = (
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef) and node.name == name
        )
        assert effects(function), place
