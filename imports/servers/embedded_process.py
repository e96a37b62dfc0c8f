"""The process of the embedded PostgreSQL: creating its database, starting and stopping it."""

from __future__ import annotations

import glob
import hashlib
import os
import secrets
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from imports.errors import EmbeddedServerError
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
START_TIMEOUT: Final = 300.0
STOP_TIMEOUT: Final = 60.0
# The time that closed sessions may need to disappear.
GRACE: Final = 0.25
# The time that the processes of a killed server may need to end, and the errors until then.
_LINGER: Final = 10.0
_STILL_ENDING: Final = ("shared memory block", 'lock file "postmaster.pid" already exists')


def running_url(folder: Path = DEFAULT_FOLDER) -> str | None:
    """The URL of the server in `folder`, or None if it does not run. Starts nothing."""
    postmaster = read_postmaster(folder.absolute())
    if postmaster is None or postmaster.status != "ready" or not answers(postmaster.sockets):
        return None
    host = quote(str(postmaster.sockets), safe="/")
    # With the port; otherwise libpq would use PGPORT from the environment.
    return f"postgresql://{SUPERUSER}:@/postgres?host={host}&port={PORT}"


def create(folder: Path) -> None:
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


def launch_patiently(folder: Path, options: Mapping[str, str]) -> None:
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
            time.sleep(GRACE)


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
            f"--timeout={START_TIMEOUT:.0f}",
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
        poll_until(
            lambda: starter.poll() is not None or running_url(folder) is not None,
            START_TIMEOUT,
        )
        if running_url(folder) is None:
            starter.kill()
            starter.wait()
            output.seek(0)
            said = output.read().decode(errors="replace")
            raise failure("did not start", folder, said)
        starter.kill()


def stop_process(folder: Path) -> bool:
    """Stops the server in `folder`, whoever uses it. False if it did not run."""
    postmaster = read_postmaster(folder)
    if postmaster is None or running_url(folder) is None:
        return False
    # "Fast shutdown": it ends the sessions and writes committed data to disk.
    with suppress(ProcessLookupError):
        os.kill(postmaster.pid, signal.SIGINT)

    def is_gone() -> bool:
        # The server deletes this file last, just before it ends; a killed server leaves it.
        return read_postmaster(folder) is None or not is_running(postmaster.pid)

    if not poll_until(is_gone, STOP_TIMEOUT):
        raise failure(f"did not stop within {STOP_TIMEOUT:.0f} s", folder)
    return True


def await_change(folder: Path) -> None:
    """Waits while a server starts or stops because of a process that was killed since."""

    def at_rest() -> bool:
        postmaster = read_postmaster(folder)
        return postmaster is None or postmaster.status == "ready" or not is_running(postmaster.pid)

    poll_until(at_rest, STOP_TIMEOUT)


def poll_until(condition: Callable[[], bool], timeout: float, pause: float = _POLL) -> bool:
    """Waits until the condition is true; False if it is not after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True


def failure(what: str, folder: Path, said: str = "") -> EmbeddedServerError:
    """An error of the server in `folder`, with the end of its log."""
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
