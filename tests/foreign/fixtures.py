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
    return install_zarrita(tmp_path_factory.mktemp("zarrita"))
