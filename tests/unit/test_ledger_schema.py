"""The ledger's file: its versions, and asked as its users ask it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from imports.errors import LedgerError
from imports.items.source import Signature
from imports.items.work_item import ItemState, ListedItem, Plan
from imports.ledger import LedgerFile
from imports.ledger.schema import NEWEST, UNRELEASED, VERSIONS
from imports.source.tree import ListingProblem
from tests.support.book import Book, hashed, listed, picture

FAILED_FOLDERS = (
    "SELECT folder_name, error_message FROM folder_status WHERE upload_status='failed';"
)
RECENT_BATCHES = (
    "SELECT batch_name, successful_uploads, failed_uploads FROM upload_batches"
    " ORDER BY start_time DESC LIMIT 5;"
)
"""As the document has them, letter by letter."""


def ask(path: Path, query: str) -> list[tuple[Any, ...]]:
    """What another program gets, which knows nothing of our functions."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


# The versions


def test_a_ledger_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    LedgerFile(path).close()
    query = "select type, name, sql from sqlite_master order by name"
    before = ask(path, query)
    LedgerFile(path).close()
    assert ask(path, query) == before
    assert ask(path, "pragma user_version") == [(NEWEST,)]


def later_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the program is a later one, whose ledger has two tables more."""
    added = "create table first (x);\ncreate table later (x);\n"
    monkeypatch.setattr("imports.ledger.file.VERSIONS", (*VERSIONS, added))
    monkeypatch.setattr("imports.ledger.file.NEWEST", NEWEST + 1)


def test_a_later_version_brings_a_ledger_up_to_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = Book(tmp_path / "ledger.db")
    book.add("a")
    book.file.close()
    later_version(monkeypatch)
    book = Book(tmp_path / "ledger.db", run_name="new")
    assert book.rows("select path from item") == [("a",)]
    assert book.rows("select * from later") == []
    assert book.rows("pragma user_version") == [(NEWEST + 1,)]
    book.file.close()


def test_a_ledger_that_cannot_be_upgraded_stays_unchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.db"
    LedgerFile(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table later (mine text)")
    query = "select name, sql from sqlite_master order by name"
    before = ask(path, query)
    later_version(monkeypatch)
    with pytest.raises(LedgerError):
        LedgerFile(path)
    assert ask(path, query) == before
    assert ask(path, "pragma user_version") == [(NEWEST,)]


@pytest.mark.parametrize("version", [1, UNRELEASED])
def test_a_ledger_from_before_the_first_release_is_refused_and_stays(
    tmp_path: Path, version: int
) -> None:
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table scope (id integer primary key)")
        connection.execute(f"pragma user_version = {version}")
    before = path.read_bytes()
    message = rf"has version {version}, which was never released; .* {NEWEST}\. Move it away"
    with pytest.raises(LedgerError, match=message):
        LedgerFile(path)
    assert path.read_bytes() == before


# Files that are no ledger of ours


def test_a_ledger_of_a_newer_version_is_refused_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    LedgerFile(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"pragma user_version = {NEWEST + 1}")
    with pytest.raises(LedgerError, match=rf"has version {NEWEST + 1}, .* {NEWEST}\."):
        LedgerFile(path)
    assert ask(path, "pragma user_version") == [(NEWEST + 1,)]


def test_the_database_of_the_document_s_own_program_is_refused_and_stays(tmp_path: Path) -> None:
    """It lies where ours does, and its tables have the names of our views."""
    path = tmp_path / "upload_tracker.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table folder_status (folder_path text primary key)")
        connection.execute("insert into folder_status values ('/data/Batch54')")
        connection.commit()
    before = path.read_bytes()
    with pytest.raises(LedgerError, match=r"another program.*--db-path"):
        LedgerFile(path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


# The views of the document


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    book = Book(tmp_path / "upload_tracker.db", kind="folders", source="/srv/data")
    yield book
    book.file.close()


def columns_of(book: Book, view: str) -> list[str]:
    cursor = book.file.connection.execute(f"select * from {view}")
    return [column[0] for column in cursor.description]


def test_folder_status_has_the_columns_of_the_document_and_kind_and_tag(book: Book) -> None:
    assert columns_of(book, "folder_status") == [
        "folder_path",
        "folder_name",
        "last_modified",
        "file_count",
        "file_hash",
        "upload_status",
        "upload_timestamp",
        "error_message",
        "retry_count",
        "created_at",
        "updated_at",
        "kind",
        "tag",
    ]


def test_upload_batches_has_the_columns_of_the_document_and_kind_and_tag(book: Book) -> None:
    assert columns_of(book, "upload_batches") == [
        "batch_id",
        "batch_name",
        "total_folders",
        "successful_uploads",
        "failed_uploads",
        "start_time",
        "end_time",
        "status",
        "created_at",
        "kind",
        "tag",
    ]


def test_the_queries_of_the_document_work_as_printed(book: Book) -> None:
    ids = book.add("Batch54", "line/Batch55", "Batch57")
    book.queue.record_imported(
        [ids["Batch54"], ids["line/Batch55"]],
        [(ids["line/Batch55"], "stats.json is empty")],
        {},
        (10.0, 11.0),
    )
    for number in range(6):
        book.queue.record_imported([ids["Batch57"]], [], {}, (20.0 + number, 21.0 + number))
    book.file.close()
    assert ask(book.file.path, FAILED_FOLDERS) == [("Batch55", "stats.json is empty")]
    assert ask(book.file.path, RECENT_BATCHES) == [
        (f"batch {number} of batch", 1, 0) for number in (7, 6, 5, 4, 3)
    ]
    assert ask(book.file.path, "select * from upload_batches where total_folders = 2") == [
        (
            "batch_00001",
            "batch 1 of batch",
            2,
            1,
            1,
            10.0,
            11.0,
            "completed",
            10.0,
            "folders",
            "tag",
        )
    ]


def test_every_state_has_the_word_of_the_document(book: Book) -> None:
    ids = book.add("done", "bad", "planned")
    book.imported(ids["done"])
    book.failed(ids["bad"], "is empty")
    book.list(listed("listed"), whole=False)
    query = "select folder_name, upload_status, error_message, retry_count from folder_status"
    assert sorted(book.rows(query)) == [
        ("bad", "failed", "is empty", 1),
        ("done", "success", None, 0),
        ("listed", "pending", None, 0),
        ("planned", "pending", None, 0),
    ]
    uploaded = "select folder_name from folder_status where upload_timestamp is not null"
    assert book.rows(uploaded) == [("done",)]
    assert book.rows("select distinct kind, tag from folder_status") == [("folders", "tag")]


@pytest.mark.parametrize(
    ("source", "path", "folder_path", "folder_name"),
    [
        ("/srv/data", "Batch54", "/srv/data/Batch54", "Batch54"),
        ("/srv/data", "line/2/Batch54", "/srv/data/line/2/Batch54", "Batch54"),
        ("/srv/data", ".", "/srv/data", "data"),
        ("/data", ".", "/data", "data"),
        ("/srv/data", "a.b/it's", "/srv/data/a.b/it's", "it's"),
        ("/srv/data", "aa/aa", "/srv/data/aa/aa", "aa"),
        ("/srv/Prüfung", ".", "/srv/Prüfung", "Prüfung"),
        ("/srv/data", "薬/局 1", "/srv/data/薬/局 1", "局 1"),
    ],
)
def test_a_folder_has_its_full_path_and_its_name(
    tmp_path: Path, source: str, path: str, folder_path: str, folder_name: str
) -> None:
    book = Book(tmp_path / "ledger.db", source=source)
    book.failed(*book.add(path).values())
    query = "select folder_path, folder_name from folder_status"
    assert book.rows(query) == [(folder_path, folder_name)]
    assert book.rows("select folder_path from folder_errors") == [(folder_path,)]
    book.file.close()


def test_an_entry_has_the_signature_of_the_listing(book: Book) -> None:
    signature = Signature(7, 1_500_000_000_250_000_000, 3, "ab12")
    book.list(ListedItem("Batch54", signature))
    ((moment, *rest),) = book.rows("select last_modified, file_count, file_hash from folder_status")
    assert moment == pytest.approx(1_500_000_000.25, abs=1e-6)
    assert rest == [3, "ab12"]
    ((created, updated),) = book.rows("select created_at, updated_at from folder_status")
    assert created == updated
    assert isinstance(created, float)
    book.failed(*book.add().values())
    book.list(ListedItem("Batch54", Signature(8, 1, 3, "cd34")))
    ((again, later),) = book.rows("select created_at, updated_at from folder_status")
    assert again == created, "it was first recorded then"
    assert later >= updated  # type: ignore[operator]


def test_every_error_of_a_folder_is_reported_with_its_time(book: Book) -> None:
    book.list(ListingProblem("Batch54", "cannot be listed: Permission denied"))
    book.next_run("later")
    book.failed(*book.add("Batch54").values(), "is empty")
    assert columns_of(book, "folder_errors") == [
        "folder_path",
        "phase",
        "error_message",
        "batch_id",
        "failed_at",
        "kind",
        "tag",
    ]
    assert book.rows(
        "select folder_path, phase, error_message, batch_id from folder_errors order by failed_at"
    ) == [
        ("/srv/data/Batch54", "planning", "cannot be listed: Permission denied", "batch"),
        ("/srv/data/Batch54", "import", "is empty", "later"),
    ]


def test_the_signature_of_a_folder_is_kept_whole(book: Book) -> None:
    signature = Signature(7, 8, 3, "ab12")
    book.list(ListedItem("a", signature), ListedItem("b", signature))
    ((a, b),) = book.listed_items(None, 9)
    assert a.signature == b.signature == signature
    book.plan(Plan(a.id), Plan(b.id))
    book.queue.open(ItemState.PLANNED, None)
    assert [item.signature for items in book.queue.batches(9) for item in items] == [signature] * 2
    book.imported(a.id)
    assert book.list(ListedItem("a", signature), ListedItem("b", signature)).unchanged == 1
    changed = Signature(7, 8, 3, "another digest")
    assert book.list(ListedItem("a", changed), ListedItem("b", signature)).unchanged == 0
    book.items.import_again([(b.id, Signature(9, 9, 4, "ef56"))])
    ((a, b),) = book.listed_items(None, 9)
    assert (a.signature, b.signature) == (changed, Signature(9, 9, 4, "ef56"))


def test_images_that_an_item_is_imported_without_keep_their_place(book: Book) -> None:
    book.list(listed("a"))
    ((item,),) = book.listed_items(None, 9)
    book.plan(Plan(item.id, images=(None, picture("one"), None, picture("two"), None)))
    book.images.record_hashes([hashed(picture("one"), "11")], [(picture("two"), "no image")])
    book.queue.open(ItemState.PLANNED, None)
    ((queued,),) = book.queue.batches(9)
    # None at the end may be left out: a kind takes what is missing there for None.
    assert (*queued.images, None, None, None)[:5] == (
        None,
        hashed(picture("one"), "11"),
        None,
        None,
        None,
    )
