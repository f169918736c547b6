"""The dependencies that users list besides code and params: packages, files and values."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from swarmgrid import identity
from swarmgrid.errors import InputError, brief

Kind = Literal["package", "file", "value"]


@dataclass(frozen=True, slots=True)
class Dependency:
    """One thing that results depend on."""

    name: str
    """The package's, the file's, or as the user calls it."""
    kind: Kind
    state: str
    """A package's version, or the digest of a file's content or of a value."""
    shown: str = ""
    """A value as people read it, shortened."""


@dataclass(frozen=True, slots=True)
class Depends:
    """Everything that a user lists."""

    items: tuple[Dependency, ...] = ()
    """By kind and name; two files of one name in the order given."""

    def __bool__(self) -> bool:
        return bool(self.items)

    def key(self) -> list[tuple[str, ...]]:
        """The part of it that is in the identity."""
        return [(item.kind, item.name, item.state) for item in self.items]

    def shown(self) -> dict[str, str]:
        """The text for people: by name, a package's version, or a digest; names are distinct."""
        found: dict[str, str] = {}
        for item in self.items:
            name = item.name
            for number in range(2, len(self.items) + 2):
                if name not in found:
                    break
                name = f"{item.name} ({number})"
            value = f"{item.shown}, " if item.shown else ""
            word = "version" if item.kind == "package" else "digest"
            found[name] = f"{item.kind}, {value}{word} {item.state}"
        return found


def to_depends(given: object) -> Depends:
    """Read the listed dependencies as they are now, files included.

    Parameters
    ----------
    given : None, str, Path, mapping, list or tuple
        The name of an installed package, the path of a file, a mapping from names to paths and
        values, or a list of these.

    Raises
    ------
    InputError
        If a package is not installed, a file cannot be read, or it is something else.
    IdentityError
        If a value is not understood.
    """
    if given is None:
        return Depends()
    items = given if isinstance(given, (list, tuple)) else [given]
    found = [one for item in items for one in _dependencies(item)]
    return Depends(tuple(sorted(found, key=lambda one: (one.kind, one.name))))


def _dependencies(item: object) -> list[Dependency]:
    if isinstance(item, str):
        return [_package(item)]
    if isinstance(item, Path):
        return [_file(item.name, item)]
    if isinstance(item, Mapping):
        return [_named(name, value) for name, value in item.items()]
    raise InputError(
        f"depends holds {brief(item)}; expected the name of an installed package, a pathlib.Path "
        "of a file, or a mapping from names to paths and values, such as depends={'seed': 3}"
    )


def _named(name: object, value: Any) -> Dependency:
    if not isinstance(name, str):
        raise InputError(f"depends has the key {brief(name)}; expected names")
    if isinstance(value, Path):
        return _file(name, value)
    if isinstance(value, str) and _is_file(value):
        raise InputError(
            f"depends[{name!r}] is the text {value!r}, and there is a file of that name; pass "
            f"pathlib.Path({value!r}), so that its content counts"
        )
    shown = brief(value)
    state = identity.digest(value, f"depends[{name!r}]")
    return Dependency(name, "value", state, shown if len(shown) <= 40 else f"{shown[:37]}...")


def _package(name: str) -> Dependency:
    import importlib.metadata  # it takes 20 ms, and few calls need it

    try:
        return Dependency(name, "package", importlib.metadata.version(name))
    except (importlib.metadata.PackageNotFoundError, ValueError):
        hint = f"pass a value by name, such as depends={{'name': {name!r}}}"
        if _is_file(name):
            hint = f"there is a file of that name: pass pathlib.Path({name!r})"
        raise InputError(
            f"depends names {name!r}, which is no installed distribution; {hint}"
        ) from None


def _file(name: str, path: Path) -> Dependency:
    if path.is_dir():
        raise InputError(
            f"depends names {str(path)!r}, which is a folder; list the files in it that count, "
            f"such as sorted(pathlib.Path({str(path)!r}).glob('*'))"
        )
    if not path.is_file():
        raise InputError(f"depends names the file {str(path)!r}, which is not there")
    try:
        with path.open("rb") as file:
            content = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16))
    except OSError as error:
        raise InputError(
            f"depends names the file {str(path)!r}, which cannot be read: {error}"
        ) from None
    return Dependency(name, "file", content.hexdigest())


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False
