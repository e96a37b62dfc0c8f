from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from imports.cli.run_status import KnownRun, brief_lines, run_lines
from imports.cli.status import (
    Status,
    read_status,
    read_warnings,
    read_whereabouts,
    render_status,
    render_whereabouts,
    status_json,
    whereabouts_json,
)
from imports.errors import LedgerError
from imports.items.work_item import Lacking
from imports.ledger import DisposedItem
from imports.ledger.acknowledged import Acknowledgement
from imports.ledger.kept import keep_state
from imports.ledger.schema import NEWEST, UNRELEASED
from imports.ledger.summary import BatchSummary, CauseSummary, ScopeSummary
from imports.ledger.work_state import (
    DamagedStateError,
    FailedItem,
    PhaseState,
    WorkState,
    save_work_state,
)
from imports.run import next_command
from imports.run.lock import Holder
from tests.support.book import Book
from tests.support.reports import work_state

FILE = Path("work_state.json")


def after_run(**changes: Any) -> Status:
    """A last run, and nothing else."""
    return Status(last_run=known(work_state(**changes)))


def known(state: WorkState, state_file: Path = FILE, holder: Holder | None = None) -> KnownRun:
    return KnownRun(state, state_file, holder)


def held_by(process_id: int | None, run_name: str | None) -> Status:
    """A last run that its work state calls running, and who holds the lock."""
    state = work_state(
        status="running",
        phases={"planning": PhaseState("completed"), "sha256": PhaseState("running")},
    )
    return Status(last_run=known(state, holder=Holder(process_id, run_name)))


def test_where_there_was_no_run_the_first_command_is_offered() -> None:
    text = render_status(Status(), FILE)
    assert "No run yet" in text
    assert "work_state.json" in text
    assert " states DIR --tag TAG" in text


def test_the_last_run_is_told_with_its_counts_and_target() -> None:
    text = render_status(after_run(work_items_remaining=12), FILE)
    for part in (
        "/data/2025-08-04",
        "Aug-04-scrape",
        "Dataset ID: 32",
        "PostgreSQL, mydb at db.example",
        "batch_20251118_120000_1a2b3c",
        "Total: 515, unfinished 12, failed 0",
    ):
        assert part in text
    (line,) = [line for line in text.splitlines() if line.strip().startswith("sha256")]
    assert line.split() == ["sha256", "completed", "2.3s", "processed", "514"]


def test_of_a_source_that_was_not_listed_nobody_knows_how_many_items_it_has() -> None:
    state = work_state(status="interrupted", current_phase="planning", total_files=0)
    run = known(state)
    assert "Total: not yet known, the source is not yet listed" in run_lines(run)
    assert brief_lines(run)[0].endswith("; not yet listed")


@pytest.mark.parametrize(
    ("age", "shown"),
    [
        (timedelta(seconds=5), "5 s ago"),
        (timedelta(minutes=3), "3 min ago"),
        (timedelta(hours=5), "5 h ago"),
        (timedelta(days=2), "2 d ago"),
        (timedelta(seconds=-100), "0 s ago"),
    ],
)
def test_its_age_is_told(age: timedelta, shown: str) -> None:
    assert shown in render_status(after_run(last_update=datetime.now(UTC) - age), FILE)


def test_a_finished_run_can_be_verified() -> None:
    assert render_status(after_run(), FILE).splitlines()[-1].endswith(" verify")


@pytest.mark.parametrize("status", ["running", "interrupted", "failed"])
def test_an_unfinished_run_can_be_resumed_by_its_own_command(status: str) -> None:
    state = work_state(status=status, source="/data/my scrape", tag="it's")
    last = render_status(Status(last_run=known(state)), FILE).splitlines()[-1]
    assert last.startswith("To resume:  ")
    assert last.endswith(""" states '/data/my scrape' --tag 'it'"'"'s'""")


def test_a_run_that_nobody_holds_the_lock_for_was_killed() -> None:
    status = after_run(status="running", phases={"import": PhaseState("running")})
    text = render_status(status, FILE)
    assert "Run batch_20251118_120000_1a2b3c: stopped (killed) in phase import" in text
    assert "import   killed" in text
    assert text.splitlines()[-1].startswith("To resume:  ")
    run = status_json(status)["last_run"]
    assert (run["status"], run["process_id"]) == ("killed", None)
    assert run["phases"]["import"]["status"] == "killed"
    assert run["resume"].endswith(" states /data/2025-08-04 --tag Aug-04-scrape")


def test_a_run_that_holds_its_lock_is_running_and_is_not_to_be_resumed() -> None:
    status = held_by(123, "batch_20251118_120000_1a2b3c")
    text = render_status(status, FILE)
    assert "Run batch_20251118_120000_1a2b3c: running in phase import by process 123" in text
    assert "sha256   running" in text
    assert "To resume" not in text
    run = status_json(status)["last_run"]
    assert (run["status"], run["process_id"], run["resume"]) == ("running", 123, None)


def test_while_another_run_holds_the_lock_it_is_said_who_is_to_be_waited_for() -> None:
    for pid, run_name, who in ((9, "batch_other", "Process 9"), (None, None, "Another process")):
        status = held_by(pid, run_name)
        *_, waits, resume = render_status(status, FILE).splitlines()
        assert waits == f"{who} uses its ledger now."
        assert resume.startswith("To resume:  ")
        assert status_json(status)["last_run"]["status"] == "killed"


def test_a_finished_run_that_is_being_verified_is_said_to_be() -> None:
    run = known(work_state(), holder=Holder(5, "batch_20251118_120000_1a2b3c"))
    text = render_status(Status(last_run=run), FILE)
    assert "being verified in phase import by process 5" in text
    assert "To compare" not in text


def test_another_state_file_stands_in_the_command() -> None:
    last = render_status(
        Status(last_run=known(work_state(status="interrupted"), Path("runs/a.json"))),
        Path("runs/a.json"),
    ).splitlines()[-1]
    assert last.endswith(" --state-file runs/a.json")
    assert "--state-file" not in render_status(after_run(), FILE)


def test_a_run_over_one_file_is_resumed_over_that_file() -> None:
    state = work_state(status="interrupted", single_file="FL/a_parse.json")
    assert "--single-file /data/2025-08-04/FL/a_parse.json" in render_status(
        Status(last_run=known(state)), FILE
    )


def test_failures_are_told_the_first_ones_with_what_tries_them_again() -> None:
    failed = [
        FailedItem(path=f"FL/{number}.json", phase="import", reason="refused", tries=2)
        for number in range(30)
    ]
    text = render_status(after_run(failed_items=failed, failed_items_total=300), FILE)
    assert "failed 300" in text
    assert "failed: FL/0.json: refused (import, tried 2×)" in text
    assert text.count("failed: ") == 10
    assert "290 more failed" in text
    assert text.splitlines()[-1].startswith("To retry the failed items:  ")


# The next command


def test_what_was_given_up_is_tried_again_by_a_flag() -> None:
    failed = [FailedItem(path="FL/1.json", phase="import", reason="refused", tries=3)]
    phases = {"planning": PhaseState("completed", counts={"given_up": 1})}
    text = render_status(after_run(failed_items=failed, failed_items_total=1, phases=phases), FILE)
    assert text.splitlines()[-1].endswith(" --retry-failed")
    phases = {"planning": PhaseState("completed", counts={"given_up": 0})}
    text = render_status(after_run(failed_items=failed, failed_items_total=1, phases=phases), FILE)
    assert "--retry-failed" not in text


def test_what_a_limit_or_a_scan_left_over_is_imported_by_the_same_command() -> None:
    last = render_status(after_run(work_items_remaining=7), FILE).splitlines()[-1]
    assert last.startswith("To import the rest:  ")
    assert " states /data/2025-08-04 --tag Aug-04-scrape" in last


# What the ledger knows


def scope(**changes: Any) -> ScopeSummary:
    values: dict[str, Any] = {
        "kind": "folders",
        "source": "/data/line",
        "tag": "Nov",
        "total": 1_250_000,
        "pending": 45_000,
        "failed": 25_000,
        "gone": 0,
        "moved": 0,
        "batches": [
            BatchSummary("batch_20240115_143022_00002", 50, 5, 100.0, 102.0),
            BatchSummary("batch_20240115_143022_00001", 50, 0, 100.0, 100.0, 1705329022.0),
        ],
        "causes": [
            CauseSummary("is not JSON: line …", 1_200, "a/b", "import", "is not JSON: line 7", 3)
        ],
    }
    return ScopeSummary(**values | changes)


def test_totals_batches_and_causes_are_told_as_in_the_document() -> None:
    lines = render_status(Status([scope()]), FILE).splitlines()
    for line in (
        "STATUS REPORT: folders from /data/line, tag Nov",
        "Total tracked: 1,250,000",
        "Status breakdown:",
        "  success: 1,180,000",
        "  pending: 45,000",
        "  failed: 25,000",
        "Recent batches:",
        "  batch_20240115_143022_00002: 45/50 successful, 2.0 s, 25/s",
        "  batch_20240115_143022_00001: 50/50 successful, 0.0 s; reset on"
        " 2024-01-15T14:30:22+00:00",
        "  1,200 × is not JSON: line …",
        "      example: a/b: is not JSON: line 7 (import, tried 3×)",
    ):
        assert line in lines


def test_what_there_is_none_of_has_no_heading() -> None:
    text = render_status(Status([scope(batches=[], causes=[])]), FILE)
    assert "Recent batches" not in text
    assert "failures" not in text


def test_every_scope_is_told_and_then_the_last_run() -> None:
    status = Status([scope(), scope(kind="states", tag="Aug")], known(work_state()))
    text = render_status(status, FILE)
    first, second = text.index("folders from"), text.index("STATUS REPORT: states from")
    assert first < second < text.index("Run batch_20251118_120000_1a2b3c")
    assert "No run yet" not in text


def test_without_a_last_run_the_ledger_is_told_all_the_same() -> None:
    text = render_status(Status([scope()]), FILE)
    assert "Total tracked: 1,250,000" in text
    assert "No run yet" not in text


def test_what_failed_comes_with_the_command_that_stops_counting_it() -> None:
    text = render_status(Status([scope()]), Path("runs/a.json"), db_path=Path("b.db"))
    (line,) = [line for line in text.splitlines() if " acknowledge " in line]
    assert line.endswith(
        " acknowledge --kind folders --tag Nov --all --db-path b.db --state-file runs/a.json"
    )
    none_there = Status([scope(moved=25_000)])
    assert " acknowledge " not in render_status(none_there, FILE), "they were moved away"


def test_what_is_acknowledged_is_told_with_who_when_and_why() -> None:
    why = "the board's own error"
    found = [
        Acknowledgement(f"{number}.json", "import", "refused", 0.0, "nia", why if number else None)
        for number in range(5)
    ]
    status = Status([scope(failed=0, acknowledged=25_000, acknowledgements=found)])
    text = render_status(status, FILE)
    assert "  acknowledged: 25,000 (failed, but no longer counted)" in text
    assert "  success: 1,180,000" in text
    assert f"1970-01-01T00:00:00+00:00  acknowledged by nia: {why}" in text
    assert text.count("acknowledged by nia") == 5
    assert "… and 24,995 more" in text
    only = status_json(status)["scopes"][0]
    assert only["acknowledgements"][1] == {
        "file": "/data/line/1.json",
        "phase": "import",
        "reason": "refused",
        "acknowledged_at": "1970-01-01T00:00:00+00:00",
        "acknowledged_by": "nia",
        "note": why,
    }


def test_it_can_be_had_as_json() -> None:
    found = status_json(Status([scope()], known(work_state(failed_items_total=3))))
    assert json.loads(json.dumps(found)) == found
    (only,) = found["scopes"]
    assert {name: value for name, value in only.items() if name not in ("batches", "causes")} == {
        "kind": "folders",
        "source": "/data/line",
        "tag": "Nov",
        "total": 1_250_000,
        "success": 1_180_000,
        "pending": 45_000,
        "failed": 25_000,
        "acknowledged": 0,
        "gone": 0,
        "moved": 0,
        "warned": 0,
        "images_not_found": 0,
        "images_unusable": 0,
        "files_deleted": 0,
        "files_moved": 0,
        "disposals": [],
        "acknowledgements": [],
    }
    assert only["batches"][0] == {
        "name": "batch_20240115_143022_00002",
        "items": 50,
        "failed": 5,
        "started_at": 100.0,
        "finished_at": 102.0,
        "reset_at": None,
    }
    assert only["causes"][0]["items"] == 1_200
    assert found["last_run"]["batch_id"] == "batch_20251118_120000_1a2b3c"
    assert found["last_run"]["failed_items_total"] == 3


def test_of_nothing_json_tells_nothing() -> None:
    assert status_json(Status()) == {"scopes": [], "last_run": None, "unfinished": []}


# Reading it


def test_a_status_is_read_from_the_ledger_and_the_work_state(tmp_path: Path) -> None:
    book = Book(tmp_path / "ledger.db", kind="folders", tag="Nov")
    book.failed(*book.add("a").values())
    book.file.close()
    state_file = tmp_path / "work_state.json"
    save_work_state(work_state(kind="folders", tag="Nov"), state_file)
    for kind, tag in ((None, None), ("folders", None), (None, "Nov"), ("folders", "Nov")):
        status = read_status(state_file, book.file.path, kind, tag)
        assert [(each.tag, each.failed) for each in status.scopes] == [("Nov", 1)]
        assert status.last_run is not None
    for kind, tag in (("states", None), (None, "Dec"), ("folders", "Dec"), ("states", "Nov")):
        assert read_status(state_file, book.file.path, kind, tag) == Status()


def test_every_unfinished_run_is_told_with_how_it_goes_on(tmp_path: Path) -> None:
    book = Book(tmp_path / "upload_tracker.db")
    state_file = tmp_path / "work_state.json"
    for number, tag in enumerate(("one", "two", "done", "three")):
        state = work_state(
            run_name=f"batch_20251118_120000_00000{number}",
            source="/data",
            tag=tag,
            status="completed" if tag == "done" else "interrupted",
            work_items_remaining=7,
        )
        scope_id = book.runs.scope("states", "/data", tag, "t")
        other = tmp_path / "other.json" if tag == "one" else state_file
        book.runs.begin_run(scope_id, state.run_id, state.run_name, other)
        keep_state(book.file, scope_id, state)
    save_work_state(state, state_file)
    book.file.close()
    status = read_status(state_file, book.file.path)
    text = render_status(status, state_file)
    resume = f"--state-file {state_file}"
    assert f"To resume:  {next_command.program()} states /data --tag three {resume}" in text
    *_, head, two, how_two, one, how_one, _, last = text.splitlines()
    assert head == "Also unfinished:"
    assert two.startswith(
        "  states from /data, tag two, into PostgreSQL, mydb at db.example: inter"
    )
    assert two.endswith("unfinished 7 of 515")
    assert how_two.endswith(f"To resume:  {next_command.program()} states /data --tag two {resume}")
    assert "tag one" in one
    assert how_one.endswith("other.json")
    assert last.endswith(f"one after the other:  {next_command.program()} resume {resume}")
    found = status_json(status)
    assert [each["tag"] for each in found["unfinished"]] == ["three", "two", "one"]
    assert found["unfinished"][0] == found["last_run"]
    # Also without the file; and of one tag alone.
    state_file.unlink()
    again = read_status(state_file, book.file.path)
    assert [each.state.tag for each in again.unfinished] == ["three", "two", "one"]
    assert again.last_run is not None
    assert again.last_run.state.tag == "three"
    only = read_status(state_file, book.file.path, tag="one")
    assert ([each.state.tag for each in only.unfinished], only.resume_all) == (["one"], "")


@pytest.mark.parametrize(
    ("production", "told"),
    [([True, True], " resume --production --state-file "), ([True, False], None)],
    ids=["of all", "of some"],
)
def test_runs_into_production_go_on_there(
    tmp_path: Path, production: list[bool], told: str | None
) -> None:
    """One command goes on with all, unless they read their target from different files."""
    book = Book(tmp_path / "upload_tracker.db")
    state_file = tmp_path / "work_state.json"
    for number, each in enumerate(production):
        state = work_state(
            run_name=f"batch_20251118_120000_00000{number}",
            tag=str(number),
            status="interrupted",
            parameters={"production": each},
        )
        scope_id = book.runs.scope("states", "/data", state.tag, "t")
        book.runs.begin_run(scope_id, state.run_id, state.run_name, state_file)
        keep_state(book.file, scope_id, state)
    book.file.close()
    text = render_status(read_status(state_file, book.file.path), state_file)
    assert [" --production" in line for line in text.splitlines() if "To resume:" in line] == [
        *reversed(production)
    ]
    assert ("To resume all" in text) == (told is not None)
    assert (told or "") in text


def test_a_finished_run_into_production_is_verified_there() -> None:
    run = KnownRun(work_state(parameters={"production": True}), Path("work_state.json"))
    assert run_lines(run)[-1].endswith(" verify --production")


def test_a_status_of_nothing_makes_no_file(tmp_path: Path) -> None:
    assert read_status(tmp_path / "work_state.json", tmp_path / "ledger.db") == Status()
    assert list(tmp_path.iterdir()) == []


def test_an_empty_ledger_is_as_none_and_stays_empty(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.touch()
    assert read_status(tmp_path / "work_state.json", path) == Status()
    assert path.read_bytes() == b""
    assert list(tmp_path.iterdir()) == [path]


def test_a_ledger_in_a_folder_that_cannot_be_written_to_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "a #% folder?"
    folder.mkdir()
    book = Book(folder / "ledger.db", tag="Nov")
    book.add("a")
    book.file.close()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    folder.chmod(0o555)
    # Rights do not stop the superuser, who looks as if nothing but the last way were left.
    whole = sqlite3.connect
    asked: list[str] = []

    def guarded(place: str, **options: Any) -> sqlite3.Connection:
        asked.append(place)
        if not place.endswith("immutable=1"):
            return whole(":memory:", factory=Unreadable)
        return whole(place, **options)

    monkeypatch.setattr("imports.ledger.file.sqlite3.connect", guarded)
    try:
        status = read_status(folder / "work_state.json", book.file.path)
    finally:
        folder.chmod(0o755)
    assert len(asked) == 2
    assert [(each.tag, each.pending) for each in status.scopes] == [("Nov", 1)]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


class Unreadable(sqlite3.Connection):
    """In WAL mode SQLite needs to write beside the file, also to read it."""

    def execute(self, *_: Any) -> sqlite3.Cursor:
        raise sqlite3.OperationalError("attempt to write a readonly database")


def test_a_ledger_that_a_run_has_open_is_read_with_what_it_wrote_last(tmp_path: Path) -> None:
    book = Book(tmp_path / "ledger.db")
    book.add("a")
    with book.file.transaction() as connection:
        connection.execute("update item set path = 'under way'")
        (found,) = read_status(tmp_path / "gone.json", book.file.path).scopes
    assert (found.total, found.pending) == (1, 1)
    book.add("b")
    (found,) = read_status(tmp_path / "gone.json", book.file.path).scopes
    assert found.total == 2
    book.file.close()


def test_what_is_no_ledger_is_told_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    content = b"somebody's notes, not a database" * 99
    path.write_bytes(content)
    with pytest.raises(LedgerError, match="cannot be read"):
        read_status(tmp_path / "work_state.json", path)
    assert path.read_bytes() == content


def test_a_folder_in_its_place_is_told(tmp_path: Path) -> None:
    with pytest.raises(LedgerError):
        read_status(tmp_path / "work_state.json", tmp_path)


def test_the_database_of_another_program_and_ledgers_of_other_versions_are_told(
    tmp_path: Path,
) -> None:
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table bookmarks (url text)")
    with pytest.raises(LedgerError, match="another program"):
        read_status(tmp_path / "work_state.json", path)
    for version in (1, UNRELEASED, NEWEST + 1):
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"pragma user_version = {version}")
        with pytest.raises(LedgerError, match=f"has version {version}, .* {NEWEST}[.]"):
            read_status(tmp_path / "work_state.json", path)


def test_a_ledger_without_a_work_state_is_told(tmp_path: Path) -> None:
    book = Book(tmp_path / "ledger.db")
    book.add("a")
    book.file.close()
    status = read_status(tmp_path / "gone.json", book.file.path)
    assert [each.pending for each in status.scopes] == [1]
    assert status.last_run is None


def test_a_damaged_work_state_is_told(tmp_path: Path) -> None:
    (tmp_path / "work_state.json").write_bytes(b"{")
    with pytest.raises(DamagedStateError):
        read_status(tmp_path / "work_state.json", tmp_path / "ledger.db")


def test_what_is_missing_is_told_with_how_to_list_it() -> None:
    text = render_status(Status([replace(scope(), warned=5, lacking=Lacking(3, 3, 0))]), FILE)
    assert "Images still missing: 3 (3 not found); each run looks for them again" in text
    assert "With a warning, imported or pending: 5 (--warnings lists them)" in text
    done = replace(scope(), warned=5, pending=0)
    assert "\nImported with a warning: 5 (--" in render_status(Status([done]), FILE)
    text = render_status(Status([scope()]), FILE)
    assert "missing" not in text
    assert "--warnings" not in text


def test_of_a_ledger_that_is_not_there_no_warnings_are_listed(tmp_path: Path) -> None:
    assert list(read_warnings(tmp_path / "none.db", None, None, None)) == []


# Where a file is


def disposed_of(tmp_path: Path, *, many: int = 0) -> Path:
    """A ledger of people: one deleted, one moved, one that failed and stays; and many deleted."""
    book = Book(tmp_path / "upload_tracker.db", kind="people", source="/data")
    ids = book.add("a.json", "x/b.json", "c.json", *map(str, range(many)))
    book.imported(ids["a.json"], *(ids[str(each)] for each in range(many)))
    book.failed(ids["x/b.json"], "record 0: bad")
    book.failed(ids["c.json"], "is empty")
    book.disposed(ids["a.json"])
    book.disposed(*(ids[str(each)] for each in range(many)))
    book.disposals.record([DisposedItem(ids["x/b.json"], "/failed_uploads/x/b.json")])
    book.file.close()
    return book.file.path


def test_a_source_that_is_a_work_item_itself_is_found_by_its_path(tmp_path: Path) -> None:
    book = Book(tmp_path / "upload_tracker.db", kind="folders", source="/data/board")
    ids = book.add(".")
    book.imported(ids["."])
    book.file.close()
    (known,) = read_whereabouts(book.file.path, Path("/data/board"))
    assert (known.path, known.state) == (".", "imported")


@pytest.mark.parametrize("name", ["/data/x/b.json", "x/b.json", "/data/x/../x/b.json"])
def test_where_a_file_is_can_be_asked_the_next_morning(tmp_path: Path, name: str) -> None:
    ledger = disposed_of(tmp_path)
    found = read_whereabouts(ledger, Path(name))
    (known,) = json.loads(json.dumps(whereabouts_json(found)))
    (disposal,) = known.pop("disposals")
    assert known == {
        "kind": "people",
        "source": "/data",
        "tag": "tag",
        "path": "x/b.json",
        "state": "failed",
        "phase": "import",
        "reason": "record 0: bad",
        "at_source": False,
        "acknowledged": None,
    }
    assert datetime.fromisoformat(disposal.pop("disposed_at")).tzinfo is not None
    assert disposal == {
        "file": "/data/x/b.json",
        "what": "moved",
        "why": "failed",
        "reason": "record 0: bad",
        "moved_to": "/failed_uploads/x/b.json",
        "batch_id": "batch",
    }
    first, second = render_whereabouts(found, Path(name), ledger).splitlines()
    assert first == "/data/x/b.json (people, tag tag)"
    assert second.endswith("moved to /failed_uploads/x/b.json (failed: record 0: bad), run batch")


def test_of_a_deleted_file_and_of_one_that_stays_it_is_told_why(tmp_path: Path) -> None:
    ledger = disposed_of(tmp_path)
    deleted = render_whereabouts(read_whereabouts(ledger, Path("a.json")), Path(), ledger)
    assert deleted.endswith("deleted (imported), run batch")
    stays = render_whereabouts(read_whereabouts(ledger, Path("c.json")), Path(), ledger)
    assert stays.splitlines()[1:] == [
        "  in the source when last listed: failed in import: is empty"
    ]


def test_of_a_file_that_nobody_knows_it_is_told_what_to_do(tmp_path: Path) -> None:
    ledger = disposed_of(tmp_path)
    for kind, tag, name in ((None, None, "d.json"), ("states", None, "a.json"), (None, "x", "a")):
        found = read_whereabouts(ledger, Path(name), kind, tag)
        assert (found, whereabouts_json(found)) == ([], [])
        assert "--db-path" in render_whereabouts(found, Path(name), ledger)
    assert read_whereabouts(tmp_path / "none.db", Path("a.json")) == []


def test_a_status_tells_the_latest_disposals_and_counts_all(tmp_path: Path) -> None:
    ledger = disposed_of(tmp_path, many=50)
    status = read_status(tmp_path / "work_state.json", ledger)
    (scope,) = status_json(status)["scopes"]
    assert (scope["files_deleted"], scope["files_moved"]) == (51, 1)
    assert [each["file"] for each in scope["disposals"]][:2] == ["/data/x/b.json", "/data/49"]
    assert len(scope["disposals"]) == 10
    text = render_status(status, FILE)
    assert (
        "Files deleted: 51, moved: 1 (for one of them: status --file PATH); the last ones:" in text
    )
    assert "  x/b.json: " in text
