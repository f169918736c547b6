"""Pictures are read by others as they were meant."""

from __future__ import annotations

import io
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmgrid.pictures.png import data_url, png


@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([2, 6, 16, 17, 200]), st.data())
def test_matplotlib_reads_the_colours_that_were_written(h: int, w: int, n: int, data: Any) -> None:
    image = pytest.importorskip("matplotlib.image")
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    palette = [tuple(color) for color in rng.integers(0, 256, (n, 4)).tolist()]
    pixels = rng.integers(0, n, (h, w)).astype(np.uint8)
    found = image.imread(io.BytesIO(png(pixels, palette)), format="png")
    found = np.round(found * 255).astype(int)
    expected = np.array(palette)[pixels]
    if found.shape[2] == 3:  # a reader drops an opacity that is full everywhere
        expected = expected[..., :3]
    assert found.tolist() == expected.tolist()


def test_each_part_has_its_checksum() -> None:
    data = png(np.zeros((2, 3), np.uint8), [(1, 2, 3, 4)])
    at, names = 8, []
    while at < len(data):
        n = int.from_bytes(data[at : at + 4], "big")
        body = data[at + 4 : at + 8 + n]
        assert zlib.crc32(body) == int.from_bytes(data[at + 8 + n : at + 12 + n], "big")
        names.append(body[:4])
        at += 12 + n
    assert names == [b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"]
    assert data_url(data).startswith("data:image/png;base64,iVBOR")
