"""Which parameters gave this spectrum? A search through a grid of computed ones.

The rotational spectrum of a diatomic molecule depends on its temperature, its rotational constant
and the width of its lines. A spectrum was measured, with noise: the points of the grid whose
spectra are nearest to it tell the parameters. The search is exact, or by an approximate index.

    python examples/find_parameters.py [--store DIR] [--small]
"""

from __future__ import annotations

import argparse
import time
from importlib.util import find_spec

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr

import swarmgrid

# %% command line
parser = argparse.ArgumentParser(description="A search for the parameters of a spectrum.")
parser.add_argument("--store", default="cache", help="directory or URL (default: cache)")
parser.add_argument("--small", action="store_true", help="a smaller grid")
options = parser.parse_args()
store, small = options.store, options.small

# %%
# ## The function
#
# Lines at 2b(j + 1), as strong as the level j is populated. The function takes blocks: its
# arguments are arrays, and the wavenumber is a last dimension of the result.

wavenumber = np.linspace(2, 90, 128)
BOLTZMANN = 0.695  # in 1/cm per kelvin


def rotational(
    temperature: np.ndarray, constant: np.ndarray, width: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the absorption spectrum of rigid rotors; its largest value is one."""
    t, b, w = (np.asarray(a)[..., None, None] for a in (temperature, constant, width))
    j = np.arange(40)[:, None]
    population = (2 * j + 1) * np.exp(-b * j * (j + 1) / (BOLTZMANN * t))
    lines = population * (j + 1) / (1 + ((wavenumber - 2 * b * (j + 1)) / w) ** 2)
    spectrum = lines.sum(axis=-2)
    return {"spectrum": (spectrum / spectrum.max(axis=-1, keepdims=True)).astype(np.float32)}


# %%
# ## The grid

n = (12, 15, 4) if small else (50, 60, 16)
axes = {
    "temperature": np.linspace(40, 600, n[0]).round(2),
    "constant": np.linspace(0.8, 2.4, n[1]).round(4),
    "width": np.linspace(0.4, 2.5, n[2]).round(3),
}
ds, done = swarmgrid.run(axes=axes, func=rotational, store=store, vectorized=True)
print(f"grid: {done}")

# %%
# ## The measurement
#
# Of a gas at 287 K, whose parameters are no point of the grid.

rng = np.random.default_rng(1)
truth = {"temperature": 287.0, "constant": 1.931, "width": 1.07}


def measured_at(values: dict[str, float]) -> np.ndarray:
    """Return the spectrum at some parameters, with noise."""
    true = rotational(*(np.float64(value) for value in values.values()))["spectrum"]
    return true + 0.05 * rng.normal(size=wavenumber.size)


measured = measured_at(truth)
ds = ds.load()  # what is searched often is held in memory
hits = ds.swarmgrid.nearest("spectrum", measured, k=5)
for name, value in truth.items():
    print(f"{name}: {value:g} was measured, {float(hits[name][0]):g} is nearest")

# %%
# ## Exact and approximate
#
# An index answers without reading all spectra, and may miss a hit: of a hundred measurements, how
# many of the ten nearest points does each way find, and in which time? faiss and Chroma are asked
# the same where they are installed.

index = ds.swarmgrid.index("spectrum")
low = np.array([values[0] for values in axes.values()])
high = np.array([values[-1] for values in axes.values()])
random = [dict(zip(axes, rng.uniform(low, high), strict=True)) for _ in range(100)]
queries = np.stack([measured_at(values) for values in random])
vectors = ds["spectrum"].values.reshape(-1, wavenumber.size)
unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def numbers_of(found: xr.Dataset) -> np.ndarray:
    """Return the numbers of hits among all points."""
    at = [np.searchsorted(values, found[name]) for name, values in axes.items()]
    return np.ravel_multi_index(at, tuple(map(len, axes.values())))


ways = {
    "swarmgrid, exact": lambda q: numbers_of(ds.swarmgrid.nearest("spectrum", q, k=10)),
    "swarmgrid, index": lambda q: numbers_of(index.query(q, k=10)),
    "index, 512 candidates": lambda q: numbers_of(index.query(q, k=10, candidates=512)),
    "numpy": lambda q: np.argpartition(-(unit @ q.astype(np.float32)), 10)[:10],
}
if find_spec("faiss"):
    import faiss

    flat = faiss.IndexFlatIP(unit.shape[1])
    flat.add(unit)
    ways["faiss, exact"] = lambda q: flat.search(q[None].astype(np.float32), 10)[1][0]
if find_spec("chromadb"):
    import chromadb

    client = chromadb.EphemeralClient()
    cosine = {"hnsw": {"space": "cosine"}}
    collection = client.get_or_create_collection("spectra", configuration=cosine)
    n_handed = ds.swarmgrid.to_chroma(collection, "spectrum")
    print(f"{n_handed} points handed to Chroma")

    def by_chroma(query: np.ndarray) -> np.ndarray:
        """Return the numbers of the points that Chroma finds."""
        found = collection.query(query_embeddings=[query.tolist()], n_results=10)["metadatas"][0]
        return numbers_of({name: np.array([one[name] for one in found]) for name in axes})

    ways["Chroma"] = by_chroma

figures = {}
nearest = [set(ways["swarmgrid, exact"](query)) for query in queries]
for way, search in ways.items():
    search(queries[0])
    times, right = [], 0
    for query, exact in zip(queries, nearest, strict=True):
        begun = time.perf_counter()
        found = search(query)
        times.append(time.perf_counter() - begun)
        right += len(exact & set(found.tolist()))
    figures[way] = (float(np.median(times)) * 1e3, right / len(queries) / 10)
    print(f"{way + ':':22} {figures[way][0]:.2f} ms a query, recall {figures[way][1]:.3f}")

# %%
# ## The picture

figure, axs = plt.subplot_mosaic(
    [["spectrum", "spectrum"], ["map", "times"]], figsize=(8.4, 6.4), layout="constrained"
)
ax = axs["spectrum"]
ax.plot(wavenumber, measured, ".", color="0.45", ms=4, label="measured")
ax.plot(wavenumber, hits["spectrum"][0], color="crimson", lw=1.2, label="nearest of the grid")
found = ", ".join(f"{float(hits[name][0]):g} {unit_}" for name, unit_ in
                  zip(axes, ("K", "cm$^{-1}$", "cm$^{-1}$"), strict=True))  # fmt: skip
ax.set(xlabel="Wavenumber (cm$^{-1}$)", ylabel="Absorption", title=f"Found: {found}")
ax.legend(frameon=False)

ax = axs["map"]
near = {"temperature": slice(150, 450), "constant": slice(1.7, 2.2)}
best = ds["spectrum"].sel(width=float(hits["width"][0])).sel(near)
cosine_to = (best * measured).sum("spectrum_dim_0") / np.sqrt((best**2).sum("spectrum_dim_0"))
distance = 1 - cosine_to / np.sqrt((measured**2).sum())
mesh = ax.pcolormesh(
    best["temperature"], best["constant"], distance.T, cmap="viridis_r", rasterized=True
)
ax.plot(hits["temperature"], hits["constant"], "o", ms=7, mfc="none", mec="black")
ax.plot(truth["temperature"], truth["constant"], "+", color="crimson", ms=12, mew=2)
ax.set(xlabel="Temperature (K)", ylabel="Rotational constant (cm$^{-1}$)")
ax.set_title("Five hits (o), truth (+)", fontsize=11)
figure.colorbar(mesh, label="Cosine distance")

ax = axs["times"]
names = sorted(figures, key=lambda way: -figures[way][0])
bars = ax.barh(names, [figures[way][0] for way in names], color="steelblue")
ax.bar_label(bars, [f" {figures[w][0]:.2f} ms, {figures[w][1]:.0%}" for w in names], fontsize=9)
ax.set(xscale="log", xlabel="ms a query (recall of ten hits)")
times = [milliseconds for milliseconds, _ in figures.values()]
ax.set_xlim(min(times) / 5, 40 * max(times))
ax.spines[["top", "right"]].set_visible(False)
figure.savefig("find_parameters.png", dpi=100)
