"""The layers hold: imports go down only, without circles, and each library has one home."""

from __future__ import annotations

import ast
import graphlib
import sys
from pathlib import Path

import swarmgrid

PACKAGE = Path(swarmgrid.__file__).parent

LAYERS = [
    "errors",
    "identity",
    "space",
    "storage",
    "work",
    "checks",
    "options",
    "view",
    "find",
    "care",
    "call",
    "face",
    "bound",
    "memo",
    "blocks",
]
"""From the ground up; a part may import itself and those before it."""
WITHIN_WORK = [  # the coordinator stands on what it coordinates
    {
        *("arguments", "arrival", "background", "diagnostics", "forkserver", "job", "labels"),
        *("log", "memory", "pace", "progress", "sharing", "shown", "surroundings"),
    },
    {"uses"},
    {"travel"},
    {"parcel"},
    {"depends", "fixed", "settings", "signature", "throttle", "unpack", "wanted"},
    {"batch", "collect", "coverage", "request", "tally"},
    {"attempts", "calls", "plan", "source"},
    {"interrupt", "ledger", "retry"},
    {"commit", "estimate", "evaluate", "explore"},
    {"worker"},
    {"processes"},
    {"pool"},
    {"cluster", "executors"},
    {"schedule"},
    {"staff"},
    {"first"},
    {"run"},
    {"fill"},
]
FOREIGN = {
    "cloudpickle": {"work.arrival", "work.parcel", "work.sharing", "work.travel"},
    "dask": {"work.executors", "work.schedule", "work.settings"},
    "distributed": {"work.cluster"},
    "google_crc32c": {"storage.codec", "storage.metadata", "storage.segment"},
    "numcodecs": {"storage.codec"},
    "obstore": {"storage.location", "storage.objects"},
    "pandas": {"view"},
    "psutil": {"work.memory", "work.processes", "work.worker"},
    "tenacity": {"work.retry"},
    "tqdm": {"work.progress"},
    "xarray": {"blocks.labelled", "memo.request", "view"},
    "zarr": {"storage.blobs", "storage.location"},
}
"""Where each library is imported; numpy may be anywhere."""


def modules() -> dict[str, ast.Module]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text())
    return found


def imports(tree: ast.Module, *, with_types: bool = True) -> set[str]:
    """The modules that a tree imports, anywhere in it."""
    found = set()
    skipped: set[int] = set()
    for node in ast.walk(tree):
        if (
            not with_types
            and isinstance(node, ast.If)
            and ast.unparse(node.test) == "TYPE_CHECKING"
        ):
            skipped |= {id(inner) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def own_imports(tree: ast.Module, known: set[str], *, with_types: bool = True) -> set[str]:
    """The modules of the package that a tree imports."""
    found = set()
    for name in imports(tree, with_types=with_types):
        if name.split(".")[0] == "swarmgrid":
            inner = name.removeprefix("swarmgrid").lstrip(".")
            while inner not in known:
                inner = inner.rpartition(".")[0]
            found.add(inner)
    return found


def test_imports_go_down_only() -> None:
    trees = modules()
    rank = {layer: i for i, layer in enumerate(LAYERS)}
    wrong = [
        f"{name} imports {other}"
        for name, tree in trees.items()
        if name
        for other in own_imports(tree, set(trees))
        if other and rank[other.split(".")[0]] > rank[name.split(".")[0]]
    ]
    assert wrong == []


def test_the_inside_of_work_is_layered_too() -> None:
    trees = modules()
    rank = {f"work.{name}": i for i, names in enumerate(WITHIN_WORK) for name in names}
    assert set(rank) == {name for name in trees if name.startswith("work.")}
    wrong = [
        f"{name} imports {other}"
        for name in rank
        for other in own_imports(trees[name], set(trees), with_types=False)
        if other in rank and rank[other] > rank[name]
    ]
    assert wrong == []


def test_there_are_no_circles() -> None:
    trees = modules()
    graph = {
        name: own_imports(tree, set(trees), with_types=False) - {name}
        for name, tree in trees.items()
        if name
    }
    list(graphlib.TopologicalSorter(graph).static_order())


def test_every_library_has_one_home() -> None:
    found: dict[str, set[str]] = {}
    for name, tree in modules().items():
        for imported in imports(tree, with_types=False):
            top = imported.split(".")[0]
            if top not in sys.stdlib_module_names | {"swarmgrid", "numpy"}:
                found.setdefault(top, set()).add(name)
    assert found == FOREIGN


def test_modules_stay_small_enough_to_hold_one_idea() -> None:
    sizes = {p.name: len(p.read_text().splitlines()) for p in PACKAGE.rglob("*.py")}
    assert {name: n for name, n in sizes.items() if n > 400} == {}
