"""The table of the rooms holds: imports go down only, and each library has its home."""

from __future__ import annotations

import ast
import functools
import graphlib
import sys
from pathlib import Path

import swarmgrid

PACKAGE = Path(swarmgrid.__file__).parent

GROUND = {"errors", "readable", "quantities", "threads"}  # of use in every room
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "readable": set(),
    "quantities": {"errors"},
    "threads": set(),
    "tracebacks": {"errors", "threads"},
    "user_code": GROUND,
    "identity": GROUND | {"user_code"},
    "space": GROUND | {"identity"},
    "outputs": GROUND | {"space"},
    "codecs": GROUND | {"outputs"},
    "stores": GROUND,  # public: of use without any grid
    "store": GROUND | {"stores"},
    "leases": GROUND | {"store"},
    "format": GROUND | {"identity", "space", "outputs", "codecs", "store"},
    "records": GROUND | {"identity", "space", "outputs", "store", "format"},
    "maintenance": GROUND | {"space", "outputs", "store", "leases", "format", "records"},
    "inventory": GROUND | {"space", "store", "leases", "records"},
    "transfer": GROUND
    | {"space", "outputs", "store", "leases", "format", "records", "maintenance"},
    "run_options": GROUND | {"store"},
    "option_words": GROUND,
    "option_checks": GROUND
    | {"space", "outputs", "codecs", "store", "run_options", "option_words"},
    "options": GROUND | {"outputs", "codecs", "run_options", "option_words", "option_checks"},
    "planning": GROUND | {"identity", "space", "outputs", "codecs", "store", "format", "records"},
    "transport": GROUND
    | {"user_code", "identity", "space", "outputs", "codecs", "store", "format"},
    "worker": GROUND | {"identity", "space", "outputs", "store", "leases", "format", "transport"},
    "process_pool": GROUND | {"leases", "run_options", "transport", "worker"},
    "executors": GROUND | {"leases", "run_options", "transport", "worker", "process_pool"},
    "observe": GROUND,
    "policies": GROUND
    | {"identity", "space", "outputs", "records", "planning", "transport", "executors", "observe"},
    "coordinator": GROUND
    | {"identity", "space", "outputs", "codecs", "leases", "format", "records", "maintenance"}
    | {"inventory", "run_options", "planning", "transport", "worker", "process_pool", "executors"}
    | {"observe", "policies"},
    # what is drawn needs rows and leases, and no values
    "pictures": GROUND | {"space", "store", "format", "records", "inventory"},
    "view": GROUND
    | {"space", "outputs", "store", "format", "records", "maintenance", "inventory", "planning"},
    "finding": GROUND
    | {"identity", "space", "store", "format", "records", "maintenance", "inventory", "options"}
    | {"planning"},
    # above the view: what moves to a device was read and checked as for any reader; codecs: a tier
    # may have one of its own
    "tiers": GROUND | {"space", "codecs", "store", "format", "view"},
    # events need rows, records of failures, leases and the inventory; their values, the view
    "following": GROUND | {"space", "store", "format", "records", "inventory", "planning", "view"},
    "live": GROUND | {"store", "format", "records", "inventory", "pictures", "following"},
    "search": GROUND,
    "indexes": GROUND
    | {"outputs", "codecs", "store", "format", "records", "maintenance", "planning", "view"}
    | {"finding", "search"},
    "handle": GROUND
    | {"identity", "space", "outputs", "codecs", "store", "leases", "format", "records"}
    | {"maintenance", "inventory", "transfer", "option_checks", "options", "planning", "pictures"}
    | {"view", "finding", "search", "indexes"},
    "store_api": GROUND
    | {"tracebacks", "identity", "codecs", "store", "leases", "format", "records", "maintenance"}
    | {"inventory", "transfer", "options", "pictures", "view", "finding", "following", "live"}
    | {"handle"},
    "api": GROUND
    | {"tracebacks", "identity", "space", "outputs", "codecs", "store", "records", "maintenance"}
    | {"inventory", "run_options", "option_checks", "options", "planning", "observe"}
    | {"coordinator", "view", "finding", "tiers", "following", "search", "indexes", "handle"}
    | {"store_api"},
    "memo": GROUND
    | {"identity", "space", "outputs", "store", "format", "option_checks", "options", "planning"}
    | {"observe", "view", "finding", "handle", "api"},
    "memoized": GROUND
    | {"user_code", "identity", "space", "outputs", "store", "format", "option_checks", "options"},
    "notation": GROUND | {"inventory"},
    "terminal": GROUND,
    "cli": GROUND
    | {"store", "records", "maintenance", "inventory", "options", "planning", "observe", "view"}
    | {"following", "live", "handle", "store_api", "api", "notation", "terminal"},
    "__main__": {"cli"},
}
"""What each room may import beside itself, from the ground up."""
FOREIGN = {
    "boto3": {"stores.dynamodb"},
    "botocore": {"stores.dynamodb"},
    "click": {
        *(
            "cli.about",
            "cli.archiving",
            "cli.computing",
            "cli.flags",
            "cli.following",
            "cli.history",
        ),
        *("cli.handing", "cli.listing", "cli.main", "cli.pages", "cli.removing"),
        *("cli.requests", "cli.scoping", "cli.showing", "cli.stores", "cli.upkeep"),
        *("terminal.asking", "terminal.endings", "terminal.output"),
    },
    "cupy": {"tiers.cuda"},
    "cryptography": {"codecs.aes_gcm", "codecs.keys"},
    "cloudpickle": {
        "leases.sharing",
        "transport.arrival",
        "transport.packing",
        "transport.parcel",
    },
    "dask": {"executors.processes", "executors.select", "run_options"},
    "distributed": {"executors.cluster"},
    "lmdb": {"stores.lmdb"},
    "matplotlib": {"pictures.plots"},
    "google_crc32c": {
        *("format.checked_object", "format.codec", "records.snapshot", "store.checked_json"),
        *("tiers.copy_file", "tiers.disk"),
    },
    "numcodecs": {"format.codec"},
    "obstore": {"store.bounded", "store.object_store", "stores.cloud"},
    "pandas": {
        "pictures.plots",
        "planning.times",
        "view.dataset",
        "view.selecting",
        "view.status",
        "view.tables",
    },
    "psutil": {
        "process_pool.memory",
        "process_pool.process",
        "process_pool.process_main",
        "live.machine",
    },
    "IPython": {"observe.bars"},
    "redis": {"stores.redis"},
    "starlette": {"live.app"},
    "tqdm": {"observe.bars"},
    "usearch": {"indexes.graph"},
    "uvicorn": {"live.server"},
    "watchfiles": {"following.waking"},
    "xarray": {
        *("api.backend", "memo.memo_request", "memoized.labelled"),
        *("search.hits", "search.nearest"),
        *("view.dataset", "view.export", "view.layers", "view.selecting"),
        *("view.status", "view.tables", "pictures.plots"),
    },
    "yaml": {"notation.sweeps"},
    "zarr": {
        *(
            "codecs.aes_gcm",
            "codecs.archived_keys",
            "codecs.given",
            "codecs.named",
            "codecs.pipeline",
            "codecs.trial",
            "store.blobs",
            "store.bounded",
            "store.location",
        ),
        *("stores.cloud", "stores.key_value", "tiers.tiered"),
    },
}
"""Where each library is imported; numpy may be anywhere."""


@functools.cache
def modules() -> dict[str, ast.Module]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text())
    return found


@functools.cache
def imports(tree: ast.Module, *, with_types: bool = True) -> set[str]:
    """The modules that a tree imports, anywhere in it."""
    found = set()
    nodes: list[ast.AST] = [tree]
    while nodes:
        match node := nodes.pop():
            case ast.If(test=ast.Name("TYPE_CHECKING")) if not with_types:
                pass
            case ast.Import(names=names):
                found |= {alias.name for alias in names}
            case ast.ImportFrom(module=str(module), names=names):
                found |= {f"{module}.{alias.name}" for alias in names}
            case ast.stmt() | ast.Module() | ast.ExceptHandler() | ast.match_case():
                nodes += ast.iter_child_nodes(node)  # of expressions, none holds an import
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


def test_a_room_imports_what_its_row_in_the_table_names_and_nothing_else() -> None:
    trees = modules()
    assert set(MAY_IMPORT) == {name.split(".")[0] for name in trees if name}
    wrong = [
        f"{name} imports {other or 'swarmgrid itself'}"
        for name, tree in trees.items()
        if name
        for other in own_imports(tree, set(trees))
        if other.split(".")[0] not in MAY_IMPORT[room := name.split(".")[0]] | {room}
    ]
    assert wrong == []


def test_the_table_has_no_row_that_a_later_one_needs() -> None:
    seen: set[str] = set()
    for room, below in MAY_IMPORT.items():
        assert below <= seen, room
        seen.add(room)


def test_no_room_is_a_house_of_its_own() -> None:
    lines: dict[str, int] = {}
    files: dict[str, int] = {}
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).parts[0]
        lines[room] = lines.get(room, 0) + len(path.read_text().splitlines())
        files[room] = files.get(room, 0) + (path.name != "__init__.py")
    assert {room for room, n in lines.items() if n > sum(lines.values()) / 5} == set()
    assert {room: n for room, n in files.items() if n > 16} == {}


def test_no_room_has_the_name_of_a_public_one() -> None:
    # the package would replace the function as soon as it is imported
    assert set(MAY_IMPORT) & set(swarmgrid.__all__) == set()


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


def test_every_pool_of_threads_is_in_one_module() -> None:
    # it works while the interpreter ends; others do not, see tests/scenarios/test_at_exit.py
    pools = {"concurrent.futures.ThreadPoolExecutor", "multiprocessing.pool.ThreadPool"}
    found = {
        name
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in {"to_thread", "run_in_executor"}
    }
    assert found == {"threads"}
    assert [name for name, tree in modules().items() if imports(tree) & pools] == []


def test_modules_stay_small_enough_to_hold_one_idea() -> None:
    sizes = {
        str(path.relative_to(PACKAGE)): len(path.read_text().splitlines())
        for path in PACKAGE.rglob("*.py")
    }
    assert {name: n for name, n in sizes.items() if n > 400} == {}
