"""What the long run adds: more cases of a test, and more examples of a property.

The default run has the first cases of a table, the marker ``long`` has the others; properties look
further with ``--hypothesis-profile=long``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

EXAMPLES, LONG_EXAMPLES = 8, 120
"""Examples of a property that says nothing else, in the default run and in the long one."""
USUAL = 50
"""Of so many, `examples` takes the part that the run has."""

_everywhere = settings(
    deadline=None,  # a busy machine is no failure
    # nor is one on which examples are slow to draw, or a draw of which little passes a filter
    suppress_health_check=[
        *(HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much),
        *(HealthCheck.large_base_example, HealthCheck.function_scoped_fixture),
    ],
    print_blob=True,
)
# the default run looks at the same examples each time: what it finds comes of what was changed
settings.register_profile("default", _everywhere, max_examples=EXAMPLES, derandomize=True)
settings.register_profile("long", _everywhere, max_examples=LONG_EXAMPLES)
settings.load_profile("default")


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
