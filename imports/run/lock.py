"""The lock on a file of ours: only one process at a time uses it, and writes who it is."""

from __future__ import annotations

import contextlib
import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from imports.errors import LockedError
from imports.files.file_error import about_file
from imports.files.private_file import FILE, private, read_own

_PATIENCE = 0.2
"""Seconds: a process that asks for the holder has the lock for a moment."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds a lock, and its run; None if they are not known."""

    process_id: int | None
    run_name: str | None


def hold(path: Path, what: str, option: str, resources: contextlib.ExitStack) -> None:
    """Locks a file, which need not exist, until `resources` are closed.

    `what` is the file's name for users, `option` the flag that names another file.

    Raises:
        LockedError: if another process holds it.
        UsageError, DiskError: if it cannot be locked.
    """
    # On demand: not needed to ask for the holder.
    from filelock import FileLock, Timeout

    # Only `flock`: the system releases it when a run is killed.
    lock = FileLock(
        f"{path}.lock",
        timeout=_PATIENCE,
        poll_interval=_PATIENCE / 10,
        mode=FILE,
        fallback_to_soft=False,
    )
    try:
        lock.acquire()
    except Timeout:
        found = _read_holder(path)
        who = "another process" if found.process_id is None else f"process {found.process_id}"
        raise LockedError(
            f"{what} {path} is in use by {who}. Wait for it to end, or name another one with"
            f" {option}."
        ) from None
    except OSError as error:
        raise about_file(
            f"{what} {path} cannot be locked",
            error,
            "Some network file systems have no locks. Name a place on a disk of this machine with"
            f" {option}.",
        ) from error
    resources.callback(lock.release)
    # Not in the lock file: each process that tries to lock it empties it.
    holder_file = _holder_file(path)
    try:
        # Remove only the file of a killed run, not a file of somebody else.
        with contextlib.suppress(FileNotFoundError):
            read_own(holder_file)
            holder_file.unlink()
        with open(holder_file, "x", opener=private) as file:
            file.write(str(os.getpid()))
    except OSError as error:
        raise about_file(
            f"{holder_file} cannot be written",
            error,
            "If it is not a file of the importer, move it away; or name another place with"
            f" {option}.",
        ) from error
    resources.callback(holder_file.unlink, missing_ok=True)


def write_run(path: Path, run_name: str) -> None:
    """Writes for which run this process holds the lock. A failure is ignored."""
    with (
        contextlib.suppress(OSError),
        open(_holder_file(path), "a", opener=private) as file,
    ):
        file.write(f"\n{run_name}")


def holder(path: Path) -> Holder | None:
    """The holder of the lock on a file; None if it is not locked.

    The file with the holder counts only while the lock is held.
    """
    try:
        descriptor = os.open(f"{path}.lock", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read_holder(path)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return None


def _read_holder(path: Path) -> Holder:
    try:
        process_id, _, run_name = read_own(_holder_file(path)).decode("ascii").partition("\n")
        return Holder(int(process_id), run_name or None)
    except (OSError, ValueError):
        return Holder(None, None)


def _holder_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.pid")
