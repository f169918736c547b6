"""``swarmgrid about``: the installation at a glance."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator
from importlib import import_module, metadata

import click

from swarmgrid.cli.stores import json_option
from swarmgrid.terminal.endings import OK
from swarmgrid.terminal.output import write, write_json

DISTRIBUTION = "swarmgrid-zarr"
NEEDED = ("zarr", "numpy", "xarray", "dask", "pandas", "numcodecs")
EXTRAS = {
    "chroma": ("chromadb", "handing points to ChromaDB"),
    "cloud": ("obstore", "stores at s3://, gs://, az://"),
    "distributed": ("distributed", "dask clusters: client="),
    "dynamodb": ("boto3", "stores at dynamodb://"),
    "encrypt": ("cryptography", "encrypted grids, key="),
    "lmdb": ("lmdb", "stores at lmdb:///"),
    "notebook": ("ipywidgets", "a widget as progress bar"),
    "plot": ("matplotlib", "ds['value'].plot()"),
    "redis": ("redis", "stores at redis://"),
    "search": ("usearch", "approximate search: grid.index"),
    "watch": ("watchfiles", "swarmgrid.watch of a directory without polling"),
    "web": ("starlette", "a page that follows runs: swarmgrid.serve"),
}
STORES = {
    "'results'": "a directory",
    "'memory://name'": "the memory of this process",
    "'sqlite:///a.db'": "a file of this machine",
    "a Zarr store": "any object of zarr.abc.store.Store",
}
CLOUD = "'s3://bucket/path'"


@click.command()
@json_option
def about(as_json: bool) -> int:
    """Show what is installed, and which stores can be used.

    \b
    Example:
      swarmgrid about
    """
    if as_json:
        write_json(
            {
                "swarmgrid": import_module("swarmgrid").__version__,
                "python": platform.python_version(),
                "packages": {name: _version(name) for name in NEEDED},
                "extras": {extra: _version(package) for extra, (package, _) in EXTRAS.items()},
            }
        )
    else:
        write("\n".join(_lines()))
    return OK


def _lines() -> Iterator[str]:
    version = import_module("swarmgrid").__version__
    yield (
        f"swarmgrid {version}, Python {platform.python_version()}, "
        f"{platform.system()} {platform.machine()}"
    )
    yield ""
    yield "packages"
    yield from _columns((name, _version(name) or "missing") for name in NEEDED)
    yield ""
    yield f"extras: pip install '{DISTRIBUTION}[{','.join(EXTRAS)}]'"
    yield from _columns(
        (extra, f"{what} ({package} {_version(package) or 'is not installed'})")
        for extra, (package, what) in EXTRAS.items()
    )
    yield ""
    yield "stores"
    has_cloud = _version(EXTRAS["cloud"][0]) is not None
    how = "S3 and alike; also gs:// and az://" if has_cloud else "needs the extra cloud"
    yield from _columns([*STORES.items(), (CLOUD, how)])
    yield ""
    yield "documentation"
    yield "  help(swarmgrid.compute) in Python; README.md and docs/ in the source"
    yield from (f"  {address}" for address in _addresses())


def _columns(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    found = list(rows)
    width = max(len(first) for first, _ in found)
    return (f"  {first:<{width}}  {second}" for first, second in found)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _addresses() -> list[str]:
    """The addresses that the installed distribution names."""
    try:
        return metadata.metadata(DISTRIBUTION).get_all("Project-URL") or []
    except metadata.PackageNotFoundError:  # run from the source
        return []
