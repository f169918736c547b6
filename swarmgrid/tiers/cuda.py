"""GPUs of CUDA, by cupy: the one module that imports it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from swarmgrid.errors import InputError


@dataclass(frozen=True, slots=True)
class CudaDevice:
    """One GPU."""

    number: int
    xp: Any
    """The module cupy."""

    @property
    def name(self) -> str:
        """Its name, such as ``"cuda:0"``."""
        return f"cuda:{self.number}"

    def free_bytes(self) -> int:
        """The bytes of its memory that are free: for CUDA, and in the pool that cupy keeps."""
        with self.xp.cuda.Device(self.number):
            free = int(self.xp.cuda.runtime.memGetInfo()[0])
            return free + int(self.xp.get_default_memory_pool().free_bytes())

    @contextlib.contextmanager
    def use(self) -> Iterator[None]:
        """Within a ``with`` block, cupy makes arrays on this device, which are whole after it.

        All threads use the device's default stream, so that what one has moved there is whole
        when another, which finds it in the tier, uses it. Callers may have streams of their own,
        which wait for no other: hence the wait at the end.
        """
        stream = self.xp.cuda.Stream.null
        with self.xp.cuda.Device(self.number), stream:
            yield
            stream.synchronize()


def cuda_device(number: int) -> CudaDevice:
    """The GPU of a number.

    Raises
    ------
    InputError
        If cupy is not installed, or there is no such GPU.
    """
    asked = f"device 'cuda:{number}'"
    try:
        import cupy
    except ImportError as error:
        raise InputError(
            f"{asked} needs cupy, which cannot be imported ({error}); "
            "pip install 'swarmgrid-zarr[gpu]' on a machine with a GPU of CUDA"
        ) from error
    try:
        n = int(cupy.cuda.runtime.getDeviceCount())
    except Exception as error:  # of CUDA's own kind, which cupy has under several names
        raise InputError(
            f"{asked} is not there: CUDA says {str(error).partition(chr(10))[0]!r}. Run on a "
            "machine with a GPU and its driver, or leave out device="
        ) from error
    if number >= n:
        raise InputError(f"{asked} is not there; expected a number below {n}")
    return CudaDevice(number, cupy)
