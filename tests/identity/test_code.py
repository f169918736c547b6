"""What changes a function's fingerprint, what does not, and what it may not hold."""

from __future__ import annotations

import ast
import functools
import importlib
import linecache
import math
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from swarmgrid.errors import IdentityError
from swarmgrid.identity import digest, fingerprint, function_name
from swarmgrid.identity.encode import encode, frame
from tests.long import first

ROOT = Path(__file__).parents[2]
NOT_UNDERSTOOD: Any = (x for x in "ab")
Study = Callable[..., ModuleType]

STUDY = '''
import dataclasses
import enum
import functools
import logging
import threading

import numpy as np

import helpers

FACTOR = 3
TABLE = {"a": [1, 2], "b": np.arange(2000)}
LOCK = threading.Lock()
LOG = logging.getLogger("study")


class Kind(enum.Enum):
    FAST = 1


class Base:
    power = 2

    def raised(self, x):
        return x**self.power


@dataclasses.dataclass
class Model(Base):
    rate: float = 0.5

    def run(self, x):
        return super().raised(x) * self.rate


class Service:
    def __init__(self, level):
        self.level = level
        self.lock = LOCK


MODEL = Model(2.0)
SERVICE = Service(1)
HANDLERS = {Kind: lambda x: x, Model: lambda x: -x}


def traced(func):
    @functools.wraps(func)
    def wrapper(*args):
        LOG.info("called")
        return func(*args)

    return wrapper


@traced
def wrapped(x):
    return x + 1


@functools.lru_cache
def cached(x):
    return x + 2


def even(n):
    return n == 0 or odd(n - 1)


def odd(n):
    return n != 0 and even(n - 1)


MARK = object()


def direct(x, mark=MARK, lock=LOCK):
    return x * FACTOR


def simulate(x, k=2, *, mode="fast"):
    """Say what it does."""
    with LOCK:
        parts = [wrapped(x), cached(x), even(x), helpers.scale(x), direct(x)]
    text = f"{x!r:>{k}} {f'{x}'}" "tail"

    def inner(y):
        "Docstring."
        # a comment
        return y * len(text) + TABLE["a"][0]

    return sum(parts) + inner(x) + MODEL.run(x) + SERVICE.level + Kind.FAST.value, HANDLERS


def bare(x):
    return np.sin(x) + 1


def late(x):
    import helpers as h
    from deeper import twice

    return twice(x) + h.OFFSET


def unrelated():
    return 1
'''
HELPERS = """
from deeper import twice

OFFSET = 1.0


def scale(x):
    return twice(x) + OFFSET
"""
DEEPER = """
def twice(x):
    return 2 * x
"""
FILES = {"study": STUDY, "helpers": HELPERS, "deeper": DEEPER}


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Study]:
    """Import ``study`` afresh, with edits: ``load(("study", "old text", "new text"))``."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def import_edited(*edits: tuple[str, str, str]) -> ModuleType:
        files = dict(FILES)
        for name, old, new in edits:
            assert files[name].count(old) == 1, old
            files[name] = files[name].replace(old, new)
        for name, text in files.items():
            (tmp_path / f"{name}.py").write_text(text)
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        return importlib.import_module("study")

    yield import_edited
    for name in FILES:
        sys.modules.pop(name, None)


MEANINGLESS = [
    pytest.param(
        ("study", '"""Say what it does."""', '"""Say it\n    otherwise."""'), id="docstring"
    ),
    pytest.param(("study", '    """Say what it does."""\n', ""), id="no docstring"),
    pytest.param(("study", '"Docstring."', '"Another."'), id="docstring of an inner function"),
    pytest.param(("study", "# a comment", "# another\n\n"), id="comment and blank line"),
    pytest.param(
        ("study", "    with LOCK:\n", "    with LOCK:  # held\n\n"), id="trailing comment"
    ),
    pytest.param(("study", "        parts = ", "            parts = "), id="indentation"),
    pytest.param(("study", "cached(x), even(x)", "cached( x ),\n  even(x)"), id="line break"),
    pytest.param(("study", "def simulate", "@functools.cache\ndef simulate"), id="decorator"),
    pytest.param(("study", "def unrelated():\n    return 1", ""), id="a function not used"),
    pytest.param(("study", "LOG = ", "\n\n\nLOG = "), id="lines above"),
    pytest.param(("study", 'getLogger("study")', 'getLogger("other")'), id="a logger"),
    pytest.param(("helpers", "def scale(x):", "def scale(x):\n    '''Doc.'''"), id="helper's doc"),
    pytest.param(("study", "FACTOR = 3", "FACTOR = 1 + 2"), id="another way to a constant"),
    pytest.param(("study", 'TABLE["a"]', "TABLE['a']"), id="quotes"),
    pytest.param(("study", '"tail"', '"ta" "il"'), id="a string in two parts"),
    pytest.param(("study", "direct(x)]", "direct(x),]"), id="a trailing comma"),
    pytest.param(("study", "return sum(parts) +", "return (sum(parts)) +"), id="parentheses"),
    pytest.param(("study", "return x + 2", "return x + 0x2"), id="another way to write a number"),
    pytest.param(("study", "def simulate(x,", "def simulate(x: float,"), id="an annotation"),
    pytest.param(("study", 'mode="fast"):', 'mode="fast") -> "str":'), id="what it returns"),
    pytest.param(("study", "parts = [", "parts: list[int] = ["), id="of a local variable"),
    pytest.param(
        ("study", "def direct(x,", "def direct(x: int,"), id="of a helper that is called"
    ),
    pytest.param(("helpers", "def scale(x)", "def scale(x: int)"), id="of a module's helper"),
]


@pytest.mark.parametrize("edit", first(12, MEANINGLESS))
def test_an_edit_without_meaning_keeps_the_fingerprint(
    load: Study, edit: tuple[str, str, str]
) -> None:
    before = fingerprint(load().simulate)
    edited = load(edit).simulate
    assert fingerprint(getattr(edited, "__wrapped__", edited)) == before


MEANINGFUL = [
    pytest.param(("study", "return sum(parts) +", "return sum(parts) -"), id="its code"),
    pytest.param(("study", "y * len(text)", "y + len(text)"), id="an inner function"),
    pytest.param(("study", '"tail"', '"tail "'), id="a string"),
    pytest.param(("study", "{x!r:>{k}}", "{x!r:<{k}}"), id="an f-string"),
    pytest.param(("study", "k=2", "k=3"), id="a default"),
    pytest.param(("study", 'mode="fast"', 'mode="slow"'), id="a keyword's default"),
    pytest.param(("study", "FACTOR = 3", "FACTOR = 3.0"), id="a constant of a helper"),
    pytest.param(("study", '"a": [1, 2]', '"a": [2, 2]'), id="an element of a table"),
    pytest.param(("study", "np.arange(2000)", "np.arange(2000) % 1000"), id="an array's middle"),
    pytest.param(
        ("study", "return x + 1\n\n\n@func", "return x + 9\n\n\n@func"), id="a wrapped helper"
    ),
    pytest.param(("study", 'LOG.info("called")', "pass"), id="a wrapper"),
    pytest.param(("study", "return x + 2", "return x + 9"), id="a helper behind lru_cache"),
    pytest.param(("study", "n != 0 and", "n != 1 and"), id="a function of a circle"),
    pytest.param(("study", "power = 2", "power = 3"), id="an attribute of a base class"),
    pytest.param(("study", "x**self.power", "x*self.power"), id="a method of a base class"),
    pytest.param(("study", "(x) * self.rate", "(x) + self.rate"), id="a method"),
    pytest.param(("study", "rate: float = 0.5", "rate: float = 0.7"), id="a field's default"),
    pytest.param(("study", "Model(2.0)", "Model(3.0)"), id="a dataclass instance"),
    pytest.param(("study", "Service(1)", "Service(2)"), id="another instance's state"),
    pytest.param(("study", "FAST = 1", "FAST = 2"), id="an enum"),
    pytest.param(("study", "lambda x: -x", "lambda x: -2*x"), id="one lambda of a table"),
    pytest.param(("helpers", "twice(x) + OFFSET", "twice(x) - OFFSET"), id="another module"),
    pytest.param(("helpers", "OFFSET = 1.0", "OFFSET = 2.0"), id="a constant of another module"),
    pytest.param(("deeper", "2 * x", "3 * x"), id="a helper's helper"),
    pytest.param(("study", "def simulate", "@traced\ndef simulate"), id="a wrapper more"),
    pytest.param(
        ("study", "def wrapped(x)", "def wrapped(x: int)"), id="a note of what is wrapped"
    ),
    # this means nothing, but a name may be found by its text
    pytest.param(("study", "parts = ", "pieces = parts = "), id="a local variable"),
]


@pytest.mark.parametrize("edit", first(14, MEANINGFUL))
def test_an_edit_with_meaning_changes_the_fingerprint_until_it_is_undone(
    load: Study, edit: tuple[str, str, str]
) -> None:
    before = fingerprint(load().simulate)
    assert fingerprint(load(edit).simulate) != before
    assert fingerprint(load().simulate) == before


DYNAMIC = [
    'globals()["".join(["o", "dd"])]',
    'eval("".join(["o", "dd"]))',
    '__import__("sys").modules["".join(["help", "ers"])].scale',
]


@pytest.mark.parametrize("access", DYNAMIC)
def test_what_is_found_by_a_name_at_run_time_is_not_seen(load: Study, access: str) -> None:
    use = ("study", "return np.sin(x) + 1", f"return {access}(x)")
    before = fingerprint(load(use).bare)
    edits = [("helpers", "twice(x) + OFFSET", "0"), ("study", "n != 0 and even(n - 1)", "0")]
    assert fingerprint(load(use, *edits).bare) == before


AS_A_VALUE = [
    'getattr(helpers, "scale")(x)',
    "vars(helpers)['scale'](x)",
    "[m.scale(x) for m in [helpers]]",
    "(lambda m: m.scale(x))(helpers)",
    "[m := helpers, m.scale(x)]",
]


@pytest.mark.parametrize("access", AS_A_VALUE)
def test_a_module_that_is_used_as_a_value_counts_as_a_whole(load: Study, access: str) -> None:
    use = ("study", "return np.sin(x) + 1", f"return {access}")
    before = fingerprint(load(use).bare)
    for edit in [("helpers", "twice(x) + OFFSET", "0"), ("deeper", "2 * x", "3 * x")]:
        assert fingerprint(load(use, edit).bare) != before


def test_only_the_names_of_a_module_that_are_used_count(load: Study) -> None:
    before = fingerprint(load().bare)
    assert fingerprint(load(("study", "FACTOR = 3", "FACTOR = 4")).bare) == before


@pytest.mark.parametrize(
    "edit", [("deeper", "2 * x", "3 * x"), ("helpers", "OFFSET = 1.0", "OFFSET = 2.0")]
)
def test_what_a_function_imports_itself_counts(load: Study, edit: tuple[str, str, str]) -> None:
    before = fingerprint(load().late)
    assert fingerprint(load(edit).late) != before
    assert fingerprint(load().late) == before


def test_the_code_in_memory_counts_and_not_a_newer_file(load: Study, tmp_path: Path) -> None:
    new = fingerprint(load(("study", "return np.sin(x) + 1", "return np.sin(x) + 2")).bare)
    old = load().bare
    (tmp_path / "study.py").write_text(STUDY.replace("np.sin(x) + 1", "np.sin(x) + 2"))
    assert fingerprint(old) != new


@pytest.mark.parametrize("text", ["", "def bare(:", "\0"], ids=["emptied", "half", "no Python"])
def test_a_file_without_the_code_is_no_error(load: Study, tmp_path: Path, text: str) -> None:
    study = load()
    (tmp_path / "study.py").write_text(text)
    assert fingerprint(study.bare) != fingerprint(study.odd)


def test_a_function_without_a_file_is_told_by_its_instructions() -> None:
    def made(body: str) -> Any:
        names: dict[str, Any] = {"__name__": "made"}
        exec(f"def f(x):\n    {body}", names)
        return names["f"]

    assert fingerprint(made("return x + 1")) == fingerprint(made("'Doc.'\n    return x + 1"))
    assert fingerprint(made("return x + 1")) != fingerprint(made("return x + 1.0"))
    assert fingerprint(made("return x.a")) != fingerprint(made("return x.b"))
    assert fingerprint(made("return x(a=1)")) != fingerprint(made("return x(b=1)"))


def test_lambdas_on_one_line_are_told_apart() -> None:
    one, two, three = lambda x: x + 1, lambda x: x + 2, lambda x: lambda y: x + y
    alone = lambda x: (  # noqa: E731 - a lambda is what is tested
        x + 1  # over several lines
    )
    assert (
        len({fingerprint(one), fingerprint(two), fingerprint(three), fingerprint(three(1))}) == 4
    )
    assert fingerprint(three(1)) != fingerprint(three(2))
    assert fingerprint(alone) != fingerprint(two)


def scaled(x: float, factor: float) -> float:
    return x * factor


class Scale:
    def __init__(self, factor: float) -> None:
        self.factor = factor
        self.itself = self

    def __call__(self, x: float) -> float:
        return x * self.factor

    def run(self, x: float) -> float:
        return x * self.factor


class Slotted:
    __slots__ = ("factor",)

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, x: float) -> float:
        return x * self.factor


class Decorated:
    def __init__(self, func: Any) -> None:
        self.__swarmgrid_function__ = func

    def __call__(self, x: float) -> float:
        raise NotImplementedError


def closed_over(factor: Any) -> Callable[[float], Any]:
    def inner(x: float) -> Any:
        return x * factor

    return inner


MADE = [
    pytest.param(closed_over, id="closure"),
    pytest.param(lambda k: functools.partial(scaled, factor=k), id="partial"),
    pytest.param(Scale, id="callable"),
    pytest.param(Slotted, id="callable with slots"),
    pytest.param(lambda k: Scale(k).run, id="method"),
    pytest.param(lambda k: functools.lru_cache(closed_over(k)), id="cached"),
    pytest.param(lambda k: np.vectorize(closed_over(k)), id="vectorized"),
    pytest.param(lambda k: np.poly1d([k, 1]), id="a library's callable"),
    pytest.param(lambda k: lambda x, k=k: x, id="default"),
    pytest.param(lambda k: closed_over(closed_over(k)), id="closure of a closure"),
]


@pytest.mark.parametrize("make", MADE)
def test_what_a_function_carries_counts(make: Callable[[float], Any]) -> None:
    assert fingerprint(make(1.0)) == fingerprint(make(1.0))
    assert fingerprint(make(1.0)) != fingerprint(make(2.0))
    assert digest([make(1.0)]) != digest([make(2.0)])


def test_our_own_decorator_is_seen_through() -> None:
    assert fingerprint(Decorated(scaled)) == fingerprint(scaled)
    assert function_name(Decorated(scaled)) == function_name(scaled)


CARRIED = [
    pytest.param(
        closed_over(NOT_UNDERSTOOD), "closure variable 'factor' of closed_over.inner", id="cell"
    ),
    pytest.param(lambda x, k=NOT_UNDERSTOOD: x, "default 'k' of <lambda>", id="default"),
    pytest.param(
        functools.partial(scaled, factor=NOT_UNDERSTOOD), "scaled.keywords['factor']", id="partial"
    ),
    pytest.param(Scale(NOT_UNDERSTOOD).run, "Scale.run.__self__.factor", id="method"),
]


@pytest.mark.parametrize(("func", "place"), CARRIED)
def test_what_a_function_carries_must_be_understood(func: Any, place: str) -> None:
    with pytest.raises(IdentityError) as caught:
        fingerprint(func)
    assert caught.value.place == place


def test_a_mark_for_a_missing_argument_is_understood() -> None:
    mark = object()
    assert fingerprint(closed_over(mark)) == fingerprint(closed_over(object()))
    assert fingerprint(lambda x, k=mark: x) != fingerprint(lambda x, k=None: x)


def test_functions_of_libraries_and_our_own_go_by_name() -> None:
    for func in (textwrap.dedent, fingerprint, pytest.approx, np.mean):
        name = function_name(func).encode()
        assert encode(func) == frame("value", frame("name", name))


NAMES = [
    pytest.param(scaled, f"{__name__}.scaled", id="function"),
    pytest.param(closed_over(1), f"{__name__}.closed_over.inner", id="closure"),
    pytest.param(functools.partial(scaled, factor=1), f"{__name__}.scaled", id="partial"),
    pytest.param(Scale(1), f"{__name__}.Scale", id="callable"),
    pytest.param(Scale(1).run, f"{__name__}.Scale.run", id="method"),
    pytest.param(functools.lru_cache(scaled), f"{__name__}.scaled", id="cached"),
    pytest.param(math.sin, "math.sin", id="builtin"),
    pytest.param(np.sin, "numpy.sin", id="ufunc"),
]


@pytest.mark.parametrize(("func", "name"), NAMES)
def test_a_function_is_named_by_module_and_qualified_name(func: Any, name: str) -> None:
    assert function_name(func) == name


SCRIPT = """
print(function_name(simulate), fingerprint(simulate), digest(Model(1)), fingerprint(Model(1).run))
"""


def test_a_script_and_its_import_agree(tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / f"{name}.py").write_text(text)
    head = "from swarmgrid.identity import digest, fingerprint, function_name"
    guard = f"if __name__ == '__main__':\n    {head}\n{textwrap.indent(SCRIPT, '    ')}"
    (tmp_path / "study.py").write_text(STUDY + guard)
    commands = [["study.py"], ["-m", "study"], ["-c", f"from study import *\n{head}\n{SCRIPT}"]]
    environment = {"PYTHONPATH": f"{tmp_path}:{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"}
    outputs = {
        subprocess.run(
            [sys.executable, *command],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for command in commands
    }
    assert len(outputs) == 1
    assert outputs.pop().startswith("study.simulate ")


def test_fingerprints_are_pinned(load: Study) -> None:
    # The same on every Python version: syntax trees of f-strings and dataclasses' methods are not.
    study = load()
    assert fingerprint(study.bare) == "dc7172b5b5b550e879544111c6af14b8"
    assert fingerprint(study.simulate) == "af0378edd871507ce1f264a4b52bd548"


def defined_in_cell(cell: str, number: int) -> Any:
    """The function ``f`` of a notebook's cell, which IPython compiles statement by statement."""
    filename = f"/nowhere/ipykernel_1/{number}.py"
    linecache.cache[filename] = (len(cell), None, cell.splitlines(keepends=True), filename)
    names: dict[str, Any] = {"__name__": "__main__"}
    for statement in ast.parse(cell).body:
        exec(compile(ast.Module([statement], []), filename, "exec"), names)
    return names["f"]


def test_a_comment_in_a_cell_that_also_imports_keeps_the_fingerprint() -> None:
    code = "def f(x):\n    return math.floor(x)\n"
    commented = "import math\n\n\ndef f(x):\n    # a comment\n    return math.floor(x)\n"
    first = defined_in_cell("import math\n" + code, 1)
    assert fingerprint(first) == fingerprint(defined_in_cell(commented, 2))
