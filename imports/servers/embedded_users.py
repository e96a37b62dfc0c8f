"""Who uses the embedded PostgreSQL: processes by their locks, and programs by their sessions."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from imports.errors import EmbeddedServerError
from imports.files.file_error import of_the_machine
from imports.servers.embedded_process import GRACE, START_TIMEOUT, failure, poll_until, running_url


def keep_marker(folder: Path) -> Path:
    """The file that says that the server in `folder` is not stopped when nobody uses it."""
    return folder.with_name(folder.name + ".keep")


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Holds a lock: only one process at a time starts or stops the server in `folder`."""
    descriptor = _open_lock(folder.with_name(folder.name + ".lock"))
    try:
        if not poll_until(lambda: _try_lock(descriptor, fcntl.LOCK_EX), START_TIMEOUT):
            raise failure("is still being started or stopped by another process", folder)
        yield
    finally:
        os.close(descriptor)


def share_use(folder: Path) -> int:
    """Uses the server in `folder` until the descriptor is closed."""
    use = open_use(folder)
    _lock(use, fcntl.LOCK_SH)
    return use


def open_use(folder: Path) -> int:
    """The descriptor of the lock that all users of the server in `folder` share."""
    return _open_lock(folder.with_name(folder.name + ".users"))


def _open_lock(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise of_the_machine(error, f"{path} cannot be opened") or EmbeddedServerError(
            f"{path} cannot be opened: {error.strerror}. The embedded PostgreSQL needs a folder "
            "that you may write to; run as its owner, or choose another."
        ) from error


def _lock(descriptor: int, operation: int) -> None:
    try:
        fcntl.flock(descriptor, operation)
    except BlockingIOError:
        raise
    except OSError as error:
        raise EmbeddedServerError(
            f"The working folder cannot contain the embedded PostgreSQL: its file system has no"
            f" locks ({error.strerror}); some network file systems have none. Work in a folder on a"
            " disk of this machine, or name another PostgreSQL with --database-url."
        ) from error


def _try_lock(descriptor: int, operation: int) -> bool:
    try:
        _lock(descriptor, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def others_use(url: str, use: int) -> bool:
    """Whether anybody but this process, with its lock `use`, uses the server of `url`."""
    return not _try_lock(use, fcntl.LOCK_EX) or not poll_until(
        lambda: not _other_sessions(url), GRACE
    )


def users_of(folder: Path) -> str:
    """A description of the users of the server in `folder`; empty if there are none."""
    if (url := running_url(folder)) is None:
        return ""
    use = open_use(folder)
    try:
        if not _try_lock(use, fcntl.LOCK_EX):
            pids = _lock_holders(os.fstat(use))
            return f"a run (process {', '.join(pids)})" if pids else "a run"
    finally:
        os.close(use)
    if poll_until(lambda: not _other_sessions(url), GRACE):
        return ""
    return ", ".join(sorted(set(_other_sessions(url))))


def _lock_holders(file: os.stat_result) -> list[str]:
    """The processes that hold a lock on a file, if the system lists them."""
    name = f"{os.major(file.st_dev):02x}:{os.minor(file.st_dev):02x}:{file.st_ino}"
    try:
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return []
    locks = [line.split() for line in lines]
    return sorted({lock[4] for lock in locks if lock[5:6] == [name]})


def _other_sessions(url: str) -> list[str]:
    """The other sessions of the server, by their application names."""
    import psycopg2

    query = (
        "SELECT coalesce(nullif(application_name, ''), 'a program') || ' (session ' || pid || ')'"
        " FROM pg_catalog.pg_stat_activity"
        " WHERE backend_type = 'client backend'"
        # Without sessions of this query: an earlier one may still be ending.
        " AND application_name <> pg_catalog.current_setting('application_name')"
    )
    asking = "resilient-importer: who is connected"
    try:
        with (
            closing(psycopg2.connect(url, application_name=asking)) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(query)
            return [str(row[0]) for row in cursor.fetchall()]
    except psycopg2.Error:  # too many sessions, or the server is being stopped or killed
        return ["other programs"]
