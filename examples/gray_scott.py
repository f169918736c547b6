"""Patterns from two chemicals: a PDE.

The Gray-Scott model: two substances diffuse over a plate and react with each other. One is fed
with the rate `feed`, the other is removed with the rate `kill`. Spots, stripes, mazes or nothing
at all come out, as in Pearson's map of 1993 ("Complex patterns in a simple system", Science 261).

    python examples/gray_scott.py [--store DIR] [--small]
"""

from __future__ import annotations

import argparse

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr

import swarmgrid

# %% command line
parser = argparse.ArgumentParser(
    description="Patterns of a reaction and diffusion, over feed and kill rate."
)
parser.add_argument("--store", default="cache", help="directory or URL (default: cache)")
parser.add_argument("--small", action="store_true", help="a smaller grid")
options = parser.parse_args()
store, small = options.store, options.small

# %%
# ## The function
#
# It solves the equations by finite differences on a plate whose edges are joined, and returns an
# image with dims of its own, and a number: how much of the plate is patterned.


def gray_scott(n: int, steps: int, feed: float, kill: float) -> dict[str, float | xr.DataArray]:
    """Return the second substance after some steps, and its standard deviation."""
    rng = np.random.default_rng(1993)
    u, v = np.ones((n, n), "f4"), np.zeros((n, n), "f4")
    for row, column in rng.integers(0, n, (max(1, n * n // 400), 2)):
        u[row : row + 5, column : column + 5], v[row : row + 5, column : column + 5] = 0.5, 0.25
    feed, kill = np.float32(feed), np.float32(kill)

    def diffusion(a: np.ndarray) -> np.ndarray:
        wide = np.pad(a, 1, mode="wrap")
        return wide[:-2, 1:-1] + wide[2:, 1:-1] + wide[1:-1, :-2] + wide[1:-1, 2:] - 4 * a

    for _ in range(steps):
        reaction = u * v * v
        u += np.float32(0.16) * diffusion(u) - reaction + feed * (1 - u)
        v += np.float32(0.08) * diffusion(v) + reaction - (feed + kill) * v
    return {"contrast": float(v.std()), "pattern": xr.DataArray(v, dims=("y", "x"))}


# %%
# ## The sweep
#
# `chunks` says that each plate is stored in a chunk of its own, because the picture reads all of
# them but a closer look reads one.

params = {"n": 32, "steps": 300} if small else {"n": 72, "steps": 6000}
axes = {
    "feed": np.linspace(0.02, 0.07, 2 if small else 8).round(5),
    "kill": np.linspace(0.05, 0.066, 2 if small else 9).round(5),
}
ds, done = swarmgrid.run(params, axes, func=gray_scott, store=store, chunks={"feed": 1, "kill": 1})
print(done)

# %%
# ## The picture
#
# Every tile is one point of the grid. As `ds` is an ordinary Dataset, a transposition of its dims
# makes one large image of all tiles.

tiles = ds["pattern"].transpose("feed", "y", "kill", "x").values
n_feed, n_y, n_kill, n_x = tiles.shape
figure, ax = plt.subplots(figsize=(7.2, 6.2), layout="constrained")
ax.imshow(tiles.reshape(n_feed * n_y, n_kill * n_x), cmap="cividis", vmax=0.4, origin="lower")
ax.set(xlabel="Kill rate", ylabel="Feed rate", title="Gray-Scott patterns, one per point")
ax.set_xticks((np.arange(n_kill) + 0.5) * n_x, ds["kill"].values.round(4))
ax.set_yticks((np.arange(n_feed) + 0.5) * n_y, ds["feed"].values.round(4))
ax.tick_params(length=0)
figure.savefig("gray_scott.png", dpi=60)
