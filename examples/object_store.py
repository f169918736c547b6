"""Julia sets in a bucket: an object store.

Every point of the complex plane has a Julia set. Drawn as tiles over the plane, they show the
Mandelbrot set. The tiles lie in an S3 bucket (or in any other store): worker processes write them
there, and any reader of Zarr opens them, without swarmgrid.

    python examples/object_store.py [--store s3://BUCKET/PREFIX] [--small]
"""

from __future__ import annotations

import argparse
import os

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
import zarr

import swarmgrid

# %% command line
parser = argparse.ArgumentParser(description="Julia sets, computed into a bucket.")
parser.add_argument("--store", default="cache", help="directory or URL (default: cache)")
parser.add_argument("--small", action="store_true", help="a smaller grid")
options = parser.parse_args()
store, small = options.store, options.small

# %%
# ## The store
#
# For a bucket at Amazon the URL is enough, with `AWS_ACCESS_KEY_ID` and the like in the
# environment. A server of your own, such as SeaweedFS or MinIO, also needs its address. A
# directory needs nothing.

storage_options = None
if store.startswith("s3://"):
    storage_options = {"region": os.environ.get("AWS_REGION", "us-east-1")}
if endpoint := os.environ.get("AWS_ENDPOINT_URL"):
    storage_options |= {
        "endpoint": endpoint,
        "virtual_hosted_style_request": False,
        "client_options": {"allow_http": True},
    }

# %%
# ## The function


@swarmgrid.grid(store=store, storage_options=storage_options, chunks={"re": 6, "im": 6})
def julia(n: int, re: float, im: float) -> xr.DataArray:
    """Return after how many steps each point of a tile escapes, up to 60."""
    side = np.linspace(-1.5, 1.5, n)
    z = side + 1j * side[:, None]
    steps = np.zeros(z.shape, "u1")
    for _ in range(60):
        inside = np.abs(z) < 2
        steps += inside
        z[inside] = z[inside] ** 2 + complex(re, im)
    return xr.DataArray(steps, dims=("y", "x"))


# %%
# ## The sweep
#
# The tiles are computed in two calls: the left half of the plane, then all of it.

n = 4 if small else 16
re, im = np.linspace(-1.7, 0.6, n).round(4), np.linspace(-1.15, 1.15, n).round(4)
params = {"n": 8 if small else 36}
for values in (re[: n // 2], re):
    ds, done = julia.run(params, {"re": values, "im": im})
    print(done)

# %%
# ## Read it elsewhere
#
# What is in the bucket is plain Zarr. This part does not use swarmgrid: zarr and xarray open the
# grid by its address, and read only the chunks that are used.

path = f"{store}/data.zarr"
if store.startswith("s3://"):
    from obstore.store import from_url

    path = zarr.storage.ObjectStore(from_url(path, **storage_options), read_only=True)
tree = xr.open_datatree(path, engine="zarr", consolidated=False)
(leaf,) = (node for node in tree.leaves if node.path.startswith("/julia/"))
elsewhere = leaf.to_dataset().sortby(["re", "im"])
assert elsewhere["value"].equals(ds["value"])

# %%
# ## The picture

tiles = elsewhere["value"].transpose("im", "y", "re", "x").values
picture = tiles.reshape(n * params["n"], n * params["n"])
figure, ax = plt.subplots(figsize=(6.4, 6.2), layout="constrained")
half = (re[1] - re[0]) / 2
extent = (re[0] - half, re[-1] + half, im[0] - half, im[-1] + half)
ax.imshow(np.log1p(picture), cmap="magma", origin="lower", extent=extent)
ax.set(xlabel="Re c", ylabel="Im c", title=f"{n * n} Julia sets, one per point")
figure.savefig("object_store.png", dpi=50)
