"""The tiers that a user asks for: which there are, and how large each is."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarmgrid.errors import InputError, brief
from swarmgrid.quantities import size_bytes
from swarmgrid.tiers.device import checked_dtype, opened
from swarmgrid.tiers.recoding import DECODED, STORED, to_codec

if TYPE_CHECKING:
    from swarmgrid.store.location import Location
    from swarmgrid.tiers.recoding import TierCodec

_SHARED = Path("/dev/shm")  # noqa: S108  # memory that processes share, where Linux has it


@dataclass(frozen=True)
class TierSizes:
    """The tiers that a store has, and how large each is; 0 bytes: it has none."""

    ram: int = 0
    is_decoded: bool = False
    """Whether the memory holds decoded chunks."""
    ram_codec: TierCodec | None = None
    """The codec of the copies in memory; None: they are as they come."""
    shared_ram: str = ""
    """The folder of a tier in memory that the processes of a machine share."""
    disk: int = 0
    disk_folder: str = ""
    disk_codec: TierCodec | None = None
    pools: Mapping[str, int] = field(default_factory=dict)
    device: Any = None
    """The device's name, or the `Device`; None: there is none."""
    device_bytes: int | None = None
    device_dtype: str | None = None

    @property
    def largest(self) -> int:
        """The bytes of the largest tier of chunks as they are read."""
        return max(self.ram, self.disk)


def to_sizes(
    location: Location,
    ram: Any,
    disk: Any,
    device: Any,
    pools: Mapping[str, str | int] | None,
    *,
    is_shared: bool,
) -> TierSizes:
    """The tiers that the arguments of `swarmgrid.Tiered` describe.

    Raises
    ------
    InputError
        If there is none, an argument cannot be understood, or there is no such device here.
    """
    if ram is None and disk is None and device is None:
        raise InputError(
            "there is no tier; pass ram='2GB', disk=('/scratch/me', '50GB') or device='cuda:0'"
        )
    ram_bytes, is_decoded, ram_codec = _ram(ram)
    folder, disk_bytes, disk_codec = _disk(location, disk)
    if not ram_bytes and not disk_bytes and device is None:
        raise InputError("all tiers have 0 bytes; expected one with some, such as ram='2GB'")
    if is_shared and not ram_bytes:
        raise InputError(
            "shared=True is said of the copies in memory, and there are none; expected ram='2GB', "
            "or shared=False: the processes of a machine share the disk anyway"
        )
    if is_shared and is_decoded:
        raise InputError(
            "shared=True holds bytes that processes share; leave out 'decoded', or say "
            "ram=(..., []) for values that are not compressed"
        )
    return TierSizes(
        ram_bytes,
        is_decoded,
        ram_codec,
        _shared_folder(location) if is_shared else "",
        disk_bytes,
        folder,
        disk_codec,
        _pools(pools, ram_bytes, is_shared=is_shared),
        *_device(device),
    )


def _ram(ram: Any) -> tuple[int, bool, TierCodec | None]:
    """The bytes in memory, whether they hold decoded chunks, and the codec of the others."""
    form: Any = STORED
    if isinstance(ram, (tuple, list)):
        if len(ram) != 2:
            raise InputError(
                f"ram is {brief(ram)}; expected bytes, and maybe the form: ('2GB', 'decoded'), "
                "('2GB', 'stored') or ('2GB', 'blosc')"
            )
        ram, form = ram
    nbytes = 0 if ram is None else int(size_bytes("ram", ram))
    if isinstance(form, str) and form in (STORED, DECODED):
        return nbytes, form == DECODED and nbytes > 0, None
    return nbytes, False, to_codec("ram", form, (STORED, DECODED))


def _disk(location: Location, disk: Any) -> tuple[str, int, TierCodec | None]:
    """The folder on a disk, its bytes, and the codec of the copies in it."""
    if disk is None:
        return "", 0, None
    if not isinstance(disk, (tuple, list)) or len(disk) not in (2, 3):
        raise InputError(
            f"disk is {brief(disk)}; expected a folder and its size, ('/scratch/me', '50GB'), and "
            "maybe the form: ('/scratch/me', '50GB', 'blosc')"
        )
    try:
        folder = Path(disk[0]).expanduser().resolve()
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"the folder of disk is {brief(disk[0])}; expected a path, such as '/scratch/me' "
            f"({error})"
        ) from None
    nbytes = int(size_bytes("the size of disk", disk[1]))
    if location.is_directory and folder.is_relative_to(location.url):
        raise InputError(
            f"disk is the home store, or in it: {str(folder)!r}; expected a folder of its own"
        )
    form = disk[2] if len(disk) > 2 else STORED
    is_stored = isinstance(form, str) and form == STORED
    return str(folder), nbytes, None if is_stored else to_codec("disk", form, (STORED,))


def _pools(
    pools: Mapping[str, str | int] | None, ram: int, *, is_shared: bool
) -> Mapping[str, int]:
    """The bytes of each pool; InputError where there is no memory to divide."""
    if pools is not None and not (
        isinstance(pools, Mapping) and all(name and isinstance(name, str) for name in pools)
    ):
        raise InputError(f"pools is {brief(pools)}; expected bytes by name, {{'plots': '500MB'}}")
    limits = {name: int(size_bytes(f"pool {name!r}", n)) for name, n in (pools or {}).items()}
    if limits and (is_shared or not ram):
        raise InputError(
            "pools are parts of the memory of this process; expected ram=, and not shared=True"
        )
    for name, nbytes in limits.items():
        if nbytes > ram:
            raise InputError(
                f"pool {name!r} has {nbytes} bytes, more than the {ram} of ram; expected a part"
            )
    return limits


def _device(device: Any) -> tuple[Any, int | None, str | None]:
    """The device, its bytes, None if they are not said, and its precision."""
    if device is None:
        return None, None, None
    given = tuple(device) if isinstance(device, (tuple, list)) else (device,)
    if not 1 <= len(given) <= 3:
        raise InputError(
            f"device is {brief(device)}; expected a device, its bytes and a precision, such as "
            "('cuda:0', '4GB', 'float16')"
        )
    which, nbytes, dtype = (*given, None, None)[:3]
    limit = None if nbytes is None else int(size_bytes("the size of device", nbytes))
    precision = checked_dtype(dtype)
    opened(which)  # an error tells at once that there is none
    return which, limit, precision


def _shared_folder(location: Location) -> str:
    if not _SHARED.is_dir():
        raise InputError(
            f"shared=True needs {_SHARED}, which this machine does not have; pass "
            f"disk=({tempfile.gettempdir()!r}, ...) or shared=False"
        )
    name = hashlib.blake2b(location.url.encode(), digest_size=8).hexdigest()
    # a name that another user could take first: `DiskTier` looks whose folder it is
    return str(_SHARED / f"swarmgrid-{os.getuid()}-{name}")
