"""The packages that kinds of stores need, and the extras that install them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from swarmgrid.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

DISTRIBUTION = "swarmgrid-zarr"


@contextmanager
def importing_for(what: str, extra: str) -> Iterator[None]:
    """Name the extra, where what is imported in this context is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise InputError(
            f"{what} needs {error.name}, which the extra {extra!r} installs: "
            f"pip install '{DISTRIBUTION}[{extra}]'"
        ) from None
