"""Events are values that no observer can change, and every observer takes all of them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from swarmgrid.observe.counts import Counts
from swarmgrid.observe.log import RunLog
from swarmgrid.observe.progress import Progress
from swarmgrid.policies.task_size import CostModel
from tests.observe.test_log import CASES

if TYPE_CHECKING:
    from swarmgrid.observe.events import Event, Observer


@pytest.mark.parametrize("event", [event for event, _ in CASES.values()], ids=CASES)
def test_an_event_cannot_be_changed(event: Event) -> None:
    member = dataclasses.fields(event)[0].name  # type: ignore[arg-type]
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(event, member, None)
    assert not hasattr(event, "__dict__")


def test_every_observer_takes_every_event() -> None:
    observers: list[Observer] = [
        Counts(total=9, requested=9, missing=5, failed=0),
        CostModel(),
        RunLog(None),
        Progress(0),
    ]
    for event, _ in CASES.values():
        for observer in observers:
            assert observer(event) is None  # type: ignore[func-returns-value]
