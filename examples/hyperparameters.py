"""Tune a classifier: from a coarse grid to a fine one.

A support vector machine learns scikit-learn's handwritten digits, 1797 images of 8 x 8 pixels. A
coarse grid of two hyperparameters shows where to look. The fine grid holds the coarse one, whose
points are reused.

    python examples/hyperparameters.py [--store DIR] [--small]
"""

from __future__ import annotations

import argparse

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_score
from sklearn.svm import SVC

import swarmgrid

# %% command line
parser = argparse.ArgumentParser(description="A search of hyperparameters.")
parser.add_argument("--store", default="cache", help="directory or URL (default: cache)")
parser.add_argument("--small", action="store_true", help="a smaller grid")
options = parser.parse_args()
store, small = options.store, options.small

# %%
# ## The function
#
# The images are globals that the function uses: their values are part of the identity of its grid.
# Other images are another grid.

images, labels = load_digits(return_X_y=True)
images = images / 16


def accuracy(folds: int, C: float, gamma: float) -> dict[str, float]:  # noqa: N803
    """Return the mean accuracy over the folds, and its standard deviation."""
    scores = cross_val_score(SVC(C=C, gamma=gamma), images, labels, cv=folds)
    return {"accuracy": scores.mean(), "deviation": scores.std()}


# %%
# ## The sweep
#
# Powers of two are as exact as floats can be: the coarse values are among the fine ones.

if small:
    coarse = {"C": [4.0], "gamma": 2.0 ** np.arange(-5, -2, 2)}
    fine = {"C": [2.0, 4.0], "gamma": 2.0 ** np.arange(-5, -2)}
else:
    coarse = {"C": 2.0 ** np.arange(-3, 6, 2), "gamma": 2.0 ** np.arange(-9, 2, 2)}
    fine = {"C": 2.0 ** np.arange(-3, 6), "gamma": 2.0 ** np.arange(-9, 2)}
for label, axes in (("coarse", coarse), ("fine", fine)):
    ds, done = swarmgrid.run({"folds": 3}, axes, func=accuracy, store=store)
    print(f"{label + ' grid:':12} {done}")
best = ds.isel(ds["accuracy"].argmax(...))
print(
    f"best: C = {float(best['C']):g}, gamma = {float(best['gamma']):g}, accuracy "
    f"{float(best['accuracy']):.3f} (standard deviation {float(best['deviation']):.3f})"
)

# %%
# ## The picture

C, gamma = np.log2(ds["C"]), np.log2(ds["gamma"])
figure, ax = plt.subplots(figsize=(6.4, 5.2), layout="constrained")
mesh = ax.pcolormesh(gamma, C, ds["accuracy"], vmin=0.9, cmap="viridis", edgecolors="face")
points = np.meshgrid(np.log2(coarse["gamma"]), np.log2(coarse["C"]))
ax.plot(*map(np.ravel, points), "o", color="white", ms=3.5, label="coarse grid (reused)")
top = (np.log2(best["gamma"]), np.log2(best["C"]))
ax.plot(*top, "*", color="crimson", mec="white", ms=18, label=f"best: {best['accuracy']:.3f}")
ax.set(xlabel=r"$\log_2 \gamma$", ylabel=r"$\log_2 C$", xticks=gamma, yticks=C)
ax.set_title("SVM on the digits data, 3-fold cross-validation", pad=34, fontsize=12)
ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
ax.get_legend().legend_handles[0].set(color="gray")
figure.colorbar(mesh, extend="min", label="Accuracy")
figure.savefig("hyperparameters.png", dpi=100)
