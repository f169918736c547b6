"""Every example runs, and computes nothing when it is run again."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

import swarmgrid
from docs.site import gallery
from tests.servers.s3 import S3Server
from tests.waiting import PATIENCE

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
GALLERY = {script.name for script in gallery.examples()}
"""The examples that draw a picture, and have a smaller grid."""


@pytest.mark.long
@pytest.mark.site
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
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


@pytest.mark.long
@pytest.mark.site
@pytest.mark.server
def test_the_example_of_an_object_store_fills_a_bucket(s3: S3Server, tmp_path: Path) -> None:
    (example,) = (path for path in EXAMPLES if path.stem == "object_store")
    environment = {
        "AWS_ENDPOINT_URL": s3.endpoint,
        "AWS_ACCESS_KEY_ID": s3.access_key,
        "AWS_SECRET_ACCESS_KEY": s3.secret_key,
    }
    url = s3.url("example")
    assert _counts(_output(example, tmp_path, url, environment), "computed") == [8, 8]
    assert _counts(_output(example, tmp_path, url, environment), "computed") == [0, 0]
    assert (tmp_path / "object_store.png").exists()
    assert len(swarmgrid.catalog(url, storage_options=s3.storage_options())) == 1


def _output(
    example: Path,
    folder: Path,
    store: str = "store",
    environment: Mapping[str, str] = MappingProxyType({}),
) -> str:
    small = ["--small"] * (example.name in GALLERY)
    done = subprocess.run(
        [sys.executable, "-W", "error", str(example), "--store", store, *small],
        cwd=folder,
        env={**os.environ, "MPLBACKEND": "Agg", **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def _counts(text: str, word: str) -> list[int]:
    """The numbers before a word, in the order printed."""
    return [int(n) for n in re.findall(rf"(\d+) {word}\b", text)]
