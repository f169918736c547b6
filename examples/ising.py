"""A magnet melts: a Monte Carlo simulation.

The Ising model: spins on a square lattice point up or down and like to agree with their four
neighbours. Below a critical temperature they agree over the whole lattice. Onsager found the
temperature in 1944, and the magnetization below it in 1949, for an infinite lattice. How large
must a lattice be to come near?

    python examples/ising.py [--store DIR] [--small]
"""

from __future__ import annotations

import argparse

import matplotlib.pyplot as plt
import numpy as np

import swarmgrid

# %% command line
parser = argparse.ArgumentParser(
    description="Magnetization of the Ising model, over temperature, size and replica."
)
parser.add_argument("--store", default="cache", help="directory or URL (default: cache)")
parser.add_argument("--small", action="store_true", help="a smaller grid")
options = parser.parse_args()
store, small = options.store, options.small

# %%
# ## The function
#
# `rng` is made by swarmgrid for each point, from the point itself. So a point has the same numbers
# in any run, order and process. The axis `replica` makes independent repetitions.


def ising(
    sweeps: int,
    size: int,
    temperature: float,
    replica: int,  # noqa: ARG001  # rng is made from the whole point
    rng: np.random.Generator,
) -> dict[str, float]:
    """Return the mean absolute magnetization and its variance times the number of spins."""
    spins = np.ones((size, size), "i1")
    black = np.indices((size, size)).sum(axis=0) % 2 == 0
    accept = np.exp(-2 * np.arange(-4, 5) / temperature)  # of a flip, by spin * sum of neighbours
    magnetization = np.empty(sweeps)
    for step in range(2 * sweeps):
        for color in (black, ~black):
            wide = np.pad(spins, 1, mode="wrap")
            around = wide[:-2, 1:-1] + wide[2:, 1:-1] + wide[1:-1, :-2] + wide[1:-1, 2:]
            flipped = color & (rng.random(spins.shape) < accept[spins * around + 4])
            spins[flipped] *= -1
        magnetization[step // 2] = abs(spins.mean())
    settled = magnetization[sweeps // 4 :]
    return {"magnetization": settled.mean(), "susceptibility": settled.var() * size**2}


# %%
# ## The sweep
#
# Two replicas first. Then the error bars look too large, so the same call with four replicas
# computes only the two new ones.

params = {"sweeps": 40 if small else 1000}
axes = {
    "size": [4, 8] if small else [8, 16, 32],
    "temperature": np.arange(1.5, 3.51, 1.0 if small else 0.125),
}
for n_replicas in (1, 2) if small else (2, 4):
    ds, done = swarmgrid.run(
        params, axes | {"replica": range(n_replicas)}, func=ising, store=store, rng="rng"
    )
    print(f"{n_replicas} replicas: {done}")

# %%
# ## The picture

figure, ax = plt.subplots(figsize=(6.6, 4.4), layout="constrained")
critical = 2 / np.log(1 + np.sqrt(2))
below = np.linspace(1.4, critical, 400)
infinite = np.maximum(0, 1 - np.sinh(2 / below) ** -4.0) ** 0.125
ax.plot([*below, 3.6], [*infinite, 0], color="black", lw=1, label="infinite (Onsager, Yang)")
mean, error = ds["magnetization"].mean("replica"), ds["magnetization"].std("replica")
colors = plt.cm.viridis(np.linspace(0.1, 0.8, ds.sizes["size"]))
for size, color in zip(ds["size"].values, colors, strict=True):
    bars = error.sel(size=size)
    label = f"{size} x {size}"
    ax.errorbar(
        ds["temperature"], mean.sel(size=size), bars, fmt="o-", ms=4, color=color, label=label
    )
ax.set(xlabel="Temperature", ylabel="Mean absolute magnetization", ylim=(0, 1.05), xlim=(1.4, 3.6))
ax.set_title("The Ising model: mean and deviation over the replicas")
ax.legend(frameon=False)
figure.savefig("ising.png", dpi=100)
