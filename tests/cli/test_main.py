"""The program: its help, exit codes and errors; and that `ls` imports nothing heavy."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import swarmgrid
from swarmgrid.cli.main import HOMES, main, program
from swarmgrid.terminal.endings import PIPE_CLOSED
from tests import programs
from tests.cli.shell import IN_A_TERMINAL, MODEL, Done, shell
from tests.long import examples
from tests.observe.screen import session
from tests.test_imports import HEAVY, modules_after
from tests.waiting import PATIENCE

PROGRAM = [sys.executable, "-m", "swarmgrid"]


@pytest.mark.parametrize("name", HOMES)
def test_every_command_has_help_with_examples(name: str) -> None:
    done = shell(name, "--help")
    assert done.code == 0
    assert f"Usage: swarmgrid {name}" in done.out
    assert f"  swarmgrid {name}" in done.out.split("Example")[1]
    assert "--json" in done.out
    assert max(map(len, done.out.splitlines())) <= 80
    assert done.err == ""


def test_the_help_fits_the_page() -> None:
    done = shell("--help")
    assert done.code == 0
    for name in HOMES:
        assert f"  {name} " in done.out
    assert "..." not in done.out.split("Commands:")[1]  # no first line is cut
    assert max(map(len, done.out.splitlines())) <= 84


def test_the_version() -> None:
    assert shell("--version") == (0, f"swarmgrid {swarmgrid.__version__}\n", "")


def test_without_a_command_there_is_help() -> None:
    done = shell()
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("Usage: swarmgrid [OPTIONS] COMMAND")


def test_a_command_that_does_not_exist_has_a_hint() -> None:
    done = shell("lss")
    assert (done.code, done.out) == (2, "")
    assert "did you mean 'ls'?" in done.err
    assert json.loads(shell("lss", "--json").out)["error"]["kind"] == "UsageError"


def test_an_error_is_one_message_and_one_document(tmp_path: Path) -> None:
    done = shell("ls", tmp_path / "nothing", "--json")
    assert done.code == 2
    assert done.document["error"]["kind"] == "InputError"
    assert done.document["error"]["message"] in done.err
    assert "there is no folder" in done.err
    assert shell("ls", tmp_path / "nothing").out == ""


def test_nothing_that_matches_is_another_exit_code(store: str, tmp_path: Path) -> None:
    assert shell("ls", tmp_path).code == 3
    assert shell("ls", store, "--where", "params.alpha>5", "--json").code == 3
    assert shell("show", store, "ffff").code == 3


def test_a_bug_is_no_error_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(program, "invoke", wrong)
    with pytest.raises(ZeroDivisionError):
        main(["ls"])


def test_a_warning_is_a_line_on_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def warn(*_: Any, **__: Any) -> int:
        warnings.warn("look out", RuntimeWarning, stacklevel=1)
        return 0

    monkeypatch.setattr(program, "invoke", warn)
    done = shell("ls")
    assert done.code == 0
    assert done.err == "swarmgrid: warning: look out\n"


def test_the_store_is_the_first_argument_an_option_or_a_variable(
    store: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert "which store?" in shell("ls").err
    grids = shell("ls", store, "--json").document["grids"]
    assert len(grids) == 3
    assert shell("ls", "--store", store, "--json").document["grids"] == grids
    monkeypatch.setenv("SWARMGRID_STORE", store)
    assert shell("ls", "--json").document["grids"] == grids
    one = grids[0]["grid"]
    for names in ([one], [store, one], ["--store", store, one]):
        assert shell("show", *names, "--json").document["grid"] == one
    assert shell("ls", tmp_path).code == 3  # a folder goes before the variable


# ---- no bad argument has a traceback


SAMPLES = """
cache memory://cli-fuzz - --where --json params.a> { simulate/ --axis x= x=1 --param a=@b @ no.py:f
math:sqrt a:b:c x.toml --select s=1..x --sort --limit -1 --older-than 5q --max-bytes .. --keep =
--storage-option --store s3:// --workers --chunks --yes --tag --function --params [] -- --verbose 7
os:path --watch-not --axis=x=0:5 --param=y=1 --store=cache tests:x --overwrite out.csv
"""
WORDS = st.one_of(st.sampled_from([*SAMPLES.split(), "", "\0", "a" * 300]), st.text(max_size=8))


ENDING = sorted({*HOMES} - {"serve", "watch"})
"""Commands that end by themselves, whatever they are given but ``-w``."""


@given(st.sampled_from(ENDING), st.lists(WORDS, max_size=6))
@example("ls", ["--where", "params.alpha~("])
@example("run", ["math:sqrt", "--axis", "x=1", "--store", "s3://"])
@example("delete", ["cache", "--store", ""])
@settings(max_examples=examples(100))
def test_no_argument_gives_a_traceback_and_json_is_one_document(
    tmp_path_factory: pytest.TempPathFactory, command: str, words: list[str]
) -> None:
    done = _given(tmp_path_factory, command, "--json", *words)
    assert isinstance(done.document, dict)
    assert (done.code == 0) or done.err or done.document


@given(st.lists(WORDS, max_size=6))
@settings(max_examples=examples(20))
def test_no_argument_of_watch_gives_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, words: list[str]
) -> None:
    _given(tmp_path_factory, "watch", "--timeout", "0", *words)


def _given(tmp_path_factory: pytest.TempPathFactory, *words: str) -> Done:
    """What a command made of these arguments, which print no help and follow nothing."""
    folder = tmp_path_factory.getbasetemp() / "fuzz"
    folder.mkdir(exist_ok=True)
    before = Path.cwd()
    os.chdir(folder)
    try:
        done = shell(*(word for word in words if not word.startswith(("-h", "--h", "-w"))))
    finally:
        os.chdir(before)
    assert done.code in {0, 1, 2, 3}, done
    assert "Traceback" not in done.err
    return done


# ---- as a process


def test_ls_imports_nothing_heavy(tmp_path: Path) -> None:
    swarmgrid.stream(
        {}, {"x": [1]}, func=lambda x: x, store=tmp_path, executor="sync", version="1"
    )
    code = (
        "import io, sys; from swarmgrid.cli.main import main; kept = sys.stdout; "
        "sys.stdout = io.StringIO(); assert main(['ls', sys.argv[1]]) == 0; sys.stdout = kept"
    )
    assert modules_after(code, str(tmp_path)) & (HEAVY | {"numpy", "yaml"}) == set()


def test_the_program_is_a_process_with_an_exit_code(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(MODEL)
    arguments = ["run", "model:plain", "-a", "x=0:3", "-p", "y=1", "-S", "cache", "--json"]
    done = subprocess.run(
        [*PROGRAM, *arguments, "--executor", "sync"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["points"]["computed"] == 3
    assert "\x1b" not in done.stderr


def test_a_reader_that_goes_away_ends_the_program_silently() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        done = subprocess.run(
            [*PROGRAM, "about"],
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
    assert (done.returncode, done.stderr) == (PIPE_CLOSED, "")


SLOW = """
import sys, time
def slow(x):
    print("begun", file=sys.stderr, flush=True)
    time.sleep(60 if x else 0)
    return x
"""


def test_ctrl_c_ends_a_run_with_its_own_exit_code_and_says_what_is_stored(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(SLOW)
    arguments = ["run", "model.py:slow", "-a", "x=0,1", "-S", "cache", "--executor", "sync"]
    process = programs.start(
        [*PROGRAM, *arguments, "--verbose", "0"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for _ in range(2):
        assert process.stderr.readline() == "begun\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "swarmgrid: interrupted: 1 of 2 points are stored; call again to go on" in said
    assert "Traceback" not in said


def test_a_terminal_gets_colours_and_a_table_that_fits(tmp_path: Path) -> None:
    swarmgrid.stream(
        {"text": "long " * 30}, {"x": range(3)}, func=_with_text, store=tmp_path / "cache",
        executor="sync", version="1", tags={"note": "n" * 50},
    )  # fmt: skip
    script = tmp_path / "script.py"
    script.write_text(IN_A_TERMINAL)
    with session(script, "ls", tmp_path / "cache", columns=60) as terminal:
        terminal.wait_for("^_with_")
        (tmp_path / "shown").touch()
        assert terminal.end() == 0
    lines = terminal.screen.text()
    assert len(lines) == 2
    assert max(map(len, lines)) <= 60
    assert "…" in lines[1]
    piped = shell("ls", tmp_path / "cache").out
    assert "long " * 29 in piped
    assert "…" not in piped.replace(" … ", "")


def _with_text(x: int, text: str) -> int:
    return x


def test_completion_finds_commands_and_grids(store: str) -> None:
    from click.shell_completion import BashComplete

    complete = BashComplete(program, {}, "swarmgrid", "_SWARMGRID_COMPLETE")
    assert [one.value for one in complete.get_completions([], "pr")] == ["prune"]
    ids = [one["grid"][:12] for one in shell("ls", store, "--json").document["grids"]]
    assert [one.value for one in complete.get_completions(["show", store], "")] == ids
    (folder,) = complete.get_completions(["show"], "ca")
    assert folder.type == "dir"
    environment = {**os.environ, "_SWARMGRID_COMPLETE": "zsh_source"}
    source = subprocess.run(
        PROGRAM, env=environment, capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    assert "#compdef swarmgrid" in source.stdout
