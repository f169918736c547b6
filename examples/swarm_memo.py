"""Run a swarm-memo program as it is, and let its grid grow.

The functions are those of swarm-memo's own example; only the import is another. The grid then
grows at both ends and is asked for in another order. Every step prints what was computed and
what was reused; a second run of this script computes nothing.

    python examples/swarm_memo.py [--store DIR]
"""

# ruff: noqa: ARG001, PERF401  # the functions are those of the document

from __future__ import annotations

import argparse
from typing import Any

from swarmgrid import SwarmMemo


def enumerate_points(params: Any, split_spec: Any) -> list[Any]:
    points = []
    for strat in split_spec["strat"]:
        for s in split_spec["s"]:
            points.append((strat, s))
    return points


def exec_fn(params: Any, point: Any) -> dict[str, Any]:
    strat, s = point
    return {"strat": strat, "s": s, "value": len(strat) + s}


def collate_fn(outputs: Any) -> list[Any]:
    return outputs


def merge_fn(chunks: Any) -> list[Any]:
    merged = []
    for chunk in chunks:
        merged.extend(chunk)
    return merged


def main(store: str) -> None:
    """Ask for a grid, and then for more of it, in another order, and again."""
    memo = SwarmMemo(
        cache_root=store,
        memo_chunk_spec={"strat": 1, "s": 3},
        exec_chunk_size=2,
        enumerate_points=enumerate_points,
        exec_fn=exec_fn,
        collate_fn=collate_fn,
        merge_fn=merge_fn,
    )
    params = {"alpha": 0.4}
    requests = {
        "the document's": {"strat": ["aaa", "bb"], "s": [1, 2, 3, 4]},
        "one s appended": {"strat": ["aaa", "bb"], "s": [1, 2, 3, 4, 5]},
        "one s in front": {"strat": ["aaa", "bb"], "s": [0, 1, 2, 3, 4, 5]},
        "a strat between": {"strat": ["aaa", "c", "bb"], "s": [0, 1, 2, 3, 4, 5]},
        "some, reordered": {"strat": ["bb", "aaa"], "s": [5, 3, 1]},
    }
    for label, split_spec in requests.items():
        output, diag = memo.run(params, split_spec)
        values = [record["value"] for record in output]
        print(
            f"{label + ':':17}{diag.executed_points:2} computed, {diag.cached_points:2} reused, "
            f"in {diag.executed_chunks} of {diag.total_chunks} chunks; values {values}"
        )
    ds = memo.dataset(params, requests["a strat between"])
    print("\nThe same cache in xarray, the mean over s:")
    print(ds["value"].mean("s").to_series().to_string(header=False))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--store", default="cache", help="directory or URL (default: cache)")
    main(parser.parse_args().store)
