"""Texts beside the values of an encrypted grid, encrypted as these are."""

from __future__ import annotations

import base64
import binascii

from swarmgrid.codecs.keys import held_key
from swarmgrid.errors import EncryptionError

_KIND, _NAME = "failures", ""
"""The associated data; those of chunks have a grid id in the place of the first."""


def encrypted_text(text: str, key_id: str) -> str:
    """A text, encrypted; EncryptionError if this process does not have the key."""
    from swarmgrid.codecs.aes_gcm import encrypted  # it imports zarr, and few grids need it

    data = text.encode(errors="surrogatepass")
    return base64.b64encode(encrypted(data, key_id, _KIND, _NAME)).decode()


def decrypted_text(text: str, key_id: str) -> str | None:
    """A text as it was before it was encrypted; None if this process does not have the key.

    Raises
    ------
    ValueError
        If it was changed since.
    """
    from swarmgrid.codecs.aes_gcm import decrypted

    try:
        held_key(key_id)
    except EncryptionError:
        return None
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"it is no base64: {error}") from None
    return decrypted(data, key_id, _KIND, _NAME).decode(errors="surrogatepass")
