"""The work of a call that has nothing to compute."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

import swarmgrid

PACKAGE = str(Path(swarmgrid.__file__).parent)


def product(a: float, b: float) -> float:
    return a * b


def own_calls(action: Callable[[], object]) -> Counter[str]:
    """How often each function of the package was called."""
    found: Counter[str] = Counter()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            found[f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_name}"] += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        action()
    finally:
        sys.setprofile(before)
    return found


def computed(store: Path, n: int) -> Any:
    """A grid of ``10 * n`` points in ``n`` chunks."""
    return swarmgrid.compute(
        axes={"a": np.arange(10.0 * n), "b": [0.0]},
        func=product,
        store=store,
        chunks={"a": 10, "b": 1},
        executor="sync",
        verbose=0,
    )


@pytest.mark.parametrize("n", [2, 60])
def test_a_warm_call_does_the_same_little_for_any_number_of_chunks(tmp_path: Path, n: int) -> None:
    computed(tmp_path, n)
    computed(tmp_path, n)
    found = own_calls(lambda: computed(tmp_path, n))
    assert found.total() < 650, found.most_common(20)  # 587 of them in Python 3.11
    again = ("from_bytes", "check_same", "checked_documents", "array_document")
    assert {name: k for name, k in found.items() if name.endswith(again)} == {}


def test_each_chunk_that_is_read_takes_the_same_few_calls(tmp_path: Path) -> None:
    computed(tmp_path, 60)
    few, many = computed(tmp_path, 10), computed(tmp_path, 60)
    counts = [own_calls(lambda ds=ds: ds["value"].values).total() for ds in (few, many)]
    assert (counts[1] - counts[0]) / 50 < 50, counts  # 42 in Python 3.11
