"""Status files: the result of the import of a folder, written into the folder."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from imports.files.regular_file import open_folder, open_new, open_regular
from imports.items.phase import Phase
from imports.items.source import Source
from imports.source.tree import printable

SUCCESS = "success.json"
FAILED = "failed.json"

WRITTEN_BY = "resilient-importer"
"""The value of `written_by` in a status file."""

_DRAFTS = {SUCCESS: f".{SUCCESS}.part", FAILED: f".{FAILED}.part"}
_NAMES = frozenset({*_DRAFTS, *_DRAFTS.values()})
_MOST_BYTES = 1024 * 1024
"""Our own status files are smaller."""

_BEGINNINGS = (
    f'{{\n  "written_by": "{WRITTEN_BY}"'.encode(),
    # Of earlier versions.
    b'{\n  "status": "success"',
    b'{\n  "status": "failed"',
)
_EARLIER_KEYS = frozenset({"status", "folder", "batch_id", "time", "tag", "target"})
_EARLIER_DETAILS = (frozenset({"counts"}), frozenset({"phase", "reason"}))
_NO_FILE_OF_OURS = frozenset({errno.ELOOP, errno.EINVAL, errno.EACCES, errno.EPERM})
"""Errors for a link, for a file that is not regular, and for one that we may not read."""


def is_status_file(name: str) -> bool:
    """Whether this is the name of a status file, whoever wrote it: it is not content."""
    return name in _NAMES


def is_ours(content: bytes) -> bool:
    """Whether this version, or an earlier one, wrote a status file with this content."""
    # On demand: the kinds import this module, and the command line loads the kinds.
    import orjson

    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError:
        return False
    if not isinstance(found, dict):
        return False
    return found.get("written_by") == WRITTEN_BY or (
        found.keys() >= _EARLIER_KEYS and found.keys() - _EARLIER_KEYS in _EARLIER_DETAILS
    )


@dataclass(frozen=True, slots=True)
class Unwritten:
    """A status file that could not be written or deleted, and the reason.

    `foreign` says that the importer did not write the existing file, which stays unchanged.
    """

    path: str
    reason: str
    foreign: bool = False


_FOREIGN = "the importer did not write the file with this name; it stays unchanged"


@dataclass(frozen=True, slots=True)
class StatusFiles:
    """Writes the status files of one run. Threads and processes may share it.

    `content` is `Kind.status_file`, which has the last word about what is in them.
    """

    source: Source
    batch_id: str
    tag: str
    target: str
    content: Callable[[Mapping[str, Any]], Mapping[str, Any]]

    def succeed(
        self, items: Iterable[tuple[str, Mapping[str, int], Mapping[str, Any]]]
    ) -> list[Unwritten]:
        """Writes `success.json` into each folder, with counts and a summary; the problems."""
        return [
            problem
            for path, counts, summary in items
            for problem in self._write(path, SUCCESS, {"counts": dict(counts), **summary})
        ]

    def fail(self, phase: Phase, items: Iterable[tuple[str, str]]) -> list[Unwritten]:
        """Writes `failed.json`, with its reason, into each folder; returns the problems."""
        return [
            problem
            for path, reason in items
            for problem in self._write(path, FAILED, {"phase": phase, "reason": printable(reason)})
        ]

    def _write(self, path: str, name: str, details: Mapping[str, object]) -> list[Unwritten]:
        """Replaces the file of this name as a whole, and deletes the one with the other name.

        A file that is not ours is left unchanged.
        """
        # On demand: the kinds import this module, and the command line loads the kinds.
        import orjson

        content = {
            "written_by": WRITTEN_BY,
            "status": name.removesuffix(".json"),
            "folder": path,
            "batch_id": self.batch_id,
            "time": datetime.now(UTC),
            "tag": self.tag,
            "target": self.target,
            **details,
        }
        text = orjson.dumps({**self.content(content)}, option=orjson.OPT_INDENT_2)
        other = FAILED if name == SUCCESS else SUCCESS
        try:
            folder = open_folder(self.source.absolute(path), self.source.may_read)
        except OSError as error:
            return [Unwritten(f"{path}/{name}", error.strerror or str(error))]
        problems: list[Unwritten] = []
        try:
            for each in (name, other):
                try:
                    done = _replace(folder, name, text) if each == name else _remove(folder, other)
                except OSError as error:
                    problems.append(Unwritten(f"{path}/{each}", error.strerror or str(error)))
                    # So the other file still shows the last result that was written.
                    break
                if not done:
                    problems.append(Unwritten(f"{path}/{each}", _FOREIGN, foreign=True))
        finally:
            os.close(folder)
        return problems


def _replace(folder: int, name: str, content: bytes) -> bool:
    """Replaces a file in an open folder as a whole; False if an existing one is not ours."""
    if _is_there(folder, name, is_ours) is False:
        return False
    draft = _DRAFTS[name]
    try:
        descriptor = open_new(draft, 0o666, folder=folder)
    except FileExistsError as error:
        if not _is_there(folder, draft, _is_begun):
            raise FileExistsError(errno.EEXIST, f"the name {draft} is taken") from error
        # A killed run has left it.
        os.unlink(draft, dir_fd=folder)
        descriptor = open_new(draft, 0o666, folder=folder)
    try:
        try:
            while content:
                content = content[os.write(descriptor, content) :]
        finally:
            os.close(descriptor)
        # Not synced: a power failure may lose the file, but the ledger has the result.
        os.replace(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(draft, dir_fd=folder)
        raise
    return True


def _remove(folder: int, name: str) -> bool:
    """Deletes a file in an open folder if it exists; False if it is not ours."""
    ours = _is_there(folder, name, is_ours)
    if ours:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)
    return ours is not False


def _is_there(folder: int, name: str, is_one: Callable[[bytes], bool]) -> bool | None:
    """Whether a file in an open folder has content that `is_one` accepts; None if it is missing."""
    try:
        descriptor, status = open_regular(name, folder=folder)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in _NO_FILE_OF_OURS:
            return False
        raise
    try:
        # A larger file need not be read: it is not ours.
        return status.st_size <= _MOST_BYTES and is_one(os.read(descriptor, status.st_size))
    finally:
        os.close(descriptor)


def _is_begun(content: bytes) -> bool:
    """Whether a status file may begin like this: a killed run may leave an incomplete draft."""
    return any(content.startswith(each) or each.startswith(content) for each in _BEGINNINGS)
