"""Whatever file of a memo's cache is damaged, the next run gives right results."""

from __future__ import annotations

import itertools
import random
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from zarr.core.buffer import Buffer
from zarr.storage import MemoryStore

import swarmgrid
from swarmgrid import SwarmMemo
from swarmgrid.leases import lease
from tests.long import first
from tests.scenarios.test_damage import HOW, TURNS, damage, damages, files

SPEC = {"strat": ["aaa", "bb"], "s": [1, 2, 3]}
GROWN = {"strat": ["aaa", "bb"], "s": [0, 1, 2, 3]}


def product_of(params: Any, split_spec: Any) -> list[tuple[Any, ...]]:
    return list(itertools.product(*split_spec.values()))


def exec_fn(params: Any, point: Any) -> dict[str, Any]:
    strat, s = point
    return {"value": len(strat) + s * params["alpha"], "text": strat * s}


def memo_in(store: Any) -> SwarmMemo:
    return SwarmMemo(
        store,
        memo_chunk_spec={"strat": 1, "s": 2},
        exec_chunk_size=2,
        enumerate_points=product_of,
        exec_fn=exec_fn,
        collate_fn=list,
        merge_fn=lambda chunks: sorted(itertools.chain(*chunks), key=str),
        verbose=0,
    )


PARAMS = {"alpha": 0.5}


def executed(store: Any, spec: Any = SPEC) -> int:
    """The points that a run computes, once its output is seen to be right."""
    output, done = memo_in(store).run(PARAMS, spec)
    assert output == sorted((exec_fn(PARAMS, p) for p in product_of(PARAMS, spec)), key=str)
    return done.executed_points


@pytest.fixture(autouse=True)
def in_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(lease, "LEASE_SECONDS", 0.2)  # a broken lease is waited for so long
    with swarmgrid.set_options(executor="sync"):
        yield


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small cache that grew: of two segments."""
    store = tmp_path_factory.mktemp("sound") / "s"
    with swarmgrid.set_options(executor="sync"):
        executed(store, {**SPEC, "s": [1, 2]})
        executed(store)
    return store


def grid_of(store: Path) -> Path:
    (grid,) = store.glob("data.zarr/exec_fn/*/strat")
    return grid.parent


# Of what a run reads. The documents above the grid and of its arrays, and the second copies, are
# read when something else is lost.
READ = r"/exec_fn/\w+/(zarr\.json|\w+/c\.[\d.]+)$|\.seg$"


@pytest.mark.parametrize("turn", TURNS)
def test_whatever_file_is_damaged_the_next_run_gives_right_results(
    sound: Path, tmp_path: Path, turn: int, caplog: pytest.LogCaptureFixture
) -> None:
    for name, how in damages(sound, turn):
        store = tmp_path / "s"
        shutil.copytree(sound, store)
        damage(store / name, how)
        caplog.clear()
        lost = executed(store)
        is_value, is_segment = "/value/c" in name or "/text/c" in name, name.endswith(".seg")
        assert (lost > 0) == (is_value or is_segment), f"{name}, {how}"
        if re.search(READ, name) and not (is_segment and how == "delete"):
            assert f"{name} is damaged" in caplog.text, how
        caplog.clear()
        assert executed(store) == 0, f"{name}, {how}"
        assert caplog.text == "", f"{name}, {how}"  # it was repaired for good
        assert executed(store, GROWN) == 2, f"{name}, {how}"
        shutil.rmtree(store)


@pytest.mark.parametrize("seed", first(3, range(20)))
def test_several_damaged_files_stop_no_later_run(sound: Path, tmp_path: Path, seed: int) -> None:
    store, chosen = tmp_path / "s", random.Random(seed)
    shutil.copytree(sound, store)
    for name in chosen.sample(files(sound), 3):
        damage(store / name, chosen.choice(HOW))
    executed(store)
    assert executed(store, GROWN) == 2
    assert executed(store) == 0


def test_axes_of_which_both_copies_are_gone_are_computed_anew(sound: Path, tmp_path: Path) -> None:
    store = tmp_path / "s"
    shutil.copytree(sound, store)
    damage(grid_of(store) / "strat" / "c.0", "truncate")
    (copy,) = store.glob("manifest/*/copy-strat-c.0")
    damage(copy, "flip middle")
    assert executed(store) == 6
    assert executed(store) == 0


def test_streaming_repairs_as_well(sound: Path, tmp_path: Path) -> None:
    store = tmp_path / "s"
    shutil.copytree(sound, store)
    damage(grid_of(store) / "s" / "c.0", "truncate")
    with pytest.raises(swarmgrid.DamageError, match=r"s/c\.0"):  # which computes nothing
        memo_in(store).dataset(PARAMS, SPEC)
    assert memo_in(store).run_streaming(PARAMS, SPEC).executed_points == 0
    assert memo_in(store).dataset(PARAMS, SPEC).sizes == {"strat": 2, "s": 3}


class TearingStore(MemoryStore):
    """Gives half of every chunk of one array."""

    async def get(self, key: str, *args: Any, **kwargs: Any) -> Buffer | None:
        found = await super().get(key, *args, **kwargs)
        return found[: len(found) // 2] if found and "/value/c" in key else found


def test_what_is_damaged_again_and_again_is_an_error_that_says_what_to_delete() -> None:
    with pytest.raises(
        swarmgrid.StoreError,
        match=r"value/c\.0\.0 is damaged again after it was repaired: .* delete the folders "
        r"data\.zarr/exec_fn/\w+/ and manifest/\w+/ in ",
    ):
        executed(TearingStore())
