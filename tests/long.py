"""What the long run adds: more cases of a test, and more examples of a property.

The default run has the first cases of a table, the marker ``long`` has the others; properties look
further with ``--hypothesis-profile=long``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import settings

EXAMPLES, LONG_EXAMPLES = 8, 120
"""Examples of a property that says nothing else, in the default run and in the long one."""
USUAL = 50
"""Of so many, `examples` takes the part that the run has."""

settings.register_profile("default", deadline=None, max_examples=EXAMPLES, print_blob=True)
settings.register_profile("long", deadline=None, max_examples=LONG_EXAMPLES, print_blob=True)
settings.load_profile("default")  # without deadlines: a busy machine is no failure


def first(n: int, cases: Iterable[Any]) -> list[Any]:
    """The cases of a table, of which all but the first ``n`` run only when asked for."""
    found = list(cases)
    return [*found[:n], *(_long(case) for case in found[n:])]


def pairs(longer: Sequence[Any], shorter: Sequence[Any]) -> list[tuple[Any, Any]]:
    """All pairs of two tables; the first ``len(longer)`` of them have every entry of both."""
    n = len(shorter)
    return [(one, shorter[(i + k) % n]) for k in range(n) for i, one in enumerate(longer)]


def _long(case: Any) -> Any:
    if hasattr(case, "marks"):  # a `pytest.param`
        return case._replace(marks=(*case.marks, pytest.mark.long))
    values = case if isinstance(case, tuple) else (case,)
    return pytest.param(*values, marks=pytest.mark.long)


def examples(n: int) -> int:
    """Out of so many examples of a property those that the default run has, or more."""
    return max(1, n * settings().max_examples // USUAL)
