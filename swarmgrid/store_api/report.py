"""The report of a store, as a file."""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarmgrid.errors import InputError, brief
from swarmgrid.quantities import check_flags
from swarmgrid.store.scoping import check_no_scope
from swarmgrid.store_api.catalog import catalog
from swarmgrid.tracebacks import UserFrames

if TYPE_CHECKING:
    from collections.abc import Mapping


def report(
    store: str | os.PathLike[str] | Any = None,
    path: str | os.PathLike[str] = "report.html",
    *,
    query: Mapping[str, Any] | None = None,
    tracebacks: bool = True,
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
) -> Path:
    """Write a page about all grids of a store, as one file that needs nothing else.

    It shows each grid: a map of what is computed, its costs, which process computed when, the
    failures, and how to open it. The page loads nothing from anywhere, needs no script, and is
    dark where the reader's system is. The manifests are read, and no value.

    Parameters
    ----------
    store : str, path or zarr.abc.store.Store, optional
        The store. Default: what `set_options` says.
    path : path, default "report.html"
        The file. An earlier report is replaced.
    query : mapping, optional
        The grids to show, as for `Catalog.query`. Default: all. The 100 that were written last
        get a section, all are counted.
    tracebacks : bool, default True
        Whether to show the tracebacks of failures, which may hold what is secret.
    overwrite : bool, default False
        Whether to replace a file that is no report.
    storage_options : mapping, optional
        Options with which obstore opens a URL; they are not part of the page.

    Returns
    -------
    pathlib.Path
        The absolute path of the file.

    Raises
    ------
    InputError
        If the path cannot be written, or is a file that is no report.

    Examples
    --------
    >>> import swarmgrid
    >>> def area(width, height):
    ...     return width * height
    >>> options = dict(func=area, store="memory://report", executor="sync")
    >>> ds = swarmgrid.compute({"height": 2.0}, {"width": [1, 2]}, **options)
    >>> swarmgrid.report("memory://report", "areas.html").name
    'areas.html'
    """
    __tracebackhide__ = True
    with UserFrames():
        from swarmgrid.pictures.report_page import report_page

        check_flags(tracebacks=tracebacks, overwrite=overwrite)
        target = _checked(path, overwrite=overwrite)
        chosen = catalog(store, storage_options=storage_options).query(query)
        check_no_scope("the report", chosen.location)
        page = report_page(chosen.location, chosen.rows, time.time(), tracebacks=tracebacks)
        _write(target, page)
        return target


def _checked(path: object, *, overwrite: bool) -> Path:
    """The absolute path of the file to write; InputError if it may not be written."""
    from swarmgrid.pictures.report_page import BEGIN

    if not isinstance(path, (str, os.PathLike)) or not os.fspath(path):
        raise InputError(f"path is {brief(path)}; expected the path of a file to write")
    if "\0" in os.fsdecode(path):
        raise InputError(f"path is {brief(path)}; expected a path without a null character")
    try:
        target = Path(os.fsdecode(path)).expanduser().absolute()
        if not target.parent.is_dir():
            raise InputError(f"path is {str(path)!r}, but {str(target.parent)!r} is no folder")
        if target.is_dir():
            raise InputError(f"path is {str(path)!r}, which is a folder; expected a file")
        if target.exists() and not overwrite:
            with target.open("rb") as file:
                if file.read(len(BEGIN)) != BEGIN.encode():
                    raise InputError(
                        f"path is {str(path)!r}, a file that is no report; pass overwrite=True "
                        "to replace it, or another path"
                    )
    except (OSError, ValueError, RuntimeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"path is {brief(path)}, which cannot be written: {error}") from None
    return target


def _write(target: Path, page: str) -> None:
    """Write the file under another name first: a reader sees a whole page, old or new."""
    staged = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        staged.write_bytes(page.encode("utf-8", "replace"))
        staged.replace(target)
    except OSError as error:
        staged.unlink(missing_ok=True)
        raise InputError(f"{str(target)!r} cannot be written: {error}") from None


report.__module__ = "swarmgrid"
