"""A script: kills a small run, or a conversion, at steps of its writing; resumes it, and checks.

Usage: FOLDER STORY EVERY [SERVER]; EVERY is 1 for each step, 4 for each fourth.

Each run is a forked child of this process, which itself never opens a store. Steps are counted in
the system calls that change a directory, or in the operations of a Zarr store.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array
import dask.base
import dask.threaded
import zarr.storage  # loaded here so that no child has to

import swarmgrid
import swarmgrid.coordinator.fill
import swarmgrid.view.dataset

LOADED = (
    dask.array,
    dask.base,
    dask.threaded,
    zarr.storage,
    swarmgrid.view.dataset,
    swarmgrid.coordinator.fill,
)
AXES: list[dict[str, list[float]]] = [
    {"x": [1, 2], "y": [1]},
    {"x": [0.5, 1, 2], "y": [2, 1]},
]
FOLDER = Path(sys.argv[1])
STORY = sys.argv[2]
EVERY = int(sys.argv[3])
SERVER = json.loads(sys.argv[4]) if len(sys.argv) > 4 else None
"""The URL and options of stores that survive the kills; nothing else is tried then."""


def product(x: int, y: int) -> dict[str, Any]:
    with (FOLDER / "calls").open("a") as file:
        file.write(f"{x},{y}\n")
    return {"value": x * 10.0 + y, "word": "x" * int(x)}


class Countdown:
    """Ends this process, hard, before its ``k``-th step, which is after the one before."""

    def __init__(self, k: int) -> None:
        self._left = k

    def step(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def before(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self.step()
            return call(*args, **kwargs)

        return counted


def directory(countdown: Countdown | None) -> Any:
    """A directory whose every changing system call is a step."""
    if countdown is not None:
        for name in ("replace", "link", "unlink", "rename", "mkdir"):
            setattr(os, name, countdown.before(getattr(os, name)))
    return FOLDER / "s"


def zarr_store(countdown: Countdown | None) -> Any:
    """A Zarr store, over a directory, whose every changing operation is a step."""
    from zarr.storage import LocalStore, WrapperStore

    class Mortal(WrapperStore[LocalStore]):
        """Wraps what changes the store."""

    if countdown is not None:
        for name in ("set", "set_if_not_exists", "delete"):
            setattr(Mortal, name, countdown.before(getattr(WrapperStore, name)))
    return Mortal(LocalStore(FOLDER / "s"))


def object_store(countdown: Countdown | None) -> Any:
    """An object store, whose every changing request is a step."""
    import obstore
    from obstore.store import from_url
    from zarr.storage import ObjectStore

    assert SERVER is not None
    if countdown is not None:
        for name in ("put", "put_async", "delete", "delete_async"):
            setattr(obstore, name, countdown.before(getattr(obstore, name)))
    prefix = (FOLDER / "prefix").read_text()  # of this round: a server is not emptied so fast
    return ObjectStore(from_url(f"{SERVER['url']}/{prefix}", **SERVER["options"]))


def key_value_store(countdown: Countdown | None) -> Any:
    """A key-value store, whose every write is a step."""
    from swarmgrid.stores import from_url

    assert SERVER is not None
    prefix = (FOLDER / "prefix").read_text()
    store = from_url(SERVER["url"] + prefix, SERVER["options"])
    if countdown is not None:
        cls: Any = type(store)
        cls.write_if = countdown.before(cls.write_if)
    return store


def in_child(action: Callable[[], None]) -> int:
    """Run something in a fork of this process: its exit status, negative for a signal."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            action()
            status = 0
        except BaseException:  # noqa: BLE001  # shown here: the child ends without a word
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def bound(func: Any, store: Any) -> Any:
    return swarmgrid.GridFunction(
        func,
        version="1",
        store=store,
        chunks={"x": 2, "y": 2},
        executor="sync",
        exec_chunk_size=2,
        lease_seconds=0.3,
        verbose=0,
    )


class Run:
    """Two runs: the second one grows both axes, and makes one of ints one of floats."""

    n_points, n_again = 6, 4

    def prepare(self, store: Any) -> None:
        """Nothing is stored yet, nor could it be on a server, which has a prefix for each step."""

    def doomed(self, store: Any) -> None:
        for axes in AXES:
            bound(product, store).compute(axes=axes)

    def check(self, store: Any) -> None:
        """Look at what a kill left, resume, compare with the function itself, and look again."""
        grid = bound(product, store)
        with contextlib.suppress(swarmgrid.InputError):  # nothing is stored yet
            check_sound(grid.verify(axes=["x", "y"]))
        for axes in AXES:
            ds = grid.compute(axes=axes).load()
            for x, y in itertools.product(axes["x"], axes["y"]):
                point = ds.sel(x=x, y=y)
                assert point["value"].item() == x * 10.0 + y
                assert point["word"].item() == "x" * int(x)
        check_clean(grid)


class Conversion:
    """A conversion of an output of ints, whose chunks have several rows, to floats."""

    n_points, n_again = 8, 0

    def prepare(self, store: Any) -> None:
        for axes in ({"x": [2], "y": [4]}, {"x": [2, 4, 6], "y": [4, 6]}):
            bound(halves, store).compute(axes=axes)

    def doomed(self, store: Any) -> None:
        bound(halves, store).convert("n", "float64", axes=["x", "y"])

    def check(self, store: Any) -> None:
        """Whenever it was killed: readers have all values, and all of what follows goes on."""
        grid = bound(halves, store)
        check_sound(grid.verify(axes=["x", "y"]))
        before = grid.open(axes=["x", "y"])
        check_halves(before.load())
        grid.convert("n", "float64", axes=["x", "y"])
        ds = grid.compute(axes={"x": [2, 4, 6, 5], "y": [4, 6]}).load()
        assert ds["n"].dtype == "float64"
        check_halves(ds)
        grid.repair(axes=["x", "y"])
        check_clean(grid)


KNOWN = {(x, y): {"value": x * 10.0 + y, "word": "x" * x} for x in (1, 2, 3) for y in (1, 2)}


class Putting:
    """Known results are put into a grid that has one of their points."""

    n_points, n_again = 1, 0

    def prepare(self, store: Any) -> None:
        bound(product, store).compute(axes={"x": [1], "y": [1]})

    def doomed(self, store: Any) -> None:
        bound(product, store).put_many(KNOWN)

    def check(self, store: Any) -> None:
        """None of them are there, or all; the same call again puts the rest."""
        f = bound(product, store)
        grid = f.grid()
        left = grid.state().points_computed
        assert left in (1, len(KNOWN)), left
        check_sound(grid.verify())
        assert f.put_many(KNOWN) == len(KNOWN) - left
        for (x, y), known in KNOWN.items():
            point = grid.get(x=x, y=y)
            assert (point["value"].item(), point["word"].item()) == (known["value"], known["word"])
        grid.repair()
        check_clean(f)


class Publication:
    """A scope is published, and then discarded."""

    n_points, n_again = 6, 0

    def prepare(self, store: Any) -> None:
        bound(product, store).compute(axes=AXES[0])
        bound(product, swarmgrid.scope("a", store)).compute(axes=AXES[1])

    def doomed(self, store: Any) -> None:
        scope = swarmgrid.scope("a", store)
        scope.publish()
        scope.discard()

    def check(self, store: Any) -> None:
        """The shared store is sound; the same calls again publish and discard the rest."""
        shared, scope = bound(product, store), swarmgrid.scope("a", store)
        check_sound(shared.verify(axes=["x", "y"]))
        seen = bound(product, scope).compute(axes=AXES[1]).load()  # computes nothing
        scope.publish()
        scope.discard()
        assert swarmgrid.scopes(store) == []
        assert shared.compute(axes=AXES[1]).equals(seen)
        for x, y in itertools.product(AXES[1]["x"], AXES[1]["y"]):
            assert seen["value"].sel(x=x, y=y).item() == x * 10.0 + y
        shared.repair(axes=["x", "y"])
        check_clean(shared)


def halves(x: int, y: int) -> dict[str, Any]:
    with (FOLDER / "calls").open("a") as file:
        file.write(f"{x},{y}\n")
    n = (x + y) / 2
    return {"n": int(n) if n.is_integer() else n, "word": "x" * x}


def check_halves(ds: Any) -> None:
    for x, y in itertools.product(ds["x"].values.tolist(), ds["y"].values.tolist()):
        point = ds.sel(x=x, y=y)
        assert point["n"].item() == (x + y) / 2
        assert point["word"].item() == "x" * x


def check_sound(report: Any) -> None:
    """Nothing is wrong, but that a kill may catch another write of the same moment half-way."""
    assert all(problem.key.endswith(".partial") for problem in report.problems), report


def check_clean(grid: Any) -> None:
    report = grid.verify(axes=["x", "y"])
    if report.problems:
        check_sound(report)
        grid.repair(axes=["x", "y"])
        report = grid.verify(axes=["x", "y"])
    assert report.is_clean, report
    left = [note for note in report.notes if not note.key.startswith("locks/")]
    assert left == [], report  # a kill at the very end leaves a lease, until the next owner comes


STORIES: dict[str, Any] = {
    "run": Run(),
    "conversion": Conversion(),
    "putting": Putting(),
    "publication": Publication(),
}


def prepare(make_store: Any, prefix: str) -> None:
    """An empty folder, and a store in it or of that name on the server, ready to be written."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    (FOLDER / "prefix").write_text(prefix)
    assert in_child(lambda: STORIES[STORY].prepare(make_store(None))) == 0


def main() -> None:
    kills, story = 0, STORIES[STORY]
    if SERVER is None:
        kinds = [directory, zarr_store]
    else:
        is_cloud = SERVER["url"].startswith(("s3://", "gs://", "az://"))
        kinds = [object_store if is_cloud else key_value_store]
    for make_store in kinds:
        prepared = FOLDER.with_name(make_store.__name__)
        if SERVER is None:
            prepare(make_store, STORY)
            shutil.copytree(FOLDER, prepared)
        for k in itertools.count(1, EVERY):
            if SERVER is None:
                shutil.rmtree(FOLDER)
                shutil.copytree(prepared, FOLDER)
            else:  # a server has one store for each round
                prepare(make_store, f"{STORY}-{k}")
            status = in_child(lambda k=k, make=make_store: story.doomed(make(Countdown(k))))
            assert status in (0, -signal.SIGKILL), status
            again = in_child(lambda make=make_store: story.check(make(None)))
            assert again == 0, f"{make_store.__name__}, step {k}"
            calls = (FOLDER / "calls").read_text().split()
            assert len({tuple(map(float, call.split(","))) for call in calls}) == story.n_points
            n_again = len(calls) - story.n_points
            assert n_again <= story.n_again, "more than the points in flight were computed again"
            if status == 0:
                break
            kills += 1
    print(json.dumps({"kills": kills}))


if __name__ == "__main__":
    main()
