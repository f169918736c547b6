"""The params of a grid as JSON for people; any value can be shown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_TEXT = 200
"""Longer texts of values that JSON does not know are cut."""
MAX_DEPTH = 20
"""Containers nested deeper are shown as text."""
MAX_ITEMS = 16
"""Larger arrays are shown as text."""


def shown_params(params: Mapping[str, Any]) -> str:
    """The params as JSON; keys and values that JSON does not know appear as short text."""
    return json.dumps(_plain(dict(params), 0), sort_keys=True)


def _plain(value: Any, depth: int) -> Any:
    """A value made of what JSON knows."""
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value) if abs(value) < 2**64 else _text(value)
    if isinstance(value, (np.bool_, np.integer, np.floating)) and value.nbytes <= 8:
        return value.item()
    if depth >= MAX_DEPTH:
        return _text(value)
    if isinstance(value, dict):
        is_named = all(isinstance(key, str) for key in value)
        return {
            str.__str__(key) if is_named else _text(key): _plain(item, depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, np.ndarray) and value.size <= MAX_ITEMS and value.dtype.kind in "biufU":
        return _plain(value.tolist(), depth + 1)
    return _text(value)


def _text(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001  # any class may raise anything; this text is for people
        text = f"<{type(value).__qualname__}>"
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 3]}..."
