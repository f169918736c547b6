"""Keep a snapshot, change the grid, compare, and go back.

python examples/snapshots.py [--store DIR]
"""

from __future__ import annotations

import argparse

import numpy as np

import swarmgrid

# %% command line
parser = argparse.ArgumentParser(description="Keep and restore a moment of a grid.")
parser.add_argument("--store", default="cache", help="directory or URL (default: cache)")
store = parser.parse_args().store

# %%
# ## A grid, and a snapshot for a figure


@swarmgrid.grid(store=store, executor="sync")
def orbit(a: float, e: float) -> dict[str, float]:
    """Return the period, and the ratio of the largest distance to the smallest."""
    return {"period": a**1.5, "ratio": (1 + e) / (1 - e)}


e = np.linspace(0, 0.9, 10).round(2)
_, done = orbit.run(axes={"a": np.arange(1.0, 6.0), "e": e})
print(done)
grid = orbit.grid()
if not grid.snapshots():
    grid.snapshot("figure 3", tags={"paper": "draft"})
    # later some points are doubted, and deleted
    grid.delete(a=[1.0, 2.0], e=slice(0.5, 0.9))

# %%
# ## The grid goes on
#
# It grows, and what was deleted is made again. The snapshot keeps what it was, and takes room for
# the chunks alone that were changed since.

_, done = orbit.run(axes={"a": np.arange(1.0, 9.0), "e": e})
print(done)
if len(grid.snapshots()) == 1:
    grid.snapshot("grown")
for each in grid.snapshots():
    print(each.message, dict(each.tags), each.points, "points")
print(grid.diff("figure 3", "grown"))
print("then:", dict(grid.dataset(at="figure 3").sizes), "now:", dict(grid.dataset().sizes))

# %%
# ## Another layout, and back
#
# Going back needs no memory of how the grid was laid out: it keeps the layout that it has.

grid.rechunk(chunks={"a": 4, "e": 10})
print(grid.restore("figure 3"), "points do not count any more")
print(int(grid.dataset()["period"].count()), "points are there;", grid.state().chunks)
grid.restore("grown")

# %%
# ## A copy takes the snapshots along

print(swarmgrid.copy(store, f"{store}-elsewhere"))
copied = swarmgrid.Grid.open(f"{store}-elsewhere", "orbit/")
same = copied.dataset(at="figure 3").load().equals(grid.dataset(at="figure 3").load())
print("the same there:", same)
_, done = orbit.run(axes={"a": np.arange(1.0, 9.0), "e": e})
print(done)
