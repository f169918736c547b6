"""What is compared: one class for each way to sweep a grid, behind one method."""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from benchmarks.cases import Axes, Work

    Read = Callable[[], NDArray[Any]]

N_WORKERS = 2


class Contender(Protocol):
    """One way to sweep a grid and to keep the result."""

    name: str
    package: str | None
    """The distribution that it needs beside swarmgrid's own requirements."""
    is_cache: bool
    """Whether every call looks up on disk what is computed, and a run that ends early keeps it."""
    about: str
    """How it was set up."""

    def phases(self, case: str) -> frozenset[str]:
        """The phases of a case that are its own, and that it does in a time worth waiting for."""

    def run(self, work: Work, axes: Axes, folder: Path) -> Read:
        """Compute what ``folder`` does not hold yet and keep it there.

        The callable that comes back gives the values over ``axes``, as one numpy array. A
        library that returns its values with the call has them already; a lazy one reads them
        then.
        """


_CLASSES = {
    "floors": ("BarePool", "ZarrAlone", "ZarrLoop"),
    "own": ("Swarmgrid",),
    "joblib_memory": ("JoblibRows", "JoblibPoints"),
    "xyzpy_harvester": ("XyzpySerial", "XyzpyCrop"),
    "pipefunc_map": ("PipefuncDict", "PipefuncFile"),
    "chunk_memo_cache": ("ChunkMemoSerial", "ChunkMemoParallel"),
    "xsweep_store": ("Xsweep",),
}
"""By module, in the order of the tables. None of these modules imports a library at once."""


def contenders() -> dict[str, Contender]:
    """All contenders by name, installed or not."""
    found: list[Contender] = [
        getattr(importlib.import_module(f"benchmarks.contenders.{module}"), name)()
        for module, names in _CLASSES.items()
        for name in names
    ]
    return {contender.name: contender for contender in found}


def package_version(package: str) -> str | None:
    """The version of a distribution; None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
