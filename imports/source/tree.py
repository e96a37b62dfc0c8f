"""The files in a folder of a source, and the signatures of files and folders."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Protocol

from imports.items.source import Signature
from imports.items.work_item import ListedItem

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


class SourceFile(Protocol):
    """A file in a folder of a source, on disk or in another store.

    The listing has its name. The methods may need another request, so they are called only for
    files whose name the kind wants.
    """

    @property
    def name(self) -> str:
        """Its name in its folder."""

    def as_item(self, path: str, exact: bool) -> ListedEntry:
        """The file as a work item with this path, or the problem if it cannot be one.

        An `exact` signature also differs for another file with the same size and mtime.
        """

    def as_part(self) -> FolderFile | None:
        """The file as a part of a folder that is a work item; None if it is not a file any more.

        Raises:
            OSError: if its status cannot be read.
        """


def signature_of(status: os.stat_result, *, exact: bool = False) -> Signature:
    """The signature of a file with this status.

    An mtime beyond 64 bits (before 1677, after 2262) becomes the first or last possible one. An
    `exact` signature also differs for another file with the same size and mtime.
    """
    mtime_ns = status.st_mtime_ns
    if not _EARLIEST_NS <= mtime_ns <= _LATEST_NS:
        mtime_ns = min(max(mtime_ns, _EARLIEST_NS), _LATEST_NS)
    digest = f"{status.st_ino:x}.{status.st_ctime_ns:x}" if exact else ""
    # Twice as fast as a call, and a source has millions of files.
    return Signature._make((status.st_size, mtime_ns, 1, digest))


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
    prefix: str,
    files: Iterable[SourceFile],
    wanted: Callable[[str], object],
    *,
    exact: bool = False,
) -> Iterator[ListedEntry]:
    """Yields the files of a folder whose name is wanted, as work items; paths begin with `prefix`.

    Their signatures are `exact` if requested.
    """
    for file in files:
        name = file.name
        if wanted(name):
            path = prefix + name
            # Not in a function of its own, for speed: a source has millions of files.
            if path.isascii() or is_utf8(path):
                yield file.as_item(path, exact)
            else:
                yield unnameable(path)


def folder_holding(
    prefix: str,
    files: Iterable[SourceFile],
    wanted: Callable[[str], object],
    ignored: Callable[[str], bool],
    marks: str = "",
) -> Iterator[ListedEntry]:
    """Yields the folder as a work item, if it has a file whose name is wanted.

    Files whose name is ignored do not count. The path of the source itself is `.`.
    """
    found = [
        part for file in files if not ignored(file.name) and (part := file.as_part()) is not None
    ]
    if any(wanted(file.name) for file in found):
        path = prefix.removesuffix("/") or "."
        if is_utf8(path):
            yield ListedItem(path, signature_of_folder(found, marks))
        else:
            yield unnameable(path)


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


def unnameable(path: str) -> ListingProblem:
    """The problem of a path that is not valid UTF-8."""
    return ListingProblem(printable(path), "its name is not valid UTF-8; rename it and run again")


def printable(path: str) -> str:
    """A path, or a string that contains one, as valid UTF-8."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
