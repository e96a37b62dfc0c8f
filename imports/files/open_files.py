"""Whether a file is being written: known where the system tells who has it open."""

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
"""File systems that nobody writes to but through this machine: elsewhere (NFS, SMB, the shared
folders of virtual machines) a writer on another machine would not be seen."""

_READ_LEASE = (
    getattr(fcntl, "F_SETSIG", None),
    getattr(fcntl, "F_SETLEASE", None),
)


def is_open_for_writing(path: str) -> bool | None:
    """Whether any process has a file open for writing; None where nobody can tell.

    It is told by a lease to read, which Linux gives only on a file that is open to no writer:
    to root, and to the owner of the file.
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
        # Who opens the file for writing in this very moment waits until the lease is given back,
        # and the system tells us by a signal: by one that ends nothing.
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
    """The devices of the local file systems, as they are mounted when it is first asked."""
    devices = set()
    with contextlib.suppress(OSError, ValueError):
        mounts = Path("/proc/self/mountinfo").read_text("utf-8", "replace")
        for line in mounts.splitlines():
            before, _, after = line.partition(" - ")
            if after.split(" ", 1)[0] in _LOCAL:
                major, minor = before.split(" ", 3)[2].split(":")
                devices.add(os.makedev(int(major), int(minor)))
    return frozenset(devices)
