"""Names of arrays that some file systems take for one; a test of the store shows whether it does.

``T`` and ``t`` are two names to Zarr. On a file system that ignores the case of letters, their
arrays would have one folder, and each would replace the chunks of the other.
"""

from __future__ import annotations

import contextlib
import secrets
import unicodedata
from typing import TYPE_CHECKING

from swarmgrid.errors import InputError
from swarmgrid.store.layout import LOCKS, PROBE
from swarmgrid.store.lease_record import LeaseRecord

if TYPE_CHECKING:
    from collections.abc import Iterable

    from swarmgrid.outputs.outputs import Schema
    from swarmgrid.store.blobs import Blobs


def check_letter_case(blobs: Blobs, names: Iterable[str]) -> None:
    """Raise InputError where arrays have names that this store takes for one.

    Writes and deletes a small object under ``locks/``, if two names differ by case alone.
    """
    pair = differing_by_case(names)
    if pair is not None and _ignores_case(blobs):
        one, other = pair
        raise InputError(
            f"the names {one!r} and {other!r} differ by the case of letters alone, which the "
            "store's file system ignores: their arrays would replace each other. Rename one of "
            "them, or use a store that tells them apart"
        )


def array_names(axes: Iterable[str], schema: Schema | None) -> tuple[str, ...]:
    """The names of a grid's arrays, as far as they are known yet."""
    return (*axes, *(() if schema is None else (*schema.coords, *schema.outputs)))


def differing_by_case(names: Iterable[str]) -> tuple[str, str] | None:
    """Two different names that are one if case is ignored; None if there are none."""
    seen: dict[str, str] = {}
    for name in names:
        # file systems differ in how they compose letters; the strictest of them counts
        folded = unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())
        other = seen.setdefault(folded, name)
        if other != name:
            return other, name
    return None


def _ignores_case(blobs: Blobs) -> bool:
    name = f"{PROBE}{secrets.token_hex(8)}"
    record = LeaseRecord.of_this_process(0).to_bytes()  # says whose it was
    blobs.put(f"{LOCKS}/{name}", record)
    try:
        return blobs.get(f"{LOCKS}/{name.upper()}", 0) is not None
    finally:
        with contextlib.suppress(Exception):  # `repair` removes what is left
            blobs.delete(f"{LOCKS}/{name}")
