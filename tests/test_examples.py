"""Every example runs, and computes nothing when it is run again."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.long import first

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
FIGURES = {"hyperparameters.py": "hyperparameters.png", "oscillators.py": "oscillators.png"}


@pytest.mark.parametrize("example", first(2, EXAMPLES), ids=lambda path: path.stem)
def test_an_example_computes_everything_once(example: Path, tmp_path: Path) -> None:
    first = _output(example, tmp_path)
    figure = tmp_path / FIGURES.get(example.name, "")
    assert example.name not in FIGURES or figure.read_bytes().startswith(b"\x89PNG")
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
    done = subprocess.run(
        [sys.executable, "-W", "error", str(example), "--store", "store"],
        cwd=folder,
        env={**os.environ, "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def _counts(text: str, word: str) -> list[int]:
    """The numbers before a word, in the order printed."""
    return [int(n) for n in re.findall(rf"(\d+) {word}\b", text)]
