"""Chooses compressors for an output by measuring them on its first chunk."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.codecs.pipeline import pipeline
from swarmgrid.outputs.outputs import STRING
from swarmgrid.readable import nbytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from swarmgrid.outputs.encoding import Encoding

BYTES_PER_SECOND = 200e6
"""Of a disk or network between the plain and the fast ones: the price of a stored byte."""
WORTH = 0.9
"""Of the usual codec's cost, below which another one is chosen: measurements are not exact."""
MAX_MEASURED = 2**22
"""Bytes that are measured; of a larger chunk a part."""
_TRIES = 3


def candidates(dtype: str) -> list[list[dict[str, Any]]]:
    """The compressors that are tried: the usual one first."""
    width = 1 if dtype == STRING else np.dtype(dtype).itemsize
    shuffle = "bitshuffle" if width == 1 else "shuffle"
    blosc = {"typesize": width, "shuffle": shuffle, "blocksize": 0}
    return [
        [{"name": "zstd", "configuration": {"level": 1, "checksum": True}}],
        [{"name": "zstd", "configuration": {"level": 7, "checksum": True}}],
        [{"name": "blosc", "configuration": {**blosc, "cname": "lz4", "clevel": 5}}],
        [{"name": "blosc", "configuration": {**blosc, "cname": "zstd", "clevel": 5}}],
        [],
    ]


def chosen(
    encoding: Encoding,
    stored: NDArray[Any],
    dtype: str,
    usual: list[dict[str, Any]],
    clock: Callable[[], float] = time.perf_counter,
) -> Encoding:
    """The encoding with the compressors that cost least, by the time and room that they take.

    Parameters
    ----------
    encoding : Encoding
        The encoding, whose compressors are open.
    stored : array
        Stored values of a first chunk.
    dtype : str
        Their dtype.
    usual : list of dict
        The codecs of an output that has no encoding.
    clock : callable
        Seconds.
    """
    chain = encoding.codec_list() or usual
    before = [codec for codec in chain if codec not in candidates(dtype)[0]]
    flat = stored.reshape(-1)
    width = 32 if dtype == STRING else np.dtype(dtype).itemsize
    flat = flat[: max(1, MAX_MEASURED // width)]
    found = []
    for compressors in candidates(dtype):
        codecs = [*before, *compressors]
        # filters of several dims see a chunk of one: what they make of it costs about the same
        made = pipeline(
            json.dumps([c for c in codecs if c["name"] != "transpose"]), dtype, flat.shape
        )
        seconds = []
        for _ in range(_TRIES):
            start = clock()
            (data,) = made.encoded([flat])
            made.decoded([data])
            seconds.append(clock() - start)
        cost = min(seconds) + 2 * len(data) / BYTES_PER_SECOND
        words = _short(compressors)
        found.append((cost, len(data), words, codecs))
    best = min(found, key=lambda one: one[0])
    best = best if best[0] < WORTH * found[0][0] else found[0]
    size = flat.nbytes if dtype != STRING else found[-1][1]
    sizes = ", ".join(f"{words} {100 * n / max(size, 1):.0f}%" for _, n, words, _ in found)
    choice = f"{best[2]} costs least, measured on the first {nbytes(size)}: {sizes} of the size"
    codecs_text = "" if best[3] == usual else json.dumps(best[3])
    return replace(encoding, codecs=codecs_text, choice=choice, is_open=False)


def _short(compressors: list[dict[str, Any]]) -> str:
    """The compressors that were tried, in few words."""
    if not compressors:
        return "none"
    (codec,) = compressors
    configuration = codec["configuration"]
    detail = configuration.get("cname", configuration.get("level"))
    return f"{codec['name']} {detail}"
