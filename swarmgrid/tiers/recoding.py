"""The codec of a tier whose copies are not in the form in which the store has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.codecs.named import as_in_document, codecs_of
from swarmgrid.errors import InputError, StoreError, brief
from swarmgrid.format.codec import raw_codecs
from swarmgrid.view.copies import Recoded, encoded_in, form_of, plain_dtype

if TYPE_CHECKING:
    from numpy.typing import NDArray

STORED, DECODED = "stored", "decoded"
"""The forms of copies that are no codec."""


class TierCodec:
    """The compressors of a tier.

    Parameters
    ----------
    compressors : tuple
        Zarr's codec objects, which make bytes of bytes; none: values are not compressed.
    """

    def __init__(self, compressors: tuple[Any, ...]) -> None:
        self._compressors = compressors
        self._forms: dict[tuple[str, tuple[int, ...]], str] = {}

    def form(self, dtype: str, shape: tuple[int, ...]) -> str:
        """The form of copies of chunks of a plain dtype and a shape."""
        found = self._forms.get((dtype, shape))
        if found is None:
            listed = as_in_document(self._compressors, dtype, shape)
            found = form_of([*raw_codecs(dtype), *listed], dtype, shape)
            self._forms[dtype, shape] = found
        return found

    def recoded(
        self, values: NDArray[Any], dtype: str, old: bytes | Recoded | None = None
    ) -> Recoded:
        """Values of an output of a dtype in this codec; ``old`` itself, if it is in it."""
        dtype = plain_dtype(dtype)
        form = self.form(dtype, values.shape)
        if isinstance(old, Recoded) and old.form == form:
            return old
        return encoded_in(form, values.view(dtype) if values.dtype.kind in "mM" else values)


def to_codec(tier: str, given: Any, forms: tuple[str, ...]) -> TierCodec:
    """The codec that a user gives for a tier, as ``compressors`` of an encoding are given.

    Parameters
    ----------
    tier : str
        The argument, for errors.
    given : object
        Zarr's or numcodecs' codecs, dicts or names; an empty list: no compressor.
    forms : tuple of str
        The words that the tier takes instead.

    Raises
    ------
    InputError
        If it is none, is not installed, or does not give back what it is given.
    """
    place = f"the form of {tier}"
    if given is None or (isinstance(given, str) and given in ("auto", STORED, DECODED)):
        raise InputError(
            f"{place} is {brief(given)}; expected {', '.join(map(repr, forms))}, or compressors "
            "such as 'blosc' or zarr.codecs.BloscCodec(cname='lz4'); [] for none"
        )
    codec = TierCodec(codecs_of(place, given, "BytesBytesCodec"))
    trial = np.linspace(-1.0, 1.0, 16)
    try:
        back = codec.recoded(trial, "float64").values("float64", trial.shape)
    except (ValueError, StoreError) as error:
        raise InputError(f"{place} is {brief(given)}, which cannot be used: {error}") from None
    if back.tobytes() != trial.tobytes():
        raise InputError(
            f"{place} is {brief(given)}, which changes values; a tier holds exact ones. Fewer "
            "digits are for ds.swarmgrid.to_device('cpu', dtype='float32'), and for device="
        )
    return codec
