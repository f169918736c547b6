"""The values that a call fixes: the params, and the defaults of the parameters left out."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from swarmgrid import identity


@dataclass(frozen=True, slots=True)
class Defaults:
    """The default values of a function's parameters.

    ``f(2)`` and ``f(2, mode="fast")`` are one computation where ``"fast"`` is the default. So
    defaults count as params do, and one that was changed makes another grid, under a ``version=``
    too.
    """

    name: str
    """The function's."""
    values: Mapping[str, Any]
    """By parameter; the keyword arguments of a partial among them."""
    stored: Mapping[str, str] | None = None
    """The digests of the defaults of earlier code, by parameter, which replace those of now."""

    @classmethod
    def of(
        cls, func: Callable[..., Any], name: str, rng: str | None, ignore: Collection[str] = ()
    ) -> Defaults:
        """The defaults of a function that count; none where Python cannot tell its signature."""
        try:
            parameters = list(inspect.signature(func).parameters.values())
        except (TypeError, ValueError):
            parameters = []
        found = {p.name: p.default for p in parameters if p.default is not p.empty}
        found |= identity.keywords(func)
        module = name.rpartition(".")[0]
        left_out = {key for key in found if identity.is_ignored(key, module, ignore)} | {rng}
        return cls(name, {key: value for key, value in found.items() if key not in left_out})

    def filled(self, params: Mapping[str, Any], axes: Iterable[str]) -> dict[str, str]:
        """The digest of every value that stays the same at all points, by parameter.

        Raises
        ------
        IdentityError
            If a value is not understood.
        """
        given = {
            key: self._digest(key, identity.as_python(value), f"params[{key!r}]")
            for key, value in params.items()
        }
        return self.used(params, axes) | given

    def used(self, params: Mapping[str, Any], axes: Iterable[str]) -> dict[str, str]:
        """The digests of the defaults of the parameters that a call leaves out, by parameter."""
        given = {*axes, *params}
        if self.stored is not None:
            return {key: one for key, one in self.stored.items() if key not in given}
        return {
            key: self._digest(key, value, f"default {key!r} of {self.name}", is_reach=True)
            for key, value in self.values.items()
            if key not in given
        }

    def _digest(self, key: str, value: Any, place: str, *, is_reach: bool = False) -> str:
        if type(value) is object and value is self.values.get(key):
            return "a mark"  # MISSING = object(): it has no content, and stands for itself
        return identity.digest(value, place, is_reach=is_reach)
