"""A codec that a third party would enter as an entry point of ``zarr.codecs``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from zarr.abc.codec import BytesBytesCodec

KEY = 0x5A


@dataclass(frozen=True)
class Flip(BytesBytesCodec):
    """Flips bits of every byte; asynchronous only, as many codecs are."""

    key: int = KEY
    is_fixed_size = True

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        return cls(**data.get("configuration", {}))

    def to_dict(self) -> Any:
        return {"name": "tests.flip", "configuration": {"key": self.key}}

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: Any) -> int:
        return input_byte_length

    async def _encode_single(self, chunk_data: Any, chunk_spec: Any) -> Any:
        flipped = bytes(b ^ self.key for b in chunk_data.to_bytes())
        return chunk_spec.prototype.buffer.from_bytes(flipped)

    _decode_single = _encode_single


class Broken(Flip):
    """Loses the last byte: a codec with an error."""

    def to_dict(self) -> Any:
        return {"name": "tests.broken", "configuration": {"key": self.key}}

    async def _encode_single(self, chunk_data: Any, chunk_spec: Any) -> Any:
        return chunk_spec.prototype.buffer.from_bytes(chunk_data.to_bytes()[:-1])

    async def _decode_single(self, chunk_data: Any, chunk_spec: Any) -> Any:
        return chunk_data
