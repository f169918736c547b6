"""Run the foreign readers, each in a process that cannot import swarmgrid; arrays by name.

A reader that warns, fails or writes to its standard error raises AssertionError.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.foreign.array_json import from_json

HERE = Path(__file__).parent
TIMEOUT_SECONDS = 100


def read_xarray(path: Path, group: str | None = None) -> dict[str, np.ndarray]:
    """Every variable of `xr.open_zarr(path, group=group)`, decoded.

    With `group`, xarray wants the metadata of `path` itself consolidated: prefer the group's path.
    """
    return _arrays(_read_xarray(path, group))


def read_xarray_with_dims(
    path: Path,
) -> tuple[dict[str, np.ndarray], dict[str, tuple[str, ...]]]:
    """The same, and the dims of every variable."""
    found = _read_xarray(path, None)
    return _arrays(found), {name: tuple(doc["dims"]) for name, doc in found.items()}


def read_xarray_tree(path: Path) -> dict[str, np.ndarray]:
    """Every variable of `xr.open_datatree(path)`, named "/<function>/<grid id>/<variable>"."""
    return _arrays(_python("read_xarray.py", str(path), "--tree"))


def read_tensorstore(path: Path, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Arrays `names` of the group at `path`, undecoded: no strings."""
    return _arrays(_python("read_tensorstore.py", str(path), *names))


def read_zarrita(path: Path, names: Iterable[str], *, zarrita: Path) -> dict[str, np.ndarray]:
    """Arrays `names` of the group at `path`, undecoded: no complex numbers, no float16.

    `zarrita` is the folder that the fixture of this name installed.
    """
    return _arrays(_run("node", str(zarrita / "read_zarrita.mjs"), str(path), *names))


def install_zarrita(directory: Path) -> Path:
    """`directory`, with the script and, beside it where node looks, the packages it imports."""
    for name in ("package.json", "read_zarrita.mjs"):
        shutil.copy(HERE / name, directory)
    command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"]
    done = _completed(command, cwd=directory)
    assert done.returncode == 0, f"{command} failed:\n{done.stderr}"
    return directory


def _read_xarray(path: Path, group: str | None) -> dict[str, Any]:
    options = [] if group is None else ["--group", group]
    return _python("read_xarray.py", str(path), *options)


def _python(script: str, *arguments: str) -> dict[str, Any]:
    return _run(sys.executable, "-I", "-W", "error", str(HERE / script), *arguments)


def _run(*command: str) -> dict[str, Any]:
    done = _completed(command)
    is_clean = done.returncode == 0 and not done.stderr
    assert is_clean, f"{command} ended with {done.returncode}:\n{done.stderr}"
    return json.loads(done.stdout)


def _completed(
    command: Sequence[str], cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
    )


def _arrays(documents: dict[str, Any]) -> dict[str, np.ndarray]:
    return {name: from_json(document) for name, document in documents.items()}
