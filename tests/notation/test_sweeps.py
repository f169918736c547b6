"""A file describes a grid; a mistake in it is an error that names the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarmgrid.errors import InputError
from swarmgrid.notation.sweeps import is_sweep, read_sweep

TOML = """
function = "model.py:simulate"
store = "cache"
[params]
alpha = 0.4
[axes]
strat = ["a", "b"]
s = "0:20"
[options]
workers = 2
"""
YAML = """
function: model.py:simulate
store: cache
params: {alpha: 0.4}
axes:
  strat: [a, b]
  s: "0:20"
options: {workers: 2}
"""


def test_toml_and_yaml_say_the_same(tmp_path: Path) -> None:
    found = []
    for name, text in (("a.toml", TOML), ("a.yaml", YAML), ("a.yml", YAML)):
        (tmp_path / name).write_text(text)
        assert is_sweep(name)
        found.append(read_sweep(str(tmp_path / name)))
    for one in found:
        assert one.store == str(tmp_path / "cache")
        assert one.axes == {"strat": ["a", "b"], "s": "0:20"}
        assert (one.params, one.options, one.function) == (
            {"alpha": 0.4}, {"workers": 2}, "model.py:simulate",
        )  # fmt: skip


BAD = {
    "a.toml": ("x = ", "is no TOML"),
    "b.toml": ("funktion = 'a'", "did you mean 'function'"),
    "c.toml": ("params = 3", "expected a table"),
    "d.toml": ("store = 3", "expected a text"),
    "e.yaml": ("a: [", "is no YAML"),
    "f.yaml": ("- 1", "expected names and values"),
    "g.yaml": ("params: {1: 2}", "as a name in params"),
    "h.yaml": ("!!python/object/apply:os.system [ls]", "is no YAML"),
    "i.yaml": ("", "expected names and values"),
    "missing.toml": (None, "cannot be read"),
    "binary.toml": ("\udcff", "cannot be read"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_mistake_in_a_file_is_named(name: str, tmp_path: Path) -> None:
    text, message = BAD[name]
    if text is not None:
        (tmp_path / name).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=message):
        read_sweep(str(tmp_path / name))
