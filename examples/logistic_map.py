"""A simple rule, complicated orbits: whole blocks at once.

R. M. May, "Simple mathematical models with very complicated dynamics", Nature 261 (1976): a
population of the next year is `r x (1 - x)`. As `r` grows, it settles, then alternates between
two, four, eight values, then becomes chaotic, with windows of order in between. The function takes
a whole block of points in one call, so numpy computes all of them at once.

    python examples/logistic_map.py [--store DIR] [--small]
"""

from __future__ import annotations

import argparse

import matplotlib.pyplot as plt
import numpy as np

import swarmgrid

# %% command line
parser = argparse.ArgumentParser(description="The bifurcation diagram of the logistic map.")
parser.add_argument("--store", default="cache", help="directory or URL (default: cache)")
parser.add_argument("--small", action="store_true", help="a smaller grid")
options = parser.parse_args()
store, small = options.store, options.small

# %%
# ## The function
#
# With `vectorized=True` it receives an array of values of `r`, and returns arrays: a number and an
# orbit for each `r`.


def logistic_map(settle: int, keep: int, r: np.ndarray) -> dict[str, np.ndarray]:
    """Return the orbits after they have settled, and their Lyapunov exponents."""
    x = np.full(r.shape, 0.5)
    for _ in range(settle):
        x = r * x * (1 - x)
    orbit = np.empty((*r.shape, keep))
    for step in range(keep):
        orbit[..., step] = x = r * x * (1 - x)
    with np.errstate(divide="ignore"):
        exponent = np.log(np.abs(r[..., None] * (1 - 2 * orbit))).mean(axis=-1)
    return {"orbit": orbit, "exponent": np.maximum(exponent, -9.0)}


# %%
# ## The sweep, and a closer look
#
# The second request adds more values of `r` where there is a window of order. Values that both
# requests have are computed once.

params = {"settle": 1000, "keep": 50 if small else 200}
wide = np.linspace(2.8, 4, 31 if small else 1201).round(6)
window = np.linspace(3.82, 3.87, 11 if small else 1001).round(6)
for label, values in (("all", wide), ("the window", window)):
    ds, done = swarmgrid.run(
        params, {"r": values}, func=logistic_map, store=store, vectorized=True
    )
    print(f"{label + ':':12} {done}")
ds = swarmgrid.open(params, {"r": wide}, func=logistic_map, store=store, vectorized=True)
near = swarmgrid.open(params, {"r": window}, func=logistic_map, store=store, vectorized=True)

# %%
# ## The picture

figure, (top, bottom) = plt.subplots(
    2, 1, figsize=(7, 6.2), layout="constrained", height_ratios=[2, 1]
)
inset = top.inset_axes([0.05, 0.06, 0.34, 0.34])
for ax, part in ((top, ds), (inset, near)):
    r = np.broadcast_to(part["r"].values[:, None], part["orbit"].shape)
    bins = (500, 300)
    counts, x, y = np.histogram2d(r.ravel(), part["orbit"].values.ravel(), bins)
    ax.pcolormesh(x, y, np.log1p(counts.T), cmap="Greys", vmax=2.5)
inset.set(xticks=[3.83, 3.86], yticks=[])
inset.set_title("the window of period three", fontsize=9)
top.set(ylabel="Orbit", title="The logistic map")
bottom.plot(ds["r"], ds["exponent"], color="crimson", lw=0.7)
bottom.axhline(0, color="black", lw=0.7)
bottom.set(xlabel="r", ylabel="Lyapunov exponent", ylim=(-2, 1), xlim=(2.8, 4))
top.set(xlim=(2.8, 4))
figure.savefig("logistic_map.png", dpi=80)
