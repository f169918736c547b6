"""Encryption of stored objects: AES-256-GCM, as a codec that Zarr finds by its entry point.

An object is ``SGE1``, a random nonce of 12 bytes, the length of its name in 2 bytes, its name, and
the ciphertext with its tag. The array's identity and the name are associated data: neither can be
changed. Zarr does not tell a codec which chunk it reads. So a plain Zarr reader knows that an
object is one of its array; swarmgrid's own readers know that it is the one of its place.
"""

from __future__ import annotations

import secrets
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from zarr.abc.codec import BytesBytesCodec

from swarmgrid.codecs.keys import cipher_class, held_key
from swarmgrid.errors import EncryptionError

if TYPE_CHECKING:
    from zarr.core.array_spec import ArraySpec
    from zarr.core.buffer import Buffer

NAME = "swarmgrid.aes_gcm"
MAGIC = b"SGE1"
_HEAD = struct.Struct("<4s12sH")


def encrypted(data: bytes, key_id: str, array: str, chunk: str) -> bytes:
    """An object of an array, encrypted; ``chunk`` is its name within the array."""
    # random nonces of 12 bytes serve 2**32 objects of one key (NIST SP 800-38D)
    nonce, name = secrets.token_bytes(12), chunk.encode()
    text = _cipher(key_id).encrypt(nonce, data, _associated(array, name))
    return _HEAD.pack(MAGIC, nonce, len(name)) + name + bytes(text)


def decrypted(data: bytes, key_id: str, array: str, chunk: str | None = None) -> bytes:
    """An encrypted object's bytes; ``chunk`` is the name that it must have, None for any.

    Raises
    ------
    ValueError
        If it was changed, or is that of another place.
    EncryptionError
        If this process does not have the key.
    """
    cipher = _cipher(key_id)
    if len(data) < _HEAD.size or data[:4] != MAGIC:
        raise ValueError("it is not encrypted, as all chunks of this array are")
    _, nonce, length = _HEAD.unpack_from(data)
    name = data[_HEAD.size : _HEAD.size + length]
    if chunk is not None and name != chunk.encode():
        raise ValueError(f"it is encrypted as the chunk {name!r}, which is another one")
    from cryptography.exceptions import InvalidTag

    try:
        text = cipher.decrypt(nonce, data[_HEAD.size + length :], _associated(array, name))
    except InvalidTag:
        raise ValueError(
            f"it was changed since it was encrypted with the key {key_id}, or belongs elsewhere"
        ) from None
    return bytes(text)


def _associated(array: str, name: bytes) -> bytes:
    return array.encode() + b"/" + name


def _cipher(key_id: str) -> Any:
    secret = held_key(key_id)._secret  # noqa: SLF001  # the one place that uses it
    return cipher_class()(secret)


@dataclass(frozen=True)
class AesGcm(BytesBytesCodec):
    """The codec that plain Zarr readers use; the key comes from ``SWARMGRID_KEY``."""

    key_id: str
    array: str
    is_fixed_size = False

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        configuration = data["configuration"]
        return cls(str(configuration["key_id"]), str(configuration["array"]))

    def to_dict(self) -> Any:
        return {"name": NAME, "configuration": {"key_id": self.key_id, "array": self.array}}

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:
        raise NotImplementedError

    def _decode_sync(self, chunk_data: Buffer, chunk_spec: ArraySpec) -> Buffer:
        data = decrypted(chunk_data.to_bytes(), self.key_id, self.array)
        return chunk_spec.prototype.buffer.from_bytes(data)

    def _encode_sync(self, chunk_data: Buffer, chunk_spec: ArraySpec) -> Buffer:
        del chunk_data, chunk_spec
        raise EncryptionError(
            "an encrypted array is written by swarmgrid alone: Zarr does not tell which chunk this"
            " is, and it must be part of what is encrypted"
        )

    async def _decode_single(self, chunk_data: Buffer, chunk_spec: ArraySpec) -> Buffer:
        return self._decode_sync(chunk_data, chunk_spec)

    async def _encode_single(self, chunk_data: Buffer, chunk_spec: ArraySpec) -> Buffer:
        return self._encode_sync(chunk_data, chunk_spec)
