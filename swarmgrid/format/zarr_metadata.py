"""Zarr v3 metadata documents: built and read as plain values, no I/O.

They are written out here, not by zarr, because a store must look the same whichever release
of zarr is installed; the tests hold them against zarr's own reading.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.format.codec import codecs
from swarmgrid.format.shard import inner_codecs, shard_codecs
from swarmgrid.outputs.encoding import Encoding
from swarmgrid.outputs.outputs import STRING, Output
from swarmgrid.space.names import checked_name
from swarmgrid.store.archive import Archive, marked, unmarked
from swarmgrid.store.checked_json import (
    Document,
    attributes_of,
    from_bytes,
    shortened,
    with_checksum,
)
from swarmgrid.store.layout import FORMAT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DEFAULT_KEYS, V2_KEYS = "default", "v2"
"""Zarr's two kinds of chunk keys: ``c.0.1`` and ``0.1``."""
MAX_DIMS = 64
"""Of numpy's arrays."""
CHECKSUMS = "swarmgrid_checksums"
"""The attribute of a coordinate that holds the checksums of its chunks' values."""

_TIME_ATTRS = {
    "datetime64[ns]": {
        "units": "nanoseconds since 1970-01-01",
        "calendar": "proleptic_gregorian",
    },
    "timedelta64[ns]": {"units": "nanoseconds", "dtype": "timedelta64[ns]"},
}
"""The attributes that tell times from integers (CF conventions, as xarray writes them)."""
ATTRS = "swarmgrid_attrs"
"""The attribute that holds those of the user's that would have a reader change the values."""
ENCRYPTION = "swarmgrid.aes_gcm"
"""The codec that encrypts."""
LAYOUT = "swarmgrid_layout"
"""The attribute of an output that counts how often its grid was laid out anew."""
ENCODING = "swarmgrid_encoding"
"""The attribute of an output that says what its stored values stand for."""
_INSTRUCTIONS = {
    *("calendar", "dtype", "missing_value", "scale_factor", "add_offset", "quantization"),
    *("coordinates", "bounds", "climatology", "cell_measures", "formula_terms", "grid_mapping"),
    *("geometry", "node_coordinates", "node_count", "part_node_count", "interior_ring"),
    *("ancillary_variables", "nodes", "flag_encoding"),
}
_TIME_UNITS = {
    *("days", "hours", "minutes", "seconds", "milliseconds", "microseconds", "nanoseconds"),
}


def array_document(
    dtype: str,
    shape: Sequence[int],
    chunk_shape: Sequence[int],
    dims: Sequence[str],
    attributes: Mapping[str, Any],
    separator: str = ".",
    inner: Sequence[int] | None = None,
    keys: str = DEFAULT_KEYS,
    encoding: Encoding | None = None,
    archive: Archive | None = None,
) -> Document:
    """The ``zarr.json`` of an array; with ``inner``, ``chunk_shape`` is that of its shards."""
    encoding = encoding or Encoding()
    stored = data_type(encoding.stored_dtype(dtype))
    fill = encoding.stored_fill(dtype)
    chain = encoding.codec_list()
    attributes = {**attributes, **_encoding_attributes(encoding, dtype, fill)}
    if dtype in _TIME_ATTRS:
        # NaT, as numpy and xarray store it
        fill = np.iinfo("int64").min
        attributes = {**attributes, **_TIME_ATTRS[dtype]}
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [int(n) for n in shape],
        "data_type": stored,
        "chunk_grid": {
            "name": "regular",
            # Zarr's chunks have lengths of 1 or more, also where the array has none
            "configuration": {"chunk_shape": [max(1, int(n)) for n in chunk_shape]},
        },
        "chunk_key_encoding": marked(
            {"name": keys, "configuration": {"separator": separator}}, archive
        ),
        "fill_value": _json_fill(fill),
        "codecs": [
            *((chain or codecs(stored)) if inner is None else shard_codecs(stored, inner, chain)),
            *([_encryption(encoding)] if encoding.key_id else []),
        ],
        "attributes": dict(attributes),
        "dimension_names": list(dims),
        "storage_transformers": [],
    }


def _encoding_attributes(encoding: Encoding, dtype: str, fill: Any) -> dict[str, Any]:
    """The attributes that say how values are packed, for us and for readers that follow CF."""
    own = {
        **({"dtype": dtype} if encoding.is_packed else {}),
        **({"fill_value": True} if encoding.fill_value is not None else {}),
        **({"lossy": encoding.lossy} if encoding.lossy else {}),
        **({"choice": encoding.choice} if encoding.choice else {}),
    }
    found: dict[str, Any] = {ENCODING: own} if own else {}
    if encoding.scale_factor is not None:
        found["scale_factor"] = encoding.scale_factor
    if encoding.add_offset is not None:
        found["add_offset"] = encoding.add_offset
    kinds = [np.dtype(one).kind for one in (dtype, encoding.dtype or dtype) if encoding.is_packed]
    if kinds in (["f", "i"], ["f", "u"]):
        found["_FillValue"] = int(fill)
    return found


def _encryption(encoding: Encoding) -> dict[str, Any]:
    """The codec that encrypts; after that of shards, as a shard is encrypted as a whole."""
    configuration = {"key_id": encoding.key_id, "array": encoding.array}
    return {"name": ENCRYPTION, "configuration": configuration}


def stored_encoding(document: Document) -> Encoding:
    """The encoding that an array document describes."""
    key: dict[str, Any] = {"key_id": "", "array": ""}
    if document["codecs"][-1]["name"] == ENCRYPTION:
        key = document["codecs"][-1]["configuration"]
        document = {**document, "codecs": document["codecs"][:-1]}
    attributes = document["attributes"]
    own = attributes.get(ENCODING, {})
    stored, codec = document["data_type"], document["codecs"][0]
    chain, usual = document["codecs"], codecs(stored)
    if codec["name"] == "sharding_indexed":
        chain = codec["configuration"]["codecs"]
        usual = inner_codecs(stored, codec["configuration"]["chunk_shape"])
    if chain != usual:
        for one in chain:
            _check_codec(one)
    dtype = own.get("dtype")
    return Encoding(
        codecs="" if chain == usual else json.dumps(chain),
        dtype=None if dtype in {None, stored} else str(stored),
        scale_factor=_scale(own, attributes, "scale_factor"),
        add_offset=_scale(own, attributes, "add_offset"),
        fill_value=_fill_of_json(document["fill_value"], stored) if "fill_value" in own else None,
        lossy=str(own.get("lossy", "")),
        choice=str(own.get("choice", "")),
        key_id=str(key["key_id"]),
        array=str(key["array"]),
    )


def _check_codec(codec: Any) -> None:
    """Raise ValueError where a document describes a codec that no writer would."""
    configuration = codec.get("configuration", {})
    if not isinstance(codec["name"], str) or not isinstance(configuration, dict):
        raise ValueError(f"{shortened(codec)} is no codec")
    level = configuration.get("level", 0)
    if codec["name"] == "zstd" and not (type(level) is int and -(2**17) <= level <= 22):
        raise ValueError(f"zstd has the level {shortened(level)}")


def _scale(own: Mapping[str, Any], attributes: Mapping[str, Any], name: str) -> float | None:
    return float(attributes[name]) if "dtype" in own and name in attributes else None


def plain_attributes(attributes: Mapping[str, Any], dtype: str) -> dict[str, Any]:
    """The user's attributes of an array, as its document holds them.

    To a reader that follows the CF conventions some are instructions, by which it would return
    other values than were computed: those lie in one attribute of ours, which no reader follows.
    """
    hidden = {k: v for k, v in attributes.items() if _is_instruction(k, v, dtype)}
    shown = {k: v for k, v in attributes.items() if k not in hidden}
    return {**shown, ATTRS: hidden} if hidden else shown


def _is_instruction(name: str, value: Any, dtype: str) -> bool:
    if name == "units":
        is_text = isinstance(value, str)
        return (
            dtype in _TIME_ATTRS or not is_text or "since" in value or value.lower() in _TIME_UNITS
        )
    return name.startswith(("_", "swarmgrid_")) or name in _INSTRUCTIONS


def group_document(
    attributes: Mapping[str, Any], arrays: Mapping[str, Document] | None = None
) -> Document:
    """The ``zarr.json`` of a group, with its arrays' documents consolidated in it."""
    document: Document = {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": dict(attributes),
    }
    if arrays is not None:
        document["consolidated_metadata"] = {
            "kind": "inline",
            "must_understand": False,
            "metadata": dict(arrays),
        }
    return document


def stored_axes(data: bytes) -> list[str] | None:
    """The names of a grid's axes, from its group's bytes; None if they are not of a grid."""
    try:
        return checked_names(attributes_of(from_bytes(data)).get("swarmgrid_axes"), "axes")
    except ValueError:
        return None


def stored_attributes(data: bytes) -> dict[str, Any]:
    """The attributes of a group, from its bytes; empty if they are not of one."""
    try:
        return dict(attributes_of(from_bytes(data)))
    except ValueError:
        return {}


def checked_names(names: Any, what: str) -> list[str]:
    """The names of axes, outputs or dims, as a document says them; ValueError if they are none.

    A name is a part of keys: it must not lead elsewhere.
    """
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"its {what} are {shortened(names)}; expected a list of names")
    if len({*names}) < len(names):
        raise ValueError(f"its {what} are {shortened(names)}; expected different names")
    for name in names:
        checked_name("an array", name)
    return names


def is_group(data: bytes | None) -> bool:
    """Whether some bytes are the document of a group of Zarr format 3."""
    try:
        document = from_bytes(data or b"")
    except ValueError:
        return False
    return document.get("node_type") == "group" and document.get("zarr_format") == 3


def rebuilt_group(
    arrays: Mapping[str, Document],
    attributes: Mapping[str, Any],
    axes: Sequence[str],
    outputs: Sequence[str],
) -> Document | None:
    """The document of a grid's group, rebuilt from those of its arrays; None if one is missing.

    Where a crash left the arrays' shapes apart, the axes' own are right: their chunks are written
    before any document, and points that the outputs lack are not computed.
    """
    if any(name not in arrays for name in (*axes, *outputs)):
        return None
    lengths = {axis: arrays[axis]["shape"][0] for axis in axes}
    whole = {}
    for name, document in arrays.items():
        dims = document["dimension_names"]
        shape = [lengths.get(d, n) for d, n in zip(dims, document["shape"], strict=True)]
        whole[name] = {**document, "shape": shape}
    # a kill may have left some marked: the archive is whole from before that until after it
    archive = next((one for one in map(stored_archive, whole.values()) if one), None)
    for name in outputs if archive else ():
        key_encoding, _ = unmarked(whole[name]["chunk_key_encoding"])
        whole[name] = {**whole[name], "chunk_key_encoding": marked(key_encoding, archive)}
    own = {
        **attributes,
        "swarmgrid_format": FORMAT,
        "swarmgrid_axes": list(axes),
        "swarmgrid_outputs": list(outputs),
    }
    return with_checksum(group_document(own, whole))


def stored_output(document: Document, n_axes: int) -> Output:
    """The output that an array document describes, without the grid's first ``n_axes`` dims."""
    attributes, dtype = dict(document["attributes"]), stored_dtype(document)
    attributes.pop(LAYOUT, None)
    if "dtype" in attributes.pop(ENCODING, {}):
        for name in ("scale_factor", "add_offset", "_FillValue"):
            attributes.pop(name, None)
    for name in _TIME_ATTRS.get(dtype, ()):
        del attributes[name]
    attributes |= attributes.pop(ATTRS, {})
    return Output(
        dims=tuple(document["dimension_names"][n_axes:]),
        shape=tuple(document["shape"][n_axes:]),
        dtype=dtype,
        attrs=attributes,
    )


def stored_dtype(document: Document) -> str:
    """The name of the dtype of an array's values: of times, as their attributes say.

    Of a packed array its encoding says it. Any other is stored under its own name; see
    `check_bounds`, which knows all of them.
    """
    attributes = document["attributes"]
    dtype = attributes.get(ENCODING, {}).get("dtype", document["data_type"])
    if dtype == "int64":
        for name, attrs in _TIME_ATTRS.items():
            if attrs.items() <= attributes.items():
                return name
    return str(dtype)


def stored_layout(document: Document) -> int:
    """The number of times that an output was laid out anew; ValueError if it is no count."""
    found = document["attributes"].get(LAYOUT, 0)
    if type(found) is not int or not 0 <= found < 2**31:
        raise ValueError(f"its layout is {shortened(found)}")
    return found


def keys(document: Document) -> str:
    """Of which kind the array's chunk keys are; ValueError if we know none such."""
    found = unmarked(document["chunk_key_encoding"])[0]["name"]
    if found not in {DEFAULT_KEYS, V2_KEYS}:
        raise ValueError(f"its chunk keys are of the kind {shortened(found)}")
    return str(found)


def separator(document: Document) -> str:
    """The separator of the parts of the array's chunk keys."""
    return str(unmarked(document["chunk_key_encoding"])[0]["configuration"]["separator"])


def stored_archive(document: Document) -> Archive | None:
    """The archive that has the chunks of an array; None: they are in this store."""
    return unmarked(document["chunk_key_encoding"])[1]


def chunk_shape(document: Document) -> tuple[int, ...]:
    """The shape of what is stored in one object: a chunk or, of a sharded array, a shard."""
    return tuple(document["chunk_grid"]["configuration"]["chunk_shape"])


def inner_shape(document: Document) -> tuple[int, ...] | None:
    """The shape of the chunks within a shard; None where chunks are objects of their own."""
    codec = document["codecs"][0]
    if codec["name"] != "sharding_indexed":
        return None
    return tuple(codec["configuration"]["chunk_shape"])


def data_type(dtype: str) -> str:
    """The ``data_type`` that values of a dtype are stored as: times are integers."""
    return "int64" if dtype in _TIME_ATTRS else dtype


def _json_fill(fill: Any) -> Any:
    """A fill value as Zarr's format 3 has it."""
    if isinstance(fill, (complex, np.complexfloating)):
        return [_json_float(fill.real), _json_float(fill.imag)]
    if isinstance(fill, (float, np.floating)):
        return _json_float(fill)
    return fill if isinstance(fill, (bool, str)) else int(fill)


def _json_float(fill: Any) -> Any:
    if np.isnan(fill):
        return "NaN"
    if np.isinf(fill):
        return "Infinity" if fill > 0 else "-Infinity"
    return float(fill)


def _fill_of_json(fill: Any, dtype: str) -> Any:
    if dtype == STRING or isinstance(fill, bool):
        return fill
    if isinstance(fill, list):
        return complex(*map(float, fill))
    return float(fill) if np.dtype(dtype).kind == "f" else int(fill)
