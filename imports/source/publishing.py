"""Publishing a file: it gets a name that is free, and nothing is overwritten."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from imports.files.free_names import name_exclusively
from imports.files.private_file import FILE
from imports.files.regular_file import open_new, opener
from imports.source.problem_list import errors_of_another

_BLOCK_BYTES = 1024 * 1024


def publish(file: Path, original: Path, choices: Iterator[Path]) -> Path:
    """Gives a file the first name that is free or has the same content; returns that name.

    `file` and `original` have the same content, and may be the same file. `choices` never end.
    """
    for name in choices:
        while True:
            if os.path.lexists(name):
                if _same_content(original, name):
                    return name
                break
            if errors_of_another(name):
                break
            try:
                name_exclusively(file, name)
            except FileExistsError:
                continue  # another process was faster: compare with its file
            return name
    raise AssertionError("the choices never end")


def publish_copy(
    file: Path, part: Path, choices: Iterator[Path], is_same: Callable[[os.stat_result], bool]
) -> Path | None:
    """Publishes a copy of a file after it is on disk; None if the file changed meanwhile."""
    try:
        published = publish(part, file, choices) if _copy(file, part, is_same) else None
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    part.unlink(missing_ok=True)
    return published


def _copy(source: Path, part: Path, is_same: Callable[[os.stat_result], bool]) -> bool:
    """Copies content, mode and mtime to disk; False if the file changed meanwhile."""
    with (
        open(source, "rb", opener=opener) as reader,
        os.fdopen(open_new(str(part), FILE), "wb") as writer,
    ):
        while block := reader.read(_BLOCK_BYTES):
            writer.write(block)
        writer.flush()
        status = os.fstat(reader.fileno())
        if not is_same(status) or writer.tell() != status.st_size:
            return False
        # By name: not every system accepts a descriptor here.
        part.chmod(stat.S_IMODE(status.st_mode))
        os.utime(part, ns=(status.st_atime_ns, status.st_mtime_ns))
        os.fsync(writer.fileno())
    return True


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
