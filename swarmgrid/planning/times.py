"""Times of missing points: as a table by axis value, and as the time limit of a batch job."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.errors import InputError, brief

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Times:
    """The missing points along one axis, and their time."""

    labels: NDArray[Any]
    """``(n,)``: the requested values."""
    points: NDArray[np.int64]
    """``(n,)``: missing points at each."""
    seconds: NDArray[np.float64]
    """``(n,)``: their time inside the function."""

    def table(self, name: str, band: tuple[float, float]) -> pd.DataFrame:
        """Return the times with a row for each value of the axis."""
        import pandas as pd

        columns = {
            "points": self.points,
            "seconds": self.seconds,
            "low": self.seconds * band[0],
            "high": self.seconds * band[1],
        }
        return pd.DataFrame(columns, pd.Index(self.labels, name=name))


def slurm_time(seconds: float) -> str:
    """A time limit as Slurm takes it, ``1-02:30:00``, in whole minutes: one at least."""
    minutes = max(1, math.ceil(seconds / 60))
    days, rest = divmod(minutes, 24 * 60)
    return f"{f'{days}-' if days else ''}{rest // 60:02d}:{rest % 60:02d}:00"


def check_positive(name: str, value: Any, *, is_whole: bool) -> None:
    """Raise InputError where an option is no positive number."""
    kinds = (int, np.integer) if is_whole else (int, float, np.integer, np.floating)
    is_number = isinstance(value, kinds) and not isinstance(value, bool)
    if not is_number or not 0 < value < math.inf:
        what = "a whole number from 1" if is_whole else "a number above 0"
        raise InputError(f"{name} is {brief(value)}; expected {what}")
