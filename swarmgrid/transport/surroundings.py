"""The surroundings of a process at its start: variables, folder, search path, arithmetic."""

from __future__ import annotations

import contextlib
import decimal
import os
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Those of the caller, which a fork server has as they were when it was started."""

    environment: Mapping[str, str]
    folder: str | None
    path: tuple[str, ...]
    decimals: decimal.Context
    """The rules by which decimals are rounded."""
    floats: Mapping[str, Any]
    """numpy's reaction to a number that overflows, or is divided by zero."""

    @classmethod
    def here(cls) -> Surroundings:
        """Those of this process, at present."""
        folder = None
        with contextlib.suppress(OSError):  # it was deleted
            folder = os.getcwd()  # noqa: PTH109
        arithmetic = decimal.getcontext().copy(), dict(np.geterr())
        return cls(dict(os.environ), folder, tuple(sys.path), *arithmetic)

    def enter(self) -> None:
        """Make them those of this process."""
        for name in os.environ.keys() - self.environment.keys():
            del os.environ[name]
        for name, value in self.environment.items():
            if os.environ.get(name) != value:
                os.environ[name] = value
        decimal.setcontext(self.decimals)
        np.seterr(**self.floats)
        if hasattr(time, "tzset"):
            time.tzset()
        if self.folder is not None:
            with contextlib.suppress(OSError):
                os.chdir(self.folder)
        sys.path[:] = self.path
