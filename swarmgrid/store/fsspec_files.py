"""Zarr's ``FsspecStore``: listings that are asked for anew, and the creates that exclude another.

Zarr's own methods of it use listings that s3fs and gcsfs keep for ever, and look whether a key is
there before they write it.
"""

from __future__ import annotations

import inspect
from typing import Any

from swarmgrid.store.bounded import innermost, is_fsspec

_EXCLUSIVE = {"gcsfs.core.GCSFileSystem"}
"""The file systems whose ``mode="create"`` is a condition that the server checks (gcsfs sends
``ifGenerationMatch``), as tried. fsspec's default accepts the mode, looks first and writes then;
s3fs sends a condition, too, but its error for an object that is there is not that of fsspec."""


def forget_listings(store: Any) -> None:
    """Forget the listings that the file system of a store has kept, if it is of fsspec.

    Called in the event loop that lists next: no other listing is then kept in between.
    """
    inner = innermost(store)
    if is_fsspec(inner):
        # around a synchronous one, zarr puts a wrapper that keeps nothing itself
        getattr(inner.fs, "sync_fs", inner.fs).invalidate_cache()


def creates_exclusively(store: Any) -> bool:
    """Whether `create` may be used: the server itself refuses what is there already."""
    if not is_fsspec(store):
        return False
    kinds = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(store.fs).__mro__}
    # releases before 2024.10 have no such mode
    is_known = "mode" in inspect.signature(store.fs._pipe_file).parameters  # noqa: SLF001
    return is_known and not kinds.isdisjoint(_EXCLUSIVE)


async def names(store: Any, prefix: str) -> list[str]:
    """The names directly in a folder; of a file, zarr's own would give the file itself."""
    forget_listings(store)
    path = _path(store, prefix.rstrip("/"))
    found = await store.fs._ls(path, detail=False)  # noqa: SLF001  # as zarr's `list_dir` does
    return [name.removeprefix(f"{path}/") for name in found if name.startswith(f"{path}/")]


async def create(store: Any, key: str, data: bytes) -> None:
    """Write an object, unless there is one."""
    store._check_writable()  # noqa: SLF001
    try:
        await store.fs._pipe_file(_path(store, key), data, mode="create")  # noqa: SLF001  # as zarr's `set` does
    except FileExistsError:
        return


def _path(store: Any, key: str) -> str:
    return "/".join(filter(None, (store.path.rstrip("/"), key)))
