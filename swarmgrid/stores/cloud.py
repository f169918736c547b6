"""Object stores of the cloud, by obstore: Zarr's own ``ObjectStore``, opened from a URL."""

from __future__ import annotations

import contextlib
from asyncio import gather
from typing import TYPE_CHECKING, Any, ClassVar, Self

from zarr.abc.store import RangeByteRequest, Store
from zarr.storage import ObjectStore

from swarmgrid.errors import InputError, StoreError
from swarmgrid.quantities import check_flags
from swarmgrid.stores.extras import importing_for
from swarmgrid.stores.key_value import bounds, check_is_buffer
from swarmgrid.stores.schemes import parsed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Mapping

    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype

    from swarmgrid.stores.key_value import Condition


_OF_FSSPEC = {
    "anon": "skip_signature",
    "client_kwargs": "endpoint and region",
    "key": "access_key_id",
    "password": "secret_access_key",
    "region_name": "region",
    "secret": "secret_access_key",
    "username": "access_key_id",
}
"""Obstore's words for options that s3fs, boto3 or a URL call otherwise."""


_TRIES = 100


class CloudStore(ObjectStore[Any]):
    """A store of objects that a URL names; see its subclasses."""

    __module__ = "swarmgrid.stores"

    schemes: ClassVar[tuple[str, ...]] = ()
    """The schemes of its URLs, the usual one first."""

    def __init__(self, url: str, *, read_only: bool = False, **options: Any) -> None:
        check_flags(read_only=read_only)
        scheme = url.partition("://")[0].lower() if isinstance(url, str) else ""
        if scheme not in self.schemes:
            raise InputError(
                f"{type(self).__name__} was given {url!r}; expected {self.schemes[0]}://"
                "bucket/path/of/the/store"
            )
        self._url, found = parsed(url, options)
        self._settings = {"url": self._url, **found}
        super().__init__(_opened(self._url, found), read_only=read_only)

    # ---- zarr's methods, where its class and those of others differ

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        try:
            return await super().get(key, prototype, byte_range)
        except Exception:
            if byte_range is None:
                raise
            return await self._part(key, prototype, byte_range)

    async def _part(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest
    ) -> Buffer | None:
        """A part that is not wholly inside its object, which servers and obstore refuse."""
        import obstore

        try:
            size = (await obstore.head_async(self.store, key))["size"]
        except FileNotFoundError:
            return None
        start, stop, _ = slice(*bounds(byte_range)).indices(size)
        if start >= stop:
            return prototype.buffer.from_bytes(b"")
        return await super().get(key, prototype, RangeByteRequest(start, stop))

    async def get_partial_values(
        self,
        prototype: BufferPrototype,
        key_ranges: Iterable[tuple[str, ByteRequest | None]],
    ) -> list[Buffer | None]:
        asked = [*key_ranges]
        try:
            return await super().get_partial_values(prototype, asked)
        except Exception:  # noqa: BLE001  # of one of them, which may be missing; `get` tells
            return await gather(*(self.get(key, prototype, part) for key, part in asked))

    async def set(self, key: str, value: Buffer) -> None:
        check_is_buffer(key, value)
        await super().set(key, value)

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        check_is_buffer(key, value)
        await super().set_if_not_exists(key, value)

    async def list(self) -> AsyncGenerator[str, None]:  # zarr's needs an event loop to be called
        async for key in super().list():
            yield key

    async def list_prefix(self, prefix: str) -> AsyncGenerator[str, None]:
        async for key in super().list_prefix(prefix):
            yield key

    async def list_dir(self, prefix: str) -> AsyncGenerator[str, None]:
        async for key in super().list_dir(prefix):
            yield key

    # ----

    def write_if(self, key: str, data: bytes | None, condition: Condition | None = None) -> bool:
        """Write an object, or delete it (None), at one instant; whether the condition held.

        The servers check conditions on the object that is written, and none on deletions.

        Parameters
        ----------
        key : str
            The key of the object.
        data : bytes or None
            Its bytes.
        condition : Condition, optional
            On the same key.

        Raises
        ------
        InputError
            If the condition is on another object, or on a deletion.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        self._check_writable()
        if data is None and condition is None:
            with contextlib.suppress(FileNotFoundError):
                obstore.delete(self.store, key)
            return True
        if data is None or (condition is not None and condition.key != key):
            raise InputError(
                f"{self!r} cannot check {condition} when {key!r} is "
                f"{'deleted' if data is None else 'written'}; expected a write, and a condition "
                "on the same key, or a store such as SQLite or Redis"
            )
        mode: Any = "overwrite"
        for _ in range(_TRIES):
            if condition is not None:
                mode = "create" if condition.value is None else self._version_if(condition)
            if mode is None:
                return False
            try:
                obstore.put(self.store, key, data, mode=mode)
            except AlreadyExistsError:
                return False
            except PreconditionError:
                continue  # it has changed since: look at what it is now
            return True
        raise StoreError(f"store {self}: {key} kept changing while it was written")

    def _version_if(self, condition: Condition) -> dict[str, str] | None:
        """The version of the object of a condition that holds; None where it does not."""
        import obstore

        try:
            if condition.value is True:
                return version_of(obstore.head(self.store, condition.key))
            found = obstore.get(self.store, condition.key)
            version = version_of(found.meta)
            return version if condition.holds(bytes(found.bytes())) else None
        except FileNotFoundError:
            return None

    def with_read_only(self, read_only: bool = False) -> Self:
        return type(self)(**self._settings, read_only=read_only)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.__reduce__() == other.__reduce__()

    __hash__ = Store.__hash__

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (type(self), self._settings, self.read_only)

    def __str__(self) -> str:
        return self._url

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._url!r})"


class S3(CloudStore):
    """A Zarr store in a bucket of Amazon's S3, or of a server that speaks its protocol.

    Needs the extra ``cloud``. It is zarr's ``ObjectStore`` over ``obstore.store.S3Store``, and is
    pickled with its options.

    Parameters
    ----------
    url : str
        The bucket, and the path of the store in it: ``s3://bucket/path``.
    read_only : bool
        Whether the store refuses to be written.
    **options
        Those of ``obstore.store.from_url``: ``region``, ``endpoint``, ``skip_signature``, ...
        Default: what the environment says, as ``AWS_ACCESS_KEY_ID``.

    Examples
    --------
    >>> import swarmgrid
    >>> swarmgrid.stores.S3("s3://bucket/arrays", region="eu-central-1", skip_signature=True)
    S3('s3://bucket/arrays')
    """

    __module__ = "swarmgrid.stores"

    schemes = ("s3", "s3a")


class GCS(CloudStore):
    """A Zarr store in a bucket of Google's Cloud Storage.

    Needs the extra ``cloud``. It is zarr's ``ObjectStore`` over ``obstore.store.GCSStore``, and is
    pickled with its options.

    Parameters
    ----------
    url : str
        The bucket, and the path of the store in it: ``gs://bucket/path``.
    read_only : bool
        Whether the store refuses to be written.
    **options
        Those of ``obstore.store.from_url``: ``service_account_path``, ``skip_signature``, ...
        Default: what the environment says, as ``GOOGLE_APPLICATION_CREDENTIALS``.
    """

    __module__ = "swarmgrid.stores"

    schemes = ("gs",)


class Azure(CloudStore):
    """A Zarr store in a container of Azure's Blob Storage.

    Needs the extra ``cloud``. It is zarr's ``ObjectStore`` over ``obstore.store.AzureStore``, and
    is pickled with its options.

    Parameters
    ----------
    url : str
        The container, and the path of the store in it: ``az://container/path``.
    read_only : bool
        Whether the store refuses to be written.
    **options
        Those of ``obstore.store.from_url``: ``account_name``, ``account_key``, ``sas_key``, ...
        Default: what the environment says, as ``AZURE_STORAGE_ACCOUNT_NAME``.
    """

    __module__ = "swarmgrid.stores"

    schemes = ("az", "abfs", "abfss")


def version_of(meta: Mapping[str, Any]) -> dict[str, str]:
    """The version by which exactly the object that obstore has described is replaced.

    S3 and Azure go by the entity tag, Google by the generation, which obstore calls version.
    """
    return {name: meta[name] for name in ("e_tag", "version") if meta.get(name) is not None}


def _rebuilt(cls: type[CloudStore], settings: dict[str, Any], read_only: bool) -> CloudStore:
    return cls(**settings, read_only=read_only)


def _opened(url: str, given: Mapping[str, Any]) -> Any:
    with importing_for(f"store {url!r}", "cloud"):
        import obstore.store

    options = dict(given)
    if "allow_http" in options:  # obstore takes it for the client only, and panics elsewhere
        client = options.get("client_options", {})
        options["client_options"] = {**client, "allow_http": options.pop("allow_http")}
    try:
        return obstore.store.from_url(url, **options)
    except Exception as error:
        reason = str(error).partition("\n")[0]
        words = [f"{_OF_FSSPEC[name]} for {name}" for name in options if name in _OF_FSSPEC]
        hint = f"; say {', '.join(words)}" if words else ""
        raise InputError(
            f"store {url!r} cannot be opened with the storage options {sorted(options)}: "
            f"{reason}{hint}"
        ) from error


def open_url(url: str, **options: Any) -> CloudStore:
    """Open the store of an ``s3://``, ``gs://`` or ``az://`` URL."""
    scheme = url.partition("://")[0]
    (kind,) = (kind for kind in (S3, GCS, Azure) if scheme in kind.schemes)
    return kind(url, **options)
