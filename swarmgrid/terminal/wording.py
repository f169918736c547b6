"""The messages of the library in the words of the shell: options instead of Python's arguments."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_ARGUMENT = re.compile(
    r"(?P<before>\b(?:pass|with|or|let|use|by|as|in|another|[Ll]eave|values?,) )(?P<name>[a-z_]+)="
    r"(?P<value>True|'[^']*'|\"[^\"]*\"|\d[\w.]*|\{[^{}]*\}|\[[^\[\]]*\])?"
    r"|^(?P<first>[a-z_]+)(?= (?:is|names|has) )"
)
"""An argument that a message advises, or begins with; a label such as ``s=3`` is none."""
_SINGULAR = {"params": "param", "axes": "axis"}
"""By argument the parameter of a command that stands for one entry of it."""


def in_shell(text: str, options: Mapping[str, str]) -> str:
    """A message, with options of the shell for the arguments of Python that it names.

    Parameters
    ----------
    text : str
        The message, such as ``pass older_than='30d'``.
    options : mapping
        By argument the option, ``{"older_than": "--older-than"}``.

    Returns
    -------
    str
        Such as ``pass --older-than 30d``.
    """
    return _ARGUMENT.sub(lambda found: _option(found, options), text)


def _option(found: re.Match[str], options: Mapping[str, str]) -> str:
    name, before = found["name"] or found["first"], found["before"] or ""
    option = options.get(_SINGULAR.get(name, name))
    if option is None:
        return found[0]
    if found["value"] in {None, "True"}:
        return before + option
    try:
        value: Any = ast.literal_eval(found["value"])
    except (ValueError, SyntaxError):
        value = found["value"]
    if isinstance(value, dict):
        entries = [f"{key}={'...' if one in (..., [...]) else one}" for key, one in value.items()]
    else:
        entries = [str(one) for one in (value if isinstance(value, (set, list)) else [value])]
    return before + (" ".join(f"{option} {entry}" for entry in entries) or option)
