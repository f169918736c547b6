"""PNG pictures of few colours, written by zlib alone."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Color = tuple[int, int, int, int]
"""Red, green, blue and opacity, 0 to 255."""


def png(pixels: NDArray[np.uint8], palette: Sequence[Color]) -> bytes:
    """A picture of ``pixels = (height, width)``, numbers of colours of a palette.

    Examples
    --------
    >>> data = png(np.array([[0, 1]], np.uint8), [(0, 0, 0, 0), (255, 0, 0, 255)])
    >>> data[1:4]
    b'PNG'
    """
    height, width = pixels.shape
    colors = np.array(palette, np.uint8)
    bits = 4 if len(palette) <= 16 else 8
    packed: NDArray[np.integer] = pixels
    if bits == 4:
        even = np.pad(pixels, ((0, 0), (0, width % 2)))
        packed = (even[:, ::2] << 4) | even[:, 1::2]
    lines = np.pad(packed.astype(np.uint8), ((0, 0), (1, 0)))  # the number of no filter: 0
    header = struct.pack(">IIBBBBB", width, height, bits, 3, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _part(name, data)
        for name, data in (
            (b"IHDR", header),
            (b"PLTE", colors[:, :3].tobytes()),
            (b"tRNS", colors[:, 3].tobytes()),
            (b"IDAT", zlib.compress(lines.tobytes(), 9)),
            (b"IEND", b""),
        )
    )


def data_url(picture: bytes) -> str:
    """A picture as a URL that holds it."""
    return f"data:image/png;base64,{base64.b64encode(picture).decode()}"


def _part(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
