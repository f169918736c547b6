"""No word of a command is ignored, and none that is blank widens what the command is about."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

import swarmgrid
from swarmgrid.cli.main import HOMES, program
from tests.cli.shell import shell

STORE = "memory://words"
WORDS = {
    "about": (),
    "run": ("math:sqrt",),
    "plan": ("math:sqrt",),
    "why": ("math:sqrt",),
    "copy": (STORE, "memory://other"),
    "merge": (STORE, "memory://other"),
    "watch": (STORE, "triple", "--timeout", "0"),
    "diff": (STORE, "--from", "kept"),
}
"""The arguments of the commands that need more than a store."""
LAST = {"export": "out.csv", "publish": "alice", "discard": "alice", "restore": "kept"}
"""The word after the store and the grids."""


def triple(x: int) -> int:
    return 3 * x


@pytest.fixture(scope="module", autouse=True)
def _store() -> None:
    swarmgrid.stream(triple, {}, {"x": [1, 2]}, tags={"site": "north"}, store=STORE,
                     executor="sync", version="1", verbose=0)  # fmt: skip
    swarmgrid.Grid.open(STORE, "triple/").snapshot("kept")


def command(name: str) -> click.Command:
    found = program.get_command(click.Context(program), name)
    assert found is not None
    return found


@pytest.mark.parametrize("name", HOMES)
def test_a_word_too_many_is_named(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a server that took the word would wait for ever
    monkeypatch.setattr("swarmgrid.cli.pages._wait", lambda *_, **__: 0)
    words = WORDS.get(name, (STORE, str(tmp_path)) if name == "archive" else (STORE,))
    done = shell(name, *words, "superfluous", *filter(None, [LAST.get(name)]))
    assert done.code in {2, 3}, done
    assert "superfluous" in done.err
    assert swarmgrid.catalog(STORE).rows[0].points_computed == 2


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("prune",), "--older-than 30d"),
        (("verify", "--archive-option", "a=b"), "pass --archived"),
        (("plan", "math:sqrt", "--axis", "x=1", "--timeout", "x"), "--timeout is"),
    ],
)
def test_a_message_names_options_of_the_shell(words: tuple[str, ...], option: str) -> None:
    done = shell(*words, "--store", STORE, "--json")
    assert done.code == 2
    assert option in done.err
    assert option in done.document["error"]["message"]


@pytest.mark.parametrize("name", HOMES)
def test_a_blank_word_is_refused_in_every_command(name: str) -> None:
    for param in command(name).params:
        is_free = param.name == "message" or getattr(param, "is_flag", False)
        if is_free or not isinstance(param.type, click.types.StringParamType):
            continue
        words = [""] if isinstance(param, click.Argument) else [param.opts[-1], ""]
        with pytest.raises(click.BadParameter, match="blank"):
            command(name).make_context(name, [*words, "a", "b"])


@pytest.mark.parametrize(
    "words",
    [
        ("--tag", ""), ("--tag=",), ("--tag", " "), ("--tag", "=x"), ("--tag", "site!="),
        ("--where", ""), ("--where", "tags."), ("--where", "tags"), ("--where", "params"),
        ("--where", "tags.!=1"), ("--where", "{}"), ("--where", "points.failed"),
        ("--where", "tags.site~"), ("--where", "function>="), ("--function", ""), ("--store", ""),
        ("",), (" ",), ("/",), ("triple", "--select", ""), ("triple", "--select", "x=.."),
    ],
)  # fmt: skip
def test_nothing_is_deleted_where_a_variable_is_not_set(words: tuple[str, ...]) -> None:
    done = shell("delete", STORE, "--yes", "--snapshots", *words)
    assert done.code in {2, 3}
    assert swarmgrid.catalog(STORE).rows[0].points_computed == 2
