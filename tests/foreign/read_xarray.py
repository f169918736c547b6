"""Print every variable of a Zarr group, or a tree of them, as xarray reads it: one JSON object.

Run by `readers.py` as `python -I -W error read_xarray.py PATH [--group G] [--tree]`.
"""

# ruff: noqa: E402  # the block must come before every import that it could concern

from __future__ import annotations

import importlib.metadata
import sys

sys.modules["swarmgrid"] = None  # `import swarmgrid` now raises, installed or not
_distributions = importlib.metadata.distributions
# zarr and xarray load what a distribution offers them; this one offers nothing, either
importlib.metadata.distributions = lambda **of: (
    one for one in _distributions(**of) if one.metadata["Name"] != "swarmgrid-zarr"
)

import argparse
import json
from pathlib import Path

import xarray as xr

sys.path.append(str(Path(__file__).parent))  # -I leaves it out

from array_json import to_json


def datasets(path: str, group: str | None, is_tree: bool) -> dict[str, xr.Dataset]:
    """Datasets by the prefix of their variables' names: "" or "/function/grid id/"."""
    if not is_tree:
        return {"": xr.open_zarr(path, group=group)}
    # Not consolidated as a whole: each grid's group is, on its own.
    tree = xr.open_datatree(path, engine="zarr", consolidated=False)
    return {f"{node.path.rstrip('/')}/": node.to_dataset() for node in tree.subtree}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("path")
    parser.add_argument("--group")
    parser.add_argument("--tree", action="store_true")
    arguments = parser.parse_args()
    documents = {
        f"{prefix}{name}": to_json(variable.to_numpy(), variable.dims)
        for prefix, ds in datasets(arguments.path, arguments.group, arguments.tree).items()
        for name, variable in ds.variables.items()
    }
    json.dump(documents, sys.stdout)


if __name__ == "__main__":
    main()
