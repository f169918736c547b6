"""The fixture of zarrita, for `pytest_plugins = ["tests.foreign.fixtures"]`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.foreign.readers import install_zarrita


@pytest.fixture(scope="session")
def zarrita(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder for `read_zarrita(..., zarrita=...)`, installed once; skips without Node."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    try:
        return install_zarrita(tmp_path_factory.mktemp("zarrita"))
    except AssertionError as error:  # a registry that does not answer is no failure of ours
        pytest.skip(str(error))
