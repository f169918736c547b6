"""A module of the user's, as the commands have it."""

from tests.cli.conftest import model

__all__ = ["model"]
