"""An array of a grid whose chunks may be held decoded near by: in memory, or on a device."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from swarmgrid.errors import DamageError
from swarmgrid.format.chunk_io import chunk_key, chunk_limit, decoded_chunk
from swarmgrid.format.chunk_parts import in_parts
from swarmgrid.space.selection import outer_index
from swarmgrid.view.copies import FoundCopy, Recoded

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence

    from numpy.typing import NDArray

    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.outputs.outputs import Output
    from swarmgrid.planning.coverage import Coverage
    from swarmgrid.records.manifest import Manifest
    from swarmgrid.space.selection import Selection
    from swarmgrid.store.location import Location


V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Request:
    """The meaning of an outer index for a stored array."""

    selection: Selection
    """Along the stored axes, in their order."""
    present: NDArray[np.bool_] | None
    """The points of the selection that are computed; None: all."""
    own_shape: tuple[int, ...]
    """The number of requested places of each of the output's own dims."""
    rest: tuple[Any, ...]
    """The index into these; empty where the output has none."""


class NearChunks:
    """The part of a `GridArray` that deals with tiers, where its store has some."""

    _location: Location
    _grid: StoredGrid
    _manifest: Manifest
    _name: str
    _output: Output
    _column: int
    _coverage: Coverage
    _has_missing: bool
    _order: list[int]
    _chunks: Any
    _is_past: bool
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def tiers(self) -> Any:
        """The tiers of the store; None where it has none."""
        return self._location.tiers

    @property
    def name(self) -> str:
        """The output."""
        return self._name

    @property
    def is_as_stored(self) -> bool:
        """Whether the values have the dtype of the stored ones, though some may be missing."""
        return self.dtype == self._output.memory_dtype

    def layers(self) -> list[NearChunks]:
        """The arrays that its values are read from: of a grid in one store, itself."""
        return [self]

    def request(self, key: tuple[Any, ...]) -> Request:
        """The meaning of an outer index: per dim an int, a slice or an array of ints."""
        n_axes = len(self._order)
        chosen = [indices(k, n) for k, n in zip(key, self.shape, strict=True)]
        by_stored = [chosen[self._order.index(d)] for d in range(n_axes)]
        own = chosen[n_axes:]
        return Request(
            self._coverage.selection.at(by_stored),
            self._coverage.is_computed(by_stored) if self._has_missing else None,
            tuple(map(len, own)),
            outer_index(tuple(own)) if self._output.shape else (),
        )

    def arranged(self, values: Any, key: tuple[Any, ...]) -> Any:
        """Values in the order of the stored axes in the requested order, without scalar dims."""
        values = values.transpose((*self._order, *range(len(self._order), values.ndim)))
        return values[tuple(0 if isinstance(k, (int, np.integer)) else slice(None) for k in key)]

    def chunks_at(self, key: tuple[Any, ...]) -> list[tuple[int, ...]]:
        """The chunks that an outer index touches, of those with computed points."""
        selection = self.request(key).selection
        touched = map(selection.chunk_index, selection.touched())
        return [index for index in touched if len(self._manifest.rows_of(index))]

    def keys_at(self, key: tuple[Any, ...]) -> list[str]:
        """The keys of these chunks."""
        return [self.key_of(index) for index in self.chunks_at(key)]

    def key_of(self, index: tuple[int, ...]) -> str:
        """The key of a chunk; ArchivedError where the values are in an archive."""
        return chunk_key(self._at_home(), self._name, index)

    def rows_of(self, index: tuple[int, ...]) -> Hashable:
        """The checksums of all rows of a chunk, and the points of those about a part of it.

        Where these are equal, so are the values: of a chunk of one shape and dtype, for equal
        bytes may be of a chunk in another layout, or of a grid that was deleted and made anew.
        """
        rows = self._manifest.rows
        is_whole = self._manifest.is_whole(self._grid.chunk_shape)
        states = [
            (int(rows.checksums[i, self._column]), None if is_whole[i] else rows.points(i))
            for i in self._manifest.rows_of(index).tolist()
        ]
        return self._grid.block_shape(self._output), self._output.dtype, *states

    def read(self, key: tuple[Any, ...]) -> Any:
        """The values at an outer index."""
        return self._read(key)

    def through(
        self,
        indices: list[tuple[int, ...]],
        get: Callable[[str, Hashable], V | None],
        keep: Callable[[str, Hashable, NDArray[Any]], V],
        read: Callable[[list[tuple[int, ...]]], Iterator[NDArray[Any]]] | None = None,
    ) -> Iterator[V]:
        """Some chunks as a tier holds them, and all others at once as they are read and kept.

        Parameters
        ----------
        indices : list of tuple
            The chunks.
        get, keep : callable
            The tier's: by key and rows.
        read : callable, optional
            Gives some chunks' values, checked. Default: as for any reader.
        """
        keys = [self.key_of(index) for index in indices]
        rows = [self.rows_of(index) for index in indices]
        held = [get(key, of) for key, of in zip(keys, rows, strict=True)]
        missing = [index for index, found in zip(indices, held, strict=True) if found is None]
        fresh = (read or self.blocks)(missing)
        for key, of, found in zip(keys, rows, held, strict=True):
            yield keep(key, of, next(fresh)) if found is None else found

    def place(self) -> str:
        """The name of the array within its store."""
        return f"{self._grid.path.group}/{self._name}"

    def fetch(self, indices: list[tuple[int, ...]], *, is_anew: bool = False) -> None:
        """Read chunks into the tiers, checked; unless ``is_anew``, those that no tier has."""
        if self.tiers is None:
            return
        there = [
            index
            for index in indices
            if len(self._manifest.rows_of(index))
            and (is_anew or self.tiers.lacks(self.key_of(index)))
        ]

        def take_in(part: Sequence[tuple[int, ...]]) -> None:
            for _ in self.blocks(list(part)):
                pass

        in_parts(there, self.chunk_nbytes, take_in)

    @property
    def chunk_nbytes(self) -> int:
        """The size of a chunk in memory."""
        return math.prod(self._grid.block_shape(self._output)) * self.dtype.itemsize

    def _note(self, selection: Selection) -> None:
        """Tell the tiers of a read, so that they can read ahead."""
        if self.tiers is not None:
            self.tiers.saw(self, selection, self.chunk_nbytes)

    def blocks(self, indices: list[tuple[int, ...]]) -> Iterator[NDArray[Any]]:
        """Some chunks' values, checked."""
        tiers = self.tiers
        if tiers is None or not tiers.holds_arrays:
            return self._stored_blocks(indices)
        # a reader of the past leaves what those of the present hold
        keep = functools.partial(tiers.keep, may_replace=not self._is_past)
        return self.through(indices, tiers.held, keep, self._stored_blocks)

    def _found(self, keys: list[str]) -> list[FoundCopy]:
        """Some chunks, each as the nearest copy has it."""
        found = self._chunks.get_many(keys, chunk_limit(self._grid, self._name))
        return found if self.tiers is not None else [FoundCopy(data) for data in found]

    def _decoded(self, key: str, found: FoundCopy) -> NDArray[Any]:
        """The values of a chunk in the form in which it was found; DamageError if it is broken."""
        if not isinstance(found.data, Recoded):
            return decoded_chunk(found.data, key, self._grid, self._name)
        try:
            return found.data.values(self._output.dtype, self._grid.block_shape(self._output))
        except ValueError as error:
            raise DamageError(key, str(error)) from None

    def _settle(self, found: FoundCopy, block: NDArray[Any]) -> None:
        """Have the tiers with codecs of their own keep values that were found right.

        Of an encrypted output they are not told the values: its copies are encrypted as it is.
        """
        if found.keep is not None:
            encoding = self._grid.schema.encodings.get(self._name)
            is_encrypted = encoding is not None and bool(encoding.key_id)
            found.keep(None if is_encrypted else block, self._output.dtype)

    def _at_home(self) -> StoredGrid:
        """The grid, with its values in the store."""
        raise NotImplementedError

    def _stored_blocks(self, indices: list[tuple[int, ...]]) -> Iterator[NDArray[Any]]:
        """The same, from the nearest stored copies."""
        raise NotImplementedError

    def _read(self, key: tuple[Any, ...]) -> Any:
        """The values at an outer index."""
        raise NotImplementedError


def indices(key: Any, n: int) -> NDArray[np.intp]:
    """The indices that one part of an outer index means, as an array."""
    if isinstance(key, slice):
        return np.arange(n, dtype=np.intp)[key]
    array = np.atleast_1d(np.asarray(key, np.intp))
    return np.where(array < 0, array + n, array)
