"""Try something in a scope: private until it is published.

Three people share a store. Each sees all shared points, and computes only what is missing; what
they compute is theirs alone until they publish it. One of them finds nothing, and discards.

    python examples/scopes.py [--store DIR]
"""

from __future__ import annotations

import argparse

import swarmgrid

# %% command line
parser = argparse.ArgumentParser(description="Compute in scopes, publish and discard.")
parser.add_argument("--store", default="cache", help="directory or URL (default: cache)")
store = parser.parse_args().store


@swarmgrid.grid(store=store, executor="sync", version="1")
def orbit(r: float, x0: float) -> dict[str, float]:
    """Iterate the logistic map."""
    x, total = x0, 0.0
    for _ in range(500):
        x = r * x * (1 - x)
        total += x
    return {"end": x, "mean": total / 500}


starts = [0.1, 0.3, 0.5]

# %%
# ## The shared points

_, done = orbit.run({}, {"r": [3.0, 3.5, 4.0], "x0": starts})
print(f"shared:          {done}")

# %%
# ## Two scopes see them, and not each other

with swarmgrid.scope("alice") as alice:
    _, done = orbit.run({}, {"r": [3.0, 3.25, 3.5, 3.75, 4.0], "x0": starts})
    print(f"alice:           {done}")
    print(f"alice sees       {orbit.grid().state().points_computed} points")

with swarmgrid.scope("bob") as bob:
    exists = orbit.grid().exists(r=[3.0, 3.25], x0=0.3)
    shown = dict(zip([3.0, 3.25], exists.values.tolist(), strict=True))
    print(f"bob sees         {shown}")
    known = {(3.0, 0.7): orbit(3.0, 0.7)}  # computed by hand
    print(f"bob puts         {orbit.put_many(known)} point")

# %%
# ## One publishes, the other discards

print(f"alice publishes  {alice.publish()}")
print(f"bob discards     {bob.discard()} grid")
print(f"alice discards   {alice.discard()} grid")
print(f"scopes left:     {swarmgrid.scopes(store)}")

_, done = orbit.run({}, {"r": [3.0, 3.25, 3.5, 3.75, 4.0], "x0": starts})
print(f"together:        {done}")
