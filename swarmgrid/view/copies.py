"""Copies of chunks that are nearer than their store, as tiers hand them to the reader.

A copy is as the store has it, or in codecs of its own. The reader holds its values against the
manifest in either form.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.errors import StoreError
from swarmgrid.format.codec import coder
from swarmgrid.outputs.outputs import STRING

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from swarmgrid.format.codec import Coder


@dataclass(frozen=True, slots=True)
class Recoded:
    """A chunk's values in other codecs than those of its store."""

    form: str
    """The codecs, dtype and shape, as JSON text: every reader can decode the copy."""
    data: bytes

    def __len__(self) -> int:
        """The bytes that it takes."""
        return len(self.form) + len(self.data)

    def plain_values(self) -> tuple[NDArray[Any], str]:
        """The values, of which times are integers, and the name of their dtype.

        Raises
        ------
        ValueError
            If it is no such copy, or a codec of it is not installed here.
        """
        try:
            made, dtype, _ = _known(self.form)
            (found,) = made.decode([self.data])
        except (StoreError, KeyError, TypeError) as error:
            raise ValueError(f"a copy cannot be decoded: {error}") from None
        return found, dtype

    def values(self, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
        """The values of a chunk of an output; ValueError if they are none of such a chunk."""
        found, own_dtype = self.plain_values()
        if own_dtype != plain_dtype(dtype) or found.shape != shape:
            raise ValueError(f"a copy has {found.shape} of {own_dtype}, not {shape} of {dtype}")
        return found if own_dtype == dtype else found.view(dtype)


@dataclass(frozen=True, slots=True)
class FoundCopy:
    """A chunk as it was found: in a tier, or at home."""

    data: bytes | Recoded | None
    is_home: bool = True
    keep: Callable[[NDArray[Any] | None, str], None] | None = None
    """To be called with the values, once they were found right, and the output's dtype: the tiers
    with codecs of their own encode them. Without values copies stay as they came. None: there is
    nothing to do."""


def form_of(codecs: list[dict[str, Any]], dtype: str, shape: tuple[int, ...]) -> str:
    """The form of a `Recoded` of values of a plain dtype."""
    return json.dumps({"codecs": codecs, "dtype": dtype, "shape": shape}, separators=(",", ":"))


def plain_dtype(dtype: str) -> str:
    """The dtype that codecs see of an output: times are integers."""
    return "int64" if dtype != STRING and np.dtype(dtype).kind in "mM" else dtype


@functools.lru_cache(256)
def _known(form: str) -> tuple[Coder, str, tuple[int, ...]]:
    """The coder of a form, the dtype and the shape."""
    found = json.loads(form)
    dtype, shape = found["dtype"], tuple(found["shape"])
    return coder(json.dumps(found["codecs"]), dtype, shape), dtype, shape


def encoded_in(form: str, values: NDArray[Any]) -> Recoded:
    """Values of a plain dtype in a form."""
    (data,) = _known(form)[0].encode([values])
    return Recoded(form, data)
