"""Every argument that is True or False refuses all else: the text "no" would count as True."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import zarr.storage
from hypothesis import given
from hypothesis import strategies as st

import swarmgrid
from swarmgrid import stores
from swarmgrid.api.accessor import DatasetAccessor

OF_OTHERS = "with_read_only"
"""A method of zarr's stores."""
OWN_MEMBERS = {"MergedGrid", "Merging", "Condition"}
"""Classes that users are given, and do not make."""


def area(width: int) -> float:
    return width * 2.0


def public() -> Iterator[tuple[str, Any]]:
    """Each public callable, by its name; of a class the class and its methods."""
    homes = {name: getattr(swarmgrid, name) for name in (*swarmgrid.__all__, "open")}
    homes |= {name: getattr(stores, name) for name in stores.__all__}
    homes["ds.swarmgrid"] = DatasetAccessor
    for name, one in homes.items():
        if callable(one):
            yield name, one
        for method, bound in inspect.getmembers(one) if inspect.isclass(one) else ():
            if callable(bound) and not method.startswith("_"):
                yield f"{name}.{method}", bound


def flags() -> set[tuple[str, str]]:
    """Each argument that is True or False."""
    found = set()
    for name, one in public():
        try:
            parameters = inspect.signature(one).parameters.values()
        except (TypeError, ValueError):
            continue
        for parameter in parameters:
            if parameter.annotation in ("bool", bool) or isinstance(parameter.default, bool):
                found.add((name, parameter.name))
    return {
        (name, flag)
        for name, flag in found
        if name not in OWN_MEMBERS and not name.endswith(OF_OTHERS)
    }


def calls(store: str) -> dict[str, Callable[..., Any]]:
    """A call of each, but for the argument."""
    options: dict[str, Any] = {"store": store, "executor": "sync", "version": "1"}
    axes: dict[str, Any] = {"width": [1, 2]}
    func = swarmgrid.grid(area, **options)
    func.stream(axes=axes)
    grid = func.grid()
    computing = {
        name: lambda _name=name, **o: getattr(swarmgrid, _name)(area, axes=axes, **options | o)
        for name in ("compute", "run", "stream", "plan", "open")
    }
    methods = {
        f"GridFunction.{name}": lambda _name=name, **o: getattr(func, _name)(axes=axes, **o)
        for name in ("compute", "run", "stream", "plan", "open")
    }
    upkeep = {
        f"GridFunction.{name}": lambda _name=name, **o: getattr(func, _name)(**o)
        for name in ("errors", "grid", "repair", "verify")
    }
    return {
        **computing,
        **methods,
        **upkeep,
        "GridFunction": lambda **o: swarmgrid.grid(area, **options | o),
        "grid": lambda **o: swarmgrid.grid(area, **options | o),
        "GridFunction.convert": lambda **o: func.convert("value", "float32", **o),
        "GridFunction.put_many": lambda **o: func.put_many({(1,): 2.0}, axes=["width"], **o),
        "put_many": lambda **o: swarmgrid.put_many(
            {(1,): 2.0}, axes=["width"], func=area, **options | o
        ),
        "set_options": swarmgrid.set_options,
        "Grid.drop": grid.drop,
        "Grid.export": lambda **o: grid.export("table.csv", **o),
        "Grid.rechunk": lambda **o: grid.rechunk(chunks=1, **o),
        "Grid.thaw": grid.thaw,
        "Grid.verify": grid.verify,
        "Scope.publish": swarmgrid.scope("flags", store=store).publish,
        "Tiered": lambda **o: swarmgrid.Tiered(store, ram="1MB", **o),
        "archive": lambda **o: swarmgrid.archive(store, f"{store}-2", older_than="1h", **o),
        "catalog": lambda **o: swarmgrid.catalog(store, **o),
        "copy": lambda **o: swarmgrid.copy(store, f"{store}-2", **o),
        "merge": lambda **o: swarmgrid.merge(store, f"{store}-2", **o),
        "prune": lambda **o: swarmgrid.prune(store, older_than="1h", **o),
        "report": lambda **o: swarmgrid.report(store, "report.html", **o),
        "serve": lambda **o: swarmgrid.serve(store, **o),
        "thaw": lambda **o: swarmgrid.thaw(store, **o),
        "Azure": lambda **o: stores.Azure("az://container/path", **o),
        "DynamoDB": lambda **o: stores.DynamoDB("table", **o),
        "GCS": lambda **o: stores.GCS("gs://bucket/path", **o),
        "KeyValueStore": lambda **o: stores.SQLite("never.db", **o),
        "LMDB": lambda **o: stores.LMDB("never", **o),
        "Redis": lambda **o: stores.Redis("redis://localhost:1/0", **o),
        "S3": lambda **o: stores.S3("s3://bucket/path", **o),
        "SQLite": lambda **o: stores.SQLite("never.db", **o),
    }


WRONG = st.one_of(
    st.text(max_size=5),
    st.integers(-2, 2),
    st.floats(),
    st.none(),
    st.binary(max_size=2),
    st.lists(st.booleans(), max_size=2),
    st.sampled_from([np.int64(1), np.float32(0), np.array([True, False]), {}]),
)


def test_every_flag_refuses_what_is_neither_true_nor_false(
    new_memory_store: Callable[[], str], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = new_memory_store()
    found, how = flags(), calls(store)
    assert {name for name, _ in found} == {*how}, "a call of it is to be added above"
    before = {**swarmgrid.catalog(store).rows[0].params}

    @given(pair=st.sampled_from(sorted(found)), value=WRONG)
    def refuse(pair: tuple[str, str], value: Any) -> None:
        name, flag = pair
        with pytest.raises(swarmgrid.InputError, match=rf"^{flag} is .*; expected True or False"):
            how[name](**{flag: value})

    refuse()
    for name, flag in sorted(found):
        with pytest.raises(swarmgrid.InputError, match=rf"^{flag} is 'no'; expected True or"):
            how[name](**{flag: "no"})
    assert swarmgrid.catalog(store).rows[0].params == before
    assert not list(tmp_path.iterdir())


def test_a_flag_of_numpy_is_one() -> None:
    store: Any = zarr.storage.MemoryStore()
    swarmgrid.stream(area, axes={"width": [1]}, store=store, executor="sync")
    assert swarmgrid.plan(area, axes={"width": [1]}, store=store, explain=np.True_).parts
    swarmgrid.catalog(store)["area/"].rechunk(chunks=1, sort=np.False_)  # type: ignore[arg-type]
