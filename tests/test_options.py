"""Every option is declared once; what repeats its name or default says the same."""

from __future__ import annotations

import dataclasses
import inspect
import re

import swarmgrid
from swarmgrid.options import CallOptions, Options, OptionTypes
from swarmgrid.run_options import RunOptions

DEFAULTS = dataclasses.asdict(Options())
SAID = re.compile(r"^(\w+(?:, \w+)*) : (.*?)(?:, default (.+)|, optional)?$", re.MULTILINE)


def described() -> dict[str, object]:
    """The options and their defaults, as the docstring of `compute` says them."""
    text = inspect.getdoc(swarmgrid.compute) or ""
    text = text.partition("Parameters\n")[2].partition("\nReturns\n")[0]
    found: dict[str, object] = {}
    for names, _, default in SAID.findall(text):
        values = default.split(" and ") if default else [None] * (names.count(",") + 1)
        for name, value in zip(names.split(", "), values, strict=True):
            assert name not in found
            found[name] = None if value is None else eval(value)  # our own text
    return found


def test_compute_describes_every_option_with_its_default() -> None:
    found = described()
    assert [found.pop(name) for name in ("params", "axes", "where")] == [None] * 3
    assert found == DEFAULTS


def test_the_types_of_a_call_are_those_of_the_options() -> None:
    assert {*OptionTypes.__annotations__} == {*DEFAULTS} - {"func"}
    assert CallOptions.__required_keys__ == frozenset()


def test_the_options_of_a_run_are_taken_over_as_they_are() -> None:
    names = [field.name for field in dataclasses.fields(RunOptions)]
    given = Options().updated({"workers": 3, "log": "run.jsonl", "retries": 2, "store": "cache"})
    run = given.of_the_run()
    assert type(run) is RunOptions
    assert {n: getattr(run, n) for n in names} == {n: getattr(given, n) for n in names}
    assert (run.workers, run.retries, run.pause_at) == (3, 2, 0.80)
