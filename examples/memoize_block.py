"""Slow steps run once: a memoized script.

Heat spreads over a plate with a hot spot. Not everything is a grid: here three blocks of a script
change one state. swarmgrid records what each block does to the state, and replays it the next
time. Change the number of stages, and only the new ones are computed.

    python examples/memoize_block.py [--store DIR] [--small]
"""

from __future__ import annotations

import argparse

import matplotlib.pyplot as plt
import numpy as np

import swarmgrid

# %% command line
parser = argparse.ArgumentParser(description="Remember blocks of a script.")
parser.add_argument("--store", default="cache", help="directory or URL (default: cache)")
parser.add_argument("--small", action="store_true", help="fewer steps")
options = parser.parse_args()
store, small = options.store, options.small

# %%
# ## What the blocks use
#
# The code of a block counts, with the functions and values that it uses: after an edit of
# `diffuse`, the blocks that call it run again.


def diffuse(plate: np.ndarray, steps: int) -> None:
    """Let heat spread for some steps, in place."""
    for _ in range(steps):
        inner = plate[1:-1, 1:-1]
        around = plate[:-2, 1:-1] + plate[2:, 1:-1] + plate[1:-1, :-2] + plate[1:-1, 2:]
        inner += 0.2 * (around - 4 * inner)


def report(what: str, is_hit: bool) -> None:
    """Print whether a block was run."""
    print(f"{what:9} {int(not is_hit)} computed, {int(is_hit)} reused")


# %%
# ## The blocks
#
# `begin()` is where the block starts. If the block is recorded for this state, the rest is skipped
# and the state becomes what it became then.

stages = 4
state = swarmgrid.State(size=200, steps=20 if small else 500, log=[])

with swarmgrid.memoize(state, store) as mem:
    mem.begin()
    state["plate"] = np.zeros((state["size"], state["size"]))
    state["plate"][80:120, 60:100] = 100.0
report("plate", mem.is_hit)

plates = []
for stage in range(stages):
    with swarmgrid.memoize(state, store, salt=stage) as mem:
        mem.begin()
        diffuse(state["plate"], steps=state["steps"])
        state["log"].append(float(state["plate"].max()))
    report(f"stage {stage}", mem.is_hit)
    plates.append(state["plate"].copy())

with swarmgrid.memoize(state, store) as mem:
    mem.begin()
    state["profile"] = state["plate"].mean(axis=0)
    state["warm"] = int((state["plate"] > 1).sum())
report("summary", mem.is_hit)

print(f"hottest after each stage: {', '.join(f'{t:.1f}' for t in state['log'])}")
print(f"{state['warm']} cells are warm; the profile has its peak at {state['profile'].argmax()}")

# %%
# ## The picture

figure, axs = plt.subplots(1, stages, figsize=(2.4 * stages, 2.8), layout="constrained")
for stage, (ax, plate) in enumerate(zip(np.atleast_1d(axs), plates, strict=True)):
    image = ax.imshow(plate, cmap="inferno", vmin=0, vmax=100)
    ax.set_title(f"stage {stage}: {state['log'][stage]:.0f}°", fontsize=10)
    ax.set_axis_off()
figure.colorbar(image, ax=axs, shrink=0.8, label="Temperature (°)")
figure.savefig("memoize_block.png", dpi=80)
