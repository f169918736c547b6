"""The progress of a run, in the words and numbers that people use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmgrid.readable import duration

if TYPE_CHECKING:
    from swarmgrid.observe.diagnostics import Diagnostics
    from swarmgrid.observe.events import Moment, RunStarted

_UNITS = (("s", 60), ("min", 60), ("h", 24), ("d", 0))


def closing_line(function: str, done: Diagnostics) -> str:
    """The counts of a run, in one line."""
    return f"{function}: {done}"


def counted(started: RunStarted, moment: Moment) -> str:
    """The number of points of each kind: ``32/60, 36 begun, 1 failed``."""
    parts = [f"{moment.settled:,}/{started.points:,}"]
    if moment.begun > moment.settled:
        parts.append(f"{moment.begun:,} begun")
    if moment.failed:
        parts.append(f"{moment.failed:,} failed")
    return ", ".join(parts)


def timed(moment: Moment) -> str:
    """The times of a run: ``12 s, 11 s left, 2.7 points/s, 4 workers``."""
    parts = [duration(int(moment.seconds))]
    if moment.stage != "computing":
        parts.append(moment.stage)
    elif moment.seconds_left is not None:
        parts.append(f"{duration(moment.seconds_left)} left")
    parts.append(rate(moment.computed, moment.seconds))
    parts.append(f"{moment.workers:,} worker" + "s" * (moment.workers != 1))
    return ", ".join(filter(None, parts))


def sentence(started: RunStarted, moment: Moment) -> str:
    """The progress of a run, in the words of a log."""
    part = moment.settled / started.points if started.points else 1.0
    return f"{part:.0%} of the points ({counted(started, moment)}) after {timed(moment)}"


def rate(points: int, seconds: float) -> str:
    """The rate of points: per second, or else the time that one takes.

    Examples
    --------
    >>> rate(30_000, 2.0), rate(5, 2.0), rate(1, 4.2), rate(2, 300.0), rate(1, 9000.0)
    ('15,000 points/s', '2.5 points/s', '4.2 s/point', '2.5 min/point', '2.5 h/point')
    """
    if points <= 0 or seconds <= 0:
        return ""
    if points >= seconds:
        return f"{_digits(points / seconds)} points/s"
    each, unit = seconds / points, "s"
    for unit, size in _UNITS:  # noqa: B007  # the unit is what is looked for
        if not size or each < size:
            break
        each /= size
    return f"{_digits(each)} {unit}/point"


def _digits(value: float) -> str:
    """A number that is not small, as short as it is useful."""
    return f"{value:.1f}" if value < 99.5 else f"{value:,.0f}"
