"""The progress log: a CSV file with one row for each source file, for spreadsheets.

It is written from the ledger, always as a whole, so the next write repairs it after a crash.

Texts are escaped by `shown`: invisible characters become escapes. A text that a spreadsheet would
run as a formula (it begins with `=`, `+`, `-`, `@`, or one of them in full width) gets a `'` before
it, and so does such a text after one or more `'`; `read_progress` removes it.
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
"""The largest share of time for writing the progress log."""

_FORMULA = re.compile(r"'*[=+\-@＝＋－＠\t\r\n]")
_OTHER_PLACE = "Name another place with --progress-csv."


class ProgressStatus(StrEnum):
    """The status of a file in its row."""

    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    """It failed, and the failure is acknowledged."""


class ProgressRow(NamedTuple):
    """One source file; the fields are the columns. Unknown values are None or an empty text.

    `status` is a ProgressStatus, or the text of another tool; times are ISO 8601 in UTC.
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
    """Updates the progress log of one run. Only for one thread.

    `rows` returns all rows of the ledger, for each write. Earlier rows of the file stay if the
    ledger does not have their source file.
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
        """Writes the file if a write is due, or `now`; returns whether it did.

        A write is due when it takes less than 5 % of the time since the last one. So a long file is
        written less often, and the cost for each source file is constant.

        Raises:
            UsageError, DiskError: if it cannot be written, or is not a progress log.
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
        """Releases the resources, without a write. The object can be used again."""
        if self._earlier is not None:
            self._earlier.close()
            self._earlier = None


class EarlierRows:
    """The earlier rows of a progress log, the last one for each source file. Iterable.

    They are on disk, so there may be any number of them.
    """

    def __init__(self, rows: Iterable[ProgressRow]) -> None:
        # An empty name: a private database in a temporary file.
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
        """Deletes the row of a source file, if there is one."""
        self._database.execute("DELETE FROM earlier WHERE file_path = ?", (shown(file_path),))

    @property
    def any(self) -> bool:
        """Whether there are rows."""
        return self._database.execute("SELECT 1 FROM earlier LIMIT 1").fetchone() is not None

    def close(self) -> None:
        """Deletes the rows from the disk."""
        self._database.close()


def write_progress(
    path: Path, rows: Iterable[ProgressRow], earlier: Iterable[ProgressRow] = ()
) -> None:
    """Replaces the file atomically: a reader sees the old or the new file, also after a crash.

    After `rows` come the `earlier` rows of other source files. Neither is held in memory. Rows of
    source files in `rows` are deleted from an `EarlierRows`. Creates the folder of the file,
    private to its owner, if it is missing.

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
    """Yields the rows of a progress log; none if the file is missing or empty.

    Skips an incomplete last line, and lines with a wrong number of fields. An invalid number
    becomes None.

    Raises:
        UsageError, DiskError: if the file cannot be read, or is not a progress log.
    """
    try:
        with open(
            path, encoding="utf-8-sig", errors="surrogateescape", newline="", opener=opener
        ) as file:
            lines = csv.reader(_complete_lines(file))
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
        # Usually there are none, so the ledger's rows need no lookup.
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
    return [_escaped(shown(value)) if isinstance(value, str) else value for value in row]


def _escaped(text: str) -> str:
    return f"'{text}" if _FORMULA.match(text) else text


def _unescaped(text: str) -> str:
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def _complete_lines(file: TextIO) -> Iterator[str]:
    return (line for line in file if line.endswith(("\n", "\r")))


def _row(line: list[str]) -> ProgressRow:
    path, total, succeeded, failed, seconds, status, started, completed = line
    return ProgressRow(
        _unescaped(path),
        _number(total),
        _number(succeeded),
        _number(failed),
        _seconds(seconds),
        _unescaped(status),
        _unescaped(started),
        _unescaped(completed),
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
