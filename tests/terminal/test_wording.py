"""A message of the library names the options of the shell where it advises arguments of Python."""

from __future__ import annotations

import pytest

from swarmgrid.terminal.wording import in_shell

OPTIONS = {
    "older_than": "--older-than", "max_bytes": "--max-bytes", "archived": "--archived",
    "param": "--param", "axis": "--axis", "ignore": "--ignore", "version": "--version",
    "executor": "--executor", "on_error": "--on-error", "timeout": "--timeout",
    "depends": "--depends", "chunks": "--chunks",
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pass older_than='30d' or max_bytes='50GB'", "pass --older-than 30d or --max-bytes 50GB"),
        ("an archive; pass archived=True, too", "an archive; pass --archived, too"),
        ("pass its value, params={'s': ...}, or its values, axes={'s': [...]}",
         "pass its value, --param s=..., or its values, --axis s=..."),
        ("leave it out with ignore={'cache'}; or let version= stand for the code",
         "leave it out with --ignore cache; or let --version stand for the code"),
        ("or use executor='threads'", "or use --executor threads"),
        ('or pass on_error="record" to go on', "or pass --on-error record to go on"),
        ("such as depends={'seed': 3}", "such as --depends seed=3"),
        ("timeout is 'x'; expected seconds", "--timeout is 'x'; expected seconds"),
        ("chunks names 'q'", "--chunks names 'q'"),
        ("f failed at timeout=3, version='a' (this one is chunks=1)", None),
        ("timeout=3 is no value that axis 'timeout' has", None),
        ("pass overwrite=True to replace it", None),
        ("the timeout is over, and version= too", None),
        ("pass axes={'s': [1, }", "pass --axis {'s': [1, }"),
        ("pass Grid.rechunk(chunks=3)", None),
        ("", None),
    ],
)  # fmt: skip
def test_arguments_are_options(text: str, expected: str | None) -> None:
    assert in_shell(text, OPTIONS) == (text if expected is None else expected)
