"""A store for every test."""

from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.fixture
def store(new_memory_store: Callable[[], str]) -> str:
    """A store in memory that no other test uses."""
    return new_memory_store()
