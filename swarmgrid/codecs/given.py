"""The encoding that a user asks for, checked, and what it is for an output."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.codecs.members import (
    KEYS,
    TIMES,
    Lengths,
    asked_lengths,
    check_lengths,
    is_of_all,
    is_own_fill,
    members,
    to_lengths_given,
)
from swarmgrid.codecs.named import as_in_document, codecs_of, plain
from swarmgrid.codecs.pipeline import codec_of
from swarmgrid.codecs.trial import changes
from swarmgrid.codecs.words import codec_in_words
from swarmgrid.errors import InputError, brief
from swarmgrid.outputs.encoding import Encoding
from swarmgrid.outputs.outputs import STRING, dtype_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swarmgrid.outputs.outputs import Output

AUTO = "auto"


@dataclass(frozen=True)
class GivenEncoding:
    """The encoding of one output as a user asks for it, before the output is known."""

    dtype: str | None = None
    filters: tuple[Any, ...] = ()
    """Zarr's codec objects, as all codecs here."""
    serializer: Any = None
    compressors: tuple[Any, ...] | None = None
    """None: the usual one."""
    is_auto: bool = False
    """Whether the compressors are to be chosen by the first chunks."""
    fill_value: Any = None
    is_mask: bool = False
    """Whether it is xarray's ``_FillValue``, which other readers take for missing."""
    scale_factor: float | None = None
    add_offset: float | None = None
    chunks: Lengths = None
    """Along the dims of the output; only the first of them, the axes, are divided."""
    shards: Lengths = None
    units: tuple[Any, ...] = ()
    """By which xarray tells times from integers, if it is said."""

    def of(self, output: Output, shape: tuple[int, ...]) -> Encoding:
        """The encoding of an output whose chunks have a shape.

        Raises
        ------
        InputError
            If it cannot be one of that output, or does not give back what it is given.
        """
        from zarr.codecs import BytesCodec, ZstdCodec

        packing = self._packing(output)
        stored = packing.stored_dtype(output.dtype)
        stored = "int64" if stored != STRING and np.dtype(stored).kind in "mM" else stored
        serializer = self.serializer
        if serializer is None and stored != STRING:
            serializer = BytesCodec()
        compressors = self.compressors
        if compressors is None:
            compressors = (ZstdCodec(level=1, checksum=True),)
        chain = [*self.filters, serializer, *compressors]
        listed = as_in_document(chain, stored, shape)
        usual = as_in_document(
            [None if stored == STRING else BytesCodec(), ZstdCodec(level=1, checksum=True)],
            stored,
            shape,
        )
        codecs = "" if listed == usual else json.dumps(listed)
        found = replace(packing, codecs=codecs)
        parts = changes(found, output.dtype, shape)
        check_lengths("chunks", self.chunks, shape, output.shape)
        check_lengths("shards", self.shards, shape, output.shape)
        return replace(found, lossy=", ".join(parts))

    def _packing(self, output: Output) -> Encoding:
        """The stored dtype, the scale and the fill value."""
        is_time = output.dtype != STRING and output.memory_dtype.kind in "mM"
        # times are stored so, and xarray's encodings say it
        is_plain = self.dtype == output.dtype or (is_time and self.dtype == "int64")
        if self.units and not (is_time and str(self.units[0]).startswith("nanoseconds")):
            raise InputError(
                f"its values are {output.dtype}, and it has units={self.units[0]!r}; leave units "
                "and calendar out: times are stored in nanoseconds since 1970, and other units "
                "are attributes of an output"
            )
        packing = Encoding(
            dtype=None if is_plain else self.dtype,
            scale_factor=self.scale_factor,
            add_offset=self.add_offset,
            is_open=self.is_auto,
        )
        packing.check(output.dtype)
        if is_own_fill(self.fill_value, packing.stored_fill(output.dtype)):
            return packing
        packing = replace(packing, fill_value=self.fill_value)
        packing.check(output.dtype)
        stored = packing.stored_dtype(output.dtype)
        is_packed = packing.is_packed and np.dtype(output.dtype).kind == "f"
        if self.is_mask and not (is_packed and np.dtype(stored).kind in "iu"):
            raise InputError(
                f"it has _FillValue={self.fill_value!r}, and other readers would take computed "
                f"values of {output.dtype} that equal it for missing; say fill_value= for the "
                "stored value of points that are not computed, or leave it out"
            )
        return packing.with_plain_fill(output.dtype)

    def in_words(self) -> str:
        """The request in words."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            chain = [*self.filters, *([self.serializer] if self.serializer else [])]
            named = [codec_in_words(plain(codec.to_dict())) for codec in chain]
            if self.is_auto:
                named.append("codecs to be chosen by the first chunks")
            elif self.compressors is not None:
                more = [codec_in_words(plain(codec.to_dict())) for codec in self.compressors]
                named += more or ["no compressor"]
        packing = Encoding(
            dtype=self.dtype, scale_factor=self.scale_factor, add_offset=self.add_offset
        )
        first = packing.packing("what is computed") or "what is computed"
        return ", ".join([first, *(named or ["zstd(level=1)"])])


@dataclass(frozen=True)
class GivenEncodings:
    """The encodings that a user asks for, by output."""

    by_output: Mapping[str, GivenEncoding] = field(default_factory=dict)
    rest: GivenEncoding | None = None
    """The encoding of every other output; None: the usual one."""
    is_whole: bool = False
    """Whether ``rest`` is a whole encoding, and not compressors alone."""

    def __bool__(self) -> bool:
        return bool(self.by_output) or self.rest is not None

    def of(self, name: str) -> GivenEncoding | None:
        """The request for one output; None: there is none."""
        return self.by_output.get(name, self.rest)

    def for_stored(self, stored: Mapping[str, Encoding]) -> GivenEncodings:
        """The same request of a grid that has encodings: compressors for all change no more."""
        if self.rest is None or self.is_whole:
            return self
        kept = {name: _with_packing(self.rest, one) for name, one in stored.items()}
        return replace(self, by_output={**kept, **self.by_output})

    def layout(self, axes: Sequence[str], chunks: Any, shards: Any) -> tuple[Any, Any]:
        """The options ``chunks`` and ``shards``, or what the encodings say in place of them.

        Raises
        ------
        InputError
            If outputs are to have different ones.
        """
        rest = {"any": self.rest} if self.rest is not None else {}
        own = asked_lengths([*self.by_output.items(), *rest.items()], axes)
        return own[0] if chunks is None else chunks, own[1] if shards is None else shards

    def in_words(self) -> dict[str, str]:
        """The requests, by output, in words."""
        several = {**self.by_output, **({"any output": self.rest} if self.rest else {})}
        return {name: one.in_words() for name, one in several.items()}

    def resolved(
        self, outputs: Mapping[str, Output], shapes: Mapping[str, tuple[int, ...]]
    ) -> dict[str, Encoding]:
        """The encodings that are not the usual one, by output; ``shapes`` are those of chunks.

        Raises
        ------
        InputError
            If there is no such output, or its encoding is impossible.
        """
        unknown = [name for name in self.by_output if name not in outputs]
        if unknown and outputs:
            close = get_close_matches(unknown[0], outputs, 1)
            hint = f". Did you mean {close[0]!r}?" if close else ""
            raise InputError(
                f"encoding names {unknown[0]!r}, which is no output; the outputs are "
                f"{', '.join(map(repr, outputs))}{hint}"
            )
        found = {}
        for name, output in outputs.items():
            given = self.of(name)
            if given is None:
                continue
            try:
                one = given.of(output, shapes[name])
            except InputError as error:
                raise InputError(f"the encoding of output {name!r}: {error}") from None
            if not one.is_usual:
                found[name] = one
        return found


def to_given(encoding: object, codec: object = None) -> GivenEncodings:
    """The options ``encoding`` and ``codec``, checked.

    Raises
    ------
    InputError
        If they are no encodings, or name a codec that is not installed.
    """
    if encoding is not None and not isinstance(encoding, Mapping):
        raise InputError(
            f"encoding is {brief(encoding)}; expected a mapping from outputs to encodings, such "
            "as {'value': {'dtype': 'float32'}}"
        )
    common = None
    if codec is not None:
        common = _compressors("codec", codec, GivenEncoding())
    if encoding and is_of_all(encoding):
        whole = _given("encoding", encoding, common or GivenEncoding())
        return GivenEncodings({}, whole, is_whole=True)
    found = {}
    for name, one in (encoding or {}).items():
        if not isinstance(one, Mapping):
            hint = f"; did you mean {{'value': {{{name!r}: ...}}}}?" if name in KEYS else ""
            raise InputError(
                f"encoding has {brief(one)} for output {brief(name)}; expected a mapping such as "
                f"{{'dtype': 'float32'}}{hint}"
            )
        found[str(name)] = _given(f"encoding[{name!r}]", one, common or GivenEncoding())
    return GivenEncodings(found, common)


def _with_packing(given: GivenEncoding, stored: Encoding) -> GivenEncoding:
    """A request for compressors, with all but the compressors of a stored encoding."""
    from zarr.abc.codec import ArrayArrayCodec, ArrayBytesCodec

    chain = [codec_of(codec) for codec in stored.codec_list()]
    return replace(
        given,
        dtype=stored.dtype,
        scale_factor=stored.scale_factor,
        add_offset=stored.add_offset,
        fill_value=stored.fill_value,
        filters=tuple(codec for codec in chain if isinstance(codec, ArrayArrayCodec)),
        serializer=next((codec for codec in chain if isinstance(codec, ArrayBytesCodec)), None),
    )


def _given(place: str, one: Mapping[Any, Any], start: GivenEncoding) -> GivenEncoding:
    one = members(place, one)
    found = _with_layout(place, one, _with_fill(place, one, start))
    if one.get("dtype") is not None:
        found = replace(found, dtype=dtype_name(one["dtype"]))
    for key in ("scale_factor", "add_offset"):
        if one.get(key) is not None:
            number: Any = {key: _number(f"{place}[{key!r}]", _item(one[key]))}
            found = replace(found, **number)
    if found.scale_factor == 0:
        raise InputError(f"{place}['scale_factor'] is 0; expected another number")
    if one.get("filters") is not None:
        filters = codecs_of(f"{place}['filters']", one["filters"], "ArrayArrayCodec")
        found = replace(found, filters=filters)
    if one.get("serializer") not in (None, AUTO):
        (serializer,) = codecs_of(f"{place}['serializer']", one["serializer"], "ArrayBytesCodec")
        found = replace(found, serializer=serializer)
    if "compressors" in one:
        found = _compressors(f"{place}['compressors']", one["compressors"], found)
    return found


def _with_layout(place: str, one: Mapping[str, Any], found: GivenEncoding) -> GivenEncoding:
    """A request with the chunks, the shards and the units of times."""
    for key in ("chunks", "shards"):
        lengths: Any = to_lengths_given(f"{place}[{key!r}]", one.get(key))
        if key == "shards" and lengths is None and found.chunks is not None and key in one:
            lengths = False  # xarray's word for chunks that are in no shards
        found = replace(found, **{key: lengths})
    if any(one.get(key) is not None for key in TIMES):
        found = replace(found, units=tuple(one.get(key) for key in TIMES))
    return found


def _with_fill(place: str, one: Mapping[str, Any], found: GivenEncoding) -> GivenEncoding:
    """A request with the fill value, which xarray has under two names."""
    fill, mask = (_item(one.get(key)) for key in ("fill_value", "_FillValue"))
    if fill is not None and mask is not None and not is_own_fill(fill, mask):
        raise InputError(
            f"{place} has the fill_value {brief(fill)} and the _FillValue {brief(mask)}; expected "
            "one of them"
        )
    return replace(found, fill_value=fill if mask is None else mask, is_mask=mask is not None)


def _item(value: Any) -> Any:
    """A number of Python in place of one of numpy, as attributes have."""
    is_numpy = isinstance(value, (np.generic, np.ndarray))
    return value.item() if is_numpy and value.size == 1 else value


def _number(place: str, value: Any) -> float:
    is_number = isinstance(value, (int, float, np.integer, np.floating))
    if not is_number or isinstance(value, bool) or not np.isfinite(float(value)):
        raise InputError(f"{place} is {brief(value)}; expected a finite number")
    return float(value)


def _compressors(place: str, value: Any, start: GivenEncoding) -> GivenEncoding:
    if isinstance(value, str) and value == AUTO:
        return replace(start, compressors=None, is_auto=True)
    found = () if value is None else codecs_of(place, value, "BytesBytesCodec")
    return replace(start, compressors=found, is_auto=False)


def recompressed(encoding: Encoding, level: int, usual: list[dict[str, Any]]) -> Encoding:
    """An encoding with zstd of a level in place of its compressors.

    Parameters
    ----------
    encoding : Encoding
        The encoding.
    level : int
        From -7, the fastest, to 22, the smallest.
    usual : list of dict
        The codecs of an output that has no encoding.
    """
    from zarr.abc.codec import BytesBytesCodec

    chain = encoding.codec_list() or usual
    kept = [codec for codec in chain if not isinstance(codec_of(codec), BytesBytesCodec)]
    codecs = [*kept, {"name": "zstd", "configuration": {"level": level, "checksum": True}}]
    return replace(encoding, codecs="" if codecs == usual else json.dumps(codecs), choice="")
