"""The place of a store: a path, a URL or a Zarr store object, which each process opens itself."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarmgrid.errors import InputError, StoreError, brief
from swarmgrid.store.blobs import MAX_OBJECT, ZarrBlobs
from swarmgrid.store.bounded import innermost
from swarmgrid.store.directory import FileBlobs
from swarmgrid.store.key_value import KeyValueBlobs, is_key_value_store
from swarmgrid.store.known import Known
from swarmgrid.store.layout import DATA, SCOPES
from swarmgrid.store.object_store import FencedBlobs, is_object_store
from swarmgrid.stores import schemes

if TYPE_CHECKING:
    from swarmgrid.store.blobs import Blobs
    from swarmgrid.store.scoping import OpenScope

_memory: dict[str, Any] = {}
"""The stores of ``memory://`` URLs; they live as long as the process."""
_opened: Known[Any] = Known()
"""The stores of other URLs: their connections are made once per process."""


@dataclass(frozen=True)
class Location:
    """A store that can be opened, here and in the processes that help."""

    url: str
    """The directory's absolute path, the URL, or a description of the store object."""
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Options with which the URL is opened: endpoint, credentials, ..."""
    store: Any = field(default=None, repr=False)
    """The Zarr store object, where the user gave one."""
    tiers: Any = field(default=None, repr=False, compare=False)
    """The nearer copies of chunks, where the user asked for such; see `swarmgrid.Tiered`."""
    is_durable: bool = False
    """Whether files are flushed to the disk itself before they count as written."""
    prefix: str = ""
    """The folder of the opened store in which this one lies, with its slash; the URL ends with
    it. Empty: it is the opened store itself."""
    below: Location | None = None
    """Of a scope the shared store, whose points count where this one has none."""
    scope: OpenScope | None = field(default=None, repr=False, compare=False)
    """Of a scope its name, and the stores that it is of."""

    @property
    def is_directory(self) -> bool:
        """Whether the store is a directory of the file system."""
        return self.store is None and "://" not in self.url

    @property
    def layers(self) -> tuple[Location, ...]:
        """The stores whose points count: of a scope its own, and then the shared one."""
        return (self,) if self.below is None else (self, self.below)

    def open(self, group: str = "free", writer: str | None = None) -> Blobs:
        """The store's objects; nothing is read or written yet.

        Parameters
        ----------
        group, writer : str
            The writer's name; see `FileBlobs`.
        """
        home = self._home(group, writer)
        if self.tiers is None or writer is None:
            return home
        writing: Blobs = self.tiers.writer(home)
        return writing

    def open_chunks(self) -> Any:
        """The store's chunks, for a reader that holds each against the manifest."""
        return self.open() if self.tiers is None else self.tiers.reader(self.open())

    def zarr_store(self) -> Any:
        """The Zarr store of the same objects."""
        if self.is_directory:
            from zarr.storage import LocalStore

            return LocalStore(self.url)
        return self._zarr_store()

    def _home(self, group: str, writer: str | None) -> Blobs:
        if self.is_directory:
            return FileBlobs(self.url, group, writer, is_durable=self.is_durable)
        store = self._zarr_store()
        if is_key_value_store(store):
            return KeyValueBlobs(store, self.url, group, writer, self.prefix)
        if writer is not None and is_object_store(store):
            return FencedBlobs(store, self.url, group, writer, self.prefix)
        return ZarrBlobs(store, self.url, _files_of(store, self.prefix), self.prefix)

    @property
    def max_nbytes(self) -> int:
        """The most bytes of an object."""
        found = None if self.is_directory else getattr(self._zarr_store(), "max_nbytes", None)
        return MAX_OBJECT if found is None else int(found)

    @property
    def is_read_only(self) -> bool:
        """Whether the store was opened, or its URL is to be opened, to be read alone."""
        return not self.is_directory and bool(getattr(self._zarr_store(), "read_only", False))

    def source(self, group: str) -> str:
        """The folder or URL of a group of the data; without the options of the URL."""
        return f"{self.url.rstrip('/')}/{DATA}/{group}"

    def scoped(self, scope: OpenScope) -> Location:
        """The store of a scope: a whole store, in a folder of this one."""
        path = f"{SCOPES}/{scope.name}"
        url = f"{self.url.rstrip('/')}/{path}"
        scheme = self.url.partition("://")[0]
        # a bucket's or a folder's part is a store that opens by its own address
        has_address = self.store is None and ("://" not in self.url or scheme in schemes.CLOUD)
        return replace(
            self,
            url=url,
            prefix="" if has_address else f"{path}/",
            below=self,
            scope=scope,
            # no tiers: they know the keys of the shared store alone
            tiers=None,
        )

    def _zarr_store(self) -> Any:
        if self.prefix:
            url = self.url.removesuffix(f"/{self.prefix.rstrip('/')}")
            return replace(self, url=url, prefix="", below=None)._zarr_store()  # noqa: SLF001  # of the same class
        if self.store is not None:
            _open_zip(self.store)
            return self.store
        if self.url.startswith("memory://"):
            from zarr.storage import MemoryStore

            # in one step: threads that open it at once get one store
            return _memory.setdefault(self.url, MemoryStore())
        store = _opened.get(self)
        if store is None:
            # threads that open a URL at once may each make a store; the last one is kept
            store = schemes.from_url(self.url, self.options)
            _opened.put(self, store)
        return store


def to_location(
    store: object, storage_options: Mapping[str, Any] | None = None, name: str = "store"
) -> Location:
    """The location that a user's ``store`` and ``storage_options`` describe; nothing is opened.

    Errors call the store by ``name``, the argument.

    Raises
    ------
    InputError
        If it is no path, URL or Zarr store, or one that takes no options.
    StoreError
        If the path is a file, or the store one that only ever grows.
    """
    if isinstance(store, Location):
        return store
    if storage_options is not None and not isinstance(storage_options, Mapping):
        raise InputError(
            f"storage_options is {brief(storage_options)}; expected options by name, such as "
            "{'region': 'eu-west-1'}"
        )
    location = _located(store, dict(storage_options or {}), name)
    if storage_options and not location.options:
        raise InputError(
            f"storage_options are given, but {name} is {brief(store)}; expected a URL that takes "
            f"them ({schemes.known()}), or storage_options=None"
        )
    return location


def _located(store: object, options: dict[str, Any], name: str) -> Location:
    if isinstance(store, (str, os.PathLike)):
        text = os.fspath(store)
        if not isinstance(text, str) or not text:
            raise InputError(f"{name} is {brief(store)}; expected a path, a URL or a Zarr store")
        return _from_text(text, options)
    location = getattr(store, "location", None)
    if isinstance(location, Location):  # a store with tiers
        return location
    if hasattr(store, "set_if_not_exists"):
        return _from_zarr_store(store)
    raise InputError(
        f"{name} is {brief(store)}, a {type(store).__name__}; expected a path, a URL or a "
        "zarr.abc.store.Store"
    )


def _from_text(text: str, options: dict[str, Any]) -> Location:
    begin, separator, rest = text.partition("://")
    scheme = begin.lower()
    if not separator or "/" in begin:
        _check_is_no_broken_url(text)
        return _directory(text)
    if scheme == "memory":
        return Location(f"memory://{rest}")
    if scheme == "file":
        return _directory(rest)
    return Location(*schemes.parsed(text, options))


def _check_is_no_broken_url(text: str) -> None:
    """Raise InputError for what would make a folder named ``s3:``."""
    names = "|".join((*schemes.SCHEMES, *schemes.OWN))
    found = re.match(rf"({names}):", text, re.IGNORECASE)
    if found is not None:
        scheme, rest = found[1].lower(), text[found.end() :].lstrip("/")
        slashes = "///" if scheme in schemes.FILES else "//"
        raise InputError(
            f"store {text!r} is no URL; expected {scheme}:{slashes}{rest}. For a folder of that "
            f"name, write ./{text}"
        )


def _directory(path: str) -> Location:
    try:
        root = Path(path).expanduser().resolve()
        is_file = root.exists() and not root.is_dir()
    except (OSError, ValueError, RuntimeError) as error:  # too long, a NUL, or the home of no user
        raise InputError(
            f"store {path!r} cannot be a directory: {error}; expected a path, a URL or a Zarr "
            "store"
        ) from error
    if is_file:
        raise StoreError(f"store {str(root)!r} is a file; expected a directory, or a new path")
    # resolved: all ways to a folder are one store, wherever the process moves to later
    return Location(str(root))


def _from_zarr_store(store: Any) -> Location:
    from zarr.storage import LocalStore

    # by its path: files are quicker than zarr's event loop, and writers of them can be fenced
    if type(store) is LocalStore and not store.read_only:
        return _directory(str(store.root))
    if not (store.supports_deletes or store.read_only):
        raise StoreError(
            f"store {str(store)!r} cannot delete objects, as writing a grid does; compute into a "
            "directory and zip that, or open the store read-only (mode='r') to read it"
        )
    return Location(str(store), store=store)


def _files_of(store: Any, prefix: str) -> FileBlobs | None:
    """The files of a store of zarr's that is a directory; None for any other."""
    from zarr.storage import LocalStore

    return FileBlobs(str(store.root / prefix)) if type(store) is LocalStore else None


def _open_zip(store: Any) -> None:
    """Open a ZipStore, the one store of zarr's that does not open itself when it is used."""
    import zipfile

    from zarr.core.sync import sync
    from zarr.storage import ZipStore

    inner = innermost(store)
    if isinstance(inner, ZipStore) and not inner._is_open:  # noqa: SLF001  # there is no public way
        try:
            sync(inner._open())  # noqa: SLF001
        except (OSError, zipfile.BadZipFile) as error:
            raise StoreError(f"store {str(inner)!r} cannot be opened: {error}") from error
