"""Change the layout of a stored grid: chunks, codecs, the order of its values.

A field was computed row by row, in the order in which the rows were needed. Readers want
columns, and the disk is full. The grid is laid out anew, and nothing is computed again.

    python examples/change_the_layout.py [--store DIR]
"""

from __future__ import annotations

import argparse

import numpy as np

import swarmgrid

# %% command line
parser = argparse.ArgumentParser(description="Lay a stored grid out anew.")
parser.add_argument("--store", default="cache", help="directory or URL (default: cache)")
store = parser.parse_args().store

# %%
# ## The function
#
# The height of a wave at a time, along a line.


@swarmgrid.grid(store=store, executor="sync")
def wave(time: float, speed: float) -> np.ndarray:
    """Return the height along a line."""
    x = np.linspace(0, 20, 400)
    return np.round(np.sin(x - speed * time) * np.exp(-0.05 * x), 4)


# %%
# ## The first runs
#
# Chunk lengths are chosen when a grid is made. Here each time has a chunk of its own, and the
# later times came first.

is_new = not swarmgrid.catalog(store).query(function="wave")
layout = {"chunks": {"time": 1}} if is_new else {}
later, sooner = np.arange(20.0, 40.0), np.arange(20.0)
for times in (later, sooner):
    _, done = wave.run(axes={"time": times, "speed": [0.5, 1.0, 2.0]}, **layout)
    print(done)
    layout = {}
grid = wave.grid()
print("lengths:", grid.state().chunks, "first:", grid.dataset()["time"].values[:3])

# %%
# ## Other chunks, in order
#
# `rechunk` writes the new chunks beside the old ones, and one write makes them count. A kill at
# any moment leaves the old layout or the new one.

before = grid.dataset().sortby("time").load()
print(grid.rechunk(chunks={"time": 40, "speed": 1}, sort=True))
print("lengths:", grid.state().chunks, "first:", grid.dataset()["time"].values[:3])

# %%
# ## Other codecs
#
# `compress` is the short form for a grid that is finished. `codec="auto"` measures a few codecs on
# the first chunk. Four digits fit into int16: exactly, as the function rounds to them.

print("zstd 19:", grid.compress(level=19))
print("measured:", grid.rechunk(codec="auto"))
print(grid.state().encodings["value"])
steps = {"value": {"dtype": "int16", "scale_factor": 1e-4}}
print("int16:", grid.rechunk(encoding=steps))

# %%
# ## The values are the same

after = grid.dataset().load()
print("same values:", bool(np.allclose(before["value"], after["value"], rtol=0, atol=1e-12)))
print("sound:", grid.verify().is_clean)
_, done = wave.run(axes={"time": np.arange(40.0), "speed": [0.5, 1.0, 2.0]})
print(done)
