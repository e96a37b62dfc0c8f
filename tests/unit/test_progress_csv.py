from __future__ import annotations

import csv
import os
import stat
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imports.display_text import shown
from imports.errors import DiskError, UsageError
from imports.files.whole_file import remove_drafts
from imports.run.consuming import progress_csv
from imports.run.consuming.progress_csv import (
    EarlierRows,
    ProgressCsv,
    ProgressRow,
    ProgressStatus,
    read_progress,
    write_progress,
)

HEADER = (
    "file_path,total_profiles,successful_uploads,failed_uploads,processing_time_seconds,status,"
    "started_at,completed_at\r\n"
)
DONE = ProgressRow(
    "a/b.json",
    10,
    9,
    1,
    0.25,
    ProgressStatus.FAILED,
    "2025-06-14T10:00:00Z",
    "2025-06-14T10:00:01Z",
)
UNDER_WAY = ProgressRow("c.json", 3, None, None, None, "IN_PROGRESS", "2025-06-14T10:00:00Z")


def row(path: str, total: int = 1) -> ProgressRow:
    return ProgressRow(path, total, total, 0, 0.5, "COMPLETED", "2025-06-14T10:00:00Z", "")


def paths(path: Path) -> list[str]:
    return [each.file_path for each in read_progress(path)]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "data" / "progress.csv"


# Writing and reading


def test_the_file_has_the_documents_columns_and_one_row_a_file(log: Path) -> None:
    write_progress(log, [DONE, UNDER_WAY])
    assert log.read_bytes().decode() == (
        HEADER
        + "a/b.json,10,9,1,0.25,FAILED,2025-06-14T10:00:00Z,2025-06-14T10:00:01Z\r\n"
        + "c.json,3,,,,IN_PROGRESS,2025-06-14T10:00:00Z,\r\n"
    )
    assert list(read_progress(log)) == [DONE, UNDER_WAY]


def test_without_rows_there_is_the_header(log: Path) -> None:
    write_progress(log, [])
    assert log.read_bytes().decode() == HEADER
    assert list(read_progress(log)) == []


def test_where_there_is_no_file_or_an_empty_one_there_are_no_rows(log: Path) -> None:
    assert list(read_progress(log)) == []
    log.parent.mkdir()
    log.write_bytes(b"")
    assert list(read_progress(log)) == []


@pytest.mark.parametrize(
    "name", ["=1+1", "+a", "-a", "@a", "＝1+1", "＋a", "－a", "＠a", "'=a", "''-a"]
)
def test_a_spreadsheet_finds_no_formula(log: Path, name: str) -> None:
    write_progress(log, [row(name)])
    with log.open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file))[1][0] == f"'{name}"
    assert paths(log) == [name]


@pytest.mark.parametrize(
    "name",
    [
        "a,b",
        'a"b',
        '"',
        "'a",
        "''",
        " a ",
        "Ä 薬局 😀",
        "a=1",
    ],
)
def test_an_awkward_name_comes_back(log: Path, name: str) -> None:
    write_progress(log, [row(name), row("z")], [row(name, 2), row(name + "2")])
    assert list(read_progress(log)) == [row(name), row("z"), row(name + "2")]


@pytest.mark.parametrize(
    ("name", "escaped"),
    [
        ("a\nb", r"a\nb"),
        ("a\r\nb", r"a\r\nb"),
        ("\t=1", r"\t=1"),
        ("\r=1", r"\r=1"),
        ("\n=1", r"\n=1"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        (os.fsdecode(b"b\xe9"), r"b\xe9"),
    ],
)
def test_a_name_that_is_not_visible_as_itself_is_there_escaped(
    log: Path, name: str, escaped: str
) -> None:
    # In each column: another tool may have written the earlier rows.
    strange = row(name)._replace(status=name, started_at=name, completed_at=name)
    write_progress(log, [row("z")], [strange])
    whole = row(escaped)._replace(status=escaped, started_at=escaped, completed_at=escaped)
    assert list(read_progress(log)) == [row("z"), whole]
    write_progress(log, [row(name, 2)], read_progress(log))
    assert list(read_progress(log)) == [row(escaped, 2), row("z")], "it is known as the same file"
    assert len(log.read_bytes().splitlines()) == 3


rows_of_any_text = st.builds(
    ProgressRow,
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    st.none() | st.integers(0, 10**9),
    st.none() | st.integers(0, 10**9),
    st.none() | st.integers(0, 10**9),
    st.none() | st.floats(0, 1e9),
    st.sampled_from(ProgressStatus).map(str),
    st.just("2025-06-14T10:00:00Z"),
    st.just(""),
)


@given(
    st.lists(rows_of_any_text, unique_by=lambda each: shown(each.file_path)),
    st.lists(rows_of_any_text),
)
def test_any_rows_come_back_one_a_file(
    tmp_path_factory: pytest.TempPathFactory, rows: list[ProgressRow], earlier: list[ProgressRow]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    write_progress(path, rows, earlier)
    found = list(read_progress(path))
    rows = [each._replace(file_path=shown(each.file_path)) for each in rows]
    earlier = [each._replace(file_path=shown(each.file_path)) for each in earlier]
    assert found[: len(rows)] == rows
    last = {each.file_path: each for each in [*earlier, *rows]}
    assert sorted(each.file_path for each in found) == sorted(last)
    assert {each.file_path: each for each in found} == last


# What another run, or another tool, left


def test_a_torn_last_line_is_left_out_wherever_it_is_torn(log: Path) -> None:
    write_progress(log, [DONE, row('q"uoted, name')])
    content = log.read_bytes()
    end = content.index(b"\r\n", content.index(b"FAILED")) + 2
    for cut in range(end, len(content) - 1):
        log.write_bytes(content[:cut])
        assert list(read_progress(log)) == [DONE]


def test_a_line_that_a_torn_one_ran_into_is_left_out(log: Path) -> None:
    write_progress(log, [DONE])
    with log.open("a") as file:
        file.write("b.json,1,2c.json,1,1,0,0.5,COMPLETED,x,\r\nd.json,1,1,0,0.5,COMPLETED,,\n")
    assert paths(log) == ["a/b.json", "d.json"]


def test_what_the_documents_tool_wrote_is_read(log: Path) -> None:
    log.parent.mkdir()
    log.write_text(
        HEADER.replace("\r", "")
        + "/data/a.json,2,0,0,0.0,IN_PROGRESS,2025-06-14 10:00:00.5,\n"
        + "/data/b.json,two,1.5,-1,soon,SKIPPED,,\n",
        encoding="utf-8-sig",
    )
    assert list(read_progress(log)) == [
        ProgressRow("/data/a.json", 2, 0, 0, 0.0, "IN_PROGRESS", "2025-06-14 10:00:00.5", ""),
        ProgressRow("/data/b.json", None, None, None, None, "SKIPPED", "", ""),
    ]


def test_the_columns_may_be_in_another_order(log: Path) -> None:
    log.parent.mkdir()
    log.write_text(
        "status,file_path,total_profiles,successful_uploads,failed_uploads,started_at,"
        "completed_at,processing_time_seconds\nFAILED,a,3,2,1,x,y,0.5\n"
    )
    assert list(read_progress(log)) == [ProgressRow("a", 3, 2, 1, 0.5, "FAILED", "x", "y")]


@pytest.mark.parametrize("content", ["name,price\nbolt,3\n", '{"a": 1}\n'])
def test_another_file_is_not_taken_for_a_progress_log_nor_overwritten(
    log: Path, content: str
) -> None:
    log.parent.mkdir()
    log.write_text(content)
    with pytest.raises(UsageError, match=r"progress.csv is not a progress log. Name another place"):
        ProgressCsv(log, lambda: [DONE]).update()
    assert log.read_text() == content


def test_a_file_that_cannot_be_read_or_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot be read: .* Name another place"):
        list(read_progress(tmp_path))
    with pytest.raises(UsageError, match=r"cannot be written: .* Name another place"):
        write_progress(tmp_path, [])
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be written"):
        write_progress(tmp_path / "file" / "progress.csv", [])
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_quote_without_its_other_half_is_told(log: Path) -> None:
    log.parent.mkdir()
    log.write_text(HEADER + '"' + "x" * 140_000 + "\n")
    with pytest.raises(UsageError, match="is damaged"):
        list(read_progress(log))


# Earlier rows


def test_earlier_rows_are_kept_one_a_file_and_the_ledgers_win(log: Path) -> None:
    earlier = [row("old", 1), row("both", 2), row("old", 3)]
    write_progress(log, [row("both", 4), row("new", 5)], earlier)
    assert list(read_progress(log)) == [row("both", 4), row("new", 5), row("old", 3)]


def test_earlier_rows_may_be_read_from_the_file_itself(log: Path) -> None:
    write_progress(log, [row("a"), row("b")])
    write_progress(log, [row("b", 2)], read_progress(log))
    assert list(read_progress(log)) == [row("b", 2), row("a")]


def test_earlier_rows_lose_those_that_the_ledger_has(log: Path) -> None:
    earlier = EarlierRows([row("a"), row("b")])
    assert earlier.any
    write_progress(log, [row("b", 2)], earlier)
    assert list(earlier) == [row("a")]
    write_progress(log, [row("a")], earlier)
    assert not earlier.any
    earlier.close()


# Replacing as a whole


@pytest.mark.parametrize("broken", ["rows", "fsync", "replace"])
def test_what_was_there_stays_when_writing_fails(
    log: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    write_progress(log, [DONE])

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    def rows() -> Iterator[ProgressRow]:
        yield row("x")
        if broken == "rows":
            fail()

    if broken != "rows":
        monkeypatch.setattr(os, broken, fail)
    with pytest.raises(DiskError, match="No space left on device"):
        write_progress(log, rows())
    assert list(read_progress(log)) == [DONE]
    assert list(log.parent.iterdir()) == [log]


def test_the_file_is_on_disk_before_it_gets_its_name(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (done.append("fsync"), fsync(file)))
    monkeypatch.setattr(
        os, "replace", lambda one, other: (done.append("replace"), replace(one, other))
    )
    write_progress(log, [DONE])
    assert done == ["fsync", "replace"]


def test_a_reader_sees_only_whole_files(log: Path) -> None:
    write_progress(log, [row("a", 0)] * 200)
    stop = threading.Event()
    seen: list[tuple[int, set[int | None]]] = []

    def read() -> None:
        while not stop.is_set():
            found = list(read_progress(log))
            seen.append((len(found), {each.total_profiles for each in found}))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for total in range(1, 60):
            write_progress(log, (row("a", total) for _ in range(200)))
    finally:
        stop.set()
        reader.join()
    assert seen
    assert all(count == 200 and len(totals) == 1 for count, totals in seen)


def test_what_killed_runs_left_is_removed(log: Path) -> None:
    write_progress(log, [DONE])
    for name in (".progress.csv.1.part", ".progress.csv.23.part", ".other.csv.1.part"):
        log.with_name(name).touch()
    remove_drafts(log)
    assert {each.name for each in log.parent.iterdir()} == {"progress.csv", ".other.csv.1.part"}


# How often


class Clock:
    """A clock that only moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Ledger:
    """Rows that take some time each to be written, and are counted."""

    def __init__(self, clock: Clock, seconds_a_row: float) -> None:
        self.rows: list[ProgressRow] = []
        self.written = 0
        self.writes = 0
        self.writing = self.last = 0.0
        self._clock = clock
        self._seconds = seconds_a_row

    def __call__(self) -> Iterable[ProgressRow]:
        self.writes += 1
        self.written += len(self.rows)
        self.last = self._seconds * len(self.rows)
        self.writing += self.last
        self._clock.now += self.last
        return self.rows


def test_the_first_update_and_each_that_must_be_writes(log: Path) -> None:
    clock = Clock()
    ledger = Ledger(clock, 1.0)
    progress = ProgressCsv(log, ledger, clock)
    ledger.rows.append(row("a"))
    progress.update()
    assert (ledger.writes, paths(log)) == (1, ["a"])
    ledger.rows.append(row("b"))
    progress.update()
    assert (ledger.writes, paths(log)) == (1, ["a"])
    progress.update(now=True)
    assert (ledger.writes, paths(log)) == (2, ["a", "b"])


def test_the_next_update_writes_when_writing_was_less_than_a_twentieth_of_the_time(
    log: Path,
) -> None:
    clock = Clock()
    ledger = Ledger(clock, 1.0)
    ledger.rows = [row("a"), row("b")]
    progress = ProgressCsv(log, ledger, clock)
    progress.update()
    clock.now += 39.9
    progress.update()
    assert ledger.writes == 1
    clock.now += 0.1
    progress.update()
    assert ledger.writes == 2


def test_a_file_costs_the_same_among_any_number(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_csv, "write_progress", lambda path, rows, earlier: None)
    costs = {}
    for files in (100, 10_000, 100_000):
        clock = Clock()
        ledger = Ledger(clock, 0.000_02)
        progress = ProgressCsv(log, ledger, clock)
        started = clock.now
        for number in range(files):
            ledger.rows.append(row(str(number)))
            clock.now += 0.001
            progress.update()
        before_the_last = ledger.writing - ledger.last
        assert before_the_last <= 0.05 * (clock.now - started)
        costs[files] = before_the_last / files
    # A twentieth of the time that passes with each.
    assert max(costs.values()) <= 0.001 / 19
    assert ledger.writes > 20, "and it is written all the same"


def test_a_row_costs_the_same_bytes_among_any_number(log: Path) -> None:
    sizes = {}
    for files in (100, 100_000):
        write_progress(log, (row(f"{number:06}.json") for number in range(files)))
        sizes[files] = (log.stat().st_size - len(HEADER)) / files
    assert sizes[100] == sizes[100_000]


def test_rows_are_not_gathered(log: Path) -> None:
    alive = most = 0

    class Row(ProgressRow):
        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def rows() -> Iterator[ProgressRow]:
        nonlocal alive, most
        for number in range(5_000):
            alive += 1
            most = max(most, alive)
            yield Row(*row(str(number)))

    write_progress(log, rows(), rows())
    assert most < 10


def test_rows_of_files_that_the_ledger_does_not_have_are_kept_by_a_run(log: Path) -> None:
    write_progress(log, [row("old"), row("again"), row("now")])
    ledger = [row("now", 2)]
    progress = ProgressCsv(log, lambda: ledger)
    progress.update()
    assert list(read_progress(log)) == [row("now", 2), row("old"), row("again")]
    ledger.append(row("again", 3))
    progress.update(now=True)
    assert list(read_progress(log)) == [row("now", 2), row("again", 3), row("old")]
    progress.close()
    progress.update(now=True)
    assert list(read_progress(log)) == [row("now", 2), row("again", 3), row("old")]
    progress.close()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_folder_that_is_made_for_the_log_is_its_owners(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_progress(tmp_path / "new" / "data" / "progress.csv", [DONE])
    finally:
        os.umask(before)
    for path, mode in {"new": 0o700, "new/data": 0o700, "new/data/progress.csv": 0o600}.items():
        assert stat.S_IMODE((tmp_path / path).stat().st_mode) == mode, path
