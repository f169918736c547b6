"""The tier on a device: decoded chunks in its memory, maybe of a lower precision.

Checksums are of exact values: a chunk is checked on the host, and converted after that.
"""

from __future__ import annotations

import contextlib
import os
import threading
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from swarmgrid.errors import InputError, brief
from swarmgrid.tiers.arrays import ArrayTier
from swarmgrid.tiers.policy import TierMetrics

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from numpy.typing import NDArray

    from swarmgrid.tiers.policy import TierPolicy

PRECISIONS = ("float16", "float32", "float64")
"""The dtypes that real numbers may have on a device."""


class Device(Protocol):
    """A device whose memory holds arrays: what `Tiered` and ``to_device`` need of one.

    ``"cuda"`` is a GPU by cupy, ``"cpu"`` the memory of this process by numpy. Another device is
    an object with these four.
    """

    @property
    def name(self) -> str:
        """A name such as ``"cuda:0"``: devices of one name are one."""

    @property
    def xp(self) -> Any:
        """The functions ``asarray``, ``empty`` and ``where`` for its arrays, as numpy has them.

        The arrays take slices and arrays of numpy as an index, and have ``transpose``.
        """

    def free_bytes(self) -> int:
        """The bytes of its memory that are free."""

    def use(self) -> contextlib.AbstractContextManager[object]:
        """Within a ``with`` block, the functions make arrays on this device."""


def opened(device: str | Device) -> Device:
    """The device of a name, or the one that was given.

    Raises
    ------
    InputError
        If there is no such device here, or cupy is not installed.
    """
    if not isinstance(device, str):
        if all(hasattr(device, name) for name in ("name", "xp", "free_bytes", "use")):
            return device
        raise InputError(
            f"device is {brief(device)}; expected a name, such as 'cuda:0' or 'cpu', or an "
            "object as swarmgrid.tiers.device.Device describes"
        )
    if device == "cpu":
        return _HOST
    kind, _, number = device.partition(":")
    if kind != "cuda" or not (number.isdecimal() or device == "cuda"):
        raise InputError(f"device is {device!r}; expected a name, such as 'cuda:0' or 'cpu'")
    from swarmgrid.tiers.cuda import cuda_device

    return cuda_device(int(number or 0))


class Host:
    """The memory of this process as a device, for arrays of a lower precision in numpy."""

    name, xp = "cpu", np

    def free_bytes(self) -> int:
        """The bytes of memory that nothing uses."""
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")

    def use(self) -> contextlib.AbstractContextManager[object]:
        """Nothing has to be made ready."""
        return contextlib.nullcontext()


_HOST = Host()


@dataclass(frozen=True, slots=True)
class Narrowed:
    """Values in another precision, and where that lost more than digits."""

    values: Any
    """On the host or on a device."""
    overflow: NDArray[np.bool_] | None = None
    """The places of finite numbers that became infinite; None: there are none."""
    underflow: NDArray[np.bool_] | None = None
    """The places of numbers that became zero; None: there are none."""

    def tell(
        self,
        pick: Callable[[Any], Any],
        is_asked: NDArray[np.bool_] | None,
        name: str,
        dtype: Any,
    ) -> None:
        """Raise InputError for values that overflow among those picked, and warn of zeros."""
        counts = []
        for mask in (self.overflow, self.underflow):
            found = np.zeros(0, bool) if mask is None else np.asarray(pick(mask))
            if is_asked is not None and found.size:
                own = (1,) * (found.ndim - is_asked.ndim)
                found = found & is_asked.reshape(is_asked.shape + own)
            counts.append(int(found.sum()))
        n_over, n_under = counts
        if n_over:
            raise InputError(
                f"{n_over} values of output {name!r} would be infinite as {dtype}, whose largest "
                f"number is {np.finfo(dtype).max}; pass a dtype of more digits, or scale the "
                "Dataset before to_device"
            )
        if n_under:
            warnings.warn(
                f"{n_under} values of output {name!r} are zero as {dtype}, whose least number is "
                f"{np.finfo(dtype).smallest_subnormal}; pass a dtype of more digits, or scale the "
                "Dataset before to_device",
                RuntimeWarning,
                stacklevel=2,
            )


def narrowed(values: NDArray[Any], dtype: str | None) -> Narrowed:
    """Values in a precision; what are no real numbers, such as integers, stays as it is."""
    if dtype is None or values.dtype.kind != "f" or values.dtype == dtype:
        return Narrowed(values)
    with np.errstate(over="ignore", under="ignore"):
        found = values.astype(dtype)
    overflow = np.isinf(found) & np.isfinite(values)
    underflow = (found == 0) & (values != 0)
    return Narrowed(
        found,
        overflow if overflow.any() else None,
        underflow if underflow.any() else None,
    )


def checked_dtype(dtype: Any) -> str | None:
    """The name of a precision; InputError if it is none."""
    if dtype is None:
        return None
    with contextlib.suppress(Exception):  # numpy has many for what is no dtype
        if np.dtype(dtype).name in PRECISIONS:
            return str(np.dtype(dtype).name)
    raise InputError(f"dtype is {brief(dtype)}; expected one of {', '.join(PRECISIONS)}, or None")


class DeviceTier:
    """Decoded chunks on a device.

    Parameters
    ----------
    device : str or Device
        The device; it is opened when it is first used, for a store may travel to where there is
        none.
    budget : int or None
        The most bytes of all copies. None: half of what is free when the device is first used.
    dtype : str or None
        The precision that ``to_device`` takes if it is told none.
    policy : TierPolicy
        The rules.
    place : callable
        As of `ArrayTier`.
    """

    def __init__(
        self,
        device: str | Device,
        budget: int | None,
        dtype: str | None,
        policy: TierPolicy,
        place: Callable[[], tuple[str, int]],
    ) -> None:
        self._given = device
        self.dtype = dtype
        self._budget = budget
        self._policy = policy
        self._place = place
        self._device: Device | None = None
        self._arrays: ArrayTier[Narrowed] | None = None
        self._early: list[tuple[list[str], int]] = []
        """The pins of the time before the device is opened."""
        self._lock = threading.Lock()

    @property
    def device(self) -> Device:
        """The device, opened."""
        if self._device is None:
            self._device = opened(self._given)
        return self._device

    def is_on(self, device: Device) -> bool:
        """Whether the tier is on a device; its own need not be here for that."""
        name = self._given if isinstance(self._given, str) else self._given.name
        return device.name in {name, name if ":" in name else f"{name}:0"}

    def get(self, key: str, rows: Hashable, dtype: str | None) -> Narrowed | None:
        """A chunk as of some rows in a precision; None if it is not there."""
        return self._open().values(key, (rows, dtype))

    def keep(self, key: str, rows: Hashable, dtype: str | None, values: NDArray[Any]) -> Narrowed:
        """Take a chunk of some rows to the device: it."""
        on_host = narrowed(values, dtype)
        moved = self.device.xp.asarray(on_host.values)
        found = Narrowed(moved, on_host.overflow, on_host.underflow)
        self._open().keep(key, (rows, dtype), found, int(moved.nbytes))
        return found

    def drop(self, key: str) -> None:
        """Forget a copy."""
        if self._arrays is not None:
            self._arrays.drop(key)

    def drop_below(self, prefix: str) -> None:
        """Forget all copies whose keys begin so."""
        if self._arrays is not None:
            self._arrays.drop_below(prefix)

    def pin(self, keys: Iterable[str], change: int) -> None:
        """Keep copies from eviction; ``-1`` takes that back."""
        with self._lock:
            if self._arrays is None:
                self._early.append((list(keys), change))
            else:
                self._arrays.pin(keys, change)

    def uses(self) -> list[tuple[str, float]]:
        """The keys of the copies, and when each was last used."""
        return [] if self._arrays is None else self._arrays.uses()

    def trim(self) -> None:
        """Drop what was not used for long."""
        if self._arrays is not None:
            self._arrays.trim()

    def clear(self) -> None:
        """Forget all copies."""
        if self._arrays is not None:
            self._arrays.clear()

    def metrics(self) -> TierMetrics:
        """The figures so far."""
        if self._arrays is None:
            return TierMetrics(budget=self._budget or 0)
        return self._arrays.metrics()

    def _open(self) -> ArrayTier[Narrowed]:
        with self._lock:
            if self._arrays is None:
                given = self._budget
                budget = self.device.free_bytes() // 2 if given is None else given
                self._arrays = ArrayTier(budget, self._policy, None, self._place, "hot_to_warm")
                for keys, change in self._early:
                    self._arrays.pin(keys, change)
            return self._arrays
