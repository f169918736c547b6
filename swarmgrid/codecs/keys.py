"""Keys of encrypted grids, and those that this process holds, by their ids.

A key is 32 random bytes. They stay in memory: what is printed, logged, stored or pickled of a key
is its id, which a digest makes of them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from swarmgrid.errors import EncryptionError, InputError, brief

ENV = "SWARMGRID_KEY"
"""The environment variable with keys for readers that are not given any."""
_NBYTES = 32
_held: dict[str, Key] = {}


class Key:
    """A key of encrypted grids: AES-256-GCM. Its text and repr show its id alone.

    Made by `Key.generate`, `Key.from_env` or `Key.from_file`.

    Examples
    --------
    >>> import swarmgrid
    >>> key = swarmgrid.Key.generate()
    >>> key == swarmgrid.Key.from_text(key.reveal())
    True
    """

    __module__ = "swarmgrid"
    __slots__ = ("_secret", "id")

    def __init__(self, secret: bytes) -> None:
        if not isinstance(secret, bytes) or len(secret) != _NBYTES:
            raise InputError(
                f"a key has {_NBYTES} random bytes; make one with swarmgrid.Key.generate(), and "
                "do not make one of a password"
            )
        self._secret = secret
        self.id = hashlib.blake2b(secret, digest_size=8, person=b"swarmgrid-key-id").hexdigest()

    @classmethod
    def generate(cls) -> Key:
        """Make a new key of the system's random numbers; `save` or `reveal` keep it."""
        return cls(secrets.token_bytes(_NBYTES))

    @classmethod
    def from_env(cls, name: str) -> Key:
        """Read the key from an environment variable, as `reveal` writes it.

        Raises
        ------
        InputError
            If there is no such variable, or no key in it.
        """
        if not isinstance(name, str):  # perhaps the secret itself: it is not shown
            raise InputError(
                f"name is a {type(name).__name__}; expected the name of an environment variable"
            )
        try:
            text = os.environ.get(name)
        except UnicodeEncodeError:
            text = None
        if text is None:
            raise InputError(f"there is no environment variable {name!r}; expected one with a key")
        return cls._from(text, f"the environment variable {name!r}")

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Key:
        """Read the key from a file that `save` wrote, or that has its 32 bytes and no more.

        Raises
        ------
        InputError
            If there is no such file, or no key in it.
        """
        try:
            data = Path(path).read_bytes()
        except (OSError, TypeError, ValueError) as error:
            raise InputError(f"the key file {brief(str(path))} cannot be read: {error}") from None
        # random bytes are all of ASCII once in 2**32 times: text of that length is a password
        if len(data) == _NBYTES and not data.isascii():
            return cls(data)
        return cls._from(data.decode(errors="replace"), f"the file {brief(str(path))}")

    @classmethod
    def from_text(cls, text: str) -> Key:
        """Make the key of a text that `reveal` wrote."""
        return cls._from(text, "the text")

    @classmethod
    def _from(cls, text: str, place: str) -> Key:
        if not isinstance(text, str):  # nothing of it is shown
            raise InputError(f"the key is a {type(text).__name__}; expected the text of one")
        plain = text.strip()
        if re.fullmatch(r"[0-9a-fA-F]{64}", plain):
            return cls(bytes.fromhex(plain))
        try:
            secret = base64.b64decode(plain.replace("-", "+").replace("_", "/"), validate=True)
        except (binascii.Error, ValueError):
            secret = b""
        if len(secret) != _NBYTES:  # nothing of the text is shown
            raise InputError(
                f"{place} holds no key; expected {_NBYTES} bytes as base64 or as 64 hex digits, "
                "as swarmgrid.Key.generate().reveal() writes them"
            )
        return cls(secret)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the key to a new file that only its owner can read.

        Raises
        ------
        InputError
            If there is such a file already, which may hold the only copy of another key, or it
            cannot be written there.
        """
        try:
            handle = os.open(os.fspath(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w") as file:
                file.write(self.reveal() + "\n")
        except FileExistsError:
            raise InputError(
                f"the file {brief(str(path))} is there already, and no key file is replaced; "
                "expected a new one"
            ) from None
        except (OSError, TypeError, ValueError) as error:
            shown = brief(str(path))
            raise InputError(f"the key file {shown} cannot be written: {error}") from None

    def reveal(self) -> str:
        """The secret itself, as base64: to keep it elsewhere."""
        return base64.b64encode(self._secret).decode()

    def __repr__(self) -> str:
        return f"<swarmgrid.Key {self.id}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and secrets.compare_digest(self._secret, other._secret)

    def __hash__(self) -> int:
        return hash(self.id)

    def __reduce__(self) -> tuple[Any, ...]:
        return held_key, (self.id,)  # never the secret: pickles are files, too


def hold(key: Key) -> Key:
    """Hold a key in this process, for whatever reads or writes grids that it encrypts."""
    return _held.setdefault(key.id, key)


def held_key(key_id: str) -> Key:
    """A key that this process holds, or finds in ``SWARMGRID_KEY``.

    Raises
    ------
    EncryptionError
        If it has none of that id.
    """
    if key_id not in _held:
        for text in re.split(r"[\s,]+", os.environ.get(ENV, "")):
            if text:
                hold(Key._from(text, f"the environment variable {ENV!r}"))  # noqa: SLF001  # one module
    if key_id in _held:
        return _held[key_id]
    others = ", ".join(_held) or "none"
    raise EncryptionError(
        f"the key {key_id} is needed, and this process has {others}. Pass key=, such as "
        f"swarmgrid.Key.from_file(...), or set the environment variable {ENV}; in dask's workers, "
        "too, where they read a Dataset"
    )


def secrets_of(key_ids: set[str]) -> dict[str, bytes]:
    """The secrets of some keys, to be handed to a worker through memory."""
    return {key_id: held_key(key_id)._secret for key_id in key_ids}  # noqa: SLF001  # one module


def hold_keys(name: str, value: Any) -> frozenset[str] | None:
    """Hold the key, or the keys, that a caller gives for grids to be read, and return their ids.

    None, where nothing is given, means the keys that this process has.

    Raises
    ------
    InputError
        If something else is given.
    """
    several = isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping))
    given = value if several else [] if value is None else [value]
    return frozenset(checked_key(name, one).id for one in given) or None


def cipher_class() -> Any:
    """The class of ciphers of cryptography; InputError if that is not installed."""
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError:
        raise InputError(
            "encryption needs cryptography, which the extra 'encrypt' installs: "
            "pip install 'swarmgrid-zarr[encrypt]'"
        ) from None
    return AESGCM


def checked_key(name: str, value: object) -> Key:
    """A value as a key; InputError if it is none."""
    if not isinstance(value, Key):
        shown = type(value).__name__  # perhaps the secret itself: it is not shown
        raise InputError(
            f"{name} is a {shown}; expected a swarmgrid.Key, such as Key.from_env('GRID_KEY')"
        )
    cipher_class()
    return hold(value)
