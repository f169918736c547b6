"""The surroundings of a process at its start: environment variables, folder, search path."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Those of the caller, which a fork server has as they were when it was started."""

    environment: Mapping[str, str]
    folder: str | None
    path: tuple[str, ...]

    @classmethod
    def here(cls) -> Surroundings:
        """Those of this process, at present."""
        folder = None
        with contextlib.suppress(OSError):  # it was deleted
            folder = os.getcwd()  # noqa: PTH109
        return cls(dict(os.environ), folder, tuple(sys.path))

    def enter(self) -> None:
        """Make them those of this process."""
        for name in os.environ.keys() - self.environment.keys():
            del os.environ[name]
        for name, value in self.environment.items():
            if os.environ.get(name) != value:
                os.environ[name] = value
        if hasattr(time, "tzset"):
            time.tzset()
        if self.folder is not None:
            with contextlib.suppress(OSError):
                os.chdir(self.folder)
        sys.path[:] = self.path
