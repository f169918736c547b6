"""A grid that a TOML or YAML file describes: its function, store, params, axes and options."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from swarmgrid.errors import InputError, brief
from swarmgrid.notation.values import read_text

SUFFIXES = (".toml", ".yaml", ".yml")
KEYS = ("function", "store", "storage_options", "params", "axes", "options", "where")
_MAPPINGS = ("storage_options", "params", "axes", "options")


@dataclass(frozen=True)
class Sweep:
    """The grid that a file describes; texts that are paths begin at the file's folder."""

    path: Path
    function: str | None = None
    store: str | None = None
    storage_options: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    axes: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    where: str | None = None


def is_sweep(text: str) -> bool:
    """Whether a text names a file that describes a grid."""
    return text.lower().endswith(SUFFIXES)


def read_sweep(text: str) -> Sweep:
    """Read the file of a sweep.

    Raises
    ------
    InputError
        If it cannot be read, or holds something else.
    """
    path = Path(text).expanduser().absolute()
    found = read_mapping(path)
    for key, value in found.items():
        if key not in KEYS:
            close = get_close_matches(str(key), KEYS, 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise _wrong(path, f"has the key {key!r}{hint} Known ones: {', '.join(KEYS)}")
        expected: Any = dict if key in _MAPPINGS else str
        if not isinstance(value, expected):
            what = "a table" if expected is dict else "a text"
            raise _wrong(path, f"has {brief(value)} as {key}; expected {what}")
    for key in _MAPPINGS:
        names = [name for name in found.get(key, {}) if not isinstance(name, str)]
        if names:
            raise _wrong(path, f"has {brief(names[0])} as a name in {key}; expected a text")
    store = found.get("store")
    if store is not None and "://" not in store:
        found["store"] = str(path.parent / Path(store).expanduser())
    return Sweep(path, **found)


def read_mapping(path: Path) -> dict[Any, Any]:
    """Read a file of TOML or YAML that holds a mapping; InputError if it does not."""
    content = read_text("the file", path)
    found = _toml(path, content) if path.suffix.lower() == ".toml" else _yaml(path, content)
    if not isinstance(found, dict):
        raise _wrong(path, f"holds {brief(found)}; expected names and values")
    return found


def _toml(path: Path, content: str) -> Any:
    try:
        return tomllib.loads(content)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise _wrong(path, f"is no TOML: {error}") from None


def _yaml(path: Path, content: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(content)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise _wrong(path, f"is no YAML: {' '.join(str(error).split())}") from None


def _wrong(path: Path, text: str) -> InputError:
    return InputError(f"{str(path)!r} {text}")
