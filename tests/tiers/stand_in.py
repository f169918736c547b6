"""A device for tests: arrays in an array class of its own, which never become numpy's unasked."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np


class DeviceArray(np.lib.mixins.NDArrayOperatorsMixin):
    """An array "on a device": as cupy's, it refuses to become one of numpy's by itself."""

    def __init__(self, values: np.ndarray) -> None:
        self.on_host = values
        """What a test looks at; cupy calls it ``get()``."""

    @property
    def shape(self) -> tuple[int, ...]:
        return self.on_host.shape

    @property
    def ndim(self) -> int:
        return self.on_host.ndim

    @property
    def size(self) -> int:
        return self.on_host.size

    @property
    def dtype(self) -> np.dtype:
        return self.on_host.dtype

    @property
    def nbytes(self) -> int:
        return self.on_host.nbytes

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise TypeError("implicit conversion to a NumPy array is not allowed")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        return wrapped(getattr(ufunc, method)(*map(inner, inputs), **options))

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return wrapped(func(*[inner(arg) for arg in args], **kwargs))

    def __getitem__(self, key: Any) -> DeviceArray:
        return DeviceArray(np.asarray(self.on_host[key]))

    def __setitem__(self, key: Any, values: Any) -> None:
        assert isinstance(values, DeviceArray), "values on the host are put into a device's array"
        self.on_host[key] = values.on_host

    def transpose(self, *axes: Any) -> DeviceArray:
        return DeviceArray(self.on_host.transpose(*axes))

    def astype(self, dtype: Any, **_: Any) -> DeviceArray:
        return DeviceArray(self.on_host.astype(dtype))


def inner(value: Any) -> Any:
    return value.on_host if isinstance(value, DeviceArray) else value


def wrapped(value: Any) -> Any:
    return DeviceArray(value) if isinstance(value, np.ndarray) else value


class StandIn:
    """The device."""

    def __init__(self, name: str = "stand-in:0", free: int = 10**6) -> None:
        self.name = name
        self.free = free
        self.uploads: list[tuple[int, ...]] = []
        """The shapes of what came from the host."""
        self.is_in_use = 0

    @property
    def xp(self) -> StandIn:
        return self

    def asarray(self, values: Any) -> DeviceArray:
        assert self.is_in_use, "the device is not in use"
        assert not isinstance(values, DeviceArray)
        self.uploads.append(np.shape(values))
        return DeviceArray(np.array(values))

    def empty(self, shape: Any, dtype: Any) -> DeviceArray:
        assert self.is_in_use, "the device is not in use"
        return DeviceArray(np.full(shape, 77, dtype))  # as memory is: of something else

    def where(self, condition: Any, one: Any, other: Any) -> DeviceArray:
        return DeviceArray(np.where(condition.on_host, one.on_host, other.on_host))

    def free_bytes(self) -> int:
        return self.free

    @contextlib.contextmanager
    def use(self) -> Any:
        self.is_in_use += 1
        try:
            yield self
        finally:
            self.is_in_use -= 1
