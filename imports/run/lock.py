"""The lock on a file of ours: one process at a time works with it, and says which it is."""

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
"""Seconds: somebody who asks who holds a lock has it for an instant."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds a lock, and the run it is for; None for what it does not say."""

    process_id: int | None
    run_name: str | None


def hold(path: Path, what: str, option: str, resources: contextlib.ExitStack) -> None:
    """Locks a file, which need not be there, until `resources` are closed.

    `what` is what users call it, `option` the flag that names another one.

    Raises:
        LockedError: if another process holds it.
        UsageError, DiskError: if it cannot be locked.
    """
    # On demand: who only asks for the holder does without.
    from filelock import FileLock, Timeout

    # Without `flock` there is no lock that the system lets go of when a run is killed.
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
        found = _said(path)
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
    # Not in the lock file, which everybody who tries it empties.
    said = _holder_file(path)
    try:
        # Not what somebody else put there: only what a killed run left is in the way.
        with contextlib.suppress(FileNotFoundError):
            read_own(said)
            said.unlink()
        with open(said, "x", opener=private) as file:
            file.write(str(os.getpid()))
    except OSError as error:
        raise about_file(
            f"{said} cannot be written",
            error,
            "If it is none of the importer's files, move it away; or name another place with"
            f" {option}.",
        ) from error
    resources.callback(said.unlink, missing_ok=True)


def say_run(path: Path, run_name: str) -> None:
    """Says for which run this process holds the lock. That it cannot be written stops nothing."""
    with (
        contextlib.suppress(OSError),
        open(_holder_file(path), "a", opener=private) as file,
    ):
        file.write(f"\n{run_name}")


def holder(path: Path) -> Holder | None:
    """Who holds the lock on a file, None if nobody does.

    What the files beside it say counts only while the system says that somebody holds it.
    """
    try:
        descriptor = os.open(f"{path}.lock", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _said(path)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return None


def _said(path: Path) -> Holder:
    try:
        process_id, _, run_name = read_own(_holder_file(path)).decode("ascii").partition("\n")
        return Holder(int(process_id), run_name or None)
    except (OSError, ValueError):
        return Holder(None, None)


def _holder_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.pid")
