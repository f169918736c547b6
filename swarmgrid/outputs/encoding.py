"""The way in which the values of an output are stored: their dtype, scale, and Zarr codecs.

Values in, values out: `Encoding.packed` makes the stored values of those that were computed, and
`Encoding.unpacked` the values that are read back.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.errors import InputError
from swarmgrid.outputs.labels import MisfitError
from swarmgrid.outputs.outputs import STRING

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_STEPS = 2**50
"""Steps of a scale, counted from 0, that floats tell apart whatever is added to them."""


def fill_value(dtype: str) -> Any:
    """The stored value of a point that was not computed, unless its encoding has another.

    NaN, NaT, the smallest integer (the largest for unsigned ones), False and the empty string.
    """
    if dtype == STRING:
        return ""
    known = np.dtype(dtype)
    if known.kind == "b":
        return False
    if known.kind in "iu":
        return np.iinfo(known).min if known.kind == "i" else np.iinfo(known).max
    if known.kind in "mM":
        return np.array("NaT", known)[()]
    return np.array(complex("nan+nanj") if known.kind == "c" else np.nan, known)[()]


def _are_wider_floats(dtype: str, stored: str) -> bool:
    """Whether floats, or complex numbers, are stored as such of at least as many digits."""
    kinds = {np.dtype(one).kind for one in (dtype, stored) if one != STRING}
    return kinds in ({"f"}, {"c"}) and np.dtype(stored).itemsize > np.dtype(dtype).itemsize


def _are_ints(dtype: str, stored: str) -> bool:
    return STRING not in {dtype, stored} and all(np.dtype(d).kind in "iu" for d in (dtype, stored))


def _survives(fill: Any, dtype: str, stored: str) -> bool:
    """Whether a stored fill value is the same after it was in memory, in the values' dtype."""
    one = np.array(fill).astype(stored)
    with np.errstate(all="ignore"):
        other = one.astype(dtype).astype(stored)
    return bool(one == other) or bool(np.isnan(one) and np.isnan(other))


@dataclass(frozen=True, slots=True)
class Encoding:
    """The encoding of one output, where it is not the usual one."""

    codecs: str = ""
    """The Zarr codecs of a chunk, as the JSON text of a list; empty: the usual ones."""
    dtype: str | None = None
    """The dtype of the stored values; None: that of the computed ones."""
    scale_factor: float | None = None
    add_offset: float | None = None
    """Stored values times the scale, plus the offset, are the values that are read back."""
    fill_value: Any = None
    """The stored value of a point that was not computed; None: the dtype's own."""
    lossy: str = ""
    """The parts by which values change, in words; empty: every value is read back as computed."""
    choice: str = ""
    """The reason for the codecs, where they were measured."""
    key_id: str = ""
    """The id of the key that encrypts the stored objects; empty: they are not encrypted."""
    array: str = ""
    """The identity of the array to that encryption."""
    is_open: bool = False
    """Whether the codecs are still to be chosen, by the first chunks."""

    @property
    def is_usual(self) -> bool:
        """Whether nothing of it differs from what a grid has by itself."""
        return self == Encoding()

    @property
    def is_packed(self) -> bool:
        """Whether stored values are others than those that are read back."""
        scales = (self.scale_factor, self.add_offset)
        return self.dtype is not None or any(one is not None for one in scales)

    def codec_list(self) -> list[dict[str, Any]]:
        """The codecs, as a Zarr document has them; none where they are the usual ones."""
        return json.loads(self.codecs) if self.codecs else []

    def stored_dtype(self, dtype: str) -> str:
        """The dtype of the stored values of an output of a dtype."""
        return self.dtype or dtype

    def stored_fill(self, dtype: str) -> Any:
        """The stored value of a point that was not computed."""
        if self.fill_value is not None:
            return self.fill_value
        stored = self.stored_dtype(dtype)
        own = fill_value(stored)
        if stored == dtype or not _are_ints(dtype, stored):
            return own
        # in memory it has the dtype of the values, which may have a smaller range, or another
        one, other = np.iinfo(dtype), np.iinfo(stored)
        tries = (own, fill_value(dtype), min(one.max, other.max))
        low, high = max(one.min, other.min), min(one.max, other.max)
        return next(fill for fill in tries if low <= fill <= high)

    def missing(self, dtype: str) -> Any:
        """The value in memory, in the dtype of the computed values, of the same point."""
        stored = self.stored_dtype(dtype)
        if self.fill_value is None and (stored == dtype or np.dtype(dtype).kind in "fc"):
            return fill_value(dtype)
        if stored != STRING and np.dtype(stored).kind in "iu" and np.dtype(dtype).kind == "f":
            return fill_value(dtype)
        return self.stored_fill(dtype)

    def check(self, dtype: str) -> None:
        """Raise InputError where values of a dtype cannot be packed like that."""
        fill, stored = self.fill_value, self.stored_dtype(dtype)
        if self.is_packed:
            self._check_dtypes(dtype, stored)
        if fill is not None:
            if stored != STRING and np.dtype(stored).kind in "mM":
                raise InputError("its fill_value cannot be chosen: that of times is NaT")
            if np.dtype(stored if stored != STRING else object).kind == "f" and self._is_scaled:
                raise InputError(
                    "it has a fill_value and a scale, and is stored as floats; leave fill_value "
                    "out: points that are not computed are NaN"
                )
            self._check_fill(fill, stored)
            if stored != dtype and _are_ints(dtype, stored):
                self._check_fill(fill, dtype)
            if _are_wider_floats(dtype, stored) and not _survives(fill, dtype, stored):
                raise InputError(f"its fill_value is {fill!r}, which is no value of {dtype}")

    def with_plain_fill(self, dtype: str) -> Encoding:
        """The encoding with its fill value as one of the stored dtype: 0 of floats as 0.0."""
        if self.fill_value is None or self.stored_dtype(dtype) == STRING:
            return self
        fill = np.array(self.fill_value).astype(self.stored_dtype(dtype)).item()
        return replace(self, fill_value=fill)

    @property
    def _is_scaled(self) -> bool:
        return self.scale_factor is not None or self.add_offset is not None

    def _check_dtypes(self, dtype: str, stored: str) -> None:
        kinds = "".join("s" if one == STRING else np.dtype(one).kind for one in (dtype, stored))
        kinds = kinds.replace("u", "i")
        if self._is_scaled and kinds not in {"fi", "ff"}:
            raise InputError(
                f"it has scale_factor or add_offset, and its values are {dtype}, stored as "
                f"{stored}; expected floats, stored as ints or floats"
            )
        if kinds not in {"fi", "ff", "ii", "cc"}:
            raise InputError(
                f"its values are {dtype}, and dtype={stored!r} cannot hold them; expected floats "
                "stored as floats or ints, ints as ints, complex numbers as complex ones"
            )
        scale, offset = self.scale_factor or 1.0, self.add_offset or 0.0
        if kinds == "fi" and np.dtype(stored).itemsize > 4:
            raise InputError(
                f"its values are {dtype}, and dtype={stored!r} has more digits than these; "
                "expected ints of at most 32 bits"
            )
        if abs(offset / scale) > MAX_STEPS:
            raise InputError(
                f"add_offset={offset} is too large for steps of scale_factor={scale}: floats do "
                "not tell such numbers apart"
            )

    @staticmethod
    def _check_fill(fill: Any, stored: str) -> None:
        is_fine = isinstance(fill, str) == (stored == STRING)
        if is_fine and stored != STRING:
            known = np.dtype(stored)
            with np.errstate(all="ignore"):
                try:
                    cast = np.array(fill).astype(known)
                    is_fine = bool(cast == fill) or bool(np.isnan(cast) and np.isnan(fill))
                except (TypeError, ValueError, OverflowError):
                    is_fine = False
            is_fine = is_fine and (known.kind == "b") == isinstance(fill, (bool, np.bool_))
        if not is_fine:
            raise InputError(f"its fill_value is {fill!r}, which is no value of {stored}")

    def packed(self, name: str, values: NDArray[Any], dtype: str) -> NDArray[Any]:
        """The stored values.

        Raises
        ------
        MisfitError
            If a value has no place in the stored dtype, or would be read back as missing.
        """
        if not self.is_packed:
            return values
        stored = np.dtype(self.stored_dtype(dtype))
        if np.dtype(dtype).kind in "iu":
            info = np.iinfo(stored)
            fits = (values >= info.min) & (values <= info.max)
            self._refuse(name, values, ~fits, dtype)
            return values.astype(stored)
        with np.errstate(all="ignore"):
            numbers = values if stored.kind == "c" else self._steps(values)
            if stored.kind not in "iu":
                made = numbers.astype(stored)
                self._refuse(name, values, np.isfinite(values) & ~np.isfinite(made), dtype)
                return made
            is_nan = np.isnan(numbers)
            steps, info = np.rint(numbers), np.iinfo(stored)
            fill = int(self.stored_fill(dtype))
            fits = (steps >= info.min) & (steps <= info.max) & (steps != fill)
            made = np.where(fits, steps, fill).astype(stored)
            # of few digits, or with a large offset: it would change each time it is written
            fits &= np.rint(self._steps(self.unpacked(made, dtype))) == steps
        self._refuse(name, values, ~(fits | is_nan), dtype)
        return made

    def unpacked(self, stored: NDArray[Any], dtype: str) -> NDArray[Any]:
        """The values that are read back: as xarray, too, decodes them."""
        if not self.is_packed:
            return stored
        known = np.dtype(dtype)
        if known.kind != "f":
            return stored.astype(known)
        if not self._is_scaled and stored.dtype.kind == "f":
            return stored.astype(known)
        found = stored.astype(np.float64)
        if self.scale_factor is not None:
            found *= self.scale_factor
        if self.add_offset is not None:
            found += self.add_offset
        if stored.dtype.kind in "iu":
            found[stored == self.stored_fill(dtype)] = np.nan
        return found.astype(known, copy=False)

    def _steps(self, values: NDArray[Any]) -> NDArray[Any]:
        found = values.astype(np.float64)
        if self.add_offset is not None:
            found -= self.add_offset
        if self.scale_factor is not None:
            found /= self.scale_factor
        return found

    def _refuse(
        self, name: str, values: NDArray[Any], is_wrong: NDArray[np.bool_], dtype: str
    ) -> None:
        if is_wrong.any():
            value = values[is_wrong].reshape(-1)[0].item()
            raise MisfitError(
                f"output {name!r} has the value {value!r}, which its encoding as "
                f"{self.packing(dtype)} cannot hold{self._range(dtype)}. A new grid (version=, "
                "another store) may have another encoding, and Grid.rechunk(encoding=...) "
                "changes that of this one"
            )

    def packing(self, dtype: str) -> str:
        """The stored dtype and scale in words; empty where values are stored as they are."""
        if not self.is_packed:
            return ""
        text = self.stored_dtype(dtype)
        if self.scale_factor is not None:
            text += f" in steps of {self.scale_factor:g}"
        return text + (f" from {self.add_offset:g}" if self.add_offset else "")

    def _range(self, dtype: str) -> str:
        stored = np.dtype(self.stored_dtype(dtype))
        if stored.kind not in "iu":
            return f" (at most {np.finfo(stored).max:g})"
        info = np.iinfo(stored)
        fill = int(self.stored_fill(dtype))
        ends = np.array([info.min + (info.min == fill), info.max - (info.max == fill), fill])
        first, last, missing = ends * (self.scale_factor or 1.0) + (self.add_offset or 0.0)
        text = f"from {min(first, last):g} to {max(first, last):g}"
        if info.min < fill < info.max:
            text += f", but not {missing:g}, which stands for points that are not computed"
        return f" ({text})"
