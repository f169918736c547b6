"""Remember blocks of a script: slow steps run once, and a changed step runs again.

Heat spreads over a plate with a hot spot. Three blocks change one state: making the plate, heating
it in stages, and summing up. Every block prints whether it was computed or reused; a second run
of this script computes nothing. Change the number of stages, and only the new ones are computed.

    python examples/memoize_block.py [--store DIR] [--stages N]
"""

from __future__ import annotations

import argparse

import numpy as np

import swarmgrid


def diffuse(plate: np.ndarray, steps: int) -> None:
    """Let heat spread for some steps, in place."""
    for _ in range(steps):
        inner = plate[1:-1, 1:-1]
        around = plate[:-2, 1:-1] + plate[2:, 1:-1] + plate[1:-1, :-2] + plate[1:-1, 2:]
        inner += 0.2 * (around - 4 * inner)


def report(what: str, is_hit: bool) -> None:
    """Print whether a block was run."""
    print(f"{what:9} {int(not is_hit)} computed, {int(is_hit)} reused")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", default="cache")
    parser.add_argument("--stages", type=int, default=4)
    arguments = parser.parse_args()
    state = swarmgrid.State(size=200, log=[])

    with swarmgrid.memoize(state, arguments.store) as mem:
        mem.begin()
        state["plate"] = np.zeros((state["size"], state["size"]))
        state["plate"][80:120, 60:100] = 100.0
    report("plate", mem.is_hit)

    for stage in range(arguments.stages):
        with swarmgrid.memoize(state, arguments.store, salt=stage) as mem:
            mem.begin()
            diffuse(state["plate"], steps=500)
            state["log"].append(float(state["plate"].max()))
        report(f"stage {stage}", mem.is_hit)

    with swarmgrid.memoize(state, arguments.store) as mem:
        mem.begin()
        state["profile"] = state["plate"].mean(axis=0)
        state["warm"] = int((state["plate"] > 1).sum())
    report("summary", mem.is_hit)

    print(f"hottest after each stage: {', '.join(f'{t:.1f}' for t in state['log'])}")
    print(
        f"{state['warm']} cells are warm; the profile has its peak at {state['profile'].argmax()}"
    )


if __name__ == "__main__":
    main()
