"""What becomes of a source file once it is safe: it is deleted, or moved to another folder.

Whatever is done here may be killed at any instant and done again: the file is then at the source,
at the destination, or at both with the same content, and never torn under its final name.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from itertools import count
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import orjson
from filelock import FileLock

from imports.errors import UsageError
from imports.private_file import FOLDER
from imports.regular_file import opener
from imports.source_tree import is_unchanged
from imports.work_item import Signature

ERRORS_SUFFIX = ".errors.json"
"""What stands after the stem of a moved file's name in that of the list of its problems."""

_BLOCK_BYTES = 1024 * 1024
_LONGEST_NAME = 255
_O_BINARY = getattr(os, "O_BINARY", 0)
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _O_BINARY | getattr(os, "O_NOFOLLOW", 0)
_ERRORS_HEAD = b'[\n  {\n    "index": '
_NO_ERRORS = b"[]"
_NO_HARD_LINKS = frozenset(
    {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
)
"""What `link` says on a file system without hard links, or about a file of somebody else."""


class Fate(StrEnum):
    """What became of a source file.

    `done`: it is no longer at the source. `gone`: nor was it before. `changed`: it is another one
    than was imported, and stays where it is.
    """

    DONE = "done"
    GONE = "gone"
    CHANGED = "changed"


class Moved(NamedTuple):
    """What became of a file that was to be moved, and where it is now.

    `path` is None if it changed, or is gone from the source and not at the destination.
    """

    fate: Fate
    path: str | None


@dataclass(frozen=True, slots=True)
class Problem:
    """A record that failed: its place in the file, its id if it has one, and why.

    Without an index it is the file as a whole.
    """

    index: int | None
    id: str | None
    reason: str


def check_writable(folders: Iterable[str]) -> None:
    """Makes sure that files can be created, renamed and removed in these folders.

    It does all three with an empty file, and makes the folders that are missing.

    Raises:
        UsageError: naming the first folder where one of them fails.
    """
    for folder in folders:
        trial = Path(folder, f".{uuid4().hex}.part")
        renamed = trial.with_suffix(".renamed.part")
        try:
            _make_folder(Path(folder))
            os.close(os.open(trial, _NEW_FILE, 0o600))
            trial.rename(renamed)
            renamed.unlink()
        except OSError as error:
            for left in (trial, renamed):
                with contextlib.suppress(OSError):
                    left.unlink(missing_ok=True)
            raise UsageError(
                f"Files cannot be moved or deleted in the folder {folder}: {error.strerror}."
                " Make it writable, choose other folders with --failed-dir and --done-dir, or"
                " leave all files where they are with --on-success keep --on-failure keep."
            ) from error


def delete(path: str, signature: Signature) -> Fate:
    """Removes a file if it is still the one of the signature; of a link, only the link.

    Raises:
        OSError: if it cannot be removed.
    """
    try:
        if not is_unchanged(os.stat(path), signature):
            return Fate.CHANGED
        Path(path).unlink()
    except FileNotFoundError:
        return Fate.GONE
    return Fate.DONE


def move(path: str, signature: Signature, folder: str, relative: str) -> Moved:
    """Moves a file that is still the one of the signature to `relative` in a folder.

    Nothing is overwritten: where the name is taken by other content, `name.1.json` is tried, then
    `name.2.json`. Where it is taken by the same content, a killed run had come that far: the file
    is only removed from the source. It keeps its mtime; of a link, the content is moved.

    Raises:
        OSError: if it cannot be moved; it is then still at the source.
    """
    destination = Path(folder, relative)
    try:
        if not is_unchanged(os.stat(path), signature):
            return Moved(Fate.CHANGED, None)
    except FileNotFoundError:
        return Moved(Fate.GONE, _moved_before(signature, destination))
    _make_folder(destination.parent)
    source = Path(path)
    part = _part_of(source, destination.parent)
    if source.is_symlink():
        return _move_copy(source, signature, part, destination)
    try:
        published = _publish(source, source, destination)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        return _move_copy(source, signature, part, destination)
    return _finish(source, signature, published)


def write_errors(path: str, problems: Iterable[Problem]) -> str:
    """Writes the problems of a moved file beside it; the path of that list.

    `a.json` gets `a.errors.json` (a name too long for that is cut), with `index`, `id` and
    `reason` for each. It replaces the list that is there as a whole.

    Raises:
        OSError: if it cannot be written.
    """
    errors = _errors_path(Path(path))
    content = orjson.dumps(list(problems), option=orjson.OPT_INDENT_2)
    part = _part_of(errors, errors.parent)
    try:
        with os.fdopen(os.open(part, _NEW_FILE, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(errors)
    except OSError:
        _remove_quietly(part)
        raise
    _sync_folder(errors.parent)
    return str(errors)


# Names


def _names(destination: Path) -> Iterator[Path]:
    """The name itself, then `name.1.json`, `name.2.json` and so on, none longer than allowed."""
    yield destination
    for number in count(1):
        yield _with_end(destination, f".{number}{destination.suffix}")


def _errors_path(path: Path) -> Path:
    if len(os.fsencode(path.stem + ERRORS_SUFFIX)) <= _LONGEST_NAME:
        return path.with_name(path.stem + ERRORS_SUFFIX)
    # What is cut off may be all that tells two names apart.
    digest = blake2b(os.fsencode(path.name), digest_size=4).hexdigest()
    return _with_end(path, f".{digest}{ERRORS_SUFFIX}")


def _with_end(path: Path, end: str) -> Path:
    """The path with another end after its stem, which is cut where the name is too long."""
    stem = path.stem
    while len(os.fsencode(stem + end)) > _LONGEST_NAME:
        stem = stem[:-1]
    return path.with_name(stem + end)


def _part_of(path: Path, folder: Path) -> Path:
    """A hidden file in a folder, this process's own: another run may move the same file."""
    digest = blake2b(os.fsencode(path.absolute()), digest_size=16).hexdigest()
    for left in folder.glob(f".{digest}.*.part"):
        owner = left.name.split(".")[2]
        if owner.isdecimal() and (int(owner) == os.getpid() or not _is_alive(int(owner))):
            left.unlink(missing_ok=True)
    return folder / f".{digest}.{os.getpid()}.part"


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True


# Publishing: to give a file a name that nothing has


def _publish(file: Path, original: Path, destination: Path) -> Path:
    """Gives a file the first of the names that is free or has the same content; that name.

    `file` and `original` have the same content, and may be the same.
    """
    for name in _names(destination):
        while True:
            if os.path.lexists(name):
                if _same_content(original, name):
                    return name
                break
            if _errors_of_another(name):
                break
            try:
                _name_exclusively(file, name)
            except FileExistsError:
                continue  # somebody was quicker: look at what they put there
            return name
    raise AssertionError("there is no last name")


def _name_exclusively(file: Path, name: Path) -> None:
    """Lets `name` be a name of the file, in one step; the old name may be gone then.

    Raises:
        FileExistsError: if something has the name.
    """
    try:
        # Not `rename`, which overwrites.
        os.link(file, name)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        with FileLock(name.parent / ".moving.lock"):
            if os.path.lexists(name):
                raise FileExistsError(errno.EEXIST, "exists", str(name)) from error
            file.rename(name)


def _errors_of_another(name: Path) -> bool:
    """Whether the list of errors for this name would overwrite what is no list of errors."""
    try:
        with open(_errors_path(name), "rb", opener=opener) as file:
            head = file.read(len(_ERRORS_HEAD))
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return head not in (_ERRORS_HEAD, _NO_ERRORS)


# Moving


def _move_copy(source: Path, signature: Signature, part: Path, destination: Path) -> Moved:
    """Moves a file by a copy, which gets its name when all of it is on disk."""
    try:
        if not _copy(source, signature, part):
            part.unlink()
            return Moved(Fate.CHANGED, None)
        published = _publish(part, source, destination)
    except OSError:
        _remove_quietly(part)
        raise
    part.unlink(missing_ok=True)
    return _finish(source, signature, published)


def _copy(source: Path, signature: Signature, part: Path) -> bool:
    """Copies content, mode and mtime, down to the disk; False if the file changed meanwhile."""
    with (
        open(source, "rb", opener=opener) as reader,
        os.fdopen(os.open(part, _NEW_FILE, 0o600), "wb") as writer,
    ):
        while block := reader.read(_BLOCK_BYTES):
            writer.write(block)
        writer.flush()
        status = os.fstat(reader.fileno())
        if not is_unchanged(status, signature) or writer.tell() != signature.size:
            return False
        # By name: not every system takes a descriptor here.
        part.chmod(stat.S_IMODE(status.st_mode))
        os.utime(part, ns=(status.st_atime_ns, status.st_mtime_ns))
        os.fsync(writer.fileno())
    return True


def _finish(source: Path, signature: Signature, published: Path) -> Moved:
    """Removes the original of a published file, once that is on disk."""
    _sync_folder(published.parent)
    if _is_same_entry(source, published):
        return Moved(Fate.DONE, str(published))
    # A second name has changed what an exact signature is of.
    linked = _is_same_file(source, published)
    fate = delete(str(source), _inexact(signature) if linked else signature)
    if fate is Fate.CHANGED:
        return Moved(fate, None)
    return Moved(Fate.DONE, str(published))


def _inexact(signature: Signature) -> Signature:
    return signature._replace(digest="")


def _moved_before(signature: Signature, destination: Path) -> str | None:
    """Where a killed run has moved a file that is gone from the source: by its size and mtime."""
    for name in _names(destination):
        try:
            if is_unchanged(name.lstat(), _inexact(signature)):
                return str(name)
        except FileNotFoundError:
            return None
    return None


def _is_same_entry(source: Path, published: Path) -> bool:
    """Whether both paths lead to the one name of a file, which must not be removed then."""
    try:
        one, other = source.lstat(), published.lstat()
    except FileNotFoundError:
        return False
    if not os.path.samestat(one, other):
        return False
    # On a file system that ignores case, the paths differ and the name is one.
    return one.st_nlink < 2 or (
        source.name == published.name and source.parent.samefile(published.parent)
    )


def _is_same_file(one: Path, other: Path) -> bool:
    """Whether both are names of one file; not if one of them is gone."""
    try:
        return one.samefile(other)
    except FileNotFoundError:
        return False


def _same_content(one: Path, other: Path) -> bool:
    """Whether both are regular files with the same bytes."""
    try:
        if not stat.S_ISREG(other.lstat().st_mode):
            return False
        with open(one, "rb", opener=opener) as first, open(other, "rb", opener=opener) as second:
            statuses = os.fstat(first.fileno()), os.fstat(second.fileno())
            if os.path.samestat(*statuses):
                return True
            if statuses[0].st_size != statuses[1].st_size:
                return False
            while block := first.read(_BLOCK_BYTES):
                if block != second.read(_BLOCK_BYTES):
                    return False
            return not second.read(1)
    except FileNotFoundError:
        return False


def _remove_quietly(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


# Folders


def _make_folder(folder: Path) -> None:
    """Makes a folder and those it is in, and brings them to disk."""
    if folder.is_dir():
        return
    if folder.parent != folder:
        _make_folder(folder.parent)
    folder.mkdir(FOLDER, exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    """Brings the names in a folder to disk, where the system can do that."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
