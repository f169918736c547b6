"""A coverage-guided fuzzer over the readers of stored bytes; runs only when asked for.

It takes what a store holds apart, has every reader look at it, and follows the branches that this
takes. ``SWARMGRID_FUZZ_SECONDS`` says how long.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SECONDS = int(os.environ.get("SWARMGRID_FUZZ_SECONDS", "100"))

PROGRAM = """
import sys, warnings, logging
warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)
import atheris
NAMES = ["store", "format", "records", "space", "outputs", "memoized"]
PARTS = [f"swarmgrid.{name}" for name in NAMES]
with atheris.instrument_imports(include=PARTS):
    import swarmgrid
    from swarmgrid.format import codec, described, grid, segment, shard, zarr_metadata
    from swarmgrid.records import failures, manifest
    from swarmgrid.store import checked_json, lease_record
    from swarmgrid.memoized import delta, store
from tests.scenarios.test_stranger import CASES, HOSTILE, DROP, PLAIN, SHARDED
from tests.scenarios.test_stranger import changed, closed, key_of, opened, places
from tests.scenarios.test_stranger import segment as put_together, segment_parts, store_of
from swarmgrid.store.blobs import ZarrBlobs
from swarmgrid.store.layout import GridPath
from swarmgrid.records.grid_state import read_state
from swarmgrid.maintenance.verify import verify_grid

PATH = GridPath("simulate", key_of("/x/c.0").split("/")[2])
KEYS = sorted({(id(o), key) for o, key, _ in CASES})
OBJECTS = {id(o): o for o, _, _ in CASES}


def look(objects):
    blobs = ZarrBlobs(store_of(objects))
    for call in (read_state, verify_grid):
        try:
            call(blobs, PATH)
        except swarmgrid.SwarmgridError:
            pass


def mutated(data, provider):
    document = opened(data)
    for _ in range(provider.ConsumeIntInRange(1, 4)):
        paths = list(places(document))
        if not paths:
            break
        path = paths[provider.ConsumeIntInRange(0, len(paths) - 1)]
        kind = provider.ConsumeIntInRange(0, 3)
        if kind == 0:
            value = HOSTILE[provider.ConsumeIntInRange(0, len(HOSTILE) - 1)]
        elif kind == 1:
            value = provider.ConsumeInt(9)
        elif kind == 2:
            value = provider.ConsumeUnicodeNoSurrogates(12)
        else:
            value = DROP
        try:
            document = changed(document, path, value)
        except (ValueError, TypeError):
            break
    return closed(document, data)


def one(data):
    provider = atheris.FuzzedDataProvider(data)
    objects = (PLAIN, SHARDED)[provider.ConsumeBool()]
    keys = [key for number, key in KEYS if number == id(objects)]
    kind = provider.ConsumeIntInRange(0, 2)
    if kind == 0:
        key = keys[provider.ConsumeIntInRange(0, len(keys) - 1)]
        try:
            new = mutated(objects[key], provider)
        except ValueError:
            return
    elif kind == 1:  # columns of a segment
        key = key_of(".seg", objects)
        header, frame = segment_parts(objects[key])
        raw = bytearray(codec.expanded(frame))
        start = provider.ConsumeIntInRange(0, len(raw) - 1)
        word = provider.ConsumeBytes(8)
        raw[start : start + len(word)] = word
        new = put_together(header, codec.compressed(bytes(raw)))
    else:  # any other bytes in place of any object
        every = sorted(objects)
        key = every[provider.ConsumeIntInRange(0, len(every) - 1)]
        new = bytearray(objects[key])
        start = provider.ConsumeIntInRange(0, max(0, len(new) - 1))
        new[start:] = provider.ConsumeBytes(64) + bytes(new[start + 64 :])
        new = bytes(new)
    look({**objects, key: new})


atheris.Setup(sys.argv, one)
atheris.Fuzz()
"""


@pytest.mark.fuzz
@pytest.mark.long
@pytest.mark.timeout(SECONDS + 120)
def test_the_readers_give_only_errors_of_ours(tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="the extra 'fuzz' installs it, for Linux")
    program = tmp_path / "fuzz.py"
    program.write_text(PROGRAM)
    flags = [f"-max_total_time={SECONDS}", "-rss_limit_mb=2048", "-timeout=20", "-max_len=512"]
    flags += [f"-artifact_prefix={tmp_path}/", "-print_final_stats=1"]
    root = Path(__file__).parents[2]
    found = subprocess.run(
        [sys.executable, str(program), *flags],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert found.returncode == 0, (found.stdout + found.stderr)[-6000:]
    assert "stat::number_of_executed_units" in found.stdout + found.stderr
