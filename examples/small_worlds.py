"""Small worlds: a figure of a paper, again.

Figure 2 of D. J. Watts and S. H. Strogatz, "Collective dynamics of 'small-world' networks", Nature
393 (1998): in a ring of 1,000 nodes with 10 neighbours each, links are moved to random nodes with
the probability `p`. A few moved links make all paths short, long before the neighbourhoods
dissolve. As in the paper, each value is a mean over 20 networks.

    python examples/small_worlds.py [--store DIR] [--small]
"""

from __future__ import annotations

import argparse

import matplotlib.pyplot as plt
import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

import swarmgrid

# %% command line
parser = argparse.ArgumentParser(
    description="Path length and clustering of networks, over the share of rewired links."
)
parser.add_argument("--store", default="cache", help="directory or URL (default: cache)")
parser.add_argument("--small", action="store_true", help="a smaller grid")
options = parser.parse_args()
store, small = options.store, options.small

# %%
# ## The function


def small_world(
    n: int,
    k: int,
    p: float,
    replica: int,  # noqa: ARG001  # rng is made from the whole point
    rng: np.random.Generator,
) -> dict[str, float]:
    """Return the characteristic path length and the clustering coefficient of one network."""
    neighbours = [set() for _ in range(n)]
    for distance in range(1, k // 2 + 1):
        for node in range(n):
            neighbours[node].add((node + distance) % n)
            neighbours[(node + distance) % n].add(node)
    for distance in range(1, k // 2 + 1):
        for node in range(n):
            old = (node + distance) % n
            if rng.random() >= p or len(neighbours[node]) == n - 1:
                continue
            new = int(rng.integers(n))
            while new == node or new in neighbours[node]:
                new = int(rng.integers(n))
            neighbours[node] ^= {old, new}
            neighbours[old].remove(node)
            neighbours[new].add(node)
    rows = np.repeat(np.arange(n), [len(other) for other in neighbours])
    columns = np.array([other for others in neighbours for other in sorted(others)])
    links = csr_array((np.ones(len(rows)), (rows, columns)), shape=(n, n))
    sources = np.arange(0, n, max(1, n // 100))  # a sample of them is as good as all
    lengths = dijkstra(links, unweighted=True, indices=sources)
    degree = links.sum(axis=1)
    triangles = (links @ links).multiply(links).sum(axis=1)
    clustering = triangles / np.maximum(1, degree * (degree - 1))
    return {
        "path": lengths[np.isfinite(lengths)].sum() / len(sources) / (n - 1),
        "clustering": clustering.mean(),
    }


# %%
# ## The sweep
#
# `p = 0` is the ring itself, by which the paper divides.

params = {"n": 100 if small else 1000, "k": 10}
axes = {
    "p": np.append(0, np.logspace(-4, 0, 3 if small else 14).round(6)),
    "replica": range(2 if small else 20),
}
ds, done = swarmgrid.run(params, axes, func=small_world, store=store, rng="rng")
print(done)

# %%
# ## The picture

mean = ds.mean("replica")
ratio = (mean / mean.sel(p=0)).sel(p=slice(1e-9, None))
figure, ax = plt.subplots(figsize=(6.2, 4.4), layout="constrained")
ax.plot(ratio["p"], ratio["clustering"], "s", mfc="white", color="black", label="C(p) / C(0)")
ax.plot(ratio["p"], ratio["path"], "o", color="black", label="L(p) / L(0)")
ax.set(xscale="log", xlabel="p", ylim=(0, 1.05), title="Watts and Strogatz 1998, figure 2")
ax.legend(frameon=False)
figure.savefig("small_worlds.png", dpi=100)
