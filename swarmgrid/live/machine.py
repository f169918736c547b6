"""The memory of a process of this machine, and of all that it has started."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swarmgrid.store.lease_record import LeaseRecord


def memory(record: LeaseRecord) -> int | None:
    """The bytes in memory of the process that holds a lease; None where it runs elsewhere."""
    if not record.is_here():
        return None
    import psutil

    try:
        process = psutil.Process(record.pid)
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        return None
    total = 0
    for one in family:
        try:
            total += one.memory_info().rss
        except psutil.Error:  # it has ended meanwhile
            continue
    return total or None
