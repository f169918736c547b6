"""Handing points to a collection of ChromaDB: ``ds.swarmgrid.to_chroma(...)``."""

from __future__ import annotations

import hashlib
import json
import math
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from swarmgrid.errors import InputError, brief
from swarmgrid.search.nearest import blocks, only_vectors, vectors_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from numpy.typing import NDArray

BATCH = 1000
"""Points that are handed over together where the collection does not say how many it takes."""
GRID, OUTPUT = "swarmgrid_grid", "swarmgrid_output"
"""Keys of metadata beside the axes' names."""


class Collection(Protocol):
    """As much of a collection of ChromaDB as is needed."""

    def upsert(self, ids: Any, embeddings: Any, metadatas: Any, documents: Any = ...) -> Any:
        """Add records, or replace those that have the same ids."""


def to_chroma(
    ds: xr.Dataset,
    collection: Collection,
    output: str | None = None,
    *,
    dim: str | Sequence[str] | None = None,
    document: str | None = None,
    batch_size: int | None = None,
) -> int:
    """Hand the points of an output to a collection; see `DatasetAccessor.to_chroma`."""
    if not callable(getattr(collection, "upsert", None)):
        raise InputError(
            f"collection is {brief(collection)}; expected a collection of ChromaDB, such as "
            "chromadb.Client().get_or_create_collection('spectra'). pip install "
            "'swarmgrid-zarr[chroma]' installs it"
        )
    output = only_vectors(ds) if output is None else output
    array, axes, own = vectors_of(ds, output, dim)
    size = _batch_size(collection, batch_size)
    texts = _texts(ds, document, axes)
    points = _Points(ds, axes, output)
    n = 0
    for box, vectors in blocks(array, axes, math.prod(array.sizes[name] for name in own)):
        present = np.flatnonzero(np.isfinite(vectors).all(axis=1))
        for start in range(0, len(present), size):
            part = present[start : start + size]
            with np.errstate(over="ignore"):
                embeddings = vectors[part].astype(np.float32)
            if not np.isfinite(embeddings).all():
                raise InputError(
                    f"output {output!r} has values that are too large for float32, as ChromaDB "
                    "keeps vectors; scale them first"
                )
            numbers = box.numbers(part)
            at = np.unravel_index(numbers, box.shape) if box.shape else ()
            ids, metadatas = points.described(at, len(part))
            documents = [None if texts is None else texts[i] for i in numbers.tolist()]
            _hand_over(collection, ids, embeddings, metadatas, documents)
            n += len(part)
    return n


def _hand_over(
    collection: Collection,
    ids: list[str],
    embeddings: NDArray[np.float32],
    metadatas: list[dict[str, Any]],
    documents: list[str | None],
) -> None:
    """Hand over some points: those with a document, and then the others."""
    for has_one in (True, False):  # a list of documents has one for each point
        at = [i for i, text in enumerate(documents) if (text is not None) == has_one]
        if at:
            collection.upsert(
                ids=[ids[i] for i in at],
                embeddings=[embeddings[i] for i in at],
                metadatas=[metadatas[i] for i in at],
                **({"documents": [documents[i] for i in at]} if has_one else {}),
            )


def _batch_size(collection: Any, given: Any) -> int:
    """The number of points that are handed over together."""
    if given is not None:
        if isinstance(given, bool) or not isinstance(given, (int, np.integer)) or given < 1:
            raise InputError(f"batch_size is {brief(given)}; expected a number of points")
        return int(given)
    # the client says so, and a collection has no public way to it
    for home in (collection, getattr(collection, "_client", None)):
        ask = getattr(home, "get_max_batch_size", None)
        found = ask() if callable(ask) else None
        if isinstance(found, int) and found > 0:
            return found
    return BATCH


def _texts(ds: xr.Dataset, document: str | None, axes: Sequence[Any]) -> list[str | None] | None:
    """The texts of all points in C order; None: it is missing."""
    if document is None:
        return None
    is_known = isinstance(document, str) and document in ds.variables
    if not is_known or not {*ds.variables[document].dims} <= {*axes}:
        raise InputError(
            f"document is {brief(document)}; expected an axis, or an output with one text for "
            f"each point, of {[str(name) for name in ds.variables]}"
        )
    missing = [name for name in axes if name not in ds[document].dims]
    sizes = {name: ds.sizes[name] for name in missing} | dict(ds[document].sizes)
    whole: Any = ds[document].variable.set_dims(sizes)  # type: ignore[no-untyped-call]
    found = whole.transpose(*axes).compute()
    pairs = zip(found.values.reshape(-1), found.isnull().values.reshape(-1), strict=True)
    return [None if is_missing else str(text) for text, is_missing in pairs]


class _Points:
    """The ids and metadata of points, by their axis values."""

    def __init__(self, ds: xr.Dataset, axes: Sequence[Any], output: str) -> None:
        source = ds.encoding.get("source", "")
        self._grid = source.rpartition("/")[2] if isinstance(source, str) else ""
        self._output = output
        self._values = {
            str(name): ds[name].values if name in ds.coords else np.arange(ds.sizes[name])
            for name in axes
        }
        # the axes of which one value was selected
        self._fixed = {
            str(name): coord.values[()] for name, coord in ds.coords.items() if coord.ndim == 0
        }

    def described(
        self, at: Sequence[NDArray[np.intp]], n: int
    ) -> tuple[list[str], list[dict[str, Any]]]:
        """The ids and the metadata of ``n`` points at some positions along the axes."""
        columns = [values[one] for values, one in zip(self._values.values(), at, strict=True)]
        ids, metadatas = [], []
        for i in range(n):
            found = {name: column[i] for name, column in zip(self._values, columns, strict=True)}
            values = {name: plain(value) for name, value in (self._fixed | found).items()}
            metadata = {**values, OUTPUT: self._output}
            if self._grid:
                metadata[GRID] = self._grid
            ids.append(_digest(self._grid, self._output, values))
            metadatas.append(metadata)
        return ids, metadatas


def _digest(grid: str, output: str, values: dict[str, Any]) -> str:
    """The id of a point: the same for the same values, whatever else there is."""
    parts = [[name, _whole(value)] for name, value in sorted(values.items())]
    text = json.dumps([grid, output, parts])
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _whole(value: Any) -> Any:
    """A value as ids have it: an axis of integers may become one of floats."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def plain(value: Any) -> str | int | float | bool:
    """An axis value as metadata may have it; times are texts."""
    if isinstance(value, np.datetime64):
        return str(value)
    if isinstance(value, np.timedelta64):
        return str(value)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, (bool, int, float, str)) else str(value)
