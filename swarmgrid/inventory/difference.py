"""The difference of two grids: of their code line by line, of versions, params and axes."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from swarmgrid.inventory.row import GridRow
    from swarmgrid.records.code_record import CodePart

_MAX_LINES = 4
"""The changed lines of a function that a sentence shows."""
_MAX_TEXT = 60
_ABSENT = "nothing"
_PLAIN = {"int", "float", "complex", "str", "bytes", "bool", "NoneType"}


@dataclass(frozen=True, slots=True)
class CodeChange:
    """Code that differs between two grids."""

    __module__ = "swarmgrid"

    name: str
    """The qualified name of the function or class."""
    file: str
    """The name of its file, without folders."""
    diff: tuple[str, ...]
    """The lines that differ: ``-`` and the old one, ``+`` and the new one. None if no source is
    known."""

    def __str__(self) -> str:
        where = f" in {self.file}" if self.file else ""
        if not self.diff:
            return f"`{self.name}`{where} changed"
        shown = ", ".join(_shortened(line) for line in self.diff[:_MAX_LINES])
        more = len(self.diff) - _MAX_LINES
        return (
            f"`{self.name}`{where} changed ({shown}{f', {more} lines more' if more > 0 else ''})"
        )


@dataclass(frozen=True, slots=True)
class Difference:
    """The difference of two grids; made by `Grid.why`."""

    __module__ = "swarmgrid"

    code: tuple[CodeChange, ...] = ()
    """Functions and classes whose code differs."""
    values: tuple[str, ...] = ()
    """Other values that count as code and differ: globals, defaults, closure variables."""
    versions: tuple[str, str] | None = None
    """The versions, the old one first, where they differ and no code explains it."""
    functions: tuple[str, str] | None = None
    """The functions' names, where they differ."""
    params: Mapping[str, tuple[Any, Any]] | None = None
    """By name the two values of params that differ; one that is absent is ``"nothing"``."""
    axes: tuple[tuple[str, ...], tuple[str, ...]] | None = None
    """The names of the axes, where they differ."""

    def reasons(self) -> list[str]:
        """The differences, a short text for each."""
        found = []
        if self.functions:
            found.append(f"the function is {self.functions[1]}, not {self.functions[0]}")
        found += map(str, self.code)
        found += [f"{path} changed" for path in self.values]
        if self.versions:
            found.append(f"the version is {self.versions[1]}, not {self.versions[0]}")
        found += [_param(name, old, new) for name, (old, new) in (self.params or {}).items()]
        if self.axes:
            found.append(f"the axes are {_listed(self.axes[1])}, not {_listed(self.axes[0])}")
        return found

    def __str__(self) -> str:
        found = self.reasons()
        return "; ".join(found) if found else "they are alike in all that is known of them"


def difference(
    old: GridRow, new: GridRow, old_code: Sequence[CodePart], new_code: Sequence[CodePart]
) -> Difference:
    """The difference of two grids, by their rows and by the code that is kept of them."""
    params = {
        name: (old.params.get(name, _ABSENT), new.params.get(name, _ABSENT))
        for name in {**old.params, **new.params}
        if old.params.get(name, _ABSENT) != new.params.get(name, _ABSENT)
    }
    both_known = bool(old_code and new_code)
    code = _changed_code(old_code, new_code) if both_known else ()
    values = _changed_values(old_code, new_code, only_plain=True) if both_known else ()
    if both_known and not code and not values:
        values = _changed_values(old_code, new_code, only_plain=False)
    is_explained = bool(code or values)
    return Difference(
        code=code,
        values=values,
        versions=_pair(old.version, new.version) if not is_explained else None,
        functions=_pair(old.function, new.function),
        params=params or None,
        axes=_pair(tuple(old.axes), tuple(new.axes), key=sorted),
    )


def _pair(old: Any, new: Any, key: Any = lambda value: value) -> Any:
    return None if key(old) == key(new) else (old, new)


def _changed_code(
    old_parts: Sequence[CodePart], new_parts: Sequence[CodePart]
) -> tuple[CodeChange, ...]:
    """The code whose own text differs; of what it calls each is a change of its own."""
    old, new = ({p.path: p for p in parts if p.kind == "code"} for parts in (old_parts, new_parts))
    changes = []
    for path in {**old, **new}:
        before, after = old.get(path), new.get(path)
        if before is not None and after is not None and before.digest == after.digest:
            continue
        lines = difflib.unified_diff(_lines(before), _lines(after), lineterm="", n=0)
        diff = tuple(
            f"{line[0]}{line[1:].strip()}"
            for line in lines
            if line[:1] in {"-", "+"} and line not in {"--- ", "+++ "}
        )
        named = after or before
        file = "" if named is None else named.file
        changes.append(CodeChange(path.removeprefix("code of "), file, diff))
    return tuple(changes)


def _lines(part: CodePart | None) -> list[str]:
    return [] if part is None else part.source.splitlines()


def _changed_values(
    old_parts: Sequence[CodePart], new_parts: Sequence[CodePart], *, only_plain: bool
) -> tuple[str, ...]:
    """The paths of named values that differ.

    Where code or a plain value differs, so does whatever refers to it: those are left out then.
    """
    old, new = (
        {
            p.path: p.digest
            for p in parts
            if p.kind in _PLAIN or (not only_plain and p.kind not in {"code", "ignored"})
        }
        for parts in (old_parts, new_parts)
    )
    return tuple(path for path in {**old, **new} if old.get(path) != new.get(path))


def _param(name: str, old: Any, new: Any) -> str:
    if old == _ABSENT:
        return f"param {name} is new ({_brief(new)})"
    if new == _ABSENT:
        return f"{name} is no param any more (it was {_brief(old)})"
    return f"param {name} is {_brief(new)}, not {_brief(old)}"


def _brief(value: Any) -> str:
    return _shortened(value if isinstance(value, str) else repr(value))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 3]}..."
