"""Whether another process has a file open for writing, if the system can tell."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
from functools import cache
from pathlib import Path

from imports.files.regular_file import opener

_LOCAL = frozenset(
    {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "tmpfs", "xfs", "zfs"}
)
"""File systems that only this machine writes to. On others (NFS, SMB, shared folders of virtual
machines) a writer on another machine would not be seen."""

_READ_LEASE = (
    getattr(fcntl, "F_SETSIG", None),
    getattr(fcntl, "F_SETLEASE", None),
)


def is_open_for_writing(path: str) -> bool | None:
    """Whether any process has a file open for writing; None if that is unknown.

    Linux grants a read lease only if no process has the file open for writing, and only to root
    and the owner of the file.
    """
    set_signal, set_lease = _READ_LEASE
    if set_signal is None or set_lease is None:
        return None
    try:
        descriptor = opener(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError:
        return None
    try:
        if os.fstat(descriptor).st_dev not in _local_devices():
            return None
        # A process that opens the file for writing now waits until the lease is released, and
        # the system sends us a signal. We choose one that is ignored by default.
        fcntl.fcntl(descriptor, set_signal, signal.SIGURG)
        fcntl.fcntl(descriptor, set_lease, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, set_lease, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return None
    else:
        return False
    finally:
        os.close(descriptor)


@cache
def _local_devices() -> frozenset[int]:
    """The devices of the local file systems, as mounted at the first call."""
    devices = set()
    with contextlib.suppress(OSError, ValueError):
        mounts = Path("/proc/self/mountinfo").read_text("utf-8", "replace")
        for line in mounts.splitlines():
            before, _, after = line.partition(" - ")
            if after.split(" ", 1)[0] in _LOCAL:
                major, minor = before.split(" ", 3)[2].split(":")
                devices.add(os.makedev(int(major), int(minor)))
    return frozenset(devices)
