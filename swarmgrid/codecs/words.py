"""Encodings in words, for plans, summaries and errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swarmgrid.outputs.encoding import Encoding

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from swarmgrid.outputs.outputs import Output, Schema

_PLAIN = {"bytes", "vlen-utf8"}


def codec_in_words(codec: Mapping[str, Any]) -> str:
    """A codec of a document in words: ``zstd(level=5)``."""
    configuration = dict(codec.get("configuration") or {})
    shown = ", ".join(
        f"{key}={value}"
        for key, value in configuration.items()
        # a list: a value may be one, as the order of a transposition is
        if (key, value) not in [("checksum", True), ("endian", "little"), ("blocksize", 0)]
    )
    return f"{codec['name']}({shown})" if shown else str(codec["name"])


def in_words(encoding: Encoding, output: Output, *, is_raw: bool = False) -> str:
    """An encoding in words: the stored dtype and the codecs; ``is_raw``: the usual are none."""
    codecs = [codec for codec in encoding.codec_list() if codec["name"] not in _PLAIN]
    chain = ", ".join(map(codec_in_words, codecs)) or "no compressor"
    if not encoding.codecs:
        usual = "no compressor" if is_raw else "zstd(level=1)"
        chain = "codecs to be chosen by the first chunks" if encoding.is_open else usual
    packing = encoding.packing(output.dtype) or encoding.stored_dtype(output.dtype)
    fill = "" if encoding.fill_value is None else f", missing points as {encoding.fill_value}"
    return f"{packing}, {chain}{fill}"


def described(encoding: Encoding, output: Output, *, is_raw: bool = False) -> str:
    """An encoding in words, with what it loses and why it was chosen."""
    text = in_words(encoding, output, is_raw=is_raw)
    if encoding.key_id:
        text += f", encrypted with the key {encoding.key_id}"
    if encoding.lossy:
        text += f"; lossy: {encoding.lossy}"
    return text + (f" ({encoding.choice})" if encoding.choice else "")


def encodings_in_words(schema: Schema, raw: Collection[str] = ()) -> dict[str, str]:
    """The encoding of every output, in words; ``raw`` are those whose usual codecs are none."""
    usual = Encoding()
    return {
        name: described(schema.encodings.get(name, usual), output, is_raw=name in raw)
        for name, output in schema.outputs.items()
    }
