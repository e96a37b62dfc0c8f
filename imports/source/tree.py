"""What a folder of a source holds, and the signatures of files and folders."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Protocol

from imports.work_item import ListedItem, Signature

_EARLIEST_NS, _LATEST_NS = -(2**63), 2**63 - 1


class ListingProblem(NamedTuple):
    """A folder or a file that cannot be listed, and why."""

    path: str
    reason: str


ListedEntry = ListedItem | ListingProblem


class FolderFile(NamedTuple):
    """What is directly in a folder and is no folder; `regular` if it is a file that can be read."""

    name: str
    signature: Signature
    regular: bool = True


class SourceFile(Protocol):
    """A file in a folder of a source, as what lists the source knows it, wherever that is.

    Its name is known. All else may need a question more: it is asked of those files alone whose
    name a kind wants.
    """

    @property
    def name(self) -> str:
        """Its name in its folder."""

    def as_item(self, path: str, exact: bool) -> ListedEntry:
        """The file as a work item of this path, or why it cannot be one.

        An `exact` signature also tells it from a file that was given the same size and mtime.
        """

    def as_part(self) -> FolderFile | None:
        """The file as a part of a work item that is a folder; None if it is none by now.

        Raises:
            OSError: if it cannot be told what it is.
        """


def signature_of(status: os.stat_result, *, exact: bool = False) -> Signature:
    """The signature of a file whose status this is.

    An mtime beyond what 64 bits hold (before 1677, after 2262) counts as the outermost. An
    `exact` one also tells the file from another one that was given the same size and mtime.
    """
    mtime_ns = status.st_mtime_ns
    if not _EARLIEST_NS <= mtime_ns <= _LATEST_NS:
        mtime_ns = min(max(mtime_ns, _EARLIEST_NS), _LATEST_NS)
    digest = f"{status.st_ino:x}.{status.st_ctime_ns:x}" if exact else ""
    # This takes half as long as a call does, and a source has millions of files.
    return Signature._make((status.st_size, mtime_ns, 1, digest))


def is_unchanged(status: os.stat_result, signature: Signature) -> bool:
    """Whether a file of this status is still the one of a signature, exact or not."""
    return signature_of(status, exact=bool(signature.digest)) == signature


def is_same_file(status: os.stat_result, signature: Signature) -> bool:
    """Whether a status is that of the file of a signature, whatever its ctime is.

    The ctime changes with the content, but also with each new name that we give a file.
    """
    inode = signature.digest.partition(".")[0]
    found = signature_of(status)
    return (found.size, found.mtime_ns) == (signature.size, signature.mtime_ns) and (
        not inode or f"{status.st_ino:x}" == inode
    )


def signature_of_file(path: str, *, exact: bool = False) -> Signature:
    """The signature that a file has now.

    Raises:
        OSError: if it cannot be told.
    """
    return signature_of(os.stat(path), exact=exact)


def signature_of_folder(files: Iterable[FolderFile], marks: str = "") -> Signature:
    """The signature of a folder with these files: it changes when any of them does.

    It has their size in sum, the latest mtime, and a digest over their names, sizes and mtimes
    and over `marks`, which is anything else that shall make a folder another one.
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
    """Those of a folder's files whose name is wanted, as work items; `prefix` is before each.

    Their signatures are `exact` where that is asked for.
    """
    for file in files:
        name = file.name
        if wanted(name):
            path = prefix + name
            # Said here rather than in a function of its own: a source has millions of them.
            if path.isascii() or is_utf8(path):
                yield file.as_item(path, exact)
            else:
                yield _unnameable(path)


def folder_holding(
    prefix: str,
    files: Iterable[SourceFile],
    wanted: Callable[[str], object],
    ignored: Callable[[str], bool],
    marks: str = "",
) -> Iterator[ListedEntry]:
    """A folder as a work item, if it holds a file whose name is wanted.

    Files whose name is ignored are none. The path of the source itself is `.`.
    """
    found = [
        part for file in files if not ignored(file.name) and (part := file.as_part()) is not None
    ]
    if any(wanted(file.name) for file in found):
        path = prefix.removesuffix("/") or "."
        if is_utf8(path):
            yield ListedItem(path, signature_of_folder(found, marks))
        else:
            yield _unnameable(path)


def is_utf8(text: str) -> bool:
    """Whether a path, or another text, is valid UTF-8; others cannot be stored."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def unlistable(path: str, error: OSError) -> ListingProblem:
    """A folder that cannot be listed."""
    return ListingProblem(printable(path), f"cannot be listed: {error.strerror}")


def _unnameable(path: str) -> ListingProblem:
    return ListingProblem(printable(path), "its name is not valid UTF-8; rename it and run again")


def printable(path: str) -> str:
    """A path, or a text with one in it, as UTF-8 can hold it."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
