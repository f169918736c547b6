"""Move the values of a finished grid to an archive, and back.

python examples/archive_and_thaw.py [--store DIR]
"""

from __future__ import annotations

import argparse

import numpy as np

import swarmgrid

SPEEDS, ANGLES = np.arange(10.0, 60.0, 5.0), np.arange(15, 90, 15)


def distance(speed: float, angle: int) -> dict[str, float]:
    """How far a ball flies, and how high, without air."""
    across, up = speed * np.cos(np.radians(angle)), speed * np.sin(np.radians(angle))
    return {"far": 2.0 * across * up / 9.81, "high": up**2 / 19.62}


def main(store: str) -> None:
    """Compute, archive, look at what still answers, and thaw."""
    axes = {"speed": SPEEDS, "angle": ANGLES}
    ds, done = swarmgrid.run(distance, axes=axes, store=store, chunks={"speed": 5})
    print(f"throws: {done}")

    grid = swarmgrid.Grid.open(store, "distance/")
    change = grid.archive(f"{store}-archive")
    print(f"moved away: {change.chunks} chunks")
    print(f"still known: {grid.state().points_computed} points, {len(grid.missing())} missing")
    try:
        ds["far"].max().item()
    except swarmgrid.ArchivedError as error:
        print(f"a value: {type(error).__name__}, {str(error).partition(' since ')[2]}")

    grid.thaw()
    best = grid.dataset()["far"].idxmax("angle")
    print(f"moved back; the best angle is {best.values.tolist()[0]} degrees at each speed")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--store", default="cache", help="directory or URL (default: cache)")
    main(parser.parse_args().store)
