"""Tiers with codecs of their own: whatever the form of a copy, its values are the right ones."""

from __future__ import annotations

import functools
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import xarray as xr
import zarr.codecs
from hypothesis import example, given, settings
from hypothesis import strategies as st
from zarr.registry import register_codec
from zarr.storage import MemoryStore

import swarmgrid
from swarmgrid import InputError, Key, Tiered, TierPolicy
from swarmgrid.codecs import keys
from swarmgrid.codecs.aes_gcm import AesGcm
from swarmgrid.tiers.ram import RamTier
from swarmgrid.view.copies import Recoded
from tests.codecs.custom import Broken, Flip
from tests.long import examples
from tests.tiers.test_tiered import Clock, CountingStore, fill, opened

register_codec("tests.flip", Flip)
register_codec("tests.broken", Broken)
register_codec("swarmgrid.aes_gcm", AesGcm)  # as its entry point does

LZ4 = zarr.codecs.BloscCodec(cname="lz4", clevel=1)
FORMS: dict[str, Any] = {
    "stored": "stored",
    "not compressed": [],
    "lz4": LZ4,
    "a name": "blosc",
    "a dict": {"name": "zstd", "configuration": {"level": 9, "checksum": True}},
    "of numcodecs": numcodecs.GZip(1),
    "several": [{"name": "zstd"}, {"name": "crc32c"}],
    "of a third party": Flip(),
}
OPTIONS: dict[str, Any] = {"executor": "sync", "version": "1", "verbose": 0}
N = 8


def several(x: int) -> dict[str, Any]:
    return {
        "real": x / 3,
        "count": x * 7,
        "is_even": x % 2 == 0,
        "wave": complex(x, -x),
        "text": f"n = {x} " + "ä" * (x % 3),
        "when": np.datetime64("2026-11-22", "ns") + np.timedelta64(x, "h"),
        "line": xr.DataArray(np.arange(4.0, dtype="f4") * x, dims="t"),
    }


def form_names(tier: Any) -> list[str]:
    """The last codec of each copy in a tier, ``stored`` for those in the form of home."""
    if isinstance(tier, RamTier):
        copies = [data for key, data in tier._data.items() if "/value/c." in key]
    else:
        found = [path.read_bytes() for _, path, _ in tier._files()]
        return ["blosc" if b'"name":"blosc"' in data else "other" for data in found]
    return [
        copy.form.rpartition('"name":"')[2].partition('"')[0]
        if isinstance(copy, Recoded)
        else "stored"
        for copy in copies
    ]


@pytest.fixture
def home() -> CountingStore:
    return CountingStore(MemoryStore())


def test_each_tier_has_copies_in_its_codec_and_needs_no_request_home(
    home: CountingStore, tmp_path: Path
) -> None:
    fill(home)
    store = Tiered(home, ram=("1MB", "zstd"), disk=(tmp_path, "1MB", LZ4))
    expected = np.outer(np.arange(40), [1, 2])
    assert (opened(store)["value"].values == expected).all()
    levels = store._tiers._levels
    assert form_names(levels.ram) == ["zstd"] * 10
    assert form_names(levels.disk) == ["blosc"] * 10
    home.reads.clear()
    assert (opened(store)["value"].values == expected).all()
    # a process that names no codec, or another one, reads these copies as well
    for form in ("stored", "gzip"):
        other = Tiered(home, ram=("1MB", "blosc"), disk=(tmp_path, "1MB", form))
        for _ in range(2):
            assert (opened(other)["value"].values == expected).all()
        assert form_names(other._tiers._levels.ram) == ["blosc"] * 10
        assert other.metrics()["disk"].hits == other.metrics()["ram"].hits == 10
    assert form_names(levels.disk) == ["blosc"] * 10
    assert home.reads == []


def test_what_a_writer_left_is_encoded_when_it_is_first_read(
    home: CountingStore, tmp_path: Path
) -> None:
    store = Tiered(home, ram=("1MB", "blosc"), disk=(tmp_path, "1MB", LZ4))
    fill(store)
    levels = store._tiers._levels
    assert form_names(levels.ram) == ["stored"] * 10
    for _ in range(2):
        assert (opened(store)["value"].values == np.outer(np.arange(40), [1, 2])).all()
        assert form_names(levels.ram) == ["blosc"] * 10
    levels.ram.clear()
    opened(store).load()
    assert form_names(levels.disk).count("blosc") == 10
    assert home.reads == []


def test_what_leaves_memory_is_on_the_disk_in_the_codec_of_the_disk(
    home: CountingStore, tmp_path: Path
) -> None:
    fill(home)
    clock = Clock()
    store = Tiered(
        home,
        ram=("1MB", "zstd"),
        disk=(tmp_path, "1MB", LZ4),
        policy=TierPolicy(warm_to_cold="1h", clock=clock),
    )
    opened(store).load()
    store._tiers._levels.disk.clear()
    clock.now += 3601
    store.trim()
    assert store.metrics()["ram"].copies == 0
    assert form_names(store._tiers._levels.disk) == ["blosc"] * 10
    home.reads.clear()
    assert (opened(store)["value"].values == np.outer(np.arange(40), [1, 2])).all()
    assert home.reads == []


def test_a_copy_is_encoded_for_memory_after_so_many_reads(home: CountingStore) -> None:
    fill(home)
    store = Tiered(home, ram=("1MB", "blosc"), policy=TierPolicy(promote_after=3))
    for copies in (0, 0, 10):
        opened(store).load()
        assert store.metrics()["ram"].copies == copies


Form = st.sampled_from(list(FORMS))
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["plain", "near", "delete", "invalidate"]),
            st.sets(st.integers(0, N - 1), min_size=1),
        ),
        st.tuples(st.just("rechunk"), st.integers(1, N)),
        st.tuples(st.just("clear"), st.booleans()),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=examples(9))
@given(
    ram=st.one_of(st.none(), Form, st.just("decoded")),
    disk=st.one_of(st.none(), Form),
    codec=st.sampled_from([None, [], "gzip", LZ4]),
    shards=st.sampled_from([None, {"x": 4}]),
    room=st.sampled_from([2_000, 1_000_000]),
    steps=STEPS,
)
@example(ram="lz4", disk="not compressed", codec=None, shards=None, room=1_000_000, steps=[
    ("plain", {0, 1, 5}), ("near", {2, 6}), ("rechunk", 4), ("delete", {1}), ("plain", {1, 3}),
])  # fmt: skip
@example(  # rows that were equal in two layouts made a copy of another shape count
    ram="decoded", disk=None, codec=None, shards=None, room=2000,
    steps=[("plain", {0}), ("rechunk", 1), ("plain", {0}), ("rechunk", 3)],
)  # fmt: skip
def test_two_handles_one_of_them_with_tiers_agree_after_every_step(
    ram: str | None, disk: str | None, codec: Any, shards: Any, room: int, steps: Any
) -> None:
    home, folder = MemoryStore(), tempfile.mkdtemp()
    sizes: dict[str, Any] = {}
    if ram is not None:
        sizes["ram"] = (room, FORMS.get(ram, ram))
    if disk is not None or not sizes:
        sizes["disk"] = (folder, room, FORMS[disk or "lz4"])
    try:
        near = Tiered(home, **sizes)
        other = Tiered(home, **sizes)  # as another process: it shares the disk
        layout = {"chunks": {"x": 2}, "shards": shards, "codec": codec}
        known = {0}
        swarmgrid.stream({}, {"x": [0]}, func=several, store=home, **layout, **OPTIONS)
        for step, what in steps:
            known = stepped(step, what, known, home, near)
            plain = seen(home)
            values = np.array([x / 3 if x in known else np.nan for x in range(N)])
            np.testing.assert_array_equal(plain["real"].values, values)
            for store in (near, other, near):
                xr.testing.assert_identical(seen(store), plain)
            for tier in near.metrics().values():
                assert tier.nbytes <= room or not tier.budget
    finally:
        shutil.rmtree(folder)


def stepped(step: str, what: Any, known: set[int], home: Any, near: Tiered) -> set[int]:
    """Take a step of the test above: the points that are computed then."""
    if step in {"plain", "near"}:
        store = home if step == "plain" else near
        swarmgrid.stream({}, {"x": sorted(what)}, func=several, store=store, **OPTIONS)
        return known | what
    grid = swarmgrid.Grid.open(home, "several/")
    if step in {"delete", "invalidate"} and known & what and known - what:
        (grid.delete if step == "delete" else grid.invalidate)(x=sorted(known & what))
        return known - what
    if step == "rechunk":
        grid.rechunk({"x": what}, shards=False)
    elif step == "clear":
        near.clear_copies()
    return known


def seen(store: Any) -> xr.Dataset:
    """All values, and those of points that are not computed."""
    ds = swarmgrid.open({}, {"x": range(N)}, func=several, store=store, version="1")
    return ds.load().drop_attrs()


@functools.cache
def a_disk(form: str) -> dict[str, bytes]:
    """The files of a disk tier with two chunks in it."""
    home = MemoryStore()
    fill(home, 8)
    with tempfile.TemporaryDirectory() as folder:
        opened(Tiered(home, disk=(folder, "1MB", FORMS[form])), 8).load()
        root = Path(folder)
        return {
            str(path.relative_to(root)): path.read_bytes()
            for path in sorted(root.rglob("*"))
            if path.is_file()
        }


@settings(max_examples=examples(25))
@given(
    form=st.sampled_from(["stored", "not compressed", "lz4"]),
    which=st.integers(0, 1),
    place=st.floats(0, 1, exclude_max=True),
    bit=st.integers(0, 7),
)
@example(form="lz4", which=0, place=0.0, bit=0)
@example(form="not compressed", which=1, place=0.9999, bit=7)
def test_a_flipped_bit_anywhere_in_a_copy_is_found(
    form: str, which: int, place: float, bit: int
) -> None:
    home = CountingStore(MemoryStore())
    fill(home, 8)
    with tempfile.TemporaryDirectory() as folder:
        files = a_disk(form)
        store = Tiered(home, disk=(folder, "1MB", FORMS[form]))
        store._tiers._name = _name_of(files)  # as of the store that filled the disk
        for name, data in files.items():
            path = Path(folder, name)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
        chunk = [name for name in files if name.endswith(".copy")][which]
        data = bytearray(files[chunk])
        data[int(place * len(data))] ^= 1 << bit
        Path(folder, chunk).write_bytes(bytes(data))
        home.reads.clear()
        assert (opened(store, 8)["value"].values == np.outer(np.arange(8), [1, 2])).all()
        assert len(home.reads) == store.metrics()["disk"].damaged == 1


def _name_of(files: dict[str, bytes]) -> str:
    """The name of the store whose chunks are in the files of a disk tier."""
    data = next(data for name, data in files.items() if name.endswith(".copy"))
    return data[24:].partition(b"\0")[0].decode()


@pytest.mark.parametrize("form", ["stored", "lz4"])
def test_copies_of_an_encrypted_grid_are_encrypted(tmp_path: Path, form: str) -> None:
    keys._held.clear()
    key, disk = Key.generate(), tmp_path / "disk"
    options: dict[str, Any] = {"store": tmp_path / "home", "key": key, "codec": [], **OPTIONS}
    swarmgrid.stream({}, {"x": range(6)}, func=several, **options, chunks={"x": 2})
    store = Tiered(tmp_path / "home", ram=("1MB", FORMS[form]), disk=(disk, "1MB", FORMS[form]))
    swarmgrid.stream({}, {"x": [7]}, func=several, **{**options, "store": store})
    try:
        for _ in range(2):
            ds = swarmgrid.open({}, {"x": range(6)}, func=several, store=store, version="1")
            assert ds["text"].values[4].startswith("n = 4")
        ram = store._tiers._levels.ram
        assert isinstance(ram, RamTier)
        found = [path.read_bytes() for path in disk.rglob("*.copy")]
        assert len(found) == store.metrics()["ram"].copies > 2
        assert not any(b"n = " in data for data in [*found, *ram._data.values()])
        assert not any(isinstance(copy, Recoded) for copy in ram._data.values())
        assert (store.metrics()["home"].hits, store.metrics()["ram"].hits) == (3, 3)
    finally:
        keys._held.clear()


class Unknown(Flip):
    """A codec that is entered nowhere."""

    def to_dict(self) -> Any:
        return {"name": "tests.unknown", "configuration": {"key": self.key}}


@pytest.mark.parametrize(
    ("form", "match"),
    [
        ("zip", "the form of disk has the codec 'zip', which is not installed.*'gzip'"),
        ("lz4", "Did you mean 'numcodecs.lz4'"),
        (None, "the form of disk is None; expected 'stored', or compressors"),
        ("auto", "the form of disk is 'auto'"),
        ("decoded", r"the form of disk is 'decoded'.*\[\] for none"),
        (3, "the form of disk has 3; expected a codec"),
        ("bytes", "expected compressors, which make bytes of bytes"),
        (numcodecs.BitRound(4), "expected compressors, which make bytes of bytes"),
        (Broken(), "which changes values|cannot be used"),
        (Unknown(), "cannot be used: .*no Zarr codec 'tests.unknown' here"),
    ],
)
def test_a_form_that_no_tier_can_have_is_told(tmp_path: Path, form: Any, match: str) -> None:
    with pytest.raises(InputError, match=match):
        Tiered(MemoryStore(), disk=(tmp_path, "1MB", form))
    assert not list(tmp_path.iterdir())
