"""The picture of how cost grows with the number of points."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.cases import COLD, WARM
from benchmarks.contenders import BARE, OWN, ZARR

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.measure import Record

_LINES = (
    (OWN, COLD, "swarmgrid: compute all", "#c2410c", "-", "o"),
    (BARE, COLD, "floor: process pool, np.save", "#1f2937", "-", "s"),
    (OWN, WARM, "swarmgrid: read all", "#c2410c", "--", "o"),
    (ZARR, WARM, "floor: zarr reads the same array", "#1f2937", "--", "s"),
)


def draw_growth(results: list[dict[str, Record]], file: Path) -> None:
    """Seconds over points, both logarithmic, from the records of the case ``growth``."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(7.2, 4.6), layout="constrained")
    for contender, phase, label, color, style, marker in _LINES:
        found = [records[contender] for records in results if contender in records]
        x = [record.n_points for record in found]
        y = [record.median(phase) for record in found]
        ax.loglog(x, y, style, color=color, marker=marker, markersize=5, label=label)
    ax.set_xlabel("points in the grid (up to 1,000 a chunk)")
    ax.set_ylabel("seconds")
    ax.set_title("A function that costs nothing: what is left is overhead", fontsize=11)
    ax.grid(visible=True, which="major", color="#e5e7eb")
    ax.legend(frameon=False, fontsize=9)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    figure.savefig(file, dpi=130)
    plt.close(figure)
