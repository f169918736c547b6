"""Codecs as a user gives them: objects of zarr or numcodecs, dicts, or names."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.codecs.pipeline import MissingCodecError, chunk_spec, codec_of
from swarmgrid.errors import InputError, brief

if TYPE_CHECKING:
    from collections.abc import Sequence

_SPECIFIED = {"zstd": "zstd", "gzip": "gzip", "blosc": "blosc", "crc32c": "crc32c"}
"""Codecs of numcodecs that Zarr's format 3 has under a name of its own."""
_SHUFFLES = {0: "noshuffle", 1: "shuffle", 2: "bitshuffle"}


def codecs_of(place: str, value: Any, kind: str) -> tuple[Any, ...]:
    """Some codecs of one kind, as Zarr's objects."""
    import zarr.abc.codec
    import zarr.codecs

    from swarmgrid.codecs.aes_gcm import AesGcm

    several = value if isinstance(value, (list, tuple)) else (value,)
    found = tuple(_codec(place, one) for one in several)
    expected = getattr(zarr.abc.codec, kind)
    words = {
        "ArrayArrayCodec": "filters, which make arrays of arrays",
        "ArrayBytesCodec": "a serializer, which makes bytes of an array",
        "BytesBytesCodec": "compressors, which make bytes of bytes",
    }
    for codec in found:
        if not isinstance(codec, expected):
            raise InputError(f"{place} has {brief(codec)}; expected {words[kind]}")
        if isinstance(codec, zarr.codecs.ShardingCodec):  # readers would take it for our shards
            raise InputError(f"{place} has {brief(codec)}; say the option shards= instead")
        if isinstance(codec, AesGcm):
            raise InputError(f"{place} has {brief(codec)}; say the option key= instead")
    if kind == "ArrayBytesCodec" and len(found) != 1:
        raise InputError(f"{place} is {brief(value)}; expected one codec")
    return found


def _codec(place: str, value: Any) -> Any:
    """One codec, given as Zarr's or numcodecs' object, as a dict or by its name."""
    if isinstance(value, type):
        raise InputError(f"{place} has the class {value.__name__}; expected {value.__name__}(...)")
    if hasattr(value, "evolve_from_array_spec"):
        return value
    if isinstance(value, str):
        value = {"name": value}
    if hasattr(value, "get_config"):
        value = value.get_config()
    if isinstance(value, Mapping) and "id" in value and "name" not in value:
        value = _of_numcodecs(dict(value))
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        raise InputError(
            f"{place} has {brief(value)}; expected a codec: an object of zarr.codecs or of "
            "numcodecs, {'name': ..., 'configuration': {...}}, or a name such as 'zstd'"
        )
    return _made(place, value)


def _made(place: str, value: Mapping[str, Any]) -> Any:
    """The codec of a dict with its name and configuration."""
    codec = {"name": value["name"], "configuration": dict(value.get("configuration") or {})}
    if {*value} - {"name", "configuration"}:
        raise InputError(
            f"{place} has {brief(dict(value))}; expected the members 'name' and 'configuration'"
        )
    try:
        made = codec_of(codec)
        getattr(made, "_codec", None)  # zarr makes those of numcodecs when they are first used
    except MissingCodecError:
        name, known = codec["name"].lower(), [*known_codecs(), "auto"]
        if name in {"none", ""}:
            text = f"{place} has {codec['name']!r}; expected None for no codec"
            raise InputError(text) from None
        close = [one for one in known if one == f"numcodecs.{name}"]  # 'lz4' is close to none
        close = close or get_close_matches(name, known, 1)
        hint = f". Did you mean {close[0]!r}?" if close else ""
        raise InputError(
            f"{place} has the codec {codec['name']!r}, which is not installed; its package would "
            f"enter it as an entry point of the group zarr.codecs{hint}"
        ) from None
    except Exception as error:  # noqa: BLE001  # each codec has checks of its own
        package = codec["name"].removeprefix("numcodecs.")
        hint = f"; pip install {package}" if "codec not available" in str(error) else ""
        raise InputError(f"{place} has {brief(codec)}: {error}{hint}") from None
    return made


def known_codecs() -> list[str]:
    """The names of the codecs that are installed."""
    import zarr.registry

    own = vars(zarr.registry)
    names = own.get("_codec_registries") or own.get("__codec_registries") or {}
    return [name for name, found in names.items() if found or found.lazy_load_list]


def _of_numcodecs(config: dict[str, Any]) -> dict[str, Any]:
    """A codec of numcodecs as Zarr's format 3 names it."""
    name = str(config.pop("id"))
    config = {key: value for key, value in config.items() if value is not None}
    if name not in _SPECIFIED:
        return {"name": f"numcodecs.{name}", "configuration": config}
    if name == "blosc":
        config.pop("typesize", None)
        shuffle = _SHUFFLES.get(config.pop("shuffle", 1))
        config |= {"shuffle": shuffle} if shuffle else {}
    return {"name": _SPECIFIED[name], "configuration": config}


def as_in_document(
    chain: Sequence[Any], stored: str, shape: tuple[int, ...]
) -> list[dict[str, Any]]:
    """The codecs as a Zarr document has them, once they know the dtype and shape."""
    found: list[dict[str, Any]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spec = chunk_spec(stored, shape)
        for given in chain:
            if given is None or type(given).__name__ == "VLenUTF8Codec":
                found.append({"name": "vlen-utf8"})
                continue
            try:
                codec = given.evolve_from_array_spec(spec)
                spec = codec.resolve_metadata(spec)
            except Exception as error:  # noqa: BLE001  # each codec has checks of its own
                raise InputError(f"{brief(given)} cannot be used for {stored}: {error}") from None
            found.append(plain(codec.to_dict()))
    return found


def plain(codec: Mapping[str, Any]) -> dict[str, Any]:
    """A codec as JSON, its enums as text."""
    found: dict[str, Any] = json.loads(json.dumps(codec, default=_as_json))
    return found


def _as_json(value: Any) -> Any:
    if hasattr(value, "value"):
        return value.value
    if isinstance(value, np.generic):
        return value.item()
    return str(value)
