"""Any sequence of requests equals a dict, and calls the function once per point, ever."""

from __future__ import annotations

import functools
import itertools
import math
import tempfile
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import swarmgrid
from tests.long import examples

KINDS: dict[str, st.SearchStrategy[Any]] = {
    "int": st.integers(-(2**40), 2**40),
    "float": st.floats(allow_nan=False, allow_infinity=True).map(lambda x: x + 0.0),
    "bool": st.booleans(),
    "str": st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4),
    "datetime": st.integers(-(2**60), 2**60).map(lambda n: np.datetime64(n, "ns")),
}
OUTPUTS: dict[str, Any] = {
    "float": lambda n: math.nan if n % 7 == 0 else n / 3,
    "int": lambda n: n % 5 - 2,
    "bool": lambda n: n % 2 == 0,
    "str": lambda n: "x" * (n % 4),
    "dict": lambda n: {"a": float(n % 11), "b": n % 3},
    "time": lambda n: np.datetime64(n, "ns"),
    "array": lambda n: np.array([n % 4, n % 5, 0], "f4"),
}


def number_of(point: dict[str, Any]) -> int:
    """A number for a point that does not depend on anything but its values."""
    text = ",".join(f"{k}={v!r}" for k, v in sorted(point.items()))
    return sum(ord(c) * (i + 1) for i, c in enumerate(text))


def evaluate(calls: str, kind: str, **point: Any) -> Any:
    with Path(calls).open("a") as file:
        file.write(f"{number_of(point)}\n")
    return OUTPUTS[kind](number_of(point))


class Growth(RuleBasedStateMachine):
    """Requests over random axes and chunk specs, against a dict of every point seen."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.calls = Path(self._folder.name) / "calls"
        self.calls.touch()
        self.seen: set[tuple[Any, ...]] = set()

    @initialize(
        kinds=st.lists(st.sampled_from(sorted(KINDS)), min_size=0, max_size=3),
        output=st.sampled_from(sorted(OUTPUTS)),
        length=st.integers(1, 4),
        is_chunked=st.booleans(),
        times=st.sampled_from([None, 1, 2, 3]),
        store=st.sampled_from(["path", "memory"]),
    )
    def begin(
        self,
        kinds: list[str],
        output: str,
        length: int,
        is_chunked: bool,
        times: int | None,
        store: str,
    ) -> None:
        self.kinds = {f"x{i}": kind for i, kind in enumerate(kinds)}
        self.output = output
        self.grid = functools.partial(
            swarmgrid.run,
            {"calls": str(self.calls), "kind": output},
            func=evaluate,
            store=f"{self._folder.name}/s" if store == "path" else f"memory://{self._folder.name}",
            chunks=length if is_chunked else None,
            shards=length * times if times else None,
            executor="sync",
            verbose=0,
        )

    @rule(data=st.data())
    def request(self, data: st.DataObject) -> None:
        axes = {
            name: data.draw(
                st.lists(
                    st.one_of(st.sampled_from(self.known(name) or [None]), KINDS[kind])
                    if self.known(name)
                    else KINDS[kind],
                    max_size=4,
                    unique_by=lambda v: v,
                ),
                label=name,
            )
            for name, kind in self.kinds.items()
        }
        axes = dict(data.draw(st.permutations(list(axes.items())), label="order"))
        ds, done = self.grid(axes)
        points = list(itertools.product(*axes.values()))
        keys = {tuple(dict(zip(axes, p, strict=True))[n] for n in self.kinds) for p in points}
        assert done.points_computed == len(keys - self.seen)
        assert done.points_cached == len(keys & self.seen)
        self.seen |= keys
        self.check(ds, axes, points)

    def known(self, name: str) -> list[Any]:
        position = list(self.kinds).index(name)
        return sorted({key[position] for key in self.seen})

    def check(self, ds: Any, axes: dict[str, Any], points: list[tuple[Any, ...]]) -> None:
        assert list(ds.dims)[: len(axes)] == list(axes) or not points
        if not points:
            return
        expected = [
            OUTPUTS[self.output](number_of(dict(zip(axes, p, strict=True)))) for p in points
        ]
        shape = tuple(map(len, axes.values()))
        if self.output == "dict":
            for name in ("a", "b"):
                values = [e[name] for e in expected]
                np.testing.assert_array_equal(ds[name].values, np.reshape(values, shape))
        else:
            whole = np.reshape(np.array(expected), shape + np.shape(expected[0]))
            np.testing.assert_array_equal(ds["value"].values, whole)

    @invariant()
    def every_point_was_called_once(self) -> None:
        calls = self.calls.read_text().split()
        assert len(calls) == len(self.seen)

    def teardown(self) -> None:
        self._folder.cleanup()


TestGrowth = Growth.TestCase
TestGrowth.settings = settings(
    max_examples=examples(40),
    stateful_step_count=8,
)
