"""A search is followed: a script that reacts to a run in another process.

One process looks for the lowest point of a function. This one reads the store alone, hears of each
point as soon as it is stored, and says when there is a better one. The token of the last event is
kept in a file: if the script is started again, it goes on where it was, and nothing is told twice.

    python examples/react_to_events.py [--store DIR] [--small]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import swarmgrid

# %% command line
parser = argparse.ArgumentParser(description="React to the events of a run.")
parser.add_argument("--store", default="cache", help="directory or URL (default: cache)")
parser.add_argument("--small", action="store_true", help="a smaller grid")
options = parser.parse_args()
store, small = options.store, options.small

# %%
# ## The run
#
# A function of two parameters, with a failure here and there: what others are told, too. It is a
# script of its own, which knows nothing of this one; it could run on another machine.

RUN = """
import sys
import time

import numpy as np

import swarmgrid


def ripples(x, y):
    time.sleep(0.01)
    if x == y:
        raise ValueError("the model does not converge on the diagonal")
    return float(x**2 + y**2 + 0.5 * np.sin(9 * x) * np.cos(7 * y))


values = np.linspace(-1, 1, int(sys.argv[2])).round(3)
_, done = swarmgrid.run(
    ripples,
    axes={"x": values, "y": values},
    store=sys.argv[1],
    chunks={"x": 2},
    flush_interval=0.2,
    executor="sync",
    on_error="record",
    retry_failed=False,
    verbose=0,
)
print(done)
"""
Path("ripples.py").write_text(RUN)

# %%
# ## The reaction
#
# Events are values of a few classes, which `match` tells apart. The values of new points are a
# Dataset.

begun = time.perf_counter()
told: list[tuple[float, int]] = []  # when, and how many points
lower: list[tuple[float, float, float, float]] = []  # when, and the point with its value


def react(event: swarmgrid.Event) -> None:
    """Say what is new."""
    seconds = time.perf_counter() - begun
    match event:
        case swarmgrid.PointsComputed(n_points=n):
            told.append((seconds, n))
            found = event.dataset()
            best = found.isel(point=int(found["value"].argmin("point")))
            x, y, value = float(best["x"]), float(best["y"]), float(best["value"])
            if not lower or value < lower[-1][-1]:
                lower.append((seconds, x, y, value))
                print(f"lower: {value:.3f} at x={x}, y={y}")
        case swarmgrid.PointsFailed(point=point, reason=reason):
            print(f"no value at {dict(point)}: {reason}")
        case swarmgrid.RunFinished(missing=0):
            print("the grid is whole")
        case _:
            print(event.kind)


# %%
# ## Watching
#
# When the run has ended, the watch is closed, and what was stored last is read without waiting.

kept = Path("last-event.txt")
token = kept.read_text() if kept.exists() else None
watch = swarmgrid.watch(store, "ripples/", since=token)
command = [sys.executable, "-W", "error", "ripples.py", store, "12" if small else "24"]
with subprocess.Popen(command) as run:

    def close_with_the_run() -> None:
        """Wait for the run, and end the watch."""
        run.wait()
        watch.close()

    threading.Thread(target=close_with_the_run).start()
    for event in watch:
        react(event)
for event in swarmgrid.watch(store, "ripples/", since=watch.token, timeout=0):
    react(event)
    token = event.token
kept.write_text(token or watch.token)

# %%
# ## The picture
#
# What was found, and when it was told. A second start of the script is told nothing, and has
# nothing to draw.

if told:
    ds = swarmgrid.Grid.open(store, "ripples/").dataset().sortby(["x", "y"])
    times, numbers = np.array(told).T
    when, x, y, value = np.array(lower).T
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.2, 3.8), layout="constrained")
    mesh = left.pcolormesh(ds["x"], ds["y"], ds["value"].T, cmap="viridis", rasterized=True)
    figure.colorbar(mesh, label="Value")
    left.plot(x, y, "o-", color="white", mec="black", ms=5, lw=1)
    left.plot(x[-1], y[-1], "*", color="crimson", mec="white", ms=17)
    left.set(xlabel="x", ylabel="y", title="Lowest so far (o), in the end (star)")
    right.step([0, *times], [0, *np.cumsum(numbers)], where="post", color="steelblue")
    right.set(xlabel="Seconds since the script began", ylim=(0, None), title="What was told, when")
    right.set_ylabel("Points", color="steelblue")
    best = right.twinx()
    best.step([*when, times[-1]], [*value, value[-1]], where="post", color="crimson")
    best.plot(when, value, "o", color="crimson")
    best.set_ylabel("Lowest value", color="crimson")
    figure.savefig("react_to_events.png", dpi=100)
