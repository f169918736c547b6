"""The picture of how cost grows with the number of points, and with that of chunks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.cases import BARE, CASES, COLD, OWN, WARM, ZARR

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.measure import Record

_LINES = (
    (OWN, COLD, "swarmgrid: compute all", "#c2410c", "-", "o"),
    (BARE, COLD, "floor: process pool, np.save", "#1f2937", "-", "s"),
    (OWN, WARM, "swarmgrid: read all", "#c2410c", "--", "o"),
    (ZARR, WARM, "floor: zarr reads the same array", "#1f2937", "--", "s"),
)


def draw_growth(
    by_points: list[dict[str, Record]], by_chunks: list[dict[str, Record]], file: Path
) -> None:
    """Seconds over points, and over chunks where there are any records of these."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    n = 2 if by_chunks else 1
    figure, axs = plt.subplots(
        1, n, figsize=(7.2 if n == 1 else 11.0, 4.6), layout="constrained", squeeze=False
    )
    _draw(axs[0, 0], by_points, 1)
    axs[0, 0].set_xlabel("points in the grid (up to 1,000 a chunk)")
    axs[0, 0].set_ylabel("seconds")
    if by_chunks:
        row = CASES["chunks"].row
        _draw(axs[0, 1], by_chunks, row)
        axs[0, 1].set_xlabel(f"chunks in the grid ({row} points each)")
    handles, labels = axs[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    figure.suptitle("A function that costs nothing: what is left is overhead", fontsize=11)
    figure.savefig(file, dpi=130)
    plt.close(figure)


def _draw(ax: Any, results: list[dict[str, Record]], points_each: int) -> None:
    for contender, phase, label, color, style, marker in _LINES:
        found = [records[contender] for records in results if contender in records]
        x = [record.n_points / points_each for record in found]
        y = [record.median(phase) for record in found]
        if found:
            ax.loglog(x, y, style, color=color, marker=marker, markersize=5, label=label)
    ax.grid(visible=True, which="major", color="#e5e7eb")
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
