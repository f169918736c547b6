"""The function of a grid's points, and how it is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class PointFunction:
    """A function of points, called as ``func(**params, **point)``."""

    func: Callable[..., Any]
    params: Mapping[str, Any] = field(default_factory=dict)
    """The fixed values."""
    vectorized: bool = False
    """Whether it takes a whole block, every axis as an array that broadcasts."""
    rng: str | None = None
    """The parameter that receives a random generator."""
    ignore: frozenset[str] = frozenset()
    """Names that do not count as its code: they may differ in a worker."""
