"""The memory in use: of the machine, or of the container of this process."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

MOUNT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
_FILES = {
    2: ("memory.max", "memory.current", "inactive_file"),
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}
"""For both versions of control groups: the limit, what is in use, and the part of it that is
cache, which the kernel gives back by itself."""


class Use(NamedTuple):
    """The used part of some memory."""

    part: float
    """0 to 1."""
    total: int
    """Bytes."""


def memory_used() -> Use:
    """The used memory of the machine or, if that is a larger part, of a control group's limit.

    Containers, systemd units and the jobs of cluster schedulers are control groups (Linux).
    """
    import psutil

    memory = psutil.virtual_memory()
    machine = Use(1 - memory.available / memory.total, memory.total)
    return max([machine, *group_uses(memory.total)])


def group_uses(total: int, mount: Path = MOUNT, membership: Path = MEMBERSHIP) -> Iterator[Use]:
    """The used part of the limits of this process' control group and those above it.

    Parameters
    ----------
    total : int
        The machine's memory in bytes: a limit above it is none.
    mount, membership : Path
        The folder of the groups, and the file that names those of this process.
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, path = line.split(":", 2)
        version = 2 if number == "0" and not controllers else 1
        if version == 1 and "memory" not in controllers.split(","):
            continue
        root = mount if version == 2 else mount / "memory"
        group = PurePosixPath(path)
        for part in (group, *group.parents):
            use = _use(root / part.relative_to("/"), version)
            if use is not None and use.total < total:
                yield use


def _use(group: Path, version: int) -> Use | None:
    limit_file, usage_file, cache_name = _FILES[version]
    try:
        limit = int((group / limit_file).read_text())
        usage = int((group / usage_file).read_text())
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # no such group here, or "max": no limit
        return None
    used = max(0, usage - int(stat.get(cache_name, 0)))
    return Use(used / limit, limit) if limit > 0 else None
