"""What every test of a watcher begins with."""

from __future__ import annotations

import pytest

from tests.following import grids


@pytest.fixture(autouse=True)
def no_bad_values() -> None:
    """The function fails nowhere, whatever a test before has set."""
    grids.BAD.clear()
