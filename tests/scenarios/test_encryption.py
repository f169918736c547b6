"""Encrypted grids: read with the key alone, wherever their bytes are, and never mixed up."""

from __future__ import annotations

import itertools
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from zarr.registry import register_codec

import swarmgrid
from swarmgrid import Grid, Key
from swarmgrid.codecs import keys
from swarmgrid.codecs.aes_gcm import AesGcm, decrypted, encrypted
from swarmgrid.leases import lease
from tests.conftest import Killed
from tests.long import first

register_codec("swarmgrid.aes_gcm", AesGcm)  # as its entry point does
pytestmark = pytest.mark.filterwarnings("ignore:Combining a `sharding_indexed` codec")


@pytest.fixture(autouse=True)
def no_keys_held() -> Iterator[None]:
    """No key of another test, nor of this one afterwards."""
    keys._held.clear()
    yield
    keys._held.clear()


def model(x: int, y: float) -> dict[str, Any]:
    return {"number": x * 1.5 + y, "text": f"secret {x}", "curve": np.arange(3) * y}


def compute(store: Any, xs: Any = range(6), **options: Any) -> xr.Dataset:
    axes = {"x": xs, "y": [0.5, 0.25]}
    options = {"chunks": {"x": 2, "y": 2}, "executor": "sync", **options}
    return swarmgrid.compute(model, axes=axes, store=store, version="1", **options)


def grid_of(store: Any, key: Key | None = None) -> Grid:
    return Grid.open(store, "model/", key=key)


def every_byte(store: Path) -> bytes:
    return b"".join(file.read_bytes() for file in store.rglob("*") if file.is_file())


@pytest.mark.parametrize("shards", [False, {"x": 4, "y": 2}], ids=["chunks", "shards"])
def test_values_are_read_with_the_key_and_nowhere_without(tmp_path: Path, shards: Any) -> None:
    key = Key.generate()
    plain = compute("memory://encryption-plain").load()
    ds = compute(tmp_path, key=key, shards=shards, codec=[])
    assert ds.load().equals(plain)
    assert b"secret 1" not in every_byte(tmp_path)
    assert key.reveal().encode() not in every_byte(tmp_path)
    assert key.id in grid_of(tmp_path).state().encodings["number"]
    assert grid_of(tmp_path).verify().is_clean
    before = every_byte(tmp_path)
    assert compute(tmp_path, shards=shards, codec=None).equals(plain)

    keys._held.clear()
    for read in (
        lambda: compute(tmp_path, chunks=None),
        lambda: compute(tmp_path, range(8), chunks=None),
        lambda: grid_of(tmp_path).dataset(),
        lambda: grid_of(tmp_path).verify(),
        lambda: grid_of(tmp_path).rechunk(chunks=1),
        lambda: grid_of(tmp_path).rotate(Key.generate()),
    ):
        with pytest.raises(swarmgrid.EncryptionError, match=f"the key {key.id} is needed"):
            read()
    with pytest.raises(swarmgrid.EncryptionError, match=f"the key {key.id} is needed"):
        grid_of(tmp_path).archive(f"{tmp_path}-tape")
    assert not Path(f"{tmp_path}-tape").exists()
    assert not list(tmp_path.glob("manifest/*/archive.json"))
    for tells in (  # by the store alone
        lambda grid: grid.state().points_computed == 12,
        lambda grid: grid.plan().points_missing == 0,
        lambda grid: grid.exists(x=1, y=0.5) and not grid.exists(x=9, y=0.5),
        lambda grid: (grid.status() == 1).all() and len(grid.missing()) == 0,
        lambda grid: key.id in grid._repr_html_(),
    ):
        assert tells(grid_of(tmp_path))
    assert key.id not in keys._held
    assert not list(tmp_path.glob("manifest/*/*.bad"))
    assert len(every_byte(tmp_path)) >= len(before)
    assert grid_of(tmp_path, key).dataset().load().equals(plain)
    assert grid_of(tmp_path).verify().is_clean


def test_another_key_is_an_error_that_names_both(tmp_path: Path) -> None:
    key, other = Key.generate(), Key.generate()
    compute(tmp_path, key=key)
    with pytest.raises(swarmgrid.EncryptionError, match=rf"{other.id}.*{key.id}.*rotate"):
        compute(tmp_path, key=other)
    compute("memory://encryption-none")
    with pytest.raises(swarmgrid.InputError, match=r"not encrypted.*rotate"):
        compute("memory://encryption-none", key=key)


def wrong_keys(store: Path) -> dict[str, Any]:
    """Calls that are given a key of a grid, by what is called."""
    options: dict[str, Any] = {"store": store, "version": "1"}
    axes = {"x": range(6), "y": [0.5, 0.25]}
    put = {(1, 0.5): model(1, 0.5)}
    found = {
        "compute": lambda key: compute(store, key=key),
        "plan": lambda key: swarmgrid.plan(model, axes=axes, key=key, **options),
        "open": lambda key: swarmgrid.open(model, axes=axes, key=key, **options),
        "open by names": lambda key: swarmgrid.open(model, axes=["y", "x"], key=key, **options),
        "put_many": lambda key: swarmgrid.put_many(
            put, axes=["x", "y"], func=model, key=key, on_conflict="keep", **options
        ),
        "the engine": lambda key: xr.open_dataset(
            store, engine="swarmgrid", function="model", key=key
        ),
        "a tree": lambda key: xr.open_datatree(store, engine="swarmgrid", key=key),
        "catalog": lambda key: swarmgrid.catalog(store, key=key)["model/"].dataset(),
        "catalog as a tree": lambda key: swarmgrid.catalog(store, key=key).datatree(),
    }
    of_grid = {
        "dataset": lambda grid: grid.dataset(),
        "state": lambda grid: grid.state(),
        "verify": lambda grid: grid.verify(),
        "repair": lambda grid: grid.repair(),
        "rechunk": lambda grid: grid.rechunk(chunks=1),
        "compress": lambda grid: grid.compress(),
        "rotate": lambda grid: grid.rotate(None),
        "delete": lambda grid: grid.delete(x=1),
        "snapshot": lambda grid: grid.snapshot("s"),
        "export": lambda grid: grid.export(store.parent / "a.nc"),
        "dataset, pickled": lambda grid: pickle.loads(pickle.dumps(grid)).dataset(),
    }
    func = swarmgrid.grid(model, **options)
    return (
        found
        | {
            f"Grid.{name}": lambda key, _call=call: _call(grid_of(store, key))
            for name, call in of_grid.items()
        }
        | {
            f"GridFunction.grid.{name}": lambda key, _call=call: _call(func.grid(key=key))
            for name, call in of_grid.items()
        }
        | {
            "GridFunction.errors": lambda key: func.errors(key=key),
            "GridFunction.verify": lambda key: func.verify(key=key),
            "GridFunction.repair": lambda key: func.repair(key=key),
            "GridFunction.convert": lambda key: func.convert("number", "c16", key=key),
        }
    )


def test_a_wrong_key_is_an_error_wherever_it_is_given(tmp_path: Path) -> None:
    key, wrong = Key.generate(), Key.generate()
    store = tmp_path / "store"
    compute(store, key=key)
    before = every_byte(store)
    for is_held in (True, False):  # by an earlier call
        for name, call in wrong_keys(store).items():
            if not is_held:
                keys._held.clear()
            with pytest.raises(swarmgrid.EncryptionError, match=rf"{wrong.id}.*{key.id}") as e:
                call(wrong)
            assert "Pass that key" in str(e.value), name
    assert every_byte(store) == before
    assert {path.name for path in tmp_path.iterdir()} == {"store"}
    assert grid_of(store, key).state().points_computed == 12
    assert Grid.open(store, "model/", key=[wrong, key]).verify().is_clean


def test_a_plan_needs_no_key_and_a_run_does(tmp_path: Path) -> None:
    key = Key.generate()
    compute(tmp_path, key=key)
    keys._held.clear()
    options: dict[str, Any] = {"store": tmp_path, "version": "1"}
    axes = {"x": range(8), "y": [0.5, 0.25]}
    plan = swarmgrid.plan(model, axes=axes, **options)
    assert (plan.points_cached, plan.points_missing) == (12, 4)
    assert key.id in plan.encodings["number"]
    assert swarmgrid.plan(model, axes=axes, explain=True, **options).parts is not None
    assert swarmgrid.grid(model, **options).plan(axes=axes).points_missing == 4
    with pytest.raises(swarmgrid.EncryptionError, match=f"the key {key.id} is needed"):
        swarmgrid.stream(model, axes=axes, **options)


def test_plain_zarr_reads_with_the_key_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = Key.generate()
    ds = compute(tmp_path, key=key, shards={"x": 4, "y": 2}).load()
    source = ds.encoding["source"]
    keys._held.clear()
    group: Any = zarr.open_group(source, mode="r")
    with pytest.raises(swarmgrid.EncryptionError, match=key.id):
        group["number"][...]
    monkeypatch.setenv("SWARMGRID_KEY", f"{Key.generate().reveal()} {key.reveal()}")
    np.testing.assert_array_equal(group["number"][...], ds["number"].values)
    opened = xr.open_zarr(source)
    np.testing.assert_array_equal(opened["curve"], ds["curve"].values)
    with pytest.raises(swarmgrid.EncryptionError, match="written by swarmgrid alone"):
        zarr.open_array(f"{source}/number", mode="r+")[...] = 1.0


def test_swapped_changed_and_copied_chunks_are_found(tmp_path: Path) -> None:
    ds = compute(tmp_path, key=Key.generate()).load()
    folder = Path(ds.encoding["source"])
    one, two = folder / "number" / "c.0.0", folder / "number" / "c.1.0"
    texts = folder / "text" / "c.0.0"
    whole = {path: path.read_bytes() for path in (one, two, texts)}
    for change in (
        {one: whole[two], two: whole[one]},
        {one: whole[texts]},
        {one: whole[one][:-1] + bytes([whole[one][-1] ^ 1])},
        {one: whole[one][:6] + bytes([whole[one][6] ^ 1]) + whole[one][7:]},
        {one: b"SGE1"},
        {one: b""},
    ):
        for path, data in change.items():
            path.write_bytes(data)
        with pytest.raises(swarmgrid.DamageError):
            grid_of(tmp_path).dataset()["number"].load()
        for path in change:
            path.write_bytes(whole[path])
        grid_of(tmp_path).repair()
    assert grid_of(tmp_path).dataset().load().equals(ds)


def test_no_change_of_any_byte_of_an_object_goes_unseen() -> None:
    key = keys.hold(Key.generate())
    data = encrypted(b"the values", key.id, "grid/number", "c.0.1")
    assert decrypted(data, key.id, "grid/number", "c.0.1") == b"the values"
    assert data != encrypted(b"the values", key.id, "grid/number", "c.0.1")
    for i in range(len(data)):
        for bit in (1, 128):
            changed = data[:i] + bytes([data[i] ^ bit]) + data[i + 1 :]
            with pytest.raises(ValueError, match="encrypted"):
                decrypted(changed, key.id, "grid/number", "c.0.1")
            with pytest.raises(ValueError, match="encrypted"):
                decrypted(changed, key.id, "grid/number")  # as plain Zarr reads it
    for array, chunk in (("grid/other", "c.0.1"), ("grid/number", "c.0.2")):
        with pytest.raises(ValueError, match="encrypted"):
            decrypted(data, key.id, array, chunk)


def test_rotation_changes_the_key_and_no_value(tmp_path: Path) -> None:
    old, new = Key.generate(), Key.generate()
    plain = compute(tmp_path).load()
    change = grid_of(tmp_path).rotate(old)
    assert change.bytes_after > change.bytes_before
    assert b"secret 1" not in every_byte(tmp_path)
    grid_of(tmp_path).rechunk(chunks={"x": 3}, encoding={"number": {"compressors": "gzip"}})
    assert old.id in grid_of(tmp_path).state().encodings["number"]
    grid_of(tmp_path).rotate(new)
    keys._held.clear()
    assert grid_of(tmp_path, new).dataset().load().equals(plain)
    with pytest.raises(swarmgrid.EncryptionError, match=old.id):
        keys.held_key(old.id)
    grid_of(tmp_path).compress(3)
    grid_of(tmp_path).rotate(None)
    keys._held.clear()
    assert grid_of(tmp_path).dataset().load().equals(plain)
    assert "encrypted" not in grid_of(tmp_path).state().encodings["number"]


def test_rotation_covers_what_snapshots_keep(tmp_path: Path) -> None:
    keyring = [Key.generate() for _ in range(2)]
    compute(tmp_path, codec=[])
    grid = grid_of(tmp_path)
    before = {"plain": grid.dataset().load()}
    grid.snapshot("plain")
    grid.delete(x=[0, 1])
    for i, key in enumerate(keyring):
        grid.rotate(key)
        assert b"secret 1" not in every_byte(tmp_path), i
        compute(tmp_path, range(6 + i))
        before[key.id] = grid.dataset().load()
        grid.snapshot(key.id)
        grid.delete(x=[2 + i])
    keys._held.clear()
    grid = grid_of(tmp_path, keyring[-1])
    assert grid.verify().is_clean
    for name, then in before.items():
        assert grid.dataset(at=name).identical(then), name
    assert {*keys._held} == {keyring[-1].id}
    kept = [p for p in tmp_path.glob("snapshots/*/kept/*/*/*") if p.is_file()]
    assert len({p.parent for p in kept}) < len(kept) <= len(before) * len({p.parent for p in kept})
    grid.rotate(None)
    keys._held.clear()
    assert grid_of(tmp_path).verify().is_clean
    assert grid_of(tmp_path).dataset(at="plain").identical(before["plain"])
    assert grid_of(tmp_path).restore("plain") >= 0
    assert grid_of(tmp_path).dataset().sel(x=range(6)).load().equals(before["plain"])


def test_a_rotation_leaves_a_lost_chunk_of_a_snapshot_alone(tmp_path: Path) -> None:
    old, new = Key.generate(), Key.generate()
    grid = ready_to_rotate(tmp_path, old)
    grid.delete_snapshot("two")
    (lost,) = tmp_path.glob("snapshots/*/kept/value/c.0/*")
    lost.write_bytes(b"torn")
    assert [p.key.rpartition("/")[2] for p in grid.verify().problems] == ["c.0"]
    grid.rotate(new)
    keys._held.clear()
    keys.hold(new)
    assert [p.key.rpartition("/")[2] for p in grid.verify().problems] == ["c.0"]
    assert grid.dataset(at="one")["value"].sel(x=[3, 4]).values.tolist() == [4.5, 6.0]
    assert lost.exists()


def test_a_key_that_a_snapshot_needs_is_named_before_anything_is_changed(
    tmp_path: Path, kill_at: Any
) -> None:
    old, new, other = (Key.generate() for _ in range(3))
    then = compute(tmp_path, key=old).load()
    grid_of(tmp_path).snapshot("old")
    kill_at(40)  # between the grid and its snapshot
    with pytest.raises(Killed):
        grid_of(tmp_path).rotate(new)
    kill_at(-1)
    lease._own.clear()
    state = grid_of(tmp_path).state()
    assert new.id in state.encodings["number"], "the kill came too early"
    before = every_byte(tmp_path)
    keys._held.clear()
    for call in (
        lambda grid: grid.rotate(other),
        lambda grid: grid.verify(),
        lambda grid: grid.dataset(at="old").load(),
    ):
        with pytest.raises(swarmgrid.EncryptionError, match=f"the key {old.id} is needed"):
            call(grid_of(tmp_path, new))
    assert every_byte(tmp_path) == before
    grid = Grid.open(tmp_path, "model/", key=[new, old])
    assert grid.verify().is_clean
    grid.rotate(other)
    keys._held.clear()
    assert grid_of(tmp_path, other).verify().is_clean
    assert grid_of(tmp_path).dataset(at="old").identical(then)
    with pytest.raises(swarmgrid.InputError, match="key is a str; expected a swarmgrid.Key"):
        Grid.open(tmp_path, "model/", key=old.reveal())  # type: ignore[arg-type]


@pytest.mark.parametrize("every", first(1, [33, 1]))
def test_a_kill_at_any_step_of_a_rotation_leaves_one_key_or_the_other(
    tmp_path: Path, kill_at: Any, every: int
) -> None:
    old, new = Key.generate(), Key.generate()
    for k in itertools.count(every // 2, every):
        store = tmp_path / str(k)
        grid = ready_to_rotate(store, old)
        before, then = grid.dataset().load(), grid.dataset(at="one").load()
        kill_at(k)
        try:
            grid.rotate(new)
            is_done = True
        except Killed:
            is_done = False
        kill_at(-1)
        lease._own.clear()  # as in a process that has ended
        assert grid.dataset().identical(before)
        assert grid.dataset(at="one").identical(then)
        assert grid.dataset(at="two").identical(before)
        assert grid.verify().is_clean, (k, grid.verify())
        grid.rotate(new)
        keys._held.clear()
        keys.hold(new)
        assert grid.dataset().identical(before)
        assert grid.dataset(at="one").identical(then)
        assert grid.verify().is_clean, (k, grid.verify())
        keys.hold(old)
        kept = [p for p in store.glob("snapshots/*/kept/*/*/*") if p.is_file()]
        assert 3 <= len(kept) <= 6  # three chunks of two snapshots, which may share copies
        for path in kept:
            assert decrypted(path.read_bytes(), new.id, f"{grid.id}/value", path.parent.name)
        if is_done:
            break
    assert k > 20


def ready_to_rotate(store: Path, key: Key) -> Grid:
    """A grid of one output with two snapshots, the older one of which has a copy."""
    swarmgrid.stream(
        {}, {"x": range(6)}, func=number, store=store, version="1", executor="sync",
        chunks={"x": 2}, key=key, verbose=0,
    )  # fmt: skip
    grid = Grid.open(store, "number/")
    grid.snapshot("one")
    grid.delete(x=[0, 3])
    grid.snapshot("two")
    return grid


def whole(x: int) -> int:
    return 0x1D3A_75C9_4E62_B7 ^ (x * 0x9E37_79B9_7F4A) & ~0xFF  # a float64 without any loss


def secrets_in(data: bytes) -> list[int]:
    """The points whose values can be read, as ints or as floats."""
    values = [(x, whole(x)) for x in range(1, 6)]
    forms = [(x, kind(value).tobytes()) for x, value in values for kind in (np.int64, np.float64)]
    return sorted({x for x, form in forms if form[1:7] in data})


def ready_to_convert(store: Path, key: Key | None) -> Grid:
    """A grid of ints in three chunks, with a snapshot that has a point more."""
    func = swarmgrid.GridFunction(whole, store=store, version="1", executor="sync", verbose=0)
    func.stream(axes={"x": range(6)}, chunks={"x": 2}, key=key)
    grid = func.grid()
    grid.snapshot("one")
    grid.delete(x=5)
    return grid


@pytest.mark.parametrize("every", first(1, [24, 1]))
def test_a_kill_at_any_step_of_a_conversion_shows_no_value_and_loses_none(
    tmp_path: Path, kill_at: Any, every: int
) -> None:
    key, new = Key.generate(), Key.generate()
    ready_to_convert(tmp_path / "plain", None).convert("value", "float64")
    assert secrets_in(every_byte(tmp_path / "plain"))
    for k in itertools.count(every // 2, every):
        store = tmp_path / str(k)
        grid = ready_to_convert(store, key)
        before, then = grid.dataset().load(), grid.dataset(at="one").load()
        kill_at(k)
        try:
            grid.convert("value", "float64")
            is_done = True
        except Killed:
            is_done = False
        kill_at(-1)
        lease._own.clear()  # as in a process that has ended
        assert not secrets_in(every_byte(store))
        assert grid.dataset().load().equals(before)
        assert grid.dataset(at="one").identical(then)
        assert grid.verify().is_clean, (k, grid.verify())
        grid.convert("value", "float64")
        assert not secrets_in(every_byte(store))
        assert grid.dataset()["value"].dtype == np.float64
        assert grid.dataset().load().equals(before)
        assert grid.dataset(at="one").identical(then)
        assert xr.open_zarr(grid.dataset().encoding["source"])["value"].dtype == np.float64
        assert grid.verify().is_clean, (k, grid.verify())
        grid.rotate(new)
        keys._held.clear()
        keys.hold(new)
        assert grid.dataset().load().equals(before)
        assert grid.dataset(at="one").identical(then)
        chunks = [p for p in store.rglob("*") if p.is_file() and "/value/" in str(p)]
        for path in chunks:  # with the new key alone
            if path.name != "zarr.json":
                names = (path.name, path.parent.name, f"c.{path.name}")
                assert any(readable(path, new, f"{grid.id}/value", name) for name in names), path
        if is_done:
            break
    assert k > 5


def readable(path: Path, key: Key, array: str, chunk: str) -> bool:
    try:
        return bool(decrypted(path.read_bytes(), key.id, array, chunk))
    except ValueError:
        return False


def test_a_conversion_needs_the_key_and_the_usual_codecs(tmp_path: Path) -> None:
    key = Key.generate()
    grid = ready_to_convert(tmp_path, key)
    before = every_byte(tmp_path)
    keys._held.clear()
    with pytest.raises(swarmgrid.EncryptionError, match=f"the key {key.id} is needed"):
        grid.convert("value", "float64")
    assert every_byte(tmp_path) == before
    keys.hold(key)
    values = grid.dataset().load()
    grid.rechunk(encoding={"value": {"compressors": "gzip"}})
    with pytest.raises(swarmgrid.InputError, match="has an encoding of its own"):
        grid.convert("value", "float64")
    grid.rechunk(encoding={"value": {}})  # as the error says
    grid.convert("value", "float64")
    assert grid.dataset().load().equals(values)
    assert key.id in grid.state().encodings["value"]


def number(x: int) -> float:
    return x * 1.5


def test_workers_get_the_key_and_pickles_do_not(tmp_path: Path) -> None:
    key = Key.generate()
    ds = compute(tmp_path, range(30), key=key, executor="processes", workers=2)
    plain = compute("memory://encryption-workers", range(30))
    assert ds.load().equals(plain.load())
    secret = key._secret
    lazy = compute(tmp_path, range(30), chunks=None)
    for thing in (key, lazy, grid_of(tmp_path)):
        assert secret not in pickle.dumps(thing)
    assert pickle.loads(pickle.dumps(key)) is key
    assert key.reveal() not in repr(key) + str(swarmgrid.options.Options(key=key))
    keys._held.clear()
    with pytest.raises(swarmgrid.EncryptionError, match=key.id):
        pickle.loads(pickle.dumps(lazy))["number"].load()


def test_keys_come_from_files_and_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, path = Key.generate(), tmp_path / "key"
    key.save(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert Key.from_file(path) == key
    for wrong in (path, tmp_path / "no folder" / "key", 5, None, "a\0b"):
        with pytest.raises(swarmgrid.InputError, match="already|cannot be written"):
            key.save(wrong)  # type: ignore[arg-type]
    monkeypatch.setenv("GRID_KEY", key._secret.hex())
    assert Key.from_env("GRID_KEY") == key
    assert len({Key.generate().id for _ in range(20)}) == 20
    for text in ("", "password", "A" * 43, key.reveal() + "AAAA"):
        monkeypatch.setenv("GRID_KEY", text)
        with pytest.raises(swarmgrid.InputError, match="'GRID_KEY' holds no key") as error:
            Key.from_env("GRID_KEY")
        assert not text or text not in str(error.value)
    monkeypatch.setenv("SWARMGRID_KEY", f"{key.reveal()[:-9]}")
    with pytest.raises(swarmgrid.InputError, match="variable 'SWARMGRID_KEY' holds no key"):
        keys.held_key("0" * 16)
    with pytest.raises(swarmgrid.InputError, match="the key is a bytes; expected the text of one"):
        Key.from_text(key._secret)  # type: ignore[arg-type]
    (tmp_path / "raw").write_bytes(key._secret)
    assert Key.from_file(tmp_path / "raw") == key
    (tmp_path / "raw").write_bytes(b"correct horse battery staple 123"[:32])
    with pytest.raises(swarmgrid.InputError, match=r"the file .*raw' holds no key"):
        Key.from_file(tmp_path / "raw")
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(swarmgrid.InputError, match=r"the file .*key' holds no key") as torn:
        Key.from_file(path)
    assert key.reveal()[:20] not in str(torn.value)
    with pytest.raises(swarmgrid.InputError, match="no environment variable 'NO_KEY'"):
        Key.from_env("NO_KEY")
    with pytest.raises(swarmgrid.InputError, match="cannot be read"):
        Key.from_file(tmp_path / "none")
    with pytest.raises(swarmgrid.InputError, match="cannot be read"):
        Key.from_file(3)  # type: ignore[arg-type]
    with pytest.raises(swarmgrid.InputError, match="key is a str; expected a swarmgrid.Key") as e:
        compute(tmp_path / "store", key=key.reveal())
    assert key.reveal() not in str(e.value)


def test_the_engine_and_the_decorator_take_a_key(tmp_path: Path) -> None:
    key = Key.generate()
    func = swarmgrid.grid(model, store=tmp_path, version="1", executor="sync", key=key)
    ds = func.compute(axes={"x": [1, 2], "y": [0.5]}).load()
    keys._held.clear()
    opened = xr.open_dataset(tmp_path, engine="swarmgrid", function="model", key=key)
    assert opened.load().equals(ds)


def test_whatever_opens_grids_takes_their_keys(tmp_path: Path) -> None:
    one, two = Key.generate(), Key.generate()
    first = compute(tmp_path, key=one).load()
    swarmgrid.stream({}, {"x": [1]}, func=lambda x: x, store=tmp_path, version="1", key=two)
    keys._held.clear()
    with pytest.raises(swarmgrid.EncryptionError, match="is needed"):
        swarmgrid.catalog(tmp_path).datatree().load()
    for call in (
        lambda key: swarmgrid.catalog(tmp_path, key=key).datatree(),
        lambda key: xr.open_datatree(tmp_path, engine="swarmgrid", key=key),
        lambda key: xr.open_groups(tmp_path, engine="swarmgrid", key=key),
        lambda key: swarmgrid.copy(tmp_path, tmp_path / "to", key=key),
        lambda key: swarmgrid.merge(tmp_path, tmp_path / "to", key=key),
        lambda key: xr.open_dataset(tmp_path, engine="swarmgrid", function="model", key=key),
    ):
        keys._held.clear()
        with pytest.raises(swarmgrid.InputError, match="key is a str; expected a swarmgrid.Key"):
            call(one.reveal())
        with pytest.raises(swarmgrid.InputError, match="key is a int; expected a swarmgrid.Key"):
            call([one, 3])
        call(iter([one, two]))
        assert {*keys._held} == {one.id, two.id}
    tree = xr.open_datatree(tmp_path / "to", engine="swarmgrid")
    (copied,) = tree["model"].children.values()
    assert copied.to_dataset().load().equals(first)


def test_encrypted_values_join_a_grid_that_is_not_only_if_that_is_said(tmp_path: Path) -> None:
    key, other = Key.generate(), Key.generate()
    source, plain = tmp_path / "source", tmp_path / "plain"
    compute(source, range(6), key=key, codec=[])
    compute(plain, range(2), codec=[])
    before = every_byte(plain)
    for dry_run in (True, False):
        with pytest.raises(swarmgrid.InputError, match=rf"key {key.id}.*rotate.*decrypt=True"):
            swarmgrid.merge(source, plain, dry_run=dry_run)
    assert every_byte(plain) == before
    with pytest.raises(swarmgrid.InputError, match="decrypt is 1; expected True or False"):
        swarmgrid.merge(source, plain, decrypt=1)  # type: ignore[arg-type]
    swarmgrid.copy(plain, tmp_path / "kept")
    grid_of(tmp_path / "kept").rotate(other)
    assert swarmgrid.merge(source, tmp_path / "kept").points_added == 8
    assert swarmgrid.merge(source, plain, decrypt=True).points_added == 8
    assert b"secret 5" in every_byte(plain)
    assert b"secret" not in every_byte(tmp_path / "kept")
    assert swarmgrid.merge(plain, source).points_added == 0
    swarmgrid.merge(source, tmp_path / "new")
    assert b"secret" not in every_byte(tmp_path / "new")
    for store in ("kept", "plain", "new"):
        assert grid_of(tmp_path / store).dataset().load().equals(compute(source).load())
        assert grid_of(tmp_path / store).verify().is_clean


def test_nothing_is_written_to_another_grid_without_the_key(tmp_path: Path) -> None:
    key = Key.generate()
    compute(tmp_path / "s", key=key)
    keys._held.clear()
    before = sorted(tmp_path.rglob("*"))
    grid = grid_of(tmp_path / "s")
    for call in (
        lambda: swarmgrid.copy(tmp_path / "s", tmp_path / "t"),
        lambda: swarmgrid.merge(tmp_path / "s", tmp_path / "t"),
        lambda: grid.rename_axis(x="z"),
        lambda: grid.put_many({(99, 0.5): model(99, 0.5)}),
    ):
        with pytest.raises(swarmgrid.EncryptionError, match=f"the key {key.id} is needed"):
            call()
        assert len(swarmgrid.catalog(tmp_path / "s")) == 1
        data = [path for path in tmp_path.rglob("data.zarr/*/*/*") if path not in before]
        assert data == []
    swarmgrid.copy(tmp_path / "s", tmp_path / "t", key=key)
    assert grid_of(tmp_path / "t").verify().is_clean


def test_a_grid_that_adopts_an_encrypted_one_is_encrypted_as_itself(tmp_path: Path) -> None:
    key = Key.generate()
    compute(tmp_path, key=key, codec=[])
    old = grid_of(tmp_path)
    new = old.rename_axis(x="z")
    values = new.dataset().load()
    assert key.id in new.state().encodings["number"]
    assert b"secret 1" not in every_byte(tmp_path)
    names = [f"{tmp_path}/data.zarr/model/{grid.id}/number" for grid in (old, new)]
    identities = [zarr.open_array(name).metadata.codecs[-1].array for name in names]
    assert identities == [f"{old.id}/number", f"{new.id}/number"]
    assert values["number"].transpose("z", "y").values.tolist() == (
        old.dataset()["number"].transpose("x", "y").values.tolist()
    )


def test_a_process_that_imports_zarr_alone_reads_by_the_entry_point(tmp_path: Path) -> None:
    key = Key.generate()
    ds = compute(tmp_path, key=key).load()
    code = f"import zarr; print(zarr.open_array({ds.encoding['source'] + '/number'!r})[...].sum())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "SWARMGRID_KEY": key.reveal()},
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(done.stdout) == float(ds["number"].sum())
