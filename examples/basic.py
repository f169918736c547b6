"""Strategies play each other: a grid that grows.

Strategies play the iterated prisoner's dilemma with noise. The grid of all pairs grows by
strategies, and by seeds in front, in the middle and at the end, and is asked for in another order.
Every step prints how many points were computed and how many were reused.

    python examples/basic.py [--store DIR] [--small]
"""

from __future__ import annotations

import argparse
import random

import matplotlib.pyplot as plt

import swarmgrid

# %% command line
parser = argparse.ArgumentParser(description="A grid over strings and integers that grows.")
parser.add_argument("--store", default="cache", help="directory or URL (default: cache)")
parser.add_argument("--small", action="store_true", help="a smaller grid")
options = parser.parse_args()
store, small = options.store, options.small

# %%
# ## The function
#
# It plays one match. `next_move` and `PAYOFF` are helpers that it uses: if one of them is edited,
# the next run computes a new grid.

PAYOFF = {"CC": 3, "CD": 0, "DC": 5, "DD": 1}
"""What the first player gets, by both players' moves: cooperate or defect."""


def next_move(strategy: str, own: str, other: str) -> str:
    """Return C or D, from what both played so far."""
    if strategy == "always defect":
        return "D"
    if strategy == "tit for tat":
        return other[-1:] or "C"
    if strategy == "grim":
        return "D" if "D" in other else "C"
    if strategy == "win stay, lose shift":
        return own[-1] if own and other[-1] == "C" else "D" if own[-1:] == "C" else "C"
    return "C"


def play(rounds: int, error: float, strategy: str, opponent: str, seed: int) -> dict[str, float]:
    """Play one match; every move is flipped with the probability ``error``."""
    coin = random.Random(seed)
    first = second = ""
    for _ in range(rounds):
        moves = next_move(strategy, first, second), next_move(opponent, second, first)
        noisy = [move if coin.random() >= error else "CD"[move == "C"] for move in moves]
        first, second = first + noisy[0], second + noisy[1]
    payoffs = [PAYOFF[a + b] for a, b in zip(first, second, strict=True)]
    return {"payoff": sum(payoffs) / rounds, "cooperation": first.count("C") / rounds}


# %%
# ## The sweep
#
# One grid is asked for five times, each time for more of it, or for it in another order.

match = swarmgrid.grid(play, store=store)
params = {"rounds": 10 if small else 100, "error": 0.02}
some = ["always cooperate", "always defect", "tit for tat"]
more = ["grim", *some, "win stay, lose shift"]
requests = {
    "three strategies, ten seeds": {"strategy": some, "opponent": some, "seed": range(10)},
    "the same again": {"strategy": some, "opponent": some, "seed": range(10)},
    "twenty seeds": {"strategy": some, "opponent": some, "seed": range(20)},
    "two strategies more": {"strategy": more, "opponent": more, "seed": range(20)},
    "a part, reordered": {"seed": [7, 3], "opponent": some[::-1], "strategy": more[::-1]},
}
for label, axes in requests.items():
    ds, done = match.run(params, axes)
    print(f"{label + ':':29} {done}")

# %%
# ## The result
#
# `open` returns everything that is stored for these params.

ds = match.open(params)
ranking = ds["payoff"].mean(["opponent", "seed"]).to_series().sort_values(ascending=False)
print("Mean payoff per round, against all strategies:")
print(ranking.round(2).to_string(header=False))

mean = ds["payoff"].mean("seed").sel(strategy=ranking.index, opponent=ranking.index)
figure, ax = plt.subplots(figsize=(5.8, 4.6), layout="constrained")
image = ax.imshow(mean, cmap="viridis", vmin=0, vmax=4)
ax.set_xticks(range(len(ranking)), ranking.index, rotation=30, ha="right")
ax.set_yticks(range(len(ranking)), ranking.index)
ax.set(xlabel="Opponent", ylabel="Strategy", title="Payoff per round, mean over the seeds")
for i, row in enumerate(mean.values):
    for j, value in enumerate(row):
        color = "white" if value < 2 else "black"
        ax.text(j, i, f"{value:.1f}", ha="center", va="center", color=color)
figure.colorbar(image, label="Payoff")
figure.savefig("basic.png", dpi=90)
