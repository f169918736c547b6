"""Whatever is given for an argument is taken, or an InputError before anything is written."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import swarmgrid
from swarmgrid import Key, Tiered, TierPolicy
from tests.long import examples

HUGE = "9" * 400
END = dt.datetime.max.replace(tzinfo=dt.UTC)
ONE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=4),
    st.binary(max_size=2),
    st.sampled_from(
        ["1MB", "30d", "cpu", "decoded", "auto", "9999999d", HUGE + "d", HUGE + "GB", "~nobody/x"]
    ),
    st.sampled_from(
        [1e18, np.int64(2), np.float32(0.5), np.datetime64("NaT", "ns"), object(), int]
    ),
    st.sampled_from([dt.timedelta.max, dt.timedelta(-1), END, dt.date(9999, 12, 31)]),
)
ANY = st.one_of(
    ONE,
    st.lists(ONE, max_size=3),
    st.tuples(ONE, ONE),
    st.dictionaries(st.one_of(st.text(max_size=2), st.integers()), ONE, max_size=2),
    st.builds(lambda: np.arange(2)),
)


def area(width: int) -> float:
    return width * 2.0


def calls(folder: Path) -> dict[str, Callable[[Any], Any]]:
    """Calls with one argument that may be anything."""
    home = "memory://any-value"
    store = Tiered(home, ram="1MB")
    grid = swarmgrid.GridFunction(area, store=store, executor="sync", version="1", verbose=0)
    grid.stream(axes={"width": [1, 2]})
    found: dict[str, Callable[[Any], Any]] = {
        f"Tiered({name}=)": lambda v, _name=name: Tiered(home, **{"ram": "1MB"} | {_name: v})
        for name in (
            *("ram", "disk", "device", "shared", "pools", "policy", "storage_options"),
            "read_only",
        )
    }
    found |= {
        f"TierPolicy({name}=)": lambda v, _name=name: TierPolicy(**{_name: v})
        for name in TierPolicy.__dataclass_fields__
    }
    found |= {
        f"snapshot({name}=)": lambda v, _name=name: grid.grid().snapshot(**{_name: v})
        for name in ("message", "tags", "expires")
    }
    return found | {
        "ram bytes": lambda v: Tiered(home, ram=(v, "decoded")),
        "ram form": lambda v: Tiered(home, ram=("1MB", v)),
        "disk folder": lambda v: Tiered(home, disk=(v, "1MB")),
        "disk bytes": lambda v: Tiered(home, disk=(folder / "d", v)),
        "disk form": lambda v: Tiered(home, disk=(folder / "d", "1MB", v)),  # type: ignore[arg-type]
        "device bytes": lambda v: Tiered(home, device=("cpu", v)),
        "device precision": lambda v: Tiered(home, device=("cpu", "1MB", v)),
        "pool bytes": lambda v: Tiered(home, ram="1MB", pools={"a": v}),
        "pool": store.pool,
        "priority": lambda v: store.pool("", v),
        "Key": Key,
        "Key.from_env": Key.from_env,
        "Key.from_file": Key.from_file,
        "Key.from_text": Key.from_text,
        "Key.save": Key.generate().save,
        "scope": swarmgrid.scope,
        "scope store": lambda v: swarmgrid.scope("a", v),
        "scope options": lambda v: swarmgrid.scope("a", storage_options=v),
        "put_many missing": lambda v: grid.put_many({}, axes=["width"], missing=v),
        "put_many on_conflict": lambda v: grid.put_many({}, axes=["width"], on_conflict=v),
    }


def test_any_value_of_an_argument_is_taken_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cwd"
    folder.mkdir()
    monkeypatch.chdir(folder)
    how = calls(folder)
    grid = swarmgrid.Grid.open("memory://any-value", "area/")

    @settings(max_examples=examples(150), deadline=None)
    @example("snapshot(expires=)", "9999999d")
    @example("snapshot(expires=)", 1e18)
    @example("snapshot(expires=)", END)
    @example("device bytes", HUGE + "GB")
    @example("put_many on_conflict", 3)
    @given(st.sampled_from(sorted(how)), ANY)
    def take_or_refuse(name: str, value: Any) -> None:
        before = len(grid.snapshots())
        try:
            how[name](value)
        except (swarmgrid.InputError, swarmgrid.StoreError):
            assert len(grid.snapshots()) == before

    take_or_refuse()
    grid.snapshot("last")
    assert grid.dataset(at="last")["value"].values.tolist() == [2.0, 4.0]
