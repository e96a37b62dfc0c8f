"""The progress log: a CSV file with one row a source file, for people and their spreadsheets.

It is a picture of the ledger, not a second memory: it is always written as a whole, and what a
crash left in it is put right by the next write.

A text is there as `shown` has it: with an escape for each sign that is not visible. One that a
spreadsheet would run as a formula (it begins with `=`, `+`, `-`, `@`, or one of them in full width)
has a `'` before it, as has one that begins with `'` and goes on like that; `read_progress` takes it
away again.
"""

from __future__ import annotations

import csv
import io
import re
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, TextIO

from imports.display_text import shown
from imports.errors import UsageError
from imports.files.file_error import about_file
from imports.files.private_file import make_folder
from imports.files.regular_file import opener
from imports.files.whole_file import replacing

MOST_OF_THE_TIME = 0.05
"""Which part of the time that passes may go into writing the progress log."""

_FORMULA = re.compile(r"'*[=+\-@＝＋－＠\t\r\n]")
_OTHER_PLACE = "Name another place with --progress-csv."


class ProgressStatus(StrEnum):
    """What a row says of its file."""

    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    """It failed, and somebody has acknowledged that."""


class ProgressRow(NamedTuple):
    """One source file; the fields are the columns. What is not known is None, or an empty text.

    `status` is a ProgressStatus, or what another tool wrote there; the times are ISO 8601 in UTC.
    """

    file_path: str
    total_profiles: int | None
    successful_uploads: int | None
    failed_uploads: int | None
    processing_time_seconds: float | None
    status: str
    started_at: str = ""
    completed_at: str = ""


COLUMNS = ProgressRow._fields
"""The first line of the file."""


class ProgressCsv:
    """Keeps the progress log of one run up to date. For one thread.

    `rows` is asked for all rows of the ledger whenever the file is written. Rows that are in the
    file already, of files that the ledger does not have, are kept.
    """

    def __init__(
        self,
        path: Path,
        rows: Callable[[], Iterable[ProgressRow]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._rows = rows
        self._clock = clock
        self._earlier: EarlierRows | None = None
        self._next_write = float("-inf")

    def update(self, *, now: bool = False) -> bool:
        """Writes the file if that is due, or in any case; whether it did.

        It is due when so much time has passed that writing takes less than 5 % of it: the longer
        the file, the less often it is written, and a source file costs the same among any number.

        Raises:
            UsageError, DiskError: if it cannot be written, or what is there is no progress log.
        """
        started = self._clock()
        if not now and started < self._next_write:
            return False
        if self._earlier is None:
            self._earlier = EarlierRows(read_progress(self._path))
        write_progress(self._path, self._rows(), self._earlier)
        ended = self._clock()
        self._next_write = ended + (ended - started) / MOST_OF_THE_TIME
        return True

    def close(self) -> None:
        """Writes nothing; lets go of what it holds. It can be used again."""
        if self._earlier is not None:
            self._earlier.close()
            self._earlier = None


class EarlierRows:
    """Rows that a progress log had before, one a file: of several the last. Iterable.

    They are on disk, so that there may be any number of them.
    """

    def __init__(self, rows: Iterable[ProgressRow]) -> None:
        # An empty name: a database of its own, in a temporary file that nobody else sees.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.execute(
            "CREATE TABLE earlier (file_path TEXT PRIMARY KEY, total, succeeded, failed, seconds,"
            " status TEXT, started TEXT, completed TEXT)"
        )
        self._database.execute("BEGIN")
        self._database.executemany(
            "INSERT OR REPLACE INTO earlier VALUES (?, ?, ?, ?, ?, ?, ?, ?)", map(_as_shown, rows)
        )
        self._database.execute("COMMIT")

    def __iter__(self) -> Iterator[ProgressRow]:
        for row in self._database.execute("SELECT * FROM earlier ORDER BY rowid"):
            yield ProgressRow._make(row)

    def drop(self, file_path: str) -> None:
        """Forgets the row of a file, if there is one."""
        self._database.execute("DELETE FROM earlier WHERE file_path = ?", (shown(file_path),))

    @property
    def any(self) -> bool:
        """Whether there are rows."""
        return self._database.execute("SELECT 1 FROM earlier LIMIT 1").fetchone() is not None

    def close(self) -> None:
        """Removes them from the disk."""
        self._database.close()


def write_progress(
    path: Path, rows: Iterable[ProgressRow], earlier: Iterable[ProgressRow] = ()
) -> None:
    """Replaces the file as a whole: a reader sees the old one or the new one, also after a crash.

    After `rows` come those of the `earlier` rows whose file has none among them. Neither is held
    in memory. Rows whose file is found among `rows` are dropped from an `EarlierRows` for good.
    The folder of the file is made, for its owner alone, where it is missing.

    Raises:
        UsageError, DiskError: if it cannot be written.
    """
    try:
        make_folder(path.parent)
        with replacing(path) as file:
            text = io.TextIOWrapper(file, "utf-8", newline="")
            _write_rows(text, rows, earlier)
            text.detach()
    except OSError as error:
        raise about_file(
            f"The progress log {path} cannot be written", error, _OTHER_PLACE
        ) from error


def read_progress(path: Path) -> Iterator[ProgressRow]:
    """The rows of a progress log, in their order; none where there is no file, or an empty one.

    A last line without its end was torn by a crash: it is left out, as are lines with too few or
    too many fields. A number that is none is not known.

    Raises:
        UsageError, DiskError: if the file cannot be read, or is something else than a progress log.
    """
    try:
        with open(
            path, encoding="utf-8-sig", errors="surrogateescape", newline="", opener=opener
        ) as file:
            lines = csv.reader(_whole_lines(file))
            header = next(lines, None)
            if header is None:
                return
            if sorted(header) != sorted(COLUMNS):
                raise UsageError(f"{path} is not a progress log. {_OTHER_PLACE}")
            places = [header.index(column) for column in COLUMNS]
            for line in lines:
                if len(line) == len(COLUMNS):
                    yield _row([line[place] for place in places])
    except FileNotFoundError:
        return
    except OSError as error:
        raise about_file(f"The progress log {path} cannot be read", error, _OTHER_PLACE) from error
    except csv.Error as error:
        raise UsageError(f"The progress log {path} is damaged: {error}. {_OTHER_PLACE}") from error


def _write_rows(file: TextIO, rows: Iterable[ProgressRow], earlier: Iterable[ProgressRow]) -> None:
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    kept = earlier if isinstance(earlier, EarlierRows) else EarlierRows(earlier)
    try:
        # Mostly there are none, and the ledger's rows need not be looked for among them.
        any_kept = kept.any
        for row in rows:
            writer.writerow(_line(row))
            if any_kept:
                kept.drop(row.file_path)
        if any_kept:
            writer.writerows(map(_line, kept))
    finally:
        if kept is not earlier:
            kept.close()


def _line(row: ProgressRow) -> list[object]:
    return [_inert(shown(value)) if isinstance(value, str) else value for value in row]


def _inert(text: str) -> str:
    return f"'{text}" if _FORMULA.match(text) else text


def _as_meant(text: str) -> str:
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def _whole_lines(file: TextIO) -> Iterator[str]:
    return (line for line in file if line.endswith(("\n", "\r")))


def _row(line: list[str]) -> ProgressRow:
    path, total, succeeded, failed, seconds, status, started, completed = line
    return ProgressRow(
        _as_meant(path),
        _number(total),
        _number(succeeded),
        _number(failed),
        _seconds(seconds),
        _as_meant(status),
        _as_meant(started),
        _as_meant(completed),
    )


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


def _seconds(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _as_shown(row: ProgressRow) -> tuple[object, ...]:
    return tuple(shown(each) if isinstance(each, str) else each for each in row)
