"""The base of all stores over a mapping from keys to bytes."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from zarr.abc.store import (
    ByteRequest,
    OffsetByteRequest,
    RangeByteRequest,
    Store,
    SuffixByteRequest,
)
from zarr.core.buffer import Buffer, default_buffer_prototype

from swarmgrid.quantities import check_flags
from swarmgrid.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence

    from zarr.core.buffer import BufferPrototype

LAST = "\U0010ffff"
"""No key begins with this character: the end of a range of all keys."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on an object, checked at the instant of a write, which happens only if it holds.

    ``Condition(key)``: there is an object under the key. ``Condition(key, None)``: there is none.
    ``Condition(key, b"...")``: there is one of exactly these bytes.
    """

    key: str
    """The key of the object; it may be another one than is written."""
    value: bytes | bool | None = True
    """The bytes that the object has; True: any; None: there is no object."""

    def holds(self, found: bytes | None) -> bool:
        """Whether an object of these bytes, or none, is as it must be."""
        return found is not None if self.value is True else found == self.value


class KeyValueStore(Store):
    """A Zarr store over anything that maps keys to bytes.

    A subclass has three methods: `read_many`, `write_if` and `keys`. They are called from any
    thread, also at once, and in processes that were forked since.

    Parameters
    ----------
    settings : mapping
        The arguments of the subclass' constructor: what is pickled, compared and shown.
    read_only : bool
        Whether the store refuses to be written.
    """

    __module__ = "swarmgrid.stores"

    supports_writes = True
    supports_deletes = True
    supports_listing = True
    max_nbytes: int | None = None
    """The most bytes of an object; None: more than any chunk has."""

    def __init__(self, settings: Mapping[str, Any], *, read_only: bool = False) -> None:
        check_flags(read_only=read_only)
        super().__init__(read_only=read_only)
        self._settings = dict(settings)

    # ---- what a subclass defines

    @abstractmethod
    def read_many(
        self, keys: Sequence[str], start: int = 0, stop: int | None = None
    ) -> list[bytes | None]:
        """The bytes ``[start:stop]`` of each object, as of Python's slices; None for no object."""

    @abstractmethod
    def write_if(self, key: str, data: bytes | None, condition: Condition | None = None) -> bool:
        """Write an object, or delete it (None), at one instant; whether the condition held.

        Where the answer of a server is lost, its client asks again. It may then be told that the
        condition does not hold any more, because the first request has been done.
        """

    @abstractmethod
    def keys(self, first: str, end: str) -> Iterator[str]:
        """The keys from ``first`` to before ``end``, in the order of their code points."""

    # ---- zarr's methods that can be called without an event loop

    def get_sync(
        self,
        key: str,
        *,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """The object's bytes, or some of them; None where there is none."""
        (data,) = self.read_many([key], *bounds(byte_range))
        if data is None:
            return None
        return (prototype or default_buffer_prototype()).buffer.from_bytes(data)

    def set_sync(self, key: str, value: Buffer) -> None:
        """Write an object, replacing what was there."""
        self._write(key, value, None)

    def delete_sync(self, key: str) -> None:
        """Remove an object, if it is there."""
        self._check_writable()
        self.write_if(key, None)

    def names(self, prefix: str) -> list[str]:
        """The objects and folders directly in a folder, ``prefix`` with its slash; sorted."""
        found: dict[str, None] = {}
        first, end = prefix, _after(prefix)
        while True:
            for key in self.keys(first, end):
                name, is_folder, _ = key[len(prefix) :].partition("/")
                found[name] = None
                if is_folder:  # what is in it may be a million keys: go on behind it
                    first = _after(f"{prefix}{name}/")
                    break
            else:
                return sorted(found)

    # ---- the methods of zarr's stores

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        await self._ensure_open()
        return await in_thread(self.get_sync, key, prototype=prototype, byte_range=byte_range)

    async def get_partial_values(
        self,
        prototype: BufferPrototype,
        key_ranges: Iterable[tuple[str, ByteRequest | None]],
    ) -> list[Buffer | None]:
        read = (self.get(key, prototype, byte_range) for key, byte_range in key_ranges)
        return list(await asyncio.gather(*read))

    async def exists(self, key: str) -> bool:
        return (await in_thread(self.read_many, [key], 0, 0))[0] is not None

    async def set(self, key: str, value: Buffer) -> None:
        await self._ensure_open()
        await in_thread(self.set_sync, key, value)

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        await self._ensure_open()
        await in_thread(self._write, key, value, Condition(key, None))

    async def delete(self, key: str) -> None:
        await self._ensure_open()
        await in_thread(self.delete_sync, key)

    async def list(self) -> AsyncIterator[str]:
        async for key in self.list_prefix(""):
            yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        for key in await in_thread(lambda: [*self.keys(prefix, _after(prefix))]):
            yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        folder = f"{prefix.rstrip('/')}/" if prefix.strip("/") else ""
        for name in await in_thread(self.names, folder):
            yield name

    def with_read_only(self, read_only: bool = False) -> Self:
        return type(self)(**self._settings, read_only=read_only)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.__reduce__() == other.__reduce__()

    __hash__ = Store.__hash__

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (type(self), self._settings, self.read_only)

    def __str__(self) -> str:
        return f"{type(self).__name__.lower()}://"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def _write(self, key: str, value: Buffer, condition: Condition | None) -> None:
        self._check_writable()
        check_is_buffer(key, value)
        self.write_if(key, value.to_bytes(), condition)


def _rebuilt(cls: type[KeyValueStore], settings: dict[str, Any], read_only: bool) -> KeyValueStore:
    return cls(**settings, read_only=read_only)


def _after(prefix: str) -> str:
    """The first string after all that begin with a prefix."""
    if not prefix:
        return LAST
    code = ord(prefix[-1]) + 1
    return prefix[:-1] + chr(code if not 0xD800 <= code < 0xE000 else 0xE000)  # no surrogates


def check_is_buffer(key: str, value: object) -> None:
    """Raise TypeError for a value of any other type, as zarr's stores do."""
    if not isinstance(value, Buffer):
        raise TypeError(f"the value of {key!r} is a {type(value).__name__}; expected a Buffer")


def bounds(byte_range: ByteRequest | None) -> tuple[int, int | None]:
    """The slice of an object that zarr asks for."""
    match byte_range:
        case None:
            return 0, None
        case RangeByteRequest(start, end):
            return start, end
        case OffsetByteRequest(offset):
            return offset, None
        case SuffixByteRequest(suffix):
            return (-suffix, None) if suffix else (0, 0)
        case _:
            raise ValueError(f"Unexpected byte_range, got {byte_range}.")
