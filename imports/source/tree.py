"""The files in a folder of a source, and the signatures of files and folders."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from imports.files.regular_file import LEADS_OUT
from imports.work_item import ListedItem, Signature, Source

_LEADS_NOWHERE = (errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.ENAMETOOLONG)
_EARLIEST_NS, _LATEST_NS = -(2**63), 2**63 - 1


class ListingProblem(NamedTuple):
    """A folder or a file that cannot be listed, and the reason."""

    path: str
    reason: str


ListedEntry = ListedItem | ListingProblem


class FolderFile(NamedTuple):
    """An entry of a folder that is not a folder; `regular` if it is a regular file."""

    name: str
    signature: Signature
    regular: bool = True


def signature_of(status: os.stat_result, *, exact: bool = False) -> Signature:
    """The signature of a file with this status.

    An mtime beyond 64 bits (before 1677, after 2262) becomes the first or last possible one. An
    `exact` signature also differs for another file with the same size and mtime.
    """
    mtime_ns = status.st_mtime_ns
    if not _EARLIEST_NS <= mtime_ns <= _LATEST_NS:
        mtime_ns = min(max(mtime_ns, _EARLIEST_NS), _LATEST_NS)
    if not exact:
        return Signature(status.st_size, mtime_ns)
    return Signature(status.st_size, mtime_ns, 1, f"{status.st_ino:x}.{status.st_ctime_ns:x}")


def is_unchanged(status: os.stat_result, signature: Signature) -> bool:
    """Whether a file with this status still has the signature, exact or not."""
    return signature_of(status, exact=bool(signature.digest)) == signature


def is_same_file(status: os.stat_result, signature: Signature) -> bool:
    """Whether a file with this status has the signature, apart from its ctime.

    The ctime also changes with each new name that we give a file.
    """
    inode = signature.digest.partition(".")[0]
    found = signature_of(status)
    return (found.size, found.mtime_ns) == (signature.size, signature.mtime_ns) and (
        not inode or f"{status.st_ino:x}" == inode
    )


def signature_of_file(path: str, *, exact: bool = False) -> Signature:
    """The signature that a file has now.

    Raises:
        OSError: if its status cannot be read.
    """
    return signature_of(os.stat(path), exact=exact)


def signature_of_folder(files: Iterable[FolderFile], marks: str = "") -> Signature:
    """The signature of a folder with these files: it changes if any of them changes.

    It has the sum of their sizes, the latest mtime, and a digest of their names, sizes and mtimes.
    The digest includes `marks`, which may be anything else that should change the signature.
    """
    ordered = sorted((file.name, file.signature.size, file.signature.mtime_ns) for file in files)
    text = "".join(f"{name}\0{size}\0{mtime_ns}\0" for name, size, mtime_ns in ordered)
    digest = hashlib.blake2b(
        f"{marks}\0{len(ordered)}\0{text}".encode("utf-8", "surrogateescape"), digest_size=16
    )
    return Signature(
        sum(size for _, size, _ in ordered),
        max((mtime_ns for _, _, mtime_ns in ordered), default=0),
        len(ordered),
        digest.hexdigest(),
    )


def files_called(
    source: Source,
    prefix: str,
    files: Iterable[os.DirEntry[str]],
    wanted: Callable[[str], bool],
    *,
    exact: bool = False,
) -> Iterator[ListedEntry]:
    """Yields the files of a folder whose name is wanted, as work items; paths begin with `prefix`.

    Their signatures are `exact` if requested. A link that leads out of the permitted folders is a
    problem.
    """
    for entry in files:
        name = entry.name
        if wanted(name):
            path = prefix + name
            # Not in a function of its own, for speed: a source has millions of files.
            if not (path.isascii() or is_utf8(path)):
                yield _unnameable(path)
                continue
            try:
                status = entry.stat()
            except OSError as error:
                yield ListingProblem(path, f"cannot be read: {error.strerror}")
                continue
            if not stat.S_ISREG(status.st_mode):
                yield ListingProblem(path, "is not a regular file")
            elif entry.is_symlink() and not source.may_read(os.path.realpath(entry.path)):
                yield ListingProblem(path, f"is a link that {LEADS_OUT}")
            else:
                yield ListedItem(path, signature_of(status, exact=exact))


def folder_holding(
    prefix: str,
    files: Iterable[os.DirEntry[str]],
    wanted: Callable[[str], bool],
    ignored: Callable[[str], bool],
    marks: str = "",
) -> Iterator[ListedEntry]:
    """Yields the folder as a work item, if it has a file whose name is wanted.

    Files whose name is ignored do not count. The path of the source itself is `.`.
    """
    found = _folder_files(files, ignored)
    if any(wanted(file.name) for file in found):
        path = prefix.removesuffix("/") or "."
        if is_utf8(path):
            yield ListedItem(path, signature_of_folder(found, marks))
        else:
            yield _unnameable(path)


def files_in(folder: str, ignored: Callable[[str], bool]) -> list[FolderFile]:
    """The entries of a folder, sorted by name, without folders and ignored names.

    Raises:
        OSError: if the folder cannot be listed.
    """
    with os.scandir(folder) as entries:
        files = [entry for entry in entries if not entry.is_dir(follow_symlinks=False)]
        found = _folder_files(files, ignored)
    return sorted(found, key=lambda file: file.name)


def is_utf8(text: str) -> bool:
    """Whether a path, or another string, is valid UTF-8; others cannot be stored."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def unlistable(path: str, error: OSError) -> ListingProblem:
    """The problem of a folder that cannot be listed because of `error`."""
    return ListingProblem(printable(path), f"cannot be listed: {error.strerror}")


def _folder_files(
    files: Iterable[os.DirEntry[str]], ignored: Callable[[str], bool]
) -> list[FolderFile]:
    return [
        file
        for entry in files
        if not ignored(entry.name) and (file := _folder_file(entry)) is not None
    ]


def _folder_file(entry: os.DirEntry[str]) -> FolderFile | None:
    """An entry of a folder; None if it no longer exists, or leads to a folder.

    Raises:
        OSError: if its status cannot be read.
    """
    try:
        status = entry.stat()
    except OSError as error:
        if error.errno == errno.ENOENT and not entry.is_symlink():
            return None
        if error.errno not in _LEADS_NOWHERE:
            raise
        # A broken link is an entry that should be reported.
        return FolderFile(entry.name, Signature(0, 0), False)
    if stat.S_ISDIR(status.st_mode):
        return None
    if not stat.S_ISREG(status.st_mode):
        return FolderFile(entry.name, Signature(0, 0), False)
    return FolderFile(entry.name, signature_of(status))


def _unnameable(path: str) -> ListingProblem:
    return ListingProblem(printable(path), "its name is not valid UTF-8; rename it and run again")


def printable(path: str) -> str:
    """A path, or a string that contains one, as valid UTF-8."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
