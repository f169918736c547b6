"""Object stores of the cloud, by obstore: Zarr's own ``ObjectStore``, opened from a URL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from zarr.abc.store import Store
from zarr.storage import ObjectStore

from swarmgrid.errors import InputError
from swarmgrid.quantities import check_flags
from swarmgrid.stores.extras import importing_for
from swarmgrid.stores.schemes import parsed

if TYPE_CHECKING:
    from collections.abc import Mapping


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
