"""Grow a grid: strings and integers as axes, each point computed once.

Two strategies play the iterated prisoner's dilemma with noise. The grid grows by strategies,
by seeds in front, in the middle and at the end, and is asked for in another order. Every step
prints what was computed and what was reused; a second run of this script computes nothing.

    python examples/basic.py [--store DIR]
"""

from __future__ import annotations

import argparse
import random

import swarmgrid

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


def main(store: str) -> None:
    """Ask for one grid five times, each time for more of it, or for it in another order."""
    match = swarmgrid.grid(play, store=store)
    params = {"rounds": 100, "error": 0.02}
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
    ds = match.open(params)
    ranking = ds["payoff"].mean(["opponent", "seed"]).to_series().sort_values(ascending=False)
    print("\nMean payoff per round, against all strategies:")
    print(ranking.round(2).to_string(header=False))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--store", default="cache", help="directory or URL (default: cache)")
    main(parser.parse_args().store)
