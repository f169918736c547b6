"""Codecs of stored chunks never expand bytes to more than a chunk has."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from swarmgrid.codecs.pipeline import Pipeline, pipeline

DELTA = {"name": "numcodecs.delta", "configuration": {"dtype": "<f8"}}
BYTES = {"name": "bytes", "configuration": {"endian": "little"}}
LAST: dict[str, dict[str, Any]] = {
    "zstd": {"level": 1, "checksum": True},
    "numcodecs.zstd": {"level": 1},
    "gzip": {"level": 1},
    "blosc": {"cname": "lz4", "clevel": 5, "shuffle": "noshuffle", "typesize": 8, "blocksize": 0},
    "numcodecs.blosc": {"cname": "lz4", "clevel": 5, "shuffle": 0},
    "numcodecs.lz4": {"acceleration": 1},
}


@pytest.mark.parametrize("name", LAST)
def test_bytes_that_expand_to_more_than_a_chunk_are_refused_before_that(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    codecs = [DELTA, BYTES, {"name": name, "configuration": LAST[name]}]
    small, large = (pipeline(json.dumps(codecs), "float64", (n,)) for n in (4, 10**6))
    (data,) = small.encoded([np.arange(4.0)])
    assert small.decoded([data])[0].tolist() == [0, 1, 2, 3]
    (bomb,) = large.encoded([np.zeros(10**6)])
    assert len(bomb) < 10**6
    assert large.decoded([bomb])[0].sum() == 0
    applied: list[Any] = []
    monkeypatch.setattr("swarmgrid.codecs.pipeline._applied", lambda *given: applied.append(given))
    with pytest.raises(ValueError, match="chunk"):
        Pipeline(codecs, "float64", (4,)).decoded([bomb])
    assert applied == []
