"""The header of a zstd frame, which says what the frame expands to."""

from __future__ import annotations

MAGIC = b"\x28\xb5\x2f\xfd"
HEAD_NBYTES = 18
"""No header of a frame is longer."""


def declared_nbytes(head: bytes) -> int | None:
    """The content size in a frame's header (RFC 8878, 3.1.1.1); None if it has none."""
    if head[:4] != MAGIC or len(head) < 6:
        return None
    descriptor = head[4]
    is_single = bool(descriptor & 0x20)
    start = 5 + (not is_single) + (0, 1, 2, 4)[descriptor & 3]
    width = (int(is_single), 2, 4, 8)[descriptor >> 6]
    field = head[start : start + width]
    if not width or len(field) < width:
        return None
    # a field of two bytes holds the size less 256
    return int.from_bytes(field, "little") + (256 if width == 2 else 0)
