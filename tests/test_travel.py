"""Workers compute what the caller has in memory, not what the files say."""

from __future__ import annotations

import importlib
import importlib.util
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from swarmgrid.storage.layout import GridPath
from swarmgrid.storage.location import Location
from swarmgrid.work.job import Job
from swarmgrid.work.parcel import to_parcel

RECEIVER = """
import os, pickle, struct, sys, traceback
from swarmgrid.work.parcel import unsealed

def answer(data, is_own_process, calls):
    try:
        job = unsealed(data, is_own_process=is_own_process)
        return [job.call()(*call) for call in calls]
    except Exception as error:
        return error

while head := sys.stdin.buffer.read(8):
    request = pickle.loads(sys.stdin.buffer.read(struct.unpack("q", head)[0]))
    read, write = os.pipe()
    if not (child := os.fork()):  # so that no job finds what an earlier one has left
        os.close(read)
        with open(write, "wb") as file:
            pickle.dump(answer(*request), file)
        os._exit(0)
    os.close(write)
    with open(read, "rb") as file:
        data = file.read()
    os.waitpid(child, 0)
    sys.stdout.buffer.write(struct.pack("q", len(data)) + data)
    sys.stdout.buffer.flush()
"""


class Receiver:
    """Another process, where functions are sent and called."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", RECEIVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd="/",
        )

    def results(
        self, data: bytes, calls: list[tuple[Any, ...]], *, is_own_process: bool
    ) -> list[Any]:
        """What a sent function returns at some arguments."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        request = pickle.dumps((data, is_own_process, calls))
        stdin.write(len(request).to_bytes(8, "little") + request)
        stdin.flush()
        answer = pickle.loads(stdout.read(int.from_bytes(stdout.read(8), "little")))
        if isinstance(answer, Exception):
            raise answer
        found: list[Any] = answer
        return found

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    """A process that knows none of the test's modules."""
    made = Receiver()
    yield made
    made.close()


class Modules:
    """Modules of a user's in a folder, imported and forgotten again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._before = set(sys.modules)
        sys.path.insert(0, str(folder))

    def write(self, name: str, text: str) -> None:
        """Write a module's file."""
        file = self._folder / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))

    def new(self, text: str, name: str = "helpers") -> Any:
        """Write and import a module."""
        self.write(name, text)
        importlib.invalidate_caches()
        return importlib.import_module(name.replace("/", ".").removesuffix(".__init__"))

    def close(self) -> None:
        """Forget them."""
        sys.path.remove(str(self._folder))
        for name in set(sys.modules) - self._before:
            file = getattr(sys.modules[name], "__file__", None) or ""
            if file.startswith(str(self._folder)):
                del sys.modules[name]


@pytest.fixture
def modules(tmp_path: Path) -> Iterator[Modules]:
    """A folder on the search path."""
    made = Modules(tmp_path / "user")
    (tmp_path / "user").mkdir()
    yield made
    made.close()


def sent(func: Callable[..., Any]) -> bytes:
    """A function as it travels."""
    job = Job(func, {}, (), GridPath("f", "0"), Location("/nowhere"), "w")
    return to_parcel(job).sealed(job)


def check(receiver: Receiver, func: Callable[..., Any], *call: Any) -> None:
    """A function returns elsewhere what it returns here, in a process of its own or another."""
    data, here = sent(func), func(*call)
    for is_own_process in (True, False):
        assert receiver.results(data, [call], is_own_process=is_own_process) == [here]


# ---- what was changed since the file was read

HELPERS = """
import dataclasses, enum, functools, threading, typing, weakref
from collections import namedtuple

SCALE = 1
TABLE = {"k": [1, 2]}
_hidden = 1
LOCK = threading.Lock()
NEVER_USED = (i for i in range(3))
T = typing.TypeVar("T")

def scale(x, by=1):
    with LOCK:
        return x * SCALE * by

def hidden(x):
    return x + _hidden

def indirect(x: T) -> T:
    return scale(x) + TABLE["k"][1]

@functools.lru_cache
def cached(x):
    return scale(x)

@functools.singledispatch
def kinds(x):
    return SCALE

@kinds.register
def _(x: int):
    return 2 * SCALE

def by_name(x):
    return globals()["SCALE"] * x

def nested(x):
    class Inner:
        y = SCALE
    return Inner.y * x

def looped(n):
    return 1 if n < 2 else n * again(n - 1)

def again(n):
    return looped(n)

class Base:
    factor = 1
    def go(self, x):
        return x * self.factor

class Model(Base):
    offset = 0
    def __init__(self, power=1):
        self.power = power
    def go(self, x):
        return super().go(x) ** self.power + self.offset
    def __call__(self, x):
        return self.go(x)
    @staticmethod
    def static(x):
        return scale(x)
    @functools.cached_property
    def kept(self):
        return SCALE

@dataclasses.dataclass
class Point:
    x: int
    k: int = 1
    def value(self):
        return sum(getattr(self, f.name) for f in dataclasses.fields(self)) * SCALE

class Mode(enum.Enum):
    A = 1
    B = 2
    def value_now(self):
        return self.value * SCALE

Pair = namedtuple("Pair", "a b")
MODEL = Model(2)
MODE = Mode.B
"""

CHANGES = {
    "a global": "helpers.SCALE = 7",
    "a global changed in place": "helpers.TABLE['k'][1] = 50",
    "a private global": "helpers._hidden = 9",
    "a function": "helpers.scale = lambda x, by=1: x * 100",
    "a default": "helpers.scale.__defaults__ = (5,)",
    "code": "helpers.hidden.__code__ = (lambda x: x + 77).__code__",
    "a class attribute": "helpers.Model.offset = 5",
    "a base's attribute": "helpers.Base.factor = 3",
    "a method": "helpers.Base.go = lambda self, x: x * 11",
    "an instance": "helpers.MODEL.power = 3",
    "a class": "helpers.Model = type('Model', (helpers.Model,), {'static': staticmethod(abs)})",
    "a new name": "helpers.Model.kept = 4",
}
FUNCTIONS = {
    "attribute": "lambda x: helpers.scale(x)",
    "indirect": "helpers.indirect",
    "hidden": "helpers.hidden",
    "cached": "helpers.cached.__wrapped__",
    "through the cache": "lambda x: helpers.cached(x)",
    "kinds": "lambda x: helpers.kinds(x) + helpers.kinds('')",
    "by name": "helpers.by_name",
    "nested": "helpers.nested",
    "circle": "helpers.looped",
    "class": "lambda x: helpers.Model().go(x)",
    "static": "lambda x: helpers.Model.static(x)",
    "instance": "lambda x: helpers.MODEL.go(x)",
    "bound method": "helpers.MODEL.go",
    "callable object": "MODEL",
    "partial": "functools.partial(scale, by=3)",
    "dataclass": "lambda x: helpers.Point(x, 2).value()",
    "enum": "lambda x: (helpers.MODE is helpers.Mode.B) + helpers.Mode.A.value_now() * x",
    "named tuple": "lambda x: sum(helpers.Pair(x, SCALE))",
    "cached property": "lambda x: helpers.Model().kept * x",
    "isinstance": "lambda x: isinstance(MODEL, helpers.Model) + isinstance(MODEL, Base)",
    "import inside": "imports_it",
    "import a name inside": "imports_name",
    "module in a container": "lambda x: KEPT['h'].scale(x)",
    "module as a value": "lambda x: getattr(helpers, 'sca' + 'le')(x)",
    "module in a closure": "enclosed(helpers)",
    "module as a default": "lambda x, h=helpers: h.scale(x)",
}
SCRIPT = """
import functools
import helpers
from helpers import MODEL, SCALE, Base, scale
KEPT = {"h": helpers}

def imports_it(x):
    import helpers as h
    return h.scale(x) + h.Model.offset

def imports_name(x):
    from helpers import hidden, SCALE
    return hidden(x) * SCALE

def enclosed(module):
    return lambda x: module.scale(x)
"""


def functions(user: ModuleType) -> dict[str, Callable[..., Any]]:
    return {name: eval(text, vars(user)) for name, text in FUNCTIONS.items()}


def everything(user: ModuleType) -> Callable[[int], list[Any]]:
    """One function that calls all of them."""
    found = functions(user)

    def all_of_them(x: int) -> list[Any]:
        return [func(x) for func in found.values()]

    return all_of_them


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_since_the_file_was_read_travels(
    change: str, modules: Modules, receiver: Receiver
) -> None:
    modules.write("helpers", HELPERS)
    user = modules.new(SCRIPT, "script")
    before = {name: func(3) for name, func in functions(user).items()}
    exec(CHANGES[change], vars(user))
    user.helpers.cached.cache_clear()
    after = functions(user)
    assert {name: func(3) for name, func in after.items()} != before
    check(receiver, everything(user), 3)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_kind_of_function_travels(name: str, modules: Modules, receiver: Receiver) -> None:
    modules.write("helpers", HELPERS)
    user = modules.new(SCRIPT, "script")
    exec("helpers.SCALE = 7; helpers._hidden = 9; helpers.Base.factor = 3", vars(user))
    check(receiver, functions(user)[name], 3)
