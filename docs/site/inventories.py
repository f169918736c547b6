"""The inventories of other projects' names, as Sphinx reads them, without a network."""

from __future__ import annotations

import tomllib
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("inventories.toml")
ALIASES = {"xr.": "xarray.", "np.": "numpy.", "dask.distributed.": "distributed."}
"""How the pages abbreviate modules."""


def projects() -> dict[str, dict[str, Any]]:
    """The table, by project."""
    return tomllib.loads(TABLE.read_text())


def names() -> set[str]:
    """Every name of another project that has a page."""
    return {name for project in projects() for name, _, _ in _entries(project)}


def whole(name: str) -> str:
    """A name as its inventory has it: ``xr.Dataset`` is ``xarray.Dataset``."""
    for short, long in ALIASES.items():
        if name.startswith(short):
            return long + name.removeprefix(short)
    return name


def write_inventories(folder: Path) -> None:
    """Write a file of the form of ``objects.inv``, version 2, for each project."""
    folder.mkdir()
    for project in projects():
        lines = [f"{name} py:{kind} 1 {uri} -\n" for name, kind, uri in _entries(project)]
        head = (
            f"# Sphinx inventory version 2\n# Project: {project}\n# Version: \n"
            "# The remainder of this file is compressed using zlib.\n"
        )
        body = zlib.compress("".join(lines).encode())
        (folder / f"{project}.inv").write_bytes(head.encode() + body)


def _entries(project: str) -> Iterator[tuple[str, str, str]]:
    """Yield name, kind and address of each name of a project."""
    for page, entries in projects()[project]["pages"].items():
        for entry in entries:
            kind, _, name = entry.partition(" ")
            module, _, last = name.rpartition(".")
            place = page.format(name=name, module=module, last=last)
            yield name, kind, f"{place}#{name}"
