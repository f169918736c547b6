"""React to the events of a run in another process.

One process searches the lowest point of a function. This one reads the store alone, hears of each
point as soon as it is stored, and says when there is a better one. The token of the last event is
kept in a file: if the script is started again, it goes on where it was, and nothing is told twice.

    python examples/react_to_events.py [--store DIR]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

import swarmgrid

# %% command line
parser = argparse.ArgumentParser(description="React to the events of a run.")
parser.add_argument("--store", default="cache", help="directory (default: cache)")
parser.add_argument("--compute", action="store_true", help="be the process that computes")
options = parser.parse_args()
store = options.store

# %%
# ## The run
#
# A function of two parameters, with a failure here and there: what others are told, too.


def ripples(x: float, y: float) -> float:
    """Return a valley with ripples."""
    time.sleep(0.01)
    if x == y:
        raise ValueError("the model does not converge on the diagonal")
    return float(x**2 + y**2 + 0.5 * np.sin(9 * x) * np.cos(7 * y))


if options.compute:
    axes = {"x": np.linspace(-1, 1, 12).round(3), "y": np.linspace(-1, 1, 12).round(3)}
    _, done = swarmgrid.run(
        ripples,
        axes=axes,
        store=store,
        chunks={"x": 2},
        flush_interval=0.2,
        executor="sync",
        on_error="record",
        retry_failed=False,
        verbose=0,
    )
    print(done)
    sys.exit()

# %%
# ## The reaction
#
# Events are values of a few classes, which `match` tells apart.

lowest = [np.inf]


def react(event: swarmgrid.Event) -> None:
    """Say what is new."""
    match event:
        case swarmgrid.PointsComputed():
            found = event.dataset()
            best = found.isel(point=int(found["value"].argmin("point")))
            if float(best["value"]) < lowest[-1]:
                lowest.append(float(best["value"]))
                print(f"lower: {lowest[-1]:.3f} at x={float(best.x)}, y={float(best.y)}")
        case swarmgrid.PointsFailed(point=point, reason=reason):
            print(f"no value at {dict(point)}: {reason}")
        case swarmgrid.RunFinished(missing=0):
            print("the grid is whole")
        case _:
            print(event.kind)


# %%
# ## Watching
#
# The run is another process, which knows nothing of this one. When it has ended, the watch is
# closed, and what was stored last is read without waiting.

kept = Path("last-event.txt")
token = kept.read_text() if kept.exists() else None
watch = swarmgrid.watch(store, ripples, since=token)
command = [sys.executable, "-W", "error", __file__, "--store", store, "--compute"]
with subprocess.Popen(command) as run:

    def close_with_the_run() -> None:
        """Wait for the run, and end the watch."""
        run.wait()
        watch.close()

    threading.Thread(target=close_with_the_run).start()
    for event in watch:
        react(event)
for event in swarmgrid.watch(store, ripples, since=watch.token, timeout=0):
    react(event)
    token = event.token
kept.write_text(token or watch.token)
