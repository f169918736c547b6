"""Every example runs, and computes nothing when it is run again."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs.site import gallery

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
GALLERY = {script.name for script in gallery.examples()}
"""The examples that draw a picture, and have a smaller grid."""


IN_CI = [pytest.param(e, marks=(pytest.mark.long, pytest.mark.site)) for e in EXAMPLES[2:]]


@pytest.mark.timeout(600)  # it has a grid of its own size
@pytest.mark.parametrize("example", [*EXAMPLES[:2], *IN_CI], ids=lambda path: path.stem)
def test_an_example_computes_everything_once(example: Path, tmp_path: Path) -> None:
    first = _output(example, tmp_path)
    if example.name in GALLERY:
        assert (tmp_path / f"{example.stem}.png").read_bytes().startswith(b"\x89PNG")
    second = _output(example, tmp_path)
    assert _counts(first, "computed")[0] > 0
    assert sum(_counts(second, "computed")) == 0
    # Every request is one line of each run: nothing else may differ than what was computed when.
    totals = [
        sum(pair)
        for pair in zip(_counts(first, "computed"), _counts(first, "reused"), strict=False)
    ]
    assert _counts(second, "reused") == totals


def _output(example: Path, folder: Path) -> str:
    small = ["--small"] * (example.name in GALLERY)
    done = subprocess.run(
        [sys.executable, "-W", "error", str(example), "--store", "store", *small],
        cwd=folder,
        env={**os.environ, "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def _counts(text: str, word: str) -> list[int]:
    """The numbers before a word, in the order printed."""
    return [int(n) for n in re.findall(rf"(\d+) {word}\b", text)]
