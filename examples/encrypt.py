"""Encrypt results: a key of one's own, and what is readable without it.

    python examples/encrypt.py [--store DIR]

It needs the extra `encrypt`, and writes the key to `grid.key` in the current folder.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import xarray as xr

import swarmgrid

# %% command line
parser = argparse.ArgumentParser(description="Encrypt the values of a grid.")
parser.add_argument("--store", default="cache", help="directory (default: cache)")
store = parser.parse_args().store

# %%
# ## The key
#
# A key is 32 random bytes in a file that only its owner can read. Who loses it loses the values.

file = Path("grid.key")
if not file.exists():
    swarmgrid.Key.generate().save(file)
key = swarmgrid.Key.from_file(file)

# %%
# ## An encrypted grid


@swarmgrid.grid(store=store, key=key, executor="sync")
def exposure(client: str, shock: float) -> dict[str, object]:
    """Return a loss, and a sentence about it."""
    loss = round(len(client) * shock * 1e6)
    return {"loss": loss, "note": f"{client} would lose {loss}"}


axes = {"client": ["Abel", "Grace", "Hypatia"], "shock": [0.01, 0.05, 0.1]}
ds, done = exposure.run(axes=axes)
print(done)
print(ds["note"].sel(client="Grace", shock=0.05).item())

# %%
# ## What the store shows
#
# Values are encrypted. Names, axes, times and checksums are not, so that listings, plans and other
# processes need no key.

stored = b"".join(path.read_bytes() for path in Path(store).rglob("*") if path.is_file())
print("values in the store:", b"would lose" in stored, "- labels:", b"shock" in stored)
grid = exposure.grid()
print(grid.state().encodings["note"])

# %%
# ## Other readers
#
# Plain xarray finds the codec where swarmgrid is installed, and the key in the environment.

os.environ["SWARMGRID_KEY"] = key.reveal()
print("plain xarray:", xr.open_zarr(ds.encoding["source"])["loss"].values.max())

# %%
# ## Hand it on
#
# A copy stays encrypted as it is. Another key for the copy: `rotate` writes its chunks anew.

elsewhere = f"{store}-elsewhere"
swarmgrid.copy(store, elsewhere)
copied = swarmgrid.Grid.open(elsewhere, "exposure/")
theirs = swarmgrid.Key.generate()
copied.rotate(theirs)
print("their key:", theirs.id in copied.state().encodings["loss"])
copied.rotate(key)
print("same values:", copied.dataset().load().equals(grid.dataset().load()))
