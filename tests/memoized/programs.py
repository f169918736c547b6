"""Random programs of changes to a State, run in a memoized block: here, or in a new process.

``python -m tests.memoized.programs STORE < programs.json`` prints what came out of each.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import xarray as xr

import swarmgrid
from swarmgrid.memoized.object_graph import object_graph

NAMES = ["a", "b", "l", "d", "n", "da", "new"]


def initial() -> dict[str, Any]:
    shared = np.array([1, 2, 3])
    return {
        "a": np.arange(6.0).reshape(2, 3),
        "b": shared,
        "l": [1, "two", shared, [3.0, None]],
        "d": {"x": np.array(["p", "qq"]), "y": [True]},
        "n": 5,
        "da": xr.DataArray([1.0, 2.0], {"x": ["u", "v"]}, ("x",), "named", {"unit": "m"}),
    }


def fresh(k: int) -> Any:
    """A new value, of each kind that a state may hold."""
    kinds = [
        lambda: k,
        lambda: np.float32(k),
        lambda: f"text {k}",
        lambda: np.full((k % 3, 2), k, "i2"),
        lambda: [k, np.array([k], ">i4")],
        lambda: {"k": (k, np.array(["é" * k]))},
        lambda: xr.DataArray(np.arange(3.0) + k, dims="t"),
        lambda: complex(k, -0.0),
        lambda: np.array(k, "M8[s]"),
    ]
    return kinds[k % len(kinds)]()


def change(state: Any, step: list[Any]) -> None:  # noqa: C901
    """Carry out one step; what does not fit the value it meets does nothing."""
    what, name, other, k = step
    value = state.get(name)
    is_array = isinstance(value, np.ndarray) and value.ndim > 0 and value.dtype.kind in "iuf"
    if what == "set":
        state[name] = fresh(k)
    elif what == "delete":
        state.pop(name, None)
    elif what == "alias" and other in state:
        state[name] = state[other]
    elif what == "move" and other in state:
        state[name] = state.pop(other)
    elif what == "clear":
        state.clear()
    elif what == "update":
        state.update({name: fresh(k), other: fresh(k + 1)})
    elif what == "add" and (is_array or isinstance(value, int | float)):
        state[name] += k
    elif what == "write" and is_array:
        value[k % max(1, len(value)) :] = k
    elif what == "ufunc" and is_array:
        np.multiply(value, 2, out=value)
    elif what == "labelled" and isinstance(value, xr.DataArray):
        value[k % value.size] = k
        value.attrs["k"] = [k]
        value.name = f"n{k}"
        value.coords["c"] = k
    elif isinstance(value, list):
        change_list(value, what, fresh(k), k)
    elif isinstance(value, dict):
        value[f"k{k % 2}"] = fresh(k)
        value.pop("x", None)


def change_list(value: list[Any], what: str, new: Any, k: int) -> None:
    if what == "add":
        value.append(new)
    elif what == "write":
        value[k % (len(value) + 1) :] = [new, new]
    elif what == "ufunc":
        value.reverse()
    elif what == "labelled" and value:
        del value[k % len(value)]
    else:
        value.insert(0, new)


def contents(state: Any) -> str:
    """All that there is to a state: names and their order, values, types, and what is shared."""
    found = object_graph({name: state[name] for name in state})
    records = {n: record.to_json() for n, record in found.records.items()}
    return json.dumps([list(found.roots.items()), records])


def run(program: list[Any], store: str, last_salt: int = 0) -> dict[str, Any]:
    """Run a program in two blocks, one after the other, and say what came of it."""
    values = initial()
    state = swarmgrid.State(values)
    runs: list[int] = []
    for half, salt in ((program[::2], 0), (program[1::2], last_salt)):
        with swarmgrid.memoize(state, store, salt=[half, salt]) as mem:
            mem.begin()
            runs.append(1)
            for step in half:
                change(state, step)
    # What the caller holds must be as it was, too: an array changed in place is changed for all.
    return {"state": contents(state), "held": contents(values), "runs": len(runs)}


if __name__ == "__main__":
    print(json.dumps([run(program, sys.argv[1]) for program in json.load(sys.stdin)]))
