"""Which filter cleans a photograph best? A sweep over functions.

The photograph is one of those that scikit-learn ships. Noise of different strengths is added, and
four filters try to remove it, each with its own strength. One axis of the grid holds functions: a
mapping gives each of them a label.

    python examples/denoise.py [--store DIR] [--small]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from scipy import ndimage, signal
from sklearn.datasets import load_sample_image

import swarmgrid

# %% command line
parser = argparse.ArgumentParser(description="Filters against noise on a photograph.")
parser.add_argument("--store", default="cache", help="directory or URL (default: cache)")
parser.add_argument("--small", action="store_true", help="a smaller grid")
options = parser.parse_args()
store, small = options.store, options.small

# %%
# ## The filters and the function
#
# The code of the filters, and the photograph, are part of what identifies the grid. If a filter is
# edited, its label has another value: swarmgrid says so instead of returning old results.

photo = load_sample_image("china.jpg").mean(axis=-1)[30:210, 90:330] / 255


def gaussian(image: np.ndarray, strength: float) -> np.ndarray:
    return ndimage.gaussian_filter(image, strength / 2)


def median(image: np.ndarray, strength: float) -> np.ndarray:
    return ndimage.median_filter(image, 1 + 2 * round(strength))


def wiener(image: np.ndarray, strength: float) -> np.ndarray:
    return signal.wiener(image, 1 + 2 * round(strength), noise=None)


def nothing(image: np.ndarray, strength: float) -> np.ndarray:  # noqa: ARG001
    return image


def denoised(
    noise: float,
    kernel: Callable[[np.ndarray, float], np.ndarray],
    strength: float,
    rng: np.random.Generator,
) -> dict[str, float | xr.DataArray]:
    """Return the filtered image, and its distance from the clean one in decibels."""
    noisy = photo + rng.normal(0, noise, photo.shape)
    image = kernel(noisy, strength)
    decibels = -10 * np.log10(((image - photo) ** 2).mean())
    image = xr.DataArray(image.clip(0, 1).astype("f4"), dims=("y", "x"))
    return {"psnr": decibels, "image": image}


# %%
# ## The sweep

kernels = {"nothing": nothing, "gaussian": gaussian, "median": median, "wiener": wiener}
axes = {
    "noise": [0.1] if small else [0.05, 0.1, 0.2, 0.4],
    "kernel": kernels,
    "strength": [1, 2] if small else [1, 2, 3, 4, 5],
}
ds, done = swarmgrid.run({}, axes, func=denoised, store=store, rng="rng")
print(done)
best = ds["psnr"].max("strength").to_pandas().round(1)
print("best signal to noise (dB):")
print(best.to_string())

# %%
# ## The picture
#
# Images are read from the store only for the panels that show them.

level = 0.1 if small else 0.2
shown = ds.sel(noise=level)
figure, axs = plt.subplots(2, 3, figsize=(9, 5), layout="constrained")
for ax, name in zip(axs.flat, ["original", *kernels], strict=False):
    ax.set_axis_off()
    if name == "original":
        ax.imshow(photo, cmap="gray", vmin=0, vmax=1)
        ax.set_title("original")
        continue
    point = shown.sel(kernel=name)
    strength = point["strength"][int(point["psnr"].argmax("strength"))].item()
    ax.imshow(point["image"].sel(strength=strength), cmap="gray", vmin=0, vmax=1)
    label = "noisy" if name == "nothing" else f"{name}, strength {strength}"
    ax.set_title(f"{label}: {float(point['psnr'].sel(strength=strength)):.1f} dB", fontsize=10)
ax = axs.flat[-1]
for name in list(kernels)[1:]:
    ax.plot(ds["strength"], shown["psnr"].sel(kernel=name), "o-", ms=4, label=name)
ax.set(xlabel="Strength", title="PSNR (dB)")
ax.legend(frameon=False, fontsize=8)
figure.savefig("denoise.png", dpi=55)
