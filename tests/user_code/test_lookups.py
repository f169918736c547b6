"""Where code may look up anything, nothing of what it may find is left out of a fingerprint."""

from __future__ import annotations

import itertools
import linecache
import sys
import types
from argparse import Namespace, _AttributeHolder
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from swarmgrid.identity import fingerprint

HEAD = """
import gc, importlib, inspect, sys
from importlib import import_module as loaded
looked_up = eval
def found(text): return eval(text)
def taken(name): return globals()[name]
def above(name): return sys._getframe(1).f_globals[name]
def renamed(text): return looked_up(text)
"""
LOOKUPS = [
    "eval('NA' + 'ME')",
    "looked_up('NA' + 'ME')",
    "globals()['NA' + 'ME']",
    "found('NA' + 'ME')",
    "taken('NA' + 'ME')",
    "above('NAME')",
    "renamed('NA' + 'ME')",
    "sys._getframe().f_globals['NAME']",
    "inspect.currentframe().f_globals['NAME']",
    "inspect.stack()[0].frame.f_globals['NAME']",
    "sys.modules[__name__].NAME",
    "getattr(sys.modules[__name__], 'NAME')",
    "loaded(__name__).NAME",
    "importlib.import_module(__name__).NAME",
    "__import__(__name__).NAME",
    "f.__globals__['NAME']",
    "inspect.getclosurevars(f).globals['NAME']",
]
CELLS = [
    "locals()['args']",
    "vars()['args']",
    "f.__closure__[0].cell_contents",
    "sys._getframe().f_locals['args']",
    "inspect.getclosurevars(f).nonlocals['args']",
]
FUNCTION = "def helper(y: T): return y\ndef f(x):\n    return helper(x), {}\n"
METHOD = """
class Box:
    def fill(self, y: T): self.y = y
def f(x):
    box = Box()
    box.fill(x)
    return box.y, {}
"""
_numbers = itertools.count()


def made(text: str, **values: Any) -> Callable[..., Any]:
    """Return the function ``f`` of a module, whose source Python can find."""
    filename = f"/nowhere/lookups_{next(_numbers)}.py"
    text = HEAD + text
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    module = types.ModuleType("script")
    vars(module).update(values)
    exec(compile(text, filename, "exec", dont_inherit=True), vars(module))
    found: Callable[..., Any] = vars(module)["f"]
    return found


def named(lookup: str, name: str) -> str:
    return lookup.replace("NA", name[:2]).replace("ME", name[2:])


@pytest.mark.parametrize("kind", [Namespace, SimpleNamespace])
@pytest.mark.parametrize("lookup", LOOKUPS)
def test_a_namespace_that_may_be_looked_up_counts_as_a_whole(lookup: str, kind: Any) -> None:
    text = f"def f(x):\n    return args.lr + {named(lookup, 'args')}.mom\n"
    before = fingerprint(made(text, args=kind(lr=1, mom=2)))
    assert fingerprint(made(text, args=kind(lr=1, mom=3))) != before
    assert fingerprint(made(text, args=kind(lr=1, mom=2))) == before


@pytest.mark.parametrize("lookup", CELLS)
def test_one_in_a_closure_that_may_be_looked_up_counts_as_a_whole(lookup: str) -> None:
    inner = f"    def f(x): return args.lr + {lookup}.mom\n"
    text = f"def outer(args):\n{inner}    return f\nf = outer(A)\n"
    before = fingerprint(made(text, A=Namespace(lr=1, mom=2)))
    assert fingerprint(made(text, A=Namespace(lr=1, mom=3))) != before


def test_one_that_a_library_may_find_by_a_text_with_its_name_counts_as_a_whole() -> None:
    text = "def f(x):\n    return args.lr + len(x.where('a > @args.mom'))\n"
    before = fingerprint(made(text, args=Namespace(lr=1, mom=2)))
    assert fingerprint(made(text, args=Namespace(lr=1, mom=3))) != before


@pytest.mark.parametrize("wrapped", ["{}", "def g():\n{}\nf = g()\n"])
def test_a_docstring_does_not_look_anything_up(wrapped: str) -> None:
    lines = ["def f(x):", '    """Of args.mom it reads nothing."""', "    return args.lr"]
    if "g()" in wrapped:
        lines = ["    " + one for one in [*lines, "return f"]]
    text = wrapped.format("\n".join(lines))
    before = fingerprint(made(text, args=Namespace(lr=1, mom=2)))
    assert fingerprint(made(text, args=Namespace(lr=1, mom=3))) == before


@pytest.mark.parametrize("cls", [Namespace, _AttributeHolder])
@pytest.mark.parametrize("name", ["lr", "__getattribute__"])
def test_one_whose_class_was_changed_counts_as_a_whole(
    cls: type, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    exec_names: dict[str, Any] = {"__name__": "__main__"}
    exec(
        "def computed(self, asked='lr'):\n"
        "    own = object.__getattribute__(self, '__dict__')\n"
        "    return own['mom'] if asked == 'lr' else object.__getattribute__(self, asked)\n",
        exec_names,
    )
    computed = exec_names["computed"]
    patch = property(computed) if name == "lr" else computed
    args = Namespace()
    vars(args).update(lr=1, mom=2)
    monkeypatch.setattr(cls, name, patch, raising=False)
    before = fingerprint(made("def f(x):\n    return args.lr\n", args=args))
    vars(args).update(mom=3)
    assert fingerprint(made("def f(x):\n    return args.lr\n", args=args)) != before


@pytest.mark.parametrize("lookup", LOOKUPS)
@pytest.mark.parametrize(("text", "name"), [(FUNCTION, "helper"), (METHOD, "Box")])
def test_annotations_of_what_may_be_looked_up_count(text: str, name: str, lookup: str) -> None:
    there = text.format(named(lookup, name))
    assert fingerprint(made(there, T=int)) != fingerprint(made(there, T=float))
    # Without such code they do not: what this test tells apart is the lookup.
    alone = text.format(0)
    assert fingerprint(made(alone, T=int)) == fingerprint(made(alone, T=float))


def test_annotations_of_the_function_itself_count_where_it_may_look_itself_up() -> None:
    text = "def f(x: T):\n    return sys._getframe().f_globals['f'].__annotations__\n"
    assert fingerprint(made(text, T=int)) != fingerprint(made(text, T=float))


def test_what_is_left_out_by_name_stays_out_when_the_walk_starts_anew() -> None:
    text = "def f(x):\n    return args.lr + found('args').mom + K\n"
    before = fingerprint(made(text, args=Namespace(lr=1, mom=2), K=1), {"K"})
    assert fingerprint(made(text, args=Namespace(lr=1, mom=2), K=2), {"K"}) == before
    assert fingerprint(made(text, args=Namespace(lr=1, mom=3), K=2), {"K"}) != before


RENAMED = {
    "modules": ("from sys import modules as other", "other['{module}'].K"),
    "import_module": ("other = importlib.import_module", "other('{module}').K"),
    "__import__": ("other = __import__", "other('{module}').K"),
    "globals": ("other = globals", "other()['K']"),
    "eval": ("from builtins import eval as other", "other('K + 1')"),
    "a closure": ("", "other('K + 1')"),
}
"""Ways to look a value up by a text, each under a name that does not tell what it does."""


@pytest.mark.parametrize(("head", "lookup"), RENAMED.values(), ids=RENAMED)
def test_what_a_text_names_counts_where_the_lookup_has_another_name(
    head: str, lookup: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"held_{next(_numbers)}"
    (tmp_path / f"{name}.py").write_text("K = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    module = import_module(name)
    monkeypatch.setitem(sys.modules, name, module)  # and it is gone afterwards
    text = f"{head}\ndef f(x): return {lookup.format(module=name)}\n"
    if not head:
        text = f"def outer(other):\n    def f(x): return {lookup}\n    return f\nf = outer(eval)\n"
    func = made(text, K=1)
    before = fingerprint(func)
    assert fingerprint(func) == before
    vars(module)["K"] = func.__globals__["K"] = 2
    assert fingerprint(func) != before
