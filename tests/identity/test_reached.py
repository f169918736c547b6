"""Whatever a function can reach counts: found by programs with a value at many places."""

from __future__ import annotations

import argparse
import functools
import importlib
import logging
import subprocess
import sys
import threading
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import swarmgrid
from swarmgrid.errors import IdentityError, InputError
from swarmgrid.identity import digest, explained, fingerprint

# ruff: noqa: E501 - a program is a line

PLACES = {
    "a global": "X = {}\ndef f(x): return X",
    "an underscored global": "__X = {}\ndef f(x): return __X",
    "a namespace": "import argparse\nX = argparse.Namespace(lr={})\ndef f(x): return X.lr",
    "nested in dicts": "X = {{'a': [{{'b': ({},)}}]}}\ndef f(x): return X",
    "a closure": "def make(k):\n def f(x): return k\n return f\nf = make({})",
    "a default": "def f(x, k={}): return k",
    "an attribute of the function": "def f(x): return f.k\nf.k = {}",
    "an attribute of a helper": "def g(): return g.k\ng.k = {}\ndef f(x): return g()",
    "a class attribute": "class A:\n k = {}\ndef f(x): return A.k",
    "an inherited attribute": "class A:\n k = {}\nclass B(A): pass\ndef f(x): return B().k",
    "a metaclass": "class M(type):\n k = {}\nclass A(metaclass=M): pass\ndef f(x): return A.k",
    "a nested class": "class A:\n class B:\n  k = {}\ndef f(x): return A.B.k",
    "an instance": "class A: pass\na = A()\na.k = {}\ndef f(x): return a.k",
    "slots": "class A: __slots__ = ('k',)\na = A()\na.k = {}\ndef f(x): return a.k",
    "a dict with class": "class D(dict): pass\nd = D(a={})\ndef f(x): return d['a']",
    "a dataclass's method": (
        "import dataclasses\n@dataclasses.dataclass\nclass A:\n a: int = 1\n"
        " def m(self): return {}\na = A()\ndef f(x): return a.m()"
    ),
    "a named tuple's method": (
        "import typing\nclass A(typing.NamedTuple):\n a: int = 1\n"
        " def m(self): return {}\na = A()\ndef f(x): return a.m()"
    ),
    "an enum's method": (
        "import enum\nclass E(enum.Enum):\n A = 1\n def _m(self): return {}\n"
        "e = E.A\ndef f(x): return e._m()"
    ),
    "an enum's value": "import enum\nclass E(enum.Enum):\n A = ({},)\ndef f(x): return E.A",
    "an enum's attribute": "import enum\nclass E(enum.Enum):\n A = 1\nE.A._k_ = {}\ndef f(x): return E.A._k_",
    "an enum's number": "import enum\nK = {}\nclass E(str, enum.Enum):\n A = 'a'\n def __new__(cls, v):\n  m = str.__new__(cls, K)\n  m._value_ = v\n  return m\ndef f(x): return E.A",
    "a partial": "import functools\ndef g(k, x): return k\nf = functools.partial(g, {})",
    "a partial method": (
        "import functools\nclass A:\n def g(self, k): return k\n"
        " m = functools.partialmethod(g, {})\ndef f(x): return A().m()"
    ),
    "single dispatch": (
        "import functools\n@functools.singledispatch\ndef g(x): return 0\n"
        "@g.register\ndef _(x: int): return {}\ndef f(x): return g(x)"
    ),
    "a cached helper": "import functools\n@functools.cache\ndef g(): return {}\ndef f(x): return g()",
    "a wrapper of numpy": "import numpy\ndef g(x): return {}\nh = numpy.vectorize(g)\ndef f(x): return h(x)",
    "a ufunc": "import numpy\nh = numpy.frompyfunc(lambda x: {}, 1, 1)\ndef f(x): return h(x)",
    "a property": "class A:\n @property\n def k(self): return {}\ndef f(x): return A().k",
    "a class method": "class A:\n @classmethod\n def k(cls): return {}\ndef f(x): return A.k()",
    "super": "class A:\n def k(self): return {}\nclass B(A):\n def k(self): return super().k()\ndef f(x): return B().k()",
    "a generator": "def g():\n yield {}\ndef f(x): return list(g())",
    "a context variable": "import contextvars\nV = contextvars.ContextVar('V', default=0)\nV.set({})\ndef f(x): return V.get()",
    "a random state": "import random\nR = random.Random(repr({}))\ndef f(x): return R.random()",
    "a set": "X = {{('a', {}), ('b', 2)}}\ndef f(x): return X",
    "a circle": "class A: pass\na, b = A(), A()\na.o, b.o = b, a\nb.k = {}\ndef f(x): return a.o.k",
    "a bound method": "class A:\n def m(self, x): return self.k\na = A()\na.k = {}\nf = a.m",
    "an attribute of a partial": "import functools\ndef g(x): return f.k\nf = functools.partial(g)\nf.k = {}",
    "a context's default": "import contextvars\nV = contextvars.ContextVar('V', default={})\ndef f(x): return V.get()",
    "a class's annotation": "import typing\nclass A:\n a: typing.Literal[{}]\ndef f(x): return A.__annotations__",
    "an order of attributes": "class A: __match_args__ = (repr({}),)\ndef f(x):\n match x:\n  case A(k): return k",
    "a registered subclass": "import abc\nclass A(abc.ABC): pass\nK = type(repr({}), (), {{}})\nA.register(K)\ndef f(x): return isinstance(x, A)",
    "a field's notes": "import dataclasses as d\n@d.dataclass\nclass A:\n a: int = d.field(default=1, metadata={{'k': {}}})\ndef f(x): return d.fields(A)",
    "a class made by types": "import types\nA = types.new_class('A', (), {{}}, lambda space: space.update(k={}))\ndef f(x): return A.k",
    "a time zone": "import datetime as d\nclass Z(d.tzinfo):\n k = {}\n def utcoffset(self, t): return None\n def tzname(self, t): return None\nT = d.datetime(2020, 1, 1, tzinfo=Z())\ndef f(x): return T.tzinfo.k",
    "a logger's method": "import logging\nclass L(logging.Logger):\n def k(self): return {}\nl = L('l')\ndef f(x): return l.k()",
    "a method beside a token": "class A:\n def __swarmgrid_token__(self): return 1\n def k(self): return {}\na = A()\ndef f(x): return a.k()",
    "what a mask shows": "import numpy\nX = numpy.ma.array([''], 'U99', mask=[True], fill_value=repr({}))\ndef f(x): return X.filled()",
    "a ufunc's identity": "import numpy\nh = numpy.frompyfunc(lambda a, b: a, 2, 1, identity={})\ndef f(x): return h.reduce([])",
    "a dtype's notes": "import numpy\nX = numpy.dtype('f8', metadata={{'k': {}}})\ndef f(x): return X.metadata",
    "a model of pydantic's kind": "import types\nclass A:\n __pydantic_fields__ = {{'k': {}}}\ndef f(x): return A",
    "what an object leaves out of its pickle": "class A:\n def __getstate__(self): return {{}}\na = A()\na.k = {}\ndef f(x): return a.k",
    "what it makes itself from": "class A:\n def __reduce__(self): return A, ()\na = A()\na.k = {}\ndef f(x): return a.k",
    "what a table of pickle leaves out": "import copyreg\nclass A: pass\ncopyreg.pickle(A, lambda a: (A, ()))\na = A()\na.k = {}\ndef f(x): return a.k",
    "slots left out": "class A:\n __slots__ = ('k',)\n def __getstate__(self): return None\na = A()\na.k = {}\ndef f(x): return a.k",
    "items left out": "class D(dict):\n def __reduce__(self): return D, ()\n def keys(self): return []\n def __iter__(self): return iter([])\nd = D(k={})\ndef f(x): return d['k']",
    "left out beside a library's state": "import argparse\nclass A(argparse.Namespace):\n def __getstate__(self): return {{}}\na = A(k={})\ndef f(x): return a.k",
    "a subclass that is found": "class B: pass\nclass A(B):\n k = {}\ndef f(x): return [c.k for c in B.__subclasses__()]",
    "a subclass's subclass": "class B: pass\nclass A(B): pass\nclass C(A):\n k = {}\ndef f(x): return B.__subclasses__()[0].__subclasses__()",
    "a docstring that is read": "def g(): pass\ng.__doc__ = repr({})\ndef f(x): return g.__doc__",
    "the module's docstring": "__doc__ = {}\ndef f(x): return __doc__",
    "a global by its text": "K = {}\ndef f(x): return globals()['K']",
    "a name in a text": "K = {}\ndef f(x): return eval('x and K')",
    "a bound of a type": "import typing\nT = typing.TypeVar('T', bound=typing.Literal[{}])\ndef f(x): return T",
    "a new type": "import typing\nT = typing.NewType('T', typing.Literal[{}])\ndef f(x): return T",
    "a property of a kind": "class P(property):\n k = {}\nclass A:\n @P\n def m(self): return type(A.m).k\ndef f(x): return A().m",
    "a handler that a library calls": "import importlib.resources as r\nimport functools\ng = functools.singledispatch(abs)\n@g.register\ndef _(x: int): return {}\ndef f(x): return g(x)",
    "a module that an object replaced": "import sys\nclass M:\n k = {}\nm = sys.modules['program'] = M()\ndef f(x): return m.k",
    "a module's names": "import types\nm = types.ModuleType('m')\nm.k = {}\ndef f(x): return m.__dict__['k']",
    "a module as a value": "import types\nm = types.ModuleType('m')\nm.k = {}\ndef f(x): return [m][0].k",
}
VALUES = st.one_of(
    st.integers(-99, 99), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=3)
)


def program(place: str, value: Any) -> Callable[..., Any]:
    """The function of a program that has a value at a place."""
    names: dict[str, Any] = {"__name__": "program"}
    module = types.ModuleType("program")
    sys.modules["program"] = module
    names = vars(module)
    try:
        exec(PLACES[place].format(repr(value)), names)
        found: Callable[..., Any] = names["f"]
        return found
    finally:
        del sys.modules["program"]


@given(st.sampled_from(sorted(PLACES)), VALUES, VALUES)
def test_a_value_counts_wherever_a_function_can_reach_it(place: str, one: Any, other: Any) -> None:
    is_same = repr(one) == repr(other)
    assert (fingerprint(program(place, one)) == fingerprint(program(place, other))) == is_same


@pytest.mark.parametrize("place", PLACES)
def test_every_place_counts(place: str) -> None:
    assert fingerprint(program(place, 1)) == fingerprint(program(place, 1))
    assert fingerprint(program(place, 1)) != fingerprint(program(place, 2))


PROGRAM = """
from tests.identity.test_reached import PLACES, fingerprint, program
print([fingerprint(program(place, 1)) for place in PLACES])
"""


@pytest.mark.long
def test_another_process_finds_the_same() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str([fingerprint(program(place, 1)) for place in PLACES])


IMPORTS = {
    "from pk import helper\n return helper()": "pk/__init__.py",
    "from pk import sub\n return sub.g()": "pk/sub.py",
    "import pk.sub\n return pk.sub.g()": "pk/sub.py",
    "import pk.sub as s\n return s.g()": "pk/sub.py",
    "import pk\n return pk.helper()": "pk/__init__.py",
    "import pk as p\n return [p][0].helper()": "pk/__init__.py",
    "from pk.sub import g as h\n return [h() for _ in [1]]": "pk/sub.py",
    "if x:\n  import pk as m\n else:\n  import pk.sub as m\n return m.helper()": "pk/__init__.py",
    "if x:\n  from pk import helper as h\n else:\n  from pk.sub import g as h\n return h()": "pk/sub.py",
    "import importlib\n return importlib.import_module('pk.sub').g()": "pk/sub.py",
    "import sys\n return sys.modules['pk.sub'].g()": "pk/sub.py",
}


@pytest.mark.parametrize("body", IMPORTS)
def test_what_a_function_imports_itself_counts_however_it_does(
    body: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "pk").mkdir()
    found = []
    for value in (1, 2, 1):
        for name, func in (("pk/__init__.py", "helper"), ("pk/sub.py", "g")):
            shown = value if name == IMPORTS[body] else 0
            (tmp_path / name).write_text(f"def {func}():\n return {shown}\n")
        for name in ("pk", "pk.sub"):
            sys.modules.pop(name, None)
        names: dict[str, Any] = {"__name__": "user"}
        exec(f"def f(x):\n {body}", names)
        found.append(fingerprint(names["f"]))
    for name in ("pk", "pk.sub"):
        sys.modules.pop(name, None)
    assert found[0] == found[2] != found[1]


ARGS = argparse.Namespace(lr=0.1, seen=(n for n in "ab"))


def trained(x: float) -> float:
    return float(x * vars(ARGS)["lr"])


def test_the_error_names_the_path_and_the_ways_out() -> None:
    with pytest.raises(IdentityError, match=r"^global 'ARGS' of trained\.seen cannot") as caught:
        fingerprint(trained)
    for way in ("a param", "__swarmgrid_token__", "ignore={'ARGS'}", "version="):
        assert way in str(caught.value)


def test_what_is_ignored_does_not_count() -> None:
    for name in ("ARGS", f"{__name__}:ARGS", "seen"):
        before = fingerprint(trained, {name})
        ARGS.lr += 1
        assert (fingerprint(trained, {name}) == before) == (name != "seen")
    with pytest.raises(InputError, match=r"ignore names 'ARG', .* did you mean 'ARGS'"):
        fingerprint(trained, {"ARGS", "ARG"})


def test_the_parts_say_what_counts() -> None:
    f = program("a namespace", 1)
    parts = {part.path: part for part in explained(f).parts}
    assert {path: part.kind for path, part in parts.items()} == {
        "code of f": "code",
        "global 'X' of f": "Namespace",
    }
    assert (
        parts["global 'X' of f"]
        != {part.path: part for part in explained(program("a namespace", 2)).parts}[
            "global 'X' of f"
        ]
    )


def test_a_plan_explains_itself() -> None:
    options: Any = {"func": program("a global", 1), "store": "memory://explained"}
    plan = swarmgrid.plan({}, {"x": [1]}, explain=True, **options)
    assert [part.path for part in plan.parts or ()] == ["code of f", "global 'X' of f"]
    assert "global 'X' of f  int" in str(plan)
    assert swarmgrid.plan({}, {"x": [1]}, **options).parts is None


def test_a_function_that_changes_what_counts_is_told_once() -> None:
    names: dict[str, Any] = {"__name__": "user"}
    exec("CACHE = {}\ndef f(x):\n CACHE[x] = x\n return x", names)
    options: Any = {"func": names["f"], "store": "memory://changed", "executor": "sync"}
    with pytest.warns(RuntimeWarning, match=r"changed global 'CACHE' of f.*ignore="):
        swarmgrid.compute({}, {"x": [1]}, **options)
    with warnings.catch_warnings(action="error"):
        names["CACHE"].clear()
        assert swarmgrid.run({}, {"x": [1]}, **options)[1].points_computed == 0
        for n_new in (1, 0):
            done = swarmgrid.run({}, {"x": [3]}, ignore={"CACHE"}, **options)[1]
            assert done.points_computed == n_new


@pytest.mark.parametrize(("text", "place"), [("n=[]", "default 'n'"), ("", "what it holds")])
def test_a_versioned_function_that_changes_what_counts_is_told_of(text: str, place: str) -> None:
    names: dict[str, Any] = {"__name__": "user"}
    body = f"def f(x, {text}):\n  ({'n' if text else 'seen'}).append(x)\n  return x"
    exec(f"def made(seen):\n {body}\n return f\nf = made([])", names)
    options: dict[str, Any] = {"store": f"memory://{place}", "executor": "sync", "version": "1"}
    with pytest.warns(RuntimeWarning, match=f"changed {place}.*the next call makes a new grid"):
        swarmgrid.compute({}, {"x": [1]}, func=names["f"], **options)


APART = {  # what the examples above have no room for: two programs of which the second is an edit
    "a borrowed method of an enum": "import enum\nclass E(str, enum.Enum):\n A = 'a'\n __str__ = {}.__str__\ndef f(x): return str(E.A)",
    "a borrowed method of a dataclass": "import dataclasses\n@dataclasses.dataclass\nclass A:\n a: int = 1\nA.__eq__ = {}.__eq__\ndef f(x): return A() == A()",
    "what a view shows": "X = memoryview(b'abcd').cast({}.__name__[0].replace('o', 'h').replace('s', 'i'))\ndef f(x): return X[0]",
    "a fold": "import datetime\nX = datetime.datetime(2020, 1, 1, fold={} is str)\ndef f(x): return X.fold",
    "a C function's result": "import ctypes\ng = ctypes.CDLL(None).abs\ng.restype = ctypes.py_object if {} is str else ctypes.c_int\ndef f(x): return g(x)",
    "the order of an enum's members": "import enum\nclass E(enum.Enum):\n if {} is str: A = 1; B = 2\n else: B = 2; A = 1\ndef f(x): return list(E)",
    "an enum's boundary": "import enum\nclass E(enum.Flag, boundary=enum.KEEP if {} is str else enum.CONFORM):\n A = 1\ndef f(x): return E(9)",
    "a dataclass's init": "import dataclasses\n@dataclasses.dataclass(init={} is str)\nclass A:\n a: int = 1\ndef f(x): return A(2)",
    "a dataclass's repr": "import dataclasses\n@dataclasses.dataclass(repr={} is str)\nclass A:\n a: int = 1\ndef f(x): return repr(A())",
    "the order of attributes of an object": "import argparse\nX = argparse.Namespace(**(dict(a=1, b=2) if {} is str else dict(b=2, a=1)))\ndef f(x): return list(vars(X))",
    "the order of keyword arguments": "import functools\ndef g(x, **k): return list(k)\nh = functools.partial(g, **(dict(a=1, b=2) if {} is str else dict(b=2, a=1)))\ndef f(x): return h(x)",
    "the order of a class's values": "class A:\n if {} is str: a = 1; b = 2\n else: b = 2; a = 1\ndef f(x): return [n for n in vars(A) if n in 'ab']",
    "a struct's format": "import struct\nX = struct.Struct({}.__name__[0].replace('o', 'h'))\ndef f(x): return X.size",
}


@pytest.mark.parametrize("text", APART.values(), ids=APART)
def test_what_is_no_value_counts_too(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for kind in ("str", "object", "str"):
        module = types.ModuleType("program")
        monkeypatch.setitem(sys.modules, "program", module)
        exec(text.replace("{}", kind), vars(module))
        found.append(fingerprint(module.f))
    assert found[0] == found[2] != found[1]


SAME = {  # two programs of which the second is no edit
    "the order of methods": (
        "class A:\n def m(self): return 1\n def n(self): return 2\ndef f(x): return A().m()",
        "class A:\n def n(self): return 2\n def m(self): return 1\ndef f(x): return A().m()",
    ),
    "an object that was pickled": (
        "class A: pass\na = A()\ndef f(x): return a, A",
        "import pickle, copyreg\nclass A: pass\na = A()\na.__reduce_ex__(4)\ncopyreg.__reduce_ex__\ndef f(x): return a, A",
    ),
    "a docstring": (
        "def g():\n 'a'\ndef f(x): return g()",
        "def g():\n 'b'\ndef f(x): return g()",
    ),
    "the order of definitions": (
        "A = 1\nB = 2\ndef f(x): return A, B",
        "B = 2\nA = 1\ndef f(x): return A, B",
    ),
}


@pytest.mark.parametrize("texts", SAME.values(), ids=SAME)
def test_what_is_no_edit_keeps_the_fingerprint(
    texts: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "program", types.ModuleType("program"))
    found = set()
    for text in texts:
        names: dict[str, Any] = {"__name__": "program"}
        exec(text, names)
        found |= {fingerprint(names["f"]), fingerprint(names["f"])}
    assert len(found) == 1


NUMBERS = st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False))


@given(st.sampled_from(["json.k", "json.decoder.k", "json.JSONEncoder.k", "k"]), NUMBERS, NUMBERS)
def test_a_number_that_code_names_in_a_library_counts(name: str, one: Any, other: Any) -> None:
    *path, last = ["builtins", *name.split(".")] if name == "k" else name.split(".")
    holder = functools.reduce(getattr, path[1:], importlib.import_module(path[0]))
    names: dict[str, Any] = {"__name__": "user"}
    exec(f"import json\ndef f(x): return {name}", names)
    found = [fingerprint(names["f"])]
    try:
        for value in (one, other):
            setattr(holder, last, value)
            found.append(fingerprint(names["f"]))
    finally:
        delattr(holder, last)
    assert found[0] not in found[1:]
    assert (found[1] == found[2]) == (repr(one) == repr(other))


SETTINGS = {  # what a function uses of a library without naming it
    "a text": "json.JSONEncoder.item_separator = '; '",
    "a default": "json.dumps.__kwdefaults__['indent'] = 1",
    "how numpy divides": "numpy.seterr(divide='raise')",
    "how many digits": "decimal.getcontext().prec = 5",
    "a seed": "random.seed(1)",
    "a limit": "sys.setrecursionlimit(sys.getrecursionlimit() + 1)",
    "a variable of the environment": "os.environ['SWARMGRID_TEST'] = '1'",
}


@pytest.mark.parametrize("change", SETTINGS.values(), ids=SETTINGS)
def test_settings_of_libraries_do_not_count(change: str) -> None:
    """README's limits say so: which of them a function uses cannot be seen."""
    modules = "decimal, json, numpy, os, random, sys"
    undo = {
        "json.JSONEncoder.item_separator": "json.JSONEncoder.item_separator = ', '",
        "json.dumps": "json.dumps.__kwdefaults__['indent'] = None",
        "numpy": "numpy.seterr(divide='warn')",
        "decimal": "decimal.getcontext().prec = 28",
        "sys": "sys.setrecursionlimit(sys.getrecursionlimit() - 1)",
        "os": "del os.environ['SWARMGRID_TEST']",
    }
    names: dict[str, Any] = {"__name__": "user"}
    exec(f"import {modules}\ndef f(x): return {modules}, json.dumps, json.JSONEncoder", names)
    before = fingerprint(names["f"])
    exec(change, names)
    try:
        assert fingerprint(names["f"]) == before
    finally:
        exec(next((text for start, text in undo.items() if change.startswith(start)), ""), names)


def test_what_a_shell_shows_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("program")
    monkeypatch.setitem(sys.modules, "program", module)
    text = "def f(x): return [x for _ in range(2)], (lambda _: x)(0)\ndef shown(): return 1"
    exec(text, vars(module))
    before = fingerprint(module.f)
    monkeypatch.setattr("builtins._", module.shown, raising=False)
    assert fingerprint(module.f) == before


def test_objects_of_swarmgrid_go_by_name_even_in_its_own_docstrings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from swarmgrid.memoized import running

    block = swarmgrid.memoize(swarmgrid.State(), "memory://docstring")
    before = digest(block, home="swarmgrid")
    monkeypatch.setattr(running, "_running", {1: {block: (1, 2)}})
    assert digest(block, home="swarmgrid") == before


PATCHED = {
    "json.patched": "import json\ndef f(x): return json.patched()",
    "json.decoder.patched": "import json.decoder as d\ndef f(x): return d.patched()",
    "json.JSONDecoder.patched": "import json\ndef f(x): return json.JSONDecoder.patched()",
    "json.JSONEncoder.patched ": "import json\nD = json.JSONEncoder()\ndef f(x): return D.patched",
    "builtins.patched": "def f(x): return patched()",
}


@pytest.mark.parametrize("target", PATCHED)
def test_what_the_user_sets_into_a_library_counts(
    target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = types.ModuleType("program")
    monkeypatch.setitem(sys.modules, "program", module)
    exec(PATCHED[target], vars(module))
    found = [fingerprint(module.f)]
    for value in (1, 2, 1):
        monkeypatch.setattr(
            target.strip(), eval(f"lambda *_: {value}", vars(module)), raising=False
        )
        found.append(fingerprint(module.f))
    assert len({*found}) == 3
    assert found[1] == found[3]


def test_what_the_user_registers_with_a_librarys_class_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = []
    for value in (1, 2, 1):
        module = types.ModuleType("program")
        monkeypatch.setitem(sys.modules, "program", module)
        text = "class A:\n def __init__(self, of): self.k = {}\ndef f(x): return x.program"
        exec(text.format(value), vars(module))
        xr.register_dataarray_accessor("program")(module.A)
        found.append(fingerprint(module.f))
        monkeypatch.delattr(xr.DataArray, "program")
    assert found[0] == found[2] != found[1]


def test_what_a_function_imports_into_a_global_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    found = []
    for value in (1, 2, 1):
        (tmp_path / "late.py").write_text(f"def g(): return {value}\n")
        names: dict[str, Any] = {"__name__": "user"}
        exec("def load():\n global m\n import late as m\ndef f(x):\n load()\n return m.g()", names)
        found.append(fingerprint(names["f"]))
        del sys.modules["late"]
    assert found[0] == found[2] != found[1]


@pytest.mark.parametrize("name", ["_id", "other"])
def test_a_note_of_an_address_is_no_content(name: str) -> None:
    seen = argparse.Namespace()
    namespace = argparse.Namespace(seen=None, **{name: id(None)})
    number = argparse.Namespace(seen=None, **{name: 1})
    found = argparse.Namespace(seen=seen, **{name: id(seen)})
    assert digest(namespace) != digest(number)
    assert digest(found) != digest(namespace)


INERT = {
    "a lock": threading.Lock,
    "an event": threading.Event,
    "a thread's own": threading.local,
    "a logger": lambda: logging.getLogger("a"),
    "a handler": logging.NullHandler,
    "a stream": lambda: sys.stdout,
}
WAYS: dict[str, Callable[[Any], Any]] = {
    "itself": lambda one: one,
    "a list": lambda one: [1, [one]],
    "a key": lambda one: {one: 1},
    "a set": lambda one: {one},
    "an attribute": lambda one: argparse.Namespace(a=one),
    "an argument of a partial": lambda one: functools.partial(trained, one),
    "a bound method": lambda one: types.MethodType(trained, argparse.Namespace(a=one)),
    "beside a function that reaches it": lambda one: [lambda: one, one],
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", INERT)
def test_what_is_inert_in_a_function_is_no_value(kind: str, way: str) -> None:
    """Two params that are locks would be one grid."""
    value = INERT[kind]()
    ARGS.seen, seen = None, ARGS.seen
    try:
        with pytest.raises(IdentityError, match="has no content by which two could be told"):
            digest(WAYS[way](value))
        assert digest(lambda: value)  # a function as a value reaches what it likes
        assert digest(type("A", (), {"a": value}))
        assert digest(value, is_reach=True)
    finally:
        ARGS.seen = seen


VERSIONED = {
    "a protocol": "import typing\nclass P(typing.Protocol):\n def m(self): ...\nclass A(P):\n def m(self): return 7\ndef f(x): return A().m(), P\n",
    "an abstract class": "import abc\nclass P(abc.ABC):\n @abc.abstractmethod\n def m(self): ...\ndef f(x): return P\n",
    "flags": "import enum\nclass F(enum.Flag):\n A = 1\n B = 2\nX = F.A | F.B\ndef f(x): return X\n",
    "enums": "import enum\nclass F(enum.IntEnum):\n A = 1\nclass S(enum.StrEnum):\n A = 'a'\ndef f(x): return F.A, S.A\n",
    "a dataclass": "import dataclasses\n@dataclasses.dataclass(frozen=True, slots=True, order=True)\nclass A:\n a: int = 7\n b: list = dataclasses.field(default_factory=list)\nX = A()\ndef f(x): return X\n",
    "a named tuple": "import collections\nA = collections.namedtuple('A', 'a b', defaults=[7])\ndef f(x): return A(1)\n",
    "a typed one": "import typing\nclass A(typing.NamedTuple):\n a: int = 7\n def m(self): return self.a\ndef f(x): return A().m()\n",
    "a comprehension": "import math\nK = 7\ndef f(x): return [K + math.sin(y) for y in range(3)]\n",
}


def test_a_python_upgrade_is_no_edit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    found = {}
    for number, (kind, text) in enumerate(VERSIONED.items()):
        (tmp_path / f"versioned{number}.py").write_text(text)
        found[kind] = fingerprint(importlib.import_module(f"versioned{number}").f)
        del sys.modules[f"versioned{number}"]
    # Pinned on 3.11 and 3.13 alike.
    assert digest(found) == "922e4048d75d15b34b7698af18bf8655"


@pytest.mark.parametrize("wrong", ["args", {"args": 1}, [1], 3])
def test_what_ignore_may_be(wrong: Any) -> None:
    with pytest.raises(InputError, match=r"^ignore is .*; expected names that the function uses"):
        swarmgrid.plan({}, {"x": [1]}, func=trained, store="memory://", ignore=wrong)
