"""Different computations never share a grid, and equal ones do."""

from __future__ import annotations

import collections
import dataclasses
import enum
import functools
import importlib.metadata
import itertools
import operator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import swarmgrid
from swarmgrid.errors import IdentityError, InputError
from swarmgrid.options import Options
from swarmgrid.planning.depends import to_depends
from swarmgrid.planning.request import identified
from tests.long import examples
from tests.scenarios.test_costs import CountingStore

if TYPE_CHECKING:
    from collections.abc import Callable

MISSING = object()


def path(
    func: Callable[..., Any],
    params: dict[str, Any] | None = None,
    axes: tuple[str, ...] = ("x",),
    version: str | None = "1",
    rng: str | None = None,
    **options: Any,
) -> str:
    """The id of a grid."""
    options = {"vectorized": False} | options
    return identified(func, version, rng, **options).path(params or {}, axes).grid


# ---- what is bound counts beside a version


def plain(a: Any, x: Any, scale: Any = 1) -> Any:
    return a, x, scale


def closing_over(value: Any) -> Callable[..., Any]:
    def inner(x: Any) -> Any:
        return value, x

    return inner


def decorated(func: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return func(*args, **kwargs)

    return wrapper


class Model:
    def __init__(self, value: Any) -> None:
        self.value = value

    def method(self, x: Any) -> Any:
        return self.value, x

    @classmethod
    def of_class(cls, x: Any) -> Any:
        return cls, x

    def __call__(self, x: Any) -> Any:
        return self.value, x


class Other(Model):
    pass


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __call__(self, x: Any) -> Any:
        return self.value, x


@dataclasses.dataclass
class Record:
    value: Any

    def __call__(self, x: Any) -> Any:
        return self.value, x


def with_attribute(value: Any) -> Callable[..., Any]:
    def inner(x: Any) -> Any:
        return inner.value, x  # type: ignore[attr-defined]

    inner.value = value  # type: ignore[attr-defined]
    return inner


class Row(NamedTuple):
    value: Any

    def method(self, x: Any) -> Any:
        return self.value, x


class Table(dict[str, Any]):
    def method(self, x: Any) -> Any:
        return self, x


HOLDERS: dict[str, Callable[[Any], Callable[..., Any]]] = {
    "partial by position": lambda v: functools.partial(plain, v),
    "partial by name": lambda v: functools.partial(plain, a=v),
    "partial of a partial": lambda v: functools.partial(functools.partial(plain, v), scale=2),
    "partial of a method": lambda v: functools.partial(Model(v).method),
    "closure": closing_over,
    "decorated closure": lambda v: decorated(closing_over(v)),
    "cached closure": lambda v: functools.lru_cache(closing_over(v)),
    "closure over a closure": lambda v: closing_over(closing_over(v)),
    "closure over closures in a list": lambda v: closing_over([1, {"k": closing_over(v)}]),
    "closure over an object": lambda v: closing_over(Model(v)),
    "attribute of a function": with_attribute,
    "method": lambda v: Model(v).method,
    "method of an object in an object": lambda v: Model(Model(v)).method,
    "method of a named tuple": lambda v: Row(v).method,
    "method of a dict": lambda v: Table(k=v).method,
    "method of a library's": lambda v: [v].index,
    "object": Model,
    "object with slots": Slotted,
    "dataclass": Record,
    "vectorized by numpy": lambda v: np.vectorize(closing_over(v)),
    "decorated by swarmgrid": lambda v: swarmgrid.grid(closing_over(v)),
}
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.sampled_from([0.0, 1.0, 0.5, 2.0])
    | st.sampled_from(["", "a", "1"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.tuples(inner, inner)
        | st.dictionaries(st.sampled_from("ab"), inner, max_size=2)
    ),
    max_leaves=3,
)


def shown(value: Any) -> str:
    """A value with its types: 1, 1.0 and True differ; the order of a dict's keys does, too."""
    return repr(value)


@pytest.mark.parametrize("make", HOLDERS.values(), ids=HOLDERS)
@settings(max_examples=examples(25))
@given(one=VALUES, other=VALUES)
def test_a_version_stands_for_code_and_not_for_what_it_holds(
    make: Callable[[Any], Callable[..., Any]], one: Any, other: Any
) -> None:
    if shown(one) != shown(other):
        assert one == other or path(make(one)) != path(make(other))
    assert path(make(one)) == path(make(one))


def test_what_is_held_differs_also_by_the_kind_of_holder() -> None:
    ids = [path(make(3), {"a": 1} if "partial" in name else {}) for name, make in HOLDERS.items()]
    same = {"partial by position", "partial of a partial"}  # other defaults
    assert len(set(ids)) >= len(ids) - len(same)


def test_lambdas_are_told_apart_by_their_text_and_functions_by_their_names() -> None:
    assert path(lambda x: x + 1) != path(lambda x: x + 2)
    assert path(closing_over(lambda x: x + 1)) != path(closing_over(lambda x: x + 2))
    assert path(closing_over(plain)) != path(closing_over(decorated))


def test_a_class_method_counts_with_its_class() -> None:
    assert path(Model.of_class) != path(Other.of_class)
    assert path(Model(1).method) != path(Other(1).method)


def test_a_function_that_holds_itself_has_an_identity() -> None:
    def recursive(x: int) -> int:
        return recursive(x - 1) if x else 0

    assert path(recursive) == path(recursive)


def test_a_version_still_stands_for_the_code() -> None:
    sources = ["def f(x):\n    return x", "def f(x):\n    return 2 * x"]
    found = []
    for source in sources:
        names: dict[str, Any] = {"__name__": "module"}
        exec(compile(source, "<typed>", "exec"), names)
        found.append((path(names["f"]), path(names["f"], version=None)))
    assert found[0][0] == found[1][0]
    assert found[0][1] != found[1][1]


def iter_of() -> Any:
    """What has no digest."""
    return (x for x in "ab")


def test_what_has_no_digest_is_refused_by_its_place_under_a_version_too() -> None:
    with pytest.raises(IdentityError, match=r"closure variable 'value' of .*closing_over\.inner"):
        path(closing_over(iter_of()))
    with pytest.raises(IdentityError, match=r"\.value"):
        path(Model(iter_of()).method)


class Keyed:
    def __init__(self, **values: Any) -> None:
        vars(self).update(values)

    def __call__(self, x: Any) -> Any:
        return x, vars(self)


@pytest.mark.parametrize("version", ["1", None])
def test_what_is_ignored_counts_nowhere(version: str | None) -> None:
    def over(counted: Any, cache: Any) -> Callable[..., Any]:
        def inner(x: Any) -> Any:
            return x, counted, cache

        return inner

    def grid(func: Callable[..., Any], name: str = "cache") -> str:
        return path(func, version=version, ignore={name})

    def defaulted(cache: Any) -> Callable[..., Any]:
        names: dict[str, Any] = {"__name__": "module"}
        exec(f"def f(x, n=1, cache={cache!r}): return x, n", names)
        found: Callable[..., Any] = names["f"]
        return found

    ways: list[Callable[[Any, Any], Callable[..., Any]]] = [
        over,
        lambda counted, cache: Keyed(counted=counted, cache=cache),
        lambda counted, cache: Keyed(inner=Keyed(counted=counted, cache=cache)),
        lambda counted, cache: functools.partial(over(counted, cache)),
        lambda counted, cache: functools.partial(plain, counted, cache=cache),
        lambda counted, cache: closing_over([over(counted, cache)]),
    ]
    hole = iter("ab")  # has no digest
    for way in ways:
        assert grid(way(1, 1)) == grid(way(1, 2)) == grid(way(1, hole))
        assert grid(way(1, 1)) != grid(way(2, 1))
    assert grid(over(1, 1)) == grid(over(1, 2), f"{__name__}:cache")
    if version is not None:  # else the text of the default counts as code
        assert grid(defaulted(1)) == grid(defaulted(2), "module:cache") == grid(defaulted(3))
        assert grid(defaulted(1), "n") != grid(defaulted(2), "n")


# ---- defaults


def with_defaults(x: Any, n: Any = 48, mode: Any = "fast", seen: Any = MISSING) -> Any:
    return x, n, mode, seen


def with_more(x: Any, n: Any = 48, **more: Any) -> Any:
    return x, n, more


class WithDefaults:
    def __call__(self, x: Any, n: Any = 48) -> Any:
        return x, n


DEFAULTED: list[Callable[..., Any]] = [
    with_defaults,
    with_more,
    WithDefaults(),
    functools.partial(with_more, n=48),
    swarmgrid.grid(with_defaults),
]


@pytest.mark.parametrize("version", ["1", None])
@pytest.mark.parametrize("func", DEFAULTED, ids=lambda func: type(func).__name__)
def test_a_param_and_the_same_value_by_default_are_one_computation(
    func: Callable[..., Any], version: str | None
) -> None:
    assert path(func, version=version) == path(func, {"n": 48}, version=version)
    assert path(func, {"n": np.int64(48)}, version=version) == path(func, version=version)
    for other in (48.0, 47, True, "48", None, [48]):
        assert path(func, {"n": other}, version=version) != path(func, version=version)
    assert path(func, axes=("x", "n"), version=version) != path(func, version=version)


def test_a_mark_that_is_a_default_stands_for_itself() -> None:
    assert path(with_defaults, {"seen": MISSING}) == path(with_defaults)
    assert path(with_defaults, {"seen": None}) != path(with_defaults)
    assert path(with_defaults, {"seen": object()}) != path(with_defaults)


def test_a_default_that_changed_makes_another_grid_under_a_version_too() -> None:
    def f(x: Any, n: Any = 1) -> Any:
        return x, n

    before = path(f)
    f.__defaults__ = (2,)
    assert path(f) != before
    assert path(f, {"n": 1}) == before


def test_a_keyword_of_a_partial_is_a_default_that_params_and_axes_replace() -> None:
    assert path(functools.partial(plain, a=1), {"a": 2}) == path(
        functools.partial(plain, a=3), {"a": 2}
    )
    assert path(functools.partial(plain, a=1), axes=("x", "a")) == path(plain, axes=("x", "a"))
    assert path(functools.partial(plain, a=1)) == path(plain, {"a": 1})
    assert path(functools.partial(with_more, z=1)) == path(with_more, {"z": 1})
    assert path(functools.partial(with_more, z=1)) != path(with_more, {"z": 2})


def test_the_default_of_the_generators_parameter_does_not_count() -> None:
    def f(x: Any, rng: Any = 1) -> Any:
        return x, rng

    before = path(f, rng="rng")
    f.__defaults__ = (2,)
    assert path(f, rng="rng") == before


def test_builtins_without_a_signature_have_an_identity() -> None:
    assert path(max) == path(max)
    assert path(operator.itemgetter(1)) != path(operator.itemgetter(2))


# ---- values


@given(VALUES, VALUES)
def test_params_share_a_grid_exactly_when_they_are_equal_with_their_types(
    one: Any, other: Any
) -> None:
    if shown(one) == shown(other):
        assert path(plain, {"a": one}) == path(plain, {"a": other})
    elif one != other:
        assert path(plain, {"a": one}) != path(plain, {"a": other})


NUMBERS = [48, 48.0, True, 1, 1.0, False, 0, 0.0, "1", None, (1,), [1], 1 + 0j]


@pytest.mark.parametrize(("one", "other"), [*itertools.combinations(NUMBERS, 2)], ids=repr)
def test_numbers_of_different_types_are_different_params(one: Any, other: Any) -> None:
    assert path(plain, {"a": one}) != path(plain, {"a": other})


@pytest.mark.parametrize(
    ("given_value", "python"),
    [(np.int64(48), 48), (np.float64(0.5), 0.5), (np.bool_(True), True), (np.str_("a"), "a")],
    ids=repr,
)
def test_a_scalar_of_numpy_that_acts_as_pythons_is_the_same_param(
    given_value: Any, python: Any
) -> None:
    assert path(plain, {"a": given_value}) == path(plain, {"a": python})


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


def test_the_members_of_an_enum_that_a_function_holds_count() -> None:
    assert path(closing_over(Colour.RED)) != path(closing_over(Colour.BLUE))
    assert path(closing_over(collections.deque([1]))) != path(closing_over([1]))


# ---- options


def test_options_are_no_part_of_the_version() -> None:
    def f(a: Any, x: Any, rng: Any = None) -> Any:
        return a, x, rng

    ids = [
        path(f, {"a": 1}, version="1 rng=rng"),
        path(f, {"a": 1}, version="1", rng="rng"),
        path(f, {"a": 1}, version="1 vectorized"),
        path(f, {"a": 1}, version="1", vectorized=True),
        path(f, {"a": 1}, version="1"),
    ]
    assert len(set(ids)) == len(ids)


# ---- depends


def test_a_package_counts_by_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    before = path(plain, {"a": 1}, depends="numpy")
    assert before == path(plain, {"a": 1}, depends=["numpy"])
    assert before != path(plain, {"a": 1})
    monkeypatch.setattr(importlib.metadata, "version", lambda name: f"2.{len(name)}")
    assert path(plain, {"a": 1}, depends="numpy") != before


@pytest.mark.parametrize("version", ["1", None])
def test_a_file_counts_by_its_content(tmp_path: Path, version: str | None) -> None:
    file, other = tmp_path / "a" / "data.csv", tmp_path / "b" / "data.csv"
    for one in (file, other):
        one.parent.mkdir()
        one.write_text("1")
    before = path(plain, {"a": 1}, depends=file, version=version)
    assert before == path(plain, {"a": 1}, depends=other, version=version)
    assert before == path(plain, {"a": 1}, depends={"data.csv": other}, version=version)
    file.write_text("2")
    assert before != path(plain, {"a": 1}, depends=file, version=version)
    assert path(plain, {"a": 1}, depends=[file, other]) != path(
        plain, {"a": 1}, depends=[other, file]
    )
    file.write_text("1")
    assert before == path(plain, {"a": 1}, depends=file, version=version)


@given(
    st.dictionaries(st.sampled_from("ab"), st.integers(0, 2), max_size=2),
    st.dictionaries(st.sampled_from("ab"), st.integers(0, 2), max_size=2),
)
def test_values_count_by_name(one: dict[str, int], other: dict[str, int]) -> None:
    is_same = path(plain, {"a": 1}, depends=one) == path(plain, {"a": 1}, depends=other)
    assert is_same == (one == other)
    parts = [{name: value} for name, value in reversed(one.items())]
    assert path(plain, {"a": 1}, depends=parts) == path(plain, {"a": 1}, depends=one)


def test_what_it_depends_on_is_shown(tmp_path: Path) -> None:
    file = tmp_path / "data.csv"
    file.write_text("1")
    options: dict[str, Any] = {
        "func": with_defaults,
        "store": tmp_path / "store",
        "depends": ["numpy", file, {"solver": 3}],
    }
    text = str(swarmgrid.plan(axes={"x": [1]}, **options))
    assert f"depends on numpy: package, version {np.__version__}" in text
    assert "depends on data.csv: file, digest " in text
    assert "depends on solver: value, 3, digest " in text


def total(x: Any, n: int = 1) -> int:
    return int(x) + n


def test_another_dependency_is_another_grid_and_the_group_says_which(
    new_memory_store: Callable[[], str],
) -> None:
    options: dict[str, Any] = {"func": total, "store": new_memory_store(), "executor": "sync"}
    with swarmgrid.set_options(depends={"data": 1}):
        assert swarmgrid.run(axes={"x": [1]}, **options)[1].points_computed == 1
        assert swarmgrid.open(**options).sizes == {"x": 1}
    with pytest.raises(InputError, match="nothing is stored"):
        swarmgrid.open(**options)
    ds, done = swarmgrid.run(axes={"x": [1]}, depends={"data": 1}, **options)
    assert done.points_computed == 0
    assert "value, 1" in ds.attrs["swarmgrid_depends"]


DEPENDS_REFUSED: dict[str, tuple[Any, str]] = {
    "no package": ("no-such-package", "no installed distribution; pass a value by name"),
    "an empty name": ("", "no installed distribution"),
    "a number": (3, "expected the name of an installed package"),
    "a set": ({"numpy"}, "expected the name of an installed package"),
    "a key that is no text": ({1: 2}, "the key 1; expected names"),
    "no file": (Path("no-such-file"), "'no-such-file', which is not there"),
    "a folder": (Path(), "is a folder; list the files in it"),
    "no file by name": ({"data": Path("no-such-file")}, "which is not there"),
    "a file as text": (__file__, r"there is a file of that name: pass pathlib\.Path"),
    "a file as a value": ({"data": __file__}, r"pass pathlib\.Path"),
}


@pytest.mark.parametrize(("depends", "message"), DEPENDS_REFUSED.values(), ids=DEPENDS_REFUSED)
def test_what_cannot_be_depended_on_is_refused(depends: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        to_depends(depends)
    with pytest.raises(InputError, match="depends"):
        swarmgrid.plan(axes={"x": [1]}, func=total, store="memory://none", depends=depends)


def test_a_value_without_a_digest_is_refused_by_its_name() -> None:
    with pytest.raises(IdentityError, match=r"depends\['a'\]"):
        to_depends({"a": iter_of()})


def test_depends_is_an_option() -> None:
    assert Options().updated({"depends": "numpy"}).depends == "numpy"


# ---- finding a grid


def many(a: int, x: int, b: int = 0, **more: int) -> int:
    return a + x + b + sum(more.values())


@pytest.mark.parametrize("func", [many, functools.partial(many, c=1)], ids=["plain", "partial"])
def test_open_asks_as_much_of_a_store_of_many_grids_as_of_one(func: Callable[..., Any]) -> None:
    options: dict[str, Any] = {"func": func, "version": "1", "verbose": 0}
    counts = []
    for n in (1, 12):
        store = CountingStore()
        for a in range(n):
            swarmgrid.stream({"a": a}, {"x": [1]}, store=store, executor="sync", **options)
        store.forget()
        assert swarmgrid.open({"a": n - 1, "b": 0}, store=store, **options).sizes == {"x": 1}
        counts.append(len(store.requests))
    assert counts[0] == counts[1] <= 8


def test_open_finds_the_axes_of_a_grid_beside_those_of_others(
    new_memory_store: Callable[[], str],
) -> None:
    options: dict[str, Any] = {"func": many, "store": new_memory_store(), "executor": "sync"}
    swarmgrid.stream({"a": 1}, {"x": [1]}, **options)
    swarmgrid.stream({"a": 2}, {"x": [1], "b": [1, 2]}, **options)
    swarmgrid.stream({"x": 2}, {"a": [1]}, **options)
    swarmgrid.stream({"a": 3}, {"x": [1], "z": [1, 2, 3]}, **options)
    assert swarmgrid.open({"a": 1}, **options).sizes == {"x": 1}
    assert swarmgrid.open({"a": 2}, **options).sizes == {"x": 1, "b": 2}
    assert swarmgrid.open({"a": 3}, **options).sizes == {"x": 1, "z": 3}
    assert swarmgrid.open({"x": 2}, **options).sizes == {"a": 1}
    swarmgrid.stream({"a": 1}, {"x": [1], "b": [1]}, **options)
    with pytest.raises(InputError, match="2 grids of .* pass axes="):
        swarmgrid.open({"a": 1}, **options)
    assert swarmgrid.open({"a": 1, "b": 0}, **options).sizes == {"x": 1}
