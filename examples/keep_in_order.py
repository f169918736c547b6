"""Keep a store in order: look around, adopt, merge, export.

A model of an epidemic was run for one rate of recovery. The rate becomes an axis, and its points
are taken over; a colleague's points are merged; the catalog says what is there, and why.

    python examples/keep_in_order.py [--store DIR] [--small]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import swarmgrid

# %% command line
parser = argparse.ArgumentParser(description="Look around a store, adopt, merge, export.")
parser.add_argument("--store", default="cache", help="directory or URL (default: cache)")
parser.add_argument("--small", action="store_true", help="a smaller grid")
options = parser.parse_args()
store, small = options.store, options.small

# %%
# ## The function
#
# The share of people that an epidemic infects, by the rates of contact and of recovery, and by the
# share that is immune at the start.


@swarmgrid.grid(store=store)
def epidemic(recovery: float, contact: float, immune: float) -> dict[str, float]:
    """Follow susceptible and infected people by small steps."""
    susceptible, infected, peak = 1.0 - immune - 1e-4, 1e-4, 0.0
    for _ in range(200 if small else 4000):
        new = 0.05 * contact * susceptible * infected
        susceptible -= new
        infected += new - 0.05 * recovery * infected
        peak = max(peak, infected)
    return {"infected": 1.0 - immune - susceptible, "peak": peak}


contacts = np.linspace(0.1, 2.0, 6 if small else 40).round(3)
immunes = np.linspace(0.0, 0.8, 4 if small else 25).round(3)
axes = {"contact": contacts, "immune": immunes}

# %%
# ## The first sweep, with a constant

_, done = epidemic.run({"recovery": 0.3}, axes, tags={"paper": "draft"})
print(f"one rate of recovery:          {done}")

# %%
# ## The constant becomes an axis
#
# The new grid takes over the points of the old one: its slice at 0.3. Then only the other rates
# are computed.

grid = epidemic.grid(axes=["recovery", "contact", "immune"])
grid.adopt(epidemic.grid({"recovery": 0.3}, axes=["contact", "immune"]), recovery=0.3)
plan = epidemic.plan({}, {"recovery": [0.2, 0.3, 0.5], **axes})
print(f"missing now: {plan.points_missing} of {plan.points_total}")
_, done = epidemic.run({}, {"recovery": [0.2, 0.3, 0.5], **axes})
print(f"three rates of recovery:       {done}")

# %%
# ## A colleague's points
#
# Another machine has computed a fourth rate into a store of its own. Merging adds its points, and
# says whether common points agree.

elsewhere = f"{store}-elsewhere"
_, done = epidemic.run({}, {"recovery": [0.5, 0.8], **axes}, store=elsewhere)
print(f"elsewhere, two rates:          {done}")
merging = swarmgrid.merge(elsewhere, store)
print(f"in conflict: {merging.points_conflicting}")
ds, done = epidemic.run({}, {"recovery": [0.2, 0.3, 0.5, 0.8], **axes})
print(f"all four rates:                {done}")

# %%
# ## What is there, and why

catalog = swarmgrid.catalog(store)
print(catalog)
draft = catalog.query({"tags.paper": "draft"}, function="epidemic")
print("the two grids differ:", grid.why(next(iter(draft))))
print("adopted:", grid.tags["adopted"][0].rpartition(", ")[0])

# %%
# ## Thin it, and hand it on
#
# `prune` deletes nothing unless it is told to. `export` writes a file for other programs.

print(swarmgrid.prune(store, older_than="30d", keep={"tags.paper": "draft"}))
path = grid.export(Path("epidemic.csv"), overwrite=True)
print(f"exported {path.name}")

figure, panels = plt.subplots(1, 4, figsize=(10, 3), sharey=True, layout="constrained")
for ax, rate in zip(panels, ds["recovery"].values, strict=True):
    values = ds["infected"].sel(recovery=rate).transpose("immune", "contact")
    image = ax.pcolormesh(contacts, immunes, values, vmin=0, vmax=1, cmap="magma_r")
    ax.plot(contacts, 1 - rate / contacts, color="black", linestyle="--")
    ax.set(title=f"Recovery {rate}", xlabel="Rate of contact", ylim=(immunes[0], immunes[-1]))
panels[0].set_ylabel("Immune at the start")
figure.colorbar(image, ax=panels, label="Infected in the end")
figure.savefig("keep_in_order.png", dpi=90)
