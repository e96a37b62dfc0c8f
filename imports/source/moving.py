"""Deleting a source file, or moving it to another folder, after it is imported.

A file is set aside first, so that no program can replace it. Then it is checked, and deleted,
moved or put back.

Each function may be killed at any instant and called again. The file is then in the source, set
aside, at the destination, or at two of these places with the same content. It is never incomplete
under its final name.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from imports.files.file_error import about_file
from imports.files.free_names import names, put_back
from imports.files.open_files import is_open_for_writing
from imports.files.private_file import FILE, FOLDER
from imports.files.regular_file import open_new
from imports.files.whole_file import sync_folder
from imports.items.source import Signature
from imports.source.drafts import part_of
from imports.source.publishing import publish, publish_copy
from imports.source.set_aside import AsideFolders
from imports.source.tree import is_same_file, is_unchanged


class Fate(StrEnum):
    """What happened to a source file.

    `done`: it was deleted or moved. `gone`: it no longer existed. `changed`: it is not the file
    that was imported, and stays. `in_use`: a program has it open for writing, and it stays.
    """

    DONE = "done"
    GONE = "gone"
    CHANGED = "changed"
    IN_USE = "in_use"


class Outcome(NamedTuple):
    """The result of deleting or moving a file.

    `path` is the place where it was moved to; None if it was not moved, or is gone and not at the
    destination. `kept_as` is set if a file that was set aside got a new name, since another file
    took its name meanwhile: both exist.
    """

    fate: Fate
    path: str | None = None
    kept_as: str | None = None


_ADVICE = (
    "Make it writable, choose other folders with --failed-dir and --done-dir, or keep all files"
    " where they are with --on-success keep --on-failure keep."
)


def check_writable(folders: Iterable[str], advice: str = _ADVICE) -> None:
    """Checks that files can be created, renamed and deleted in these folders.

    It tries all three with an empty file, and creates missing folders. `advice` is for the error.

    Raises:
        UsageError, DiskError: naming the first folder where this fails.
    """
    for folder in folders:
        trial = Path(folder, f".{uuid4().hex}.part")
        renamed = trial.with_suffix(".renamed.part")
        try:
            make_folder(Path(folder))
            os.close(open_new(str(trial), FILE))
            trial.rename(renamed)
            renamed.unlink()
        except OSError as error:
            for left in (trial, renamed):
                with contextlib.suppress(OSError):
                    left.unlink(missing_ok=True)
            raise about_file(
                f"Files cannot be moved or deleted in the folder {folder}",
                error,
                advice,
            ) from error


def delete(path: str, signature: Signature, private: AsideFolders) -> Outcome:
    """Deletes a file if it still has the signature; if it is a link, only the link.

    Raises:
        OSError: if it cannot be deleted; it is then still in the source.
    """
    source = Path(path)
    try:
        entry = _entry_of(source, signature)
    except FileNotFoundError:
        return Outcome(Fate.GONE)
    if entry is None:
        return Outcome(Fate.CHANGED)
    return _take(source, entry, private, _delete_aside)


def move(
    path: str, signature: Signature, folder: str, relative: str, private: AsideFolders
) -> Outcome:
    """Moves a file that still has the signature to the path `relative` in a folder.

    Nothing is overwritten: if a file with other content has the name, `name.1.json` is tried, then
    `name.2.json`. If it has the same content, a killed run has already moved it there, and the file
    is only deleted from the source. The mtime is kept. If the file is a link, its content is moved.

    Raises:
        OSError: if it cannot be moved; it is then still in the source.
    """
    source, destination = Path(path), Path(folder, relative)
    try:
        entry = _entry_of(source, signature)
        if entry is None and _is_linked_at(source, signature, destination):
            entry = source.lstat()
    except FileNotFoundError:
        return Outcome(Fate.GONE, _moved_before(signature, destination))
    if entry is None:
        return Outcome(Fate.CHANGED)
    make_folder(destination.parent)
    if not stat.S_ISLNK(entry.st_mode):
        return _take(source, entry, private, partial(_move_aside, destination=destination))
    part = part_of(source, destination.parent)
    is_same = partial(is_unchanged, signature=signature)
    published = publish_copy(source, part, names(destination), is_same)
    if published is None:
        return Outcome(Fate.CHANGED)
    sync_folder(published.parent)
    outcome = _take(source, entry, private, _delete_aside)
    return outcome._replace(path=str(published)) if outcome.fate is Fate.DONE else outcome


def is_left_of(aside: Path, signature: Signature) -> bool:
    """Whether a file that a killed run had set aside has the signature, and no writer."""
    status = aside.lstat()
    return (
        stat.S_ISREG(status.st_mode)
        and is_same_file(status, signature)
        and not is_open_for_writing(str(aside))
    )


def finish_delete(aside: Path) -> Outcome:
    """Deletes a file that a killed run had set aside to delete it.

    Raises:
        OSError: if it cannot be deleted.
    """
    aside.unlink()
    return Outcome(Fate.DONE)


def finish_move(aside: Path, home: Path, folder: str, relative: str) -> Outcome:
    """Moves a file that a killed run had set aside to move it; `home` is its original path.

    Raises:
        OSError: if it cannot be moved.
    """
    destination = Path(folder, relative)
    make_folder(destination.parent)
    return _move_aside(aside, home, destination)


# Setting aside


def _entry_of(source: Path, signature: Signature) -> os.stat_result | None:
    """The status of the path itself, if its file has the signature; else None.

    Raises:
        OSError: if the file does not exist.
    """
    entry = source.lstat()
    status = source.stat() if stat.S_ISLNK(entry.st_mode) else entry
    return entry if is_unchanged(status, signature) else None


def _take(
    source: Path,
    entry: os.stat_result,
    private: AsideFolders,
    finish: Callable[[Path, Path], Outcome],
) -> Outcome:
    """Sets a file aside, and calls `finish` if it is still the same as `entry`.

    Otherwise it is put back, under its name or the next free one.
    """
    try:
        aside = private.take(source)
    except FileNotFoundError:
        return Outcome(Fate.GONE)
    try:
        status = aside.lstat()
        same = os.path.samestat(status, entry) and (
            (status.st_size, status.st_mtime_ns) == (entry.st_size, entry.st_mtime_ns)
        )
        fate = Fate.CHANGED
        if same:
            if not is_open_for_writing(str(aside)):
                return finish(aside, source)
            fate = Fate.IN_USE
        place = put_back(aside, source)
    except OSError:
        if not os.path.lexists(aside):
            # A run on another machine, where the lock is not visible, has put it back.
            return Outcome(Fate.CHANGED)
        with contextlib.suppress(OSError):
            put_back(aside, source)
        raise
    return Outcome(fate, kept_as=None if place == source else str(place))


def _delete_aside(aside: Path, home: Path) -> Outcome:
    aside.unlink()
    return Outcome(Fate.DONE)


def _move_aside(aside: Path, home: Path, destination: Path) -> Outcome:
    part = part_of(home, destination.parent)
    try:
        published: Path | None = publish(aside, aside, names(destination))
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        same = partial(_is_as_before, before=aside.lstat())
        published = publish_copy(aside, part, names(destination), same)
    if published is None:
        put_back(aside, home)
        return Outcome(Fate.CHANGED)
    sync_folder(published.parent)
    aside.unlink(missing_ok=True)
    return Outcome(Fate.DONE, str(published))


def _is_as_before(status: os.stat_result, before: os.stat_result) -> bool:
    return (status.st_size, status.st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def _moved_before(signature: Signature, destination: Path) -> str | None:
    """Where a killed run has moved a file of this size and mtime; None if it did not."""
    for name in names(destination):
        try:
            if is_unchanged(name.lstat(), signature._replace(digest="")):
                return str(name)
        except FileNotFoundError:
            return None
    return None


def _is_linked_at(source: Path, signature: Signature, destination: Path) -> bool:
    """Whether a killed run has already linked the file at the destination."""
    status = source.lstat()
    if status.st_nlink < 2 or not is_same_file(status, signature):
        return False
    for name in names(destination):
        try:
            if os.path.samestat(status, name.lstat()):
                return True
        except FileNotFoundError:
            return False
    raise AssertionError("`names` never ends")


# Folders


def make_folder(folder: Path) -> None:
    """Creates a folder and its missing parents, and syncs them to disk."""
    if folder.is_dir():
        return
    if folder.parent != folder:
        make_folder(folder.parent)
    folder.mkdir(FOLDER, exist_ok=True)
    sync_folder(folder.parent)
