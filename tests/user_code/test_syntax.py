"""What of a function's source counts: all that its code does, and nothing of how it is written."""

from __future__ import annotations

import argparse
import ast
import copy
import dataclasses
import enum
import functools
import importlib
import inspect
import statistics
import sys
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from swarmgrid.identity import fingerprint
from swarmgrid.user_code.syntax import code_words, only_called, to_words

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

ODD = '''
async def odd(a, /, b: int = -1, *args: "x", c=0x1F, **more) -> None:
    """Doc."""
    global G
    f"{a!r:>{b}}" "tail" f"{c=}"
    "no docstring"
    x: int = 3
    y: int
    a.b: int = 4
    print(u"text", b"bytes", 1_000, 1e3, 2j, ..., None, {**more, 1: 2}, *args)
    class Inner(dict, metaclass=type):
        "Doc."
        field: int = 3
        (other): int = 4
        def m(self, z: float) -> float: return z
    match a:
        case None | {"k": [1, *rest], **kw} if rest: pass
        case Inner(field=1) as i: del i
        case _: raise E from None
    try:
        async with a as b, c: yield
    except* (A, B) as e: x = lambda q, *, r=1: (q, r)
    else:
        "only text"
    finally: G = [await u async for u in v if u if not u]
    while x < 1 < y: break
    return
'''


def functions(text: str) -> list[Function]:
    return [one for one in ast.walk(ast.parse(text)) if isinstance(one, Function)]


CORPUS = functions(ODD) + [
    one
    for module in (argparse, ast, dataclasses, enum, functools, inspect, statistics, typing)
    for one in functions(inspect.getsource(module))
]
nodes = st.sampled_from(CORPUS)


class Plain(ast.NodeTransformer):
    """Strips what is not to count, by the same definition in other words."""

    def __init__(self, root: ast.AST) -> None:
        self.root, self.inside_class = root, False

    def generic_visit(self, node: ast.AST) -> ast.AST:
        for name in ("body", "orelse", "finalbody"):
            found = getattr(node, name, None)
            if isinstance(found, list):
                setattr(node, name, [one for one in found if not is_text(one)])
        outside = self.inside_class
        self.inside_class = isinstance(node, ast.ClassDef) or (
            outside and not isinstance(node, Function)
        )
        super().generic_visit(node)
        self.inside_class = outside
        return node

    def visit_FunctionDef(self, node: ast.AST) -> ast.AST:
        if node is self.root:
            assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            node.decorator_list, node.returns = [], None
            vars(node)["type_params"] = []
            for one in ast.walk(node.args):
                if isinstance(one, ast.arg):
                    one.annotation = None
        return self.generic_visit(node)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 - as ast wants it

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if not self.inside_class:
            if node.value is not None:
                return self.generic_visit(ast.Assign([node.target], node.value))
            node.annotation, node.simple = ast.Constant(0), 1
        return self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.Constant(node.value)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        return ast.parse(ast.unparse(node), mode="eval").body  # joins its texts


def is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and (
        isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    )


def rebuilt(words: Iterator[Any]) -> Any:
    """The nodes that words stand for."""
    kind = next(words)
    if kind == " value":
        return next(words)
    if kind == " list":
        return [rebuilt(words) for _ in range(next(words))]
    assert kind == " node"
    cls = getattr(ast, next(words))
    found: dict[str, Any] = {}
    while (name := next(words)) != " end":
        found[name] = rebuilt(words)
    for name in cls._fields:
        found.setdefault(name, MISSING.get((cls, name)))
        if found[name] is None and name in LISTS:
            found[name] = []
    return cls(**found)


LISTS = {
    *("args", "bases", "body", "cases", "comparators", "decorator_list", "defaults", "elts"),
    *("finalbody", "generators", "handlers", "ifs", "items", "keywords", "keys", "kw_defaults"),
    *("kwd_attrs", "kwd_patterns", "kwonlyargs", "names", "ops", "orelse", "patterns"),
    *("posonlyargs", "targets", "type_params", "values"),
}
MISSING: dict[tuple[type, str], Any] = {
    (ast.AnnAssign, "annotation"): ast.Constant(0),
    (ast.AnnAssign, "simple"): 1,
    (ast.Lambda, "args"): ast.arguments([], [], None, [], [], None, []),
}


def dumped(node: ast.AST) -> str:
    """A tree in full, as it is read back from source: without contexts."""
    text = ast.dump(ast.parse(ast.unparse(ast.fix_missing_locations(node))))
    for context in (", ctx=Load()", ", ctx=Store()", ", ctx=Del()", "ctx=Load()"):
        text = text.replace(context, "")
    return text


@example(CORPUS[0])
@given(nodes)
def test_everything_else_can_be_built_again_from_the_words(node: Function) -> None:
    words = code_words(node)
    (back,) = rebuilt(iter(words))
    plain = copy.deepcopy(node)
    assert dumped(back) == dumped(Plain(plain).visit(plain))


@example(CORPUS[0])
@given(nodes)
def test_how_it_is_written_does_not_count(node: Function) -> None:
    (other,) = functions(ast.unparse(node))[:1] or [None]
    assert other is not None
    assert code_words(other) == code_words(node)


CHANGES: dict[type, Callable[[Any], None]] = {
    ast.Name: lambda node: setattr(node, "id", node.id + "_"),
    ast.Attribute: lambda node: setattr(node, "attr", node.attr + "_"),
    ast.arg: lambda node: setattr(node, "arg", node.arg + "_"),
    ast.keyword: lambda node: setattr(node, "arg", (node.arg or "") + "_"),
    ast.alias: lambda node: setattr(node, "asname", (node.asname or "") + "_"),
    ast.BinOp: lambda node: setattr(node, "op", ast.MatMult()),
    ast.Compare: lambda node: setattr(node, "ops", [*node.ops[:-1], ast.NotIn()]),
    ast.BoolOp: lambda node: node.values.reverse(),
    ast.Call: lambda node: node.args.append(ast.Constant(0)),
    ast.Return: lambda node: setattr(node, "value", None),
    ast.Tuple: lambda node: node.elts.append(ast.Constant(1)),
    ast.If: lambda node: node.orelse.append(ast.Pass()),
}


def change_constant(node: ast.Constant) -> None:
    """To an equal value of another type, where there is one."""
    value: Any = node.value
    if isinstance(value, bool):
        node.value = int(value)
    elif isinstance(value, int):
        node.value = value == 1 if value in {0, 1} else float(value)
    else:
        node.value = value + " " if isinstance(value, str) else 5


CHANGES[ast.Constant] = change_constant


def is_program(node: Function) -> bool:
    try:
        compile(ast.unparse(node), "<changed>", "exec")
    except (SyntaxError, ValueError):
        return False
    return True


@given(nodes, st.data())
def test_any_change_of_what_the_code_does_counts(node: Function, data: st.DataObject) -> None:
    changed = copy.deepcopy(node)
    body = changed.body if isinstance(changed.body, list) else [changed.body]
    inside = [one for part in body for one in ast.walk(part) if type(one) in CHANGES]
    assume(inside)
    one: Any = data.draw(st.sampled_from(inside))
    CHANGES[type(one)](one)
    assume(is_program(changed))  # no name that is assigned to becomes a number
    before, after = code_words(node), code_words(changed)
    same = dumped(Plain(n1 := copy.deepcopy(node)).visit(n1)) == dumped(
        Plain(changed).visit(changed)
    )
    assert (repr(before) == repr(after)) == same


def test_a_sum_of_thousands_of_terms_is_no_recursion() -> None:
    total: ast.expr = ast.Name("x")
    for _ in range(3 * sys.getrecursionlimit()):
        total = ast.BinOp(total, ast.Add(), ast.Name("x"))
    assert len(to_words([total], is_local=True)) > 3 * sys.getrecursionlimit()


CALLED = {
    "def f(): return g(x)": {"g"},
    "def f(): return m.g(x) + h(*a, **k)": {"m.g", "h"},
    "def f(): return g(g)": set(),
    "def f(): return g(x), map(g, y)": {"map"},
    "def f(): return g.__annotations__, g(x)": set(),
    "def f(): return m.g(x), m.g.__wrapped__(x)": {"m.g.__wrapped__"},
    "def f(): return [g(y) for y in z], lambda: h(1)": {"g", "h"},
    "def f(): return g(x)(y).z": {"g"},
    "def f():\n g = h(1)\n return g(2)": {"h"},
    "lambda: g[int](x) or (h)(x)": {"h"},
    "@g\ndef f(x=h()): return g(x)": {"g"},
}


@pytest.mark.parametrize("text", CALLED)
def test_the_names_that_are_only_called(text: str) -> None:
    assert only_called(functions(text)[0]) == CALLED[text]


MODULE = """
{head}
import dataclasses, functools, inspect, operator, typing

Positive = typing.Annotated[float, "{limit}"]

def plain(x: {kind}) -> {kind}:
    return x

def aliased(x: Positive):
    return x

def named(x: "Positive"):
    return x

@functools.singledispatch
def single(x):
    return x

@single.register
def _(x: {kind}):
    return 2 * x

@dataclasses.dataclass
class Box:
    content: {kind} = 1

def checked(func):
    @functools.wraps(func)
    def wrapper(x):
        return func(x)
    return wrapper

decorated = checked(plain)

class Service:
    def run(self, x: {kind}):
        return x

SERVICE = Service()

def f(x):
    return {use}
"""
NOT_READ = ["plain(x)", "[plain(y) for y in x]", "(lambda: plain(x))()", "aliased(x)"]
READ = [
    "plain.__annotations__['x'](x)",
    "typing.get_type_hints(plain)['x'](x)",
    "inspect.signature(plain).parameters",
    "list(map(plain, x))",
    "functools.partial(plain, x)()",
    "{'a': plain}['a'](x)",
    "operator.call(plain, x)",
    "decorated(x)",
    "single(x)",
    "Box(x)",
    "SERVICE.run(x)",
    "Service.run(None, x)",
    "getattr(plain, '__anno' + 'tations__')",
    "(plain or x)(x)",
]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ModuleType]]:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def make(use: str, kind: str = "int", limit: str = "a", head: str = "") -> ModuleType:
        text = MODULE.format(use=use, kind=kind, limit=limit, head=head)
        (tmp_path / "noted.py").write_text(text)
        sys.modules.pop("noted", None)
        importlib.invalidate_caches()
        return importlib.import_module("noted")

    yield make
    sys.modules.pop("noted", None)


HEADS = ["", "from __future__ import annotations"]


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("use", NOT_READ)
def test_annotations_of_what_is_only_called_do_not_count(
    made: Callable[..., ModuleType], use: str, head: str
) -> None:
    before = fingerprint(made(use, head=head).f)
    assert fingerprint(made(use, kind="str", limit="b", head=head).f) == before


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("use", READ)
def test_annotations_that_may_be_read_count(
    made: Callable[..., ModuleType], use: str, head: str
) -> None:
    before = fingerprint(made(use, head=head).f)
    assert fingerprint(made(use, kind="str", head=head).f) != before
    assert fingerprint(made(use, head=head).f) == before


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("use", ["typing.get_type_hints(aliased)", "list(map(named, x))"])
def test_what_an_annotation_names_counts_with_it(
    made: Callable[..., ModuleType], use: str, head: str
) -> None:
    before = fingerprint(made(use, head=head).f)
    assert fingerprint(made(use, limit="b", head=head).f) != before


def test_annotations_of_the_function_itself_do_not_count_and_of_a_param_do(
    made: Callable[..., ModuleType],
) -> None:
    from swarmgrid.identity import digest

    one = made("x")
    same, param = fingerprint(one.plain), digest(one.plain)
    other = made("x", kind="str")
    assert fingerprint(other.plain) == same
    assert fingerprint(functools.partial(other.plain, x=1)) != fingerprint(
        functools.partial(one.plain, x=1)
    )
    assert digest(other.plain) != param


CLASSES = """
{head}
import copy, dataclasses, functools, inspect, typing

@dataclasses.dataclass
class Box:
    content: float = 1.0

    def fill(self, more: {kind}) -> {kind}:
        self.content += more
        return self.content

    @property
    def size(self) -> {kind}:
        return self.content * 2

    @staticmethod
    def unit(x: {kind}) -> {kind}:
        return x

class Leaving(Box):
    pass

class Loop:
    def run(self, x: {kind}):
        return {leave}

    def other(self):
        return 1

def wrapped(func):
    @functools.wraps(func)
    def wrapper(*args):
        return func(*args)
    return wrapper

class Wrapped:
    @wrapped
    def run(self, x: {kind}):
        return x

def f(x):
    {body}
"""
KEPT = [
    "return Box().fill(x)",
    "box = Box(); box.fill(x); return box.size + box.content",
    "box = Box()\n    def inner(y): return box.fill(y)\n    return [inner(y) for y in x]",
    "Box(); box = Box(x); box.content = 3; return box.unit(x)",
]
LEFT = [
    "return Box()",
    "return str(Box())",
    "box = Box(); return copy.copy(box).content",
    "box = Box(); return [box][0].fill(x)",
    "box = Box(); run = box.fill; return run(x)",
    "return inspect.signature(Box.fill)",
    "return typing.get_type_hints(Box().fill)",
    "box = Box(); return box.__class__.fill.__annotations__['more'](x)",
    "box = other = Box(); return other.fill(x)",
    "box: Box = Box(); return box.fill(x)",
    "box = Box(); return locals()['box'].fill(x)",
    "global kept; kept = Box(); return kept.fill(x)",
    "box = Box(); return (lambda: box)().fill(x)",
    "return Leaving().fill(x)",
    "return Wrapped().run(x)",
    "for box in [Box()]: box.fill(x)",
]


@pytest.fixture
def with_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def make(body: str, kind: str = "int", leave: str = "x", head: str = "") -> str:
        text = CLASSES.format(body=body, kind=kind, leave=leave, head=head)
        (tmp_path / "classy.py").write_text(text)
        sys.modules.pop("classy", None)
        importlib.invalidate_caches()
        try:
            return fingerprint(importlib.import_module("classy").f)
        finally:
            sys.modules.pop("classy", None)

    return make


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("body", KEPT)
def test_annotations_of_methods_do_not_count_where_the_object_is_kept(
    with_classes: Callable[..., str], body: str, head: str
) -> None:
    assert with_classes(body, kind="str", head=head) == with_classes(body, head=head)


@pytest.mark.parametrize("body", LEFT)
def test_annotations_of_methods_count_where_the_object_may_leave(
    with_classes: Callable[..., str], body: str
) -> None:
    assert with_classes(body, kind="str") != with_classes(body)


@pytest.mark.parametrize(
    "leave",
    ["self", "self.other", "str(self)", "super()", "self.__class__", "vars()['self']", "[self]"],
)
def test_an_object_leaves_through_its_own_methods(
    with_classes: Callable[..., str], leave: str
) -> None:
    body = "return Loop().run(x)"
    assert with_classes(body, "str", leave) != with_classes(body, "int", leave)
    for kept in ("x", "self.other()", "self.content"):
        assert with_classes(body, "str", kept) == with_classes(body, "int", kept)


def test_the_code_of_a_kept_object_counts(with_classes: Callable[..., str]) -> None:
    body = "return Loop().run(x)"
    assert with_classes(body, leave="x") != with_classes(body, leave="x + 1")
