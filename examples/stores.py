"""Stores side by side: a directory, an SQLite file, and LMDB.

The same grid in each: how many files it is, how large, and how long it takes to fill and to read.

    python examples/stores.py [--store DIR]

LMDB needs the extra `lmdb`; without it, it is left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from pathlib import Path

import numpy as np

import swarmgrid

# %% command line
parser = argparse.ArgumentParser(description="Compare kinds of stores.")
parser.add_argument("--store", default="cache", help="directory (default: cache)")
store = Path(parser.parse_args().store)

# %%
# ## The function and the places


def spectrum(length: float, damping: float) -> np.ndarray:
    """Return the response of a string at many frequencies."""
    f = np.linspace(0.1, 10, 500)
    return 1 / np.hypot(f**2 - (1 / length) ** 2, damping * f)


axes = {"length": np.linspace(0.5, 2, 40).round(3), "damping": [0.1, 0.2, 0.4]}
places = {"directory": str(store), "SQLite": f"sqlite:///{store}.db"}
files = {"directory": [store], "SQLite": [Path(f"{store}.db"), Path(f"{store}.db-wal")]}
if importlib.util.find_spec("lmdb") is not None:
    places["LMDB"] = f"lmdb:///{store}-lmdb"
    files["LMDB"] = [Path(f"{store}-lmdb")]


def size(paths: list[Path]) -> str:
    """Return the number of files, and the room that they take on the disk."""
    inside = [file for path in paths for file in path.rglob("*") if file.is_file()]
    found = [path.stat() for path in (*paths, *inside) if path.is_file()]
    return f"{len(found)} files, {sum(one.st_blocks for one in found) / 2:.0f} KiB"


# %%
# ## Fill and read each

for kind, place in places.items():
    begun = time.perf_counter()
    ds, done = swarmgrid.run(
        spectrum, axes=axes, store=place, chunks={"length": 1}, executor="sync"
    )
    filled = time.perf_counter()
    total = ds["value"].values.sum()
    read = time.perf_counter() - filled
    print(f"{kind:9} {done}")
    print(f"{'':9} {size(files[kind])}; read in {read:.3f} s, sum {total:.3f}")

# %%
# ## From one to another
#
# `copy` takes grids along, with tags, failures and snapshots. What is there already is left alone.

print(swarmgrid.copy(places["SQLite"], places["directory"]))

# %%
# ## Without grids
#
# Each is a Zarr store for any use. A write may depend on a condition, checked at the same instant.

shelf = swarmgrid.stores.from_url(f"sqlite:///{store}-counter.db")
shelf.write_if("n", None)
Condition = swarmgrid.stores.Condition
print(
    "created:", shelf.write_if("n", b"1", Condition("n", None)),
    "- created again:", shelf.write_if("n", b"1", Condition("n", None)),
    "- replaced:", shelf.write_if("n", b"2", Condition("n", b"1")),
)  # fmt: skip
