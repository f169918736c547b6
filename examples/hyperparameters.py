"""Tune a support vector machine on real data, from a coarse grid to a fine one.

The data are scikit-learn's handwritten digits: 1797 images of 8 x 8 pixels. The fine grid
holds the coarse one, whose points are reused. A second run of this script computes nothing.

    python examples/hyperparameters.py [--store DIR]
"""

from __future__ import annotations

import argparse

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_score
from sklearn.svm import SVC

import swarmgrid

FIGURE = "hyperparameters.png"
# Globals that the function uses: their values are part of the identity of its grid.
IMAGES, LABELS = load_digits(return_X_y=True)
IMAGES = IMAGES / 16


def accuracy(folds: int, C: float, gamma: float) -> dict[str, float]:  # noqa: N803
    """Return the mean accuracy over the folds, and its standard deviation."""
    scores = cross_val_score(SVC(C=C, gamma=gamma), IMAGES, LABELS, cv=folds)
    return {"accuracy": scores.mean(), "deviation": scores.std()}


def drawn(ds: xr.Dataset, coarse: dict[str, np.ndarray]) -> plt.Figure:
    """Return a heat map of the accuracy, the coarse points and the best one marked."""
    c, gamma = np.log2(ds["C"]), np.log2(ds["gamma"])
    best = ds["accuracy"].argmax(...)
    figure, ax = plt.subplots(figsize=(6.4, 5.2), layout="constrained")
    mesh = ax.pcolormesh(gamma, c, ds["accuracy"], vmin=0.9, cmap="viridis", edgecolors="face")
    points = np.meshgrid(np.log2(coarse["gamma"]), np.log2(coarse["C"]))
    ax.plot(*map(np.ravel, points), "o", color="white", ms=3.5, label="coarse grid (reused)")
    top = (gamma[best["gamma"]], c[best["C"]])
    label = f"best: {float(ds['accuracy'][best]):.3f}"
    ax.plot(*top, "*", color="crimson", mec="white", ms=18, label=label)
    ax.set(xlabel=r"$\log_2 \gamma$", ylabel=r"$\log_2 C$", xticks=gamma, yticks=c)
    ax.set_title("SVM on the digits data, 3-fold cross-validation", pad=34, fontsize=12)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
    for handle in ax.get_legend().legend_handles[:1]:
        handle.set(color="gray")
    figure.colorbar(mesh, extend="min", label="Accuracy")
    return figure


def main(store: str) -> None:
    """Compute the coarse grid, then the fine one, and draw it."""
    # Powers of two, as exact as floats can be: the coarse values are among the fine ones.
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
    drawn(ds, coarse).savefig(FIGURE, dpi=120)
    print(f"figure: {FIGURE}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--store", default="cache", help="directory or URL (default: cache)")
    main(parser.parse_args().store)
