"""Oscillators fall into step: an ODE.

The Kuramoto model: `n` phase oscillators whose natural frequencies are drawn from a normal
distribution of standard deviation `noise`. Each of them is pulled towards the mean field with the
strength `coupling`. Theory says at which coupling they begin to move together; the sweep shows it.

    python examples/oscillators.py [--store DIR] [--small]
"""

from __future__ import annotations

import argparse

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from scipy.integrate import solve_ivp

import swarmgrid

# %% command line
parser = argparse.ArgumentParser(description="An ODE over coupling, noise and seed.")
parser.add_argument("--store", default="cache", help="directory or URL (default: cache)")
parser.add_argument("--small", action="store_true", help="a smaller grid")
options = parser.parse_args()
store, small = options.store, options.small

# %%
# ## The function
#
# It solves the equations for one point and returns two outputs: a number, and a time series with a
# coordinate of its own. `rng` is a random generator that swarmgrid makes for each point, the same
# one in every run. The seed tells replicas apart.


def kuramoto(
    n: int,
    duration: float,
    coupling: float,
    noise: float,
    seed: int,  # noqa: ARG001  # rng is made from the whole point
    rng: np.random.Generator,
) -> dict[str, float | xr.DataArray]:
    """Return the order parameter over time, in 0..1, and its mean over the second half."""
    frequencies = rng.normal(0, noise, n)
    phases = rng.uniform(0, 2 * np.pi, n)

    def velocity(_time: float, phases: np.ndarray) -> np.ndarray:
        field = np.exp(1j * phases).mean()
        return frequencies + coupling * (field * np.exp(-1j * phases)).imag

    times = np.linspace(0, duration, 201)
    solution = solve_ivp(velocity, (0, duration), phases, t_eval=times, rtol=1e-6, atol=1e-6)
    order = np.abs(np.exp(1j * solution.y).mean(axis=0))
    trace = xr.DataArray(order, {"time": ("time", times, {"units": "s"})})
    return {"order": order[times >= duration / 2].mean(), "trace": trace}


# %%
# ## The sweep
#
# Two seeds first, then two more: the second call computes only the new ones.

params = {"n": 50 if small else 200, "duration": 10.0 if small else 40.0}
axes = {
    "coupling": np.array([1.0, 1.5, 2.0, 4.0]) if small else np.arange(0, 4.01, 0.25),
    "noise": np.array([0.5, 1.0]) if small else np.arange(0.25, 1.76, 0.125),
}
for n_seeds in (1, 2) if small else (2, 4):
    ds, done = swarmgrid.run(
        params, axes | {"seed": range(n_seeds)}, func=kuramoto, store=store, rng="rng"
    )
    print(f"{n_seeds} seeds: {done}")

# %%
# ## The picture
#
# Left, the mean over the seeds: the transition follows the theoretical line. Right, the time
# series for one noise: the mean and the range over the seeds.

figure, (left, right) = plt.subplots(1, 2, figsize=(10.4, 4.2), layout="constrained")
figure.get_layout_engine().set(wspace=0.04)
order = ds["order"].mean("seed").transpose("noise", "coupling")
mesh = left.pcolormesh(ds["coupling"], ds["noise"], order, vmin=0, vmax=1, cmap="magma")
noise = ds["noise"].values
left.plot(noise * np.sqrt(8 / np.pi), noise, "--", color="white", lw=2)
left.text(0.1, 1.62, r"theory: $K_c=\sqrt{8/\pi}\,\sigma$", color="white", fontsize=11)
left.set(
    xlabel="Coupling $K$ (rad/s)",
    ylabel=r"Frequency noise $\sigma$ (rad/s)",
    title="Order parameter in the steady state",
)
figure.colorbar(mesh, label="Order parameter $r$")
couplings = [1.0, 1.5, 2.0, 4.0]
for coupling, color in zip(couplings, plt.cm.viridis([0.0, 0.3, 0.6, 0.85]), strict=True):
    traces = ds["trace"].sel(noise=1.0, coupling=coupling)
    mean, low, high = traces.mean("seed"), traces.min("seed"), traces.max("seed")
    right.fill_between(ds["time"], low, high, color=color, alpha=0.2, lw=0)
    right.plot(ds["time"], mean, color=color, lw=2, label=f"$K={coupling:g}$ rad/s")
right.set(
    xlabel="Time (s)",
    ylabel="Order parameter $r$",
    ylim=(0, 1),
    xlim=(0, float(ds["time"][-1])),
    title=r"Mean and range over the seeds, $\sigma=1$ rad/s",
)
right.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
figure.savefig("oscillators.png", dpi=120)
