"""The installation at a glance: ``python -m swarmgrid``."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module, metadata

DISTRIBUTION = "swarmgrid-zarr"
NEEDED = ("zarr", "numpy", "xarray", "dask", "pandas", "numcodecs")
EXTRAS = {
    "cloud": ("obstore", "stores at s3://, gs://, az://"),
    "distributed": ("distributed", "dask clusters: client="),
    "notebook": ("ipywidgets", "a widget as progress bar"),
    "plot": ("matplotlib", "ds['value'].plot()"),
}
STORES = {
    "'results'": "a directory",
    "'memory://name'": "the memory of this process",
    "a Zarr store": "any object of zarr.abc.store.Store",
}
CLOUD = "'s3://bucket/path'"


def main(arguments: Sequence[str] = ()) -> int:
    """Write versions, kinds of stores and the place of the documentation; return 0."""
    if arguments:
        sys.stderr.write(
            f"python -m swarmgrid takes no arguments; it was given {' '.join(arguments)!r}\n"
        )
        return 2
    sys.stdout.write("\n".join(_lines()) + "\n")
    return 0


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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
