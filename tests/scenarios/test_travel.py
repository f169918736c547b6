"""Workers compute what the caller has in memory, not what the files say."""

from __future__ import annotations

import collections
import decimal
import functools
import importlib
import multiprocessing
import multiprocessing.forkserver
import os
import pickle
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import swarmgrid
from swarmgrid.api import evaluation
from swarmgrid.errors import WorkerError
from swarmgrid.process_pool import fork_server
from swarmgrid.space.function import PointFunction
from swarmgrid.store.grid_ref import GridRef
from swarmgrid.store.layout import GridPath
from swarmgrid.store.location import Location
from swarmgrid.transport.messages import Job
from swarmgrid.transport.parcel import to_parcel, unpack_job
from tests.long import examples, first

# ruff: noqa: E501 - a program is a line

RECEIVER = """
import os, pickle, struct, sys, traceback
from swarmgrid.transport.parcel import unpack_job

def answer(data, is_own_process, calls):
    try:
        job = unpack_job(data, is_own_process=is_own_process)
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


def sent(func: Callable[..., Any], *ignore: str) -> bytes:
    """A function as it travels."""
    ref = GridRef(Location("/nowhere"), GridPath("f", "0"))
    job = Job(PointFunction(func, ignore=frozenset(ignore)), ref, (), "w")
    return to_parcel(job).to_bytes(job)


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

class Made(int, enum.Enum):
    def __new__(cls, value):
        member = int.__new__(cls, value * 7)
        member._value_ = value
        return member
    A = 1

class Planet(enum.Enum):
    EARTH = (5, 6)
    WORLD = (5, 6)
    def __init__(self, mass, radius):
        self.mass, self._radius_ = mass, radius

Pair = namedtuple("Pair", "a b")
MODEL = Model(2)
MODE = Mode.B
"""

CHANGES = {
    "a global changed in place": "helpers.TABLE['k'][1] = 50",
    "code": "helpers.hidden.__code__ = (lambda x: x + 77).__code__",
    "a base's attribute": "helpers.Base.factor = 3",
    "an instance": "helpers.MODEL.power = 3",
    "a global": "helpers.SCALE = 7",
    "a private global": "helpers._hidden = 9",
    "a function": "helpers.scale = lambda x, by=1: x * 100",
    "a default": "helpers.scale.__defaults__ = (5,)",
    "a class attribute": "helpers.Model.offset = 5",
    "a method": "helpers.Base.go = lambda self, x: x * 11",
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
    "enum of another kind": "lambda x: x * helpers.Made.A + x * helpers.Made(1) * SCALE",
    "enum with attributes": "lambda x, p=helpers.Planet: p.WORLD.mass * x + p.EARTH._radius_",
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


@pytest.mark.parametrize("change", first(4, CHANGES))
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


@pytest.mark.parametrize("name", first(3, FUNCTIONS))  # the test before has all in one
def test_every_kind_of_function_travels(name: str, modules: Modules, receiver: Receiver) -> None:
    modules.write("helpers", HELPERS)
    user = modules.new(SCRIPT, "script")
    exec("helpers.SCALE = 7; helpers._hidden = 9; helpers.Base.factor = 3", vars(user))
    check(receiver, functions(user)[name], 3)


@settings(max_examples=examples(15))
@given(data=st.data())
def test_state_at_any_place_that_can_be_reached_travels(
    data: st.DataObject, receiver: Receiver, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Modules are made up that refer to one another; then a value somewhere in them is changed."""
    folder = tmp_path_factory.mktemp("made")
    made = Modules(folder)
    try:
        names = [f"made_{folder.name}_{n}" for n in range(data.draw(st.integers(1, 4)))]
        for n, name in enumerate(names):
            later = names[n + 1 :]
            how = data.draw(st.sampled_from(HOLDERS))
            follow = data.draw(st.sampled_from(FOLLOWED)) if later else "0"
            text = how + f"\ndef value(x):\n    return read(x) + {follow}\n"
            head = "".join(HEAD.replace("AFTER", one) for one in later[:1])
            made.write(name, head + text)
        importlib.invalidate_caches()
        first = importlib.import_module(names[0])
        unchanged = first.value(3)
        changed = sys.modules[data.draw(st.sampled_from(names))]
        exec(data.draw(st.sampled_from(SETTERS)), vars(changed))
        assert first.value(3) != unchanged
        check(receiver, first.value, 3)
    finally:
        made.close()


HEAD = """
import AFTER as after
from AFTER import value as then

def inside(x):
    from AFTER import value
    import AFTER as again
    return value(x) + again.value(x)
"""
HOLDERS = [
    "STATE = 1\ndef read(x):\n    return STATE * x",
    (
        "STATE = 1\nclass Holder:\n    def read(self, x):\n        return STATE * x\n"
        "def read(x):\n    return Holder().read(x)"
    ),
    "STATE = 1\ndef inner():\n    return STATE\nread = lambda x, get=inner: get() * x",
    (
        "STATE = 1\nimport functools\ndef times(x, y):\n    return STATE * x * y\n"
        "read = functools.partial(times, 2)"
    ),
    "STATE = 1\nTABLE = {'k': [lambda x: STATE * x]}\ndef read(x):\n    return TABLE['k'][0](x)",
    (
        "STATE = 1\ndef outer():\n    def inner(x):\n        return STATE * x\n    return inner\n"
        "read = outer()"
    ),
    (
        "STATE = 1\nclass Holder:\n    @property\n    def state(self):\n        return STATE\n"
        "held = Holder()\ndef read(x):\n    return held.state * x"
    ),
]
"""Ways to use a global."""
FOLLOWED = [
    "after.value(x)",
    "then(x)",
    "inside(x)",
    "[module.value(x) for module in [after]][0]",
    "(lambda: after.value(x))()",
    "sum(map(then, [x]))",
]
"""Ways to use another module."""
SETTERS = [
    "STATE = 5",
    "import types\nread = types.FunctionType((lambda x: x * 123).__code__, globals())",
    "old = read\nread = lambda x: old(x) + 1000",
    (
        "value = (lambda old: lambda x: old(x) + 77)(value)\n"
        "import sys\nfor module in list(sys.modules.values()):\n"
        "    if getattr(module, 'after', None) is sys.modules[__name__]:\n"
        "        module.then = value"
    ),
]
"""Ways to change what a function computes."""


# ---- what workers refuse


def test_a_file_edited_since_changes_nothing(modules: Modules, receiver: Receiver) -> None:
    modules.write("helpers", HELPERS)
    user = modules.new(SCRIPT, "script")
    expected = user.imports_name(3)
    modules.write("helpers", HELPERS.replace("SCALE = 1", "SCALE = 99"))
    modules.write("script", "raise RuntimeError('this was edited')")
    data = sent(user.imports_name)
    for is_own_process in (True, False):
        assert receiver.results(data, [(3,)], is_own_process=is_own_process) == [expected]


UNUSUAL = """
SCALE = 1
GENERATOR = (i for i in range(3))

def never_pickled(x):
    return x * SCALE if GENERATOR else x

class Meta(type):
    pass

class Made(metaclass=Meta):
    factor = 1

def of_metaclass(x):
    return x * SCALE * Made.factor
"""


@pytest.mark.parametrize("name", ["never_pickled", "of_metaclass"])
def test_what_cannot_travel_by_value_is_held_against_the_file(
    name: str, modules: Modules, receiver: Receiver
) -> None:
    user = modules.new(UNUSUAL)
    assert receiver.results(sent(getattr(user, name)), [(3,)], is_own_process=True) == [3]
    user.SCALE = 2
    with pytest.raises(WorkerError, match=f"differs from what the caller has in .*{name}"):
        receiver.results(sent(getattr(user, name)), [(3,)], is_own_process=True)
    ignoring = sent(getattr(user, name), "SCALE")  # what does not count may differ
    assert receiver.results(ignoring, [(3,)], is_own_process=True) == [3]


def test_a_job_does_not_change_an_earlier_ones_classes(modules: Modules) -> None:
    user = modules.new(HELPERS)
    func = functools.partial(user.MODEL.go)
    first, before = sent(func), func(3)
    user.Model.offset = 1000
    second, after = sent(func), func(3)
    old, new = (unpack_job(data, is_own_process=False).call() for data in (first, second))
    assert [old(3), new(3), old(3)] == [before, after, before]
    assert user.Model.offset == 1000


def test_a_name_that_did_not_travel_is_said_to_be_missing(
    modules: Modules, receiver: Receiver
) -> None:
    user = modules.new("ONE = 1\nTWO = 2\ndef f(name):\n    return ONE, vars(home)[name]")
    user.home = user
    check(receiver, user.f, "TWO")
    user.f = eval(
        "lambda x: (helpers.ONE, __import__(''.join(['help', 'ers'])).TWO)", {"helpers": user}
    )
    user.f.__globals__["__name__"] = "helpers_of_mine"
    with pytest.raises(AttributeError, match="TWO.*which has only what the function names"):
        receiver.results(sent(user.f), [(3,)], is_own_process=True)


IMPORTERS = {
    "import helpers\n    return getattr(helpers, name)": "helpers",
    "import helpers as h\n    return vars(h)[name]": "helpers",
    "import pk.sub\n    return getattr(pk.sub, name)": "pk/sub",
    "import pk.sub as s\n    return [getattr(m, name) for m in [s]][0]": "pk/sub",
    "from pk import sub\n    return (lambda m: getattr(m, name))(sub)": "pk/sub",
    "import helpers\n    def g():\n        return getattr(helpers, name)\n    return g()": "helpers",
}


@pytest.mark.parametrize("body", IMPORTERS)
def test_a_module_that_a_function_imports_and_uses_as_a_value_travels_whole(
    body: str, modules: Modules, receiver: Receiver
) -> None:
    modules.write("pk/__init__", "")
    user = modules.new(f"def f(name):\n    {body}\n", "importer")
    used = modules.new("ONE = 1\nTWO = 2", IMPORTERS[body])
    used.TWO = 22  # at run time
    check(receiver, user.f, "TWO")


WHOLE = {  # what cloudpickle, or the class itself, leaves out or makes otherwise
    "slots": "class A: __slots__ = ('k',)\ndef f(x): return hasattr(A(), '__dict__')",
    "a dataclass's slots": "import dataclasses\n@dataclasses.dataclass(slots=True)\nclass A:\n a: int = 1\ndef f(x): return hasattr(A(), '__dict__')",
    "an attribute as in a base": "class A: k = None\nclass B(A): k = None\ndef f(x): return 'k' in vars(B)",
    "an order of attributes": "class A:\n b = 1\n a = 2\ndef f(x): return [n for n in vars(A) if n in 'ab']",
    "a borrowed method of an enum": "import enum\nclass E(str, enum.Enum):\n A = 'a'\n __str__ = str.__str__\ndef f(x): return str(E.A)",
    "what a state leaves out": "class A:\n def __getstate__(self): return {}\na = A()\na.k = 3\ndef f(x): return a.k",
    "what is set again": "class A:\n def __setstate__(self, state): self.k = 0\na = A()\na.k = 3\ndef f(x): return a.k",
    "items left out": "class D(dict):\n def __reduce__(self): return D, ()\nd = D(k=3)\ndef f(x): return d['k']",
    "slots left out": "class A:\n __slots__ = ('k',)\n def __getstate__(self): return None\na = A()\na.k = 3\ndef f(x): return a.k",
    "an order of axes": "import numpy\nX = numpy.arange(24).reshape(2, 3, 4).transpose(1, 0, 2)\ndef f(x): return X.ravel('K').tolist()",
    "numpy's own generator": "import numpy\nR = numpy.random.mtrand._rand\ndef f(x): return R is numpy.random.mtrand._rand",
    "a subclass that is found": "class A: pass\nclass B(A): k = 3\ndef f(x): return [c.k for c in A.__subclasses__()]",
    "a module's names": "import helpers\ndef f(x): return helpers.__dict__['ONE']",
}  # fmt: skip


@pytest.mark.parametrize("kind", first(6, WHOLE))
def test_classes_and_objects_arrive_as_they_are(
    kind: str, modules: Modules, receiver: Receiver
) -> None:
    modules.new("ONE = 1")
    check(receiver, modules.new(WHOLE[kind], "whole").f, 3)


# ---- with real workers


def failing(x: float) -> float:
    return x if GATE is None else x * 2


class Unloadable(collections.deque[Any]):
    """What can be pickled, and not be unpickled elsewhere."""

    def __reduce__(self) -> Any:
        return refuse, (os.getpid(),)


def refuse(caller: int) -> None:
    if os.getpid() != caller:
        raise ImportError("a package is missing here")


GATE: Any = None


@pytest.mark.parametrize("on_error", ["raise", "record"])
def test_a_function_that_no_worker_can_load_is_said_once(
    on_error: str, new_memory_store: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "GATE", Unloadable())
    grid = swarmgrid.GridFunction(
        failing, store=new_memory_store(), version="1", on_error=on_error
    )
    with pytest.raises(WorkerError, match="a package is missing here"):
        grid.run(axes={"x": [1.0, 2.0, 3.0]}, executor="processes", workers=2)
    assert len(grid.errors(axes=["x"])) == 0


def surrounded(x: float) -> str:
    is_on_path = "/nowhere/else" in sys.path
    arithmetic = f"{decimal.Decimal(1) / 3}{np.geterr()['divide']}"
    return f"{os.environ.get('SWARMGRID_TEST', 'none')}{Path.cwd()}{is_on_path}{arithmetic}"


def test_the_environment_travels(
    new_memory_store: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    receiver: Receiver,
) -> None:
    def computed() -> str:
        ds = swarmgrid.compute(
            axes={"x": [1.0]}, func=surrounded, store=new_memory_store(), executor="processes"
        )
        return str(ds["value"].values[0])

    assert computed() == surrounded(1.0)
    monkeypatch.setenv("SWARMGRID_TEST", "set since")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("/nowhere/else")
    with decimal.localcontext(prec=5), np.errstate(divide="ignore"):
        assert computed() == surrounded(1.0) == f"set since{tmp_path}True0.33333ignore"
        # which a worker that is started later has, too, whatever became of it here
        data, here = sent(surrounded), surrounded(1.0)
    assert receiver.results(data, [(1.0,)], is_own_process=True) == [here]
    monkeypatch.delenv("SWARMGRID_TEST")
    assert computed() == surrounded(1.0) != here


COLLECTED: list[float] = []


class Counter:
    n = 0


def with_default(x: float, seen: list[float] = []) -> float:  # noqa: B006 - what is tested
    seen.append(x)
    return len(seen)


def with_global(x: float) -> float:
    COLLECTED.append(x)
    return len(COLLECTED)


def with_class(x: float) -> float:
    Counter.n += 1
    return Counter.n


CHANGING = {
    "default 'seen'": with_default,
    "'COLLECTED'": with_global,
    "'n' of Counter": with_class,
}


@pytest.mark.parametrize("place", CHANGING)
def test_state_that_calls_change_in_a_worker_is_told_of_once(
    place: str, new_memory_store: Callable[[], str]
) -> None:
    func, store = CHANGING[place], new_memory_store()
    options: dict[str, Any] = {"store": store, "executor": "processes", "workers": 1, "func": func}
    evaluation._told.clear()
    with pytest.warns(RuntimeWarning, match=f"has changed .*{place}.* in its workers.*ignore="):
        done = swarmgrid.stream({}, {"x": [1.0, 2.0]}, **options)
    assert any(place in one for one in done.changed)
    swarmgrid.stream({}, {"x": [1.0, 2.0, 3.0]}, **options)  # a second warning would be an error
    ignored = {place.split("'")[1]}
    done = swarmgrid.stream({}, {"x": [1.0]}, **options, ignore=ignored)
    assert (done.points_computed, done.changed) == (1, ())


class OwnError(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(one, two)


def raising(x: float) -> float:
    raise OwnError(1, 2)


def test_an_error_of_the_users_own_class_comes_home_as_that_class(
    new_memory_store: Callable[[], str],
) -> None:
    with pytest.raises(swarmgrid.PointError) as caught:
        swarmgrid.compute(
            axes={"x": [1.0]}, func=raising, store=new_memory_store(), executor="processes"
        )
    assert type(caught.value.__cause__) is OwnError
    assert caught.value.__cause__.args == (1, 2)


# ---- the fork server


def server() -> Any:
    return multiprocessing.forkserver._forkserver  # type: ignore[attr-defined]


def squares(store: str, n: int = 3) -> Any:
    ds = swarmgrid.compute(
        axes={"x": np.arange(n)}, func=square, store=store, executor="processes", workers=2
    )
    return ds["value"].values.tolist()


def square(x: int) -> int:
    return x * x


def kill_server() -> None:
    os.kill(server()._forkserver_pid, signal.SIGKILL)


def delete_folder() -> None:
    shutil.rmtree(multiprocessing.current_process()._config["tempdir"])  # type: ignore[attr-defined]


@pytest.mark.long
@pytest.mark.parametrize("harm", [kill_server, delete_folder])
def test_a_fork_server_that_cannot_be_reached_is_started_anew(
    harm: Callable[[], None], new_memory_store: Callable[[], str]
) -> None:
    assert squares(new_memory_store()) == [0, 1, 4]
    before = server()._forkserver_pid
    harm()
    assert squares(new_memory_store()) == [0, 1, 4]
    assert server()._forkserver_pid != before


def kills_server_twice(x: int, folder: str) -> int:
    n = len(list(Path(folder).iterdir()))
    if x == 3 and n < 2:
        Path(folder, str(n)).touch()
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)  # the run does not wait for it
    return x * x


def test_a_fork_server_killed_during_a_run_costs_no_point(
    new_memory_store: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fork_server, "_ended", set())
    ds = swarmgrid.compute(
        {"folder": str(tmp_path)},
        axes={"x": np.arange(6)},
        func=kills_server_twice,
        store=new_memory_store(),
        executor="processes",
        workers=2,
    )
    assert ds["value"].values.tolist() == [0, 1, 4, 9, 16, 25]
