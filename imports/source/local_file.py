"""Files on this machine, for the listing of a source."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable

from imports.files.regular_file import LEADS_OUT
from imports.items.source import Signature, Source
from imports.items.work_item import ListedItem
from imports.source.tree import FolderFile, ListedEntry, ListingProblem, signature_of

_BROKEN_LINK = (errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.ENAMETOOLONG)


class LocalFile:
    """A `SourceFile` on this machine."""

    __slots__ = ("_entry", "name")

    def __init__(self, entry: os.DirEntry[str]) -> None:
        """Takes an entry of the listed folder."""
        self.name = entry.name
        self._entry = entry

    def as_item(self, path: str, exact: bool) -> ListedEntry:
        """The file as a work item with this path, or the problem if it cannot be one."""
        try:
            status = self._entry.stat()
        except OSError as error:
            return ListingProblem(path, f"cannot be read: {error.strerror}")
        if not stat.S_ISREG(status.st_mode):
            return ListingProblem(path, "is not a regular file")
        # Faster than a call, as in `signature_of`.
        return ListedItem._make((path, signature_of(status, exact=exact)))

    def as_part(self) -> FolderFile | None:
        """The file as a part of a folder; None if it is missing now, or a link to a folder.

        Raises:
            OSError: if its status cannot be read.
        """
        try:
            status = self._entry.stat()
        except OSError as error:
            if error.errno == errno.ENOENT and not self._entry.is_symlink():
                return None
            if error.errno not in _BROKEN_LINK:
                raise
            # A broken link is reported to the user.
            return FolderFile(self.name, Signature(0, 0), False)
        if stat.S_ISDIR(status.st_mode):
            return None
        if not stat.S_ISREG(status.st_mode):
            return FolderFile(self.name, Signature(0, 0), False)
        return FolderFile._make((self.name, signature_of(status), True))


class LinkedFile(LocalFile):
    """A link to a file. To be a work item, it must lead to a permitted folder."""

    __slots__ = ("_source",)

    def __init__(self, entry: os.DirEntry[str], source: Source) -> None:
        """Takes an entry of the listed folder."""
        super().__init__(entry)
        self._source = source

    def as_item(self, path: str, exact: bool) -> ListedEntry:
        """The file as a work item with this path, or the problem if it cannot be one."""
        found = super().as_item(path, exact)
        if isinstance(found, ListingProblem):
            return found
        if not self._source.may_read(os.path.realpath(self._entry.path)):
            return ListingProblem(path, f"is a link that {LEADS_OUT}")
        return found


def local_file(source: Source, entry: os.DirEntry[str]) -> LocalFile:
    """The file for an entry of a folder; the entry must not be a folder."""
    return LinkedFile(entry, source) if entry.is_symlink() else LocalFile(entry)


def is_folder(path: str) -> bool:
    """Whether there is a folder; links are followed. Faster than with path objects.

    Raises:
        OSError: if that cannot be told.
    """
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except OSError as error:
        if error.errno in _BROKEN_LINK:
            return False
        raise


def part_files(source: Source, prefix: str, name: str) -> list[LocalFile]:
    """The files of a folder that is a part of a work item, by names like `photos/a.jpg`.

    `prefix` is that of the work item, `name` the folder's. Nothing if there is no such folder, or
    it is a link that leads out of the source.

    Raises:
        OSError: if the folder cannot be listed.
    """
    folder = os.path.join(source.folder, prefix, name)
    if not is_folder(folder):
        return []
    if os.path.islink(folder) and not source.may_read(os.path.realpath(folder)):  # noqa: PTH114
        return []
    within = f"{name}/"
    is_left_out = source.leaves_out(prefix + within)
    files = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if not is_left_out(entry.name) and not entry.is_dir(follow_symlinks=False):
                file = local_file(source, entry)
                file.name = within + file.name
                files.append(file)
    return files


def files_in(folder: str, ignored: Callable[[str], bool]) -> list[FolderFile]:
    """The files directly in a folder that are not ignored, sorted by name.

    Raises:
        OSError: if the folder cannot be listed.
    """
    with os.scandir(folder) as entries:
        files = [
            LocalFile(entry)
            for entry in entries
            if not ignored(entry.name) and not entry.is_dir(follow_symlinks=False)
        ]
        found = [part for file in files if (part := file.as_part()) is not None]
    return sorted(found, key=lambda file: file.name)
