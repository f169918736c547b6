"""The file system that a file lies on: locks and shared memory do not hold on network ones."""

from __future__ import annotations

import os
import re

from swarmgrid.errors import UnsafeStoreError

NETWORK = {
    *("nfs", "nfs3", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "afs", "afpfs", "ncpfs"),
    *("ceph", "glusterfs", "lustre", "gpfs", "beegfs", "pvfs2", "orangefs", "davfs", "webdav"),
    *("panfs", "quobyte", "weka", "wekafs", "moosefs", "coda", "acfs", "ocfs2", "gfs2"),
}
"""File systems that several machines mount."""
_REMOTE_FUSE = re.compile(r"fuse\.(?!(ext|ntfs|exfat|overlay|unionfs|mergerfs|encfs|gocryptfs))")
_MOUNTS = "/proc/self/mounts"


def check_is_local(path: str, kind: str) -> None:
    """Raise UnsafeStoreError where a file of this kind would lie on a network file system."""
    found = file_system(path)
    if found in NETWORK or _REMOTE_FUSE.match(found):
        raise UnsafeStoreError(
            f"{path} lies on a network file system ({found}), where the locks and the shared "
            f"memory of {kind} do not hold: two machines could damage the file. Put it on a disk "
            "of this machine, or let store= be a directory there, which needs neither"
        )


def file_system(path: str) -> str:
    """The type of the file system of a path that need not exist; empty where that is not known."""
    real = os.path.realpath(path)
    best, kind = -1, ""
    for place, name in _mounts():
        is_above = real == place or real.startswith(f"{place.rstrip('/')}/")
        if is_above and len(place) >= best:  # the last one mounted over a place counts
            best, kind = len(place), name
    return kind


def _mounts() -> list[tuple[str, str]]:
    try:
        with open(_MOUNTS, encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.split() for line in file]
    except OSError:  # not Linux
        return []
    # the kernel writes a blank of a path as \040
    return [
        (re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), line[1]), line[2])
        for line in lines
        if len(line) > 2
    ]
