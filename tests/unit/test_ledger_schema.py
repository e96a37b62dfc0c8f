"""The ledger's file: brought up to date from the first version, and asked as its users ask it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from imports.errors import LedgerError
from imports.ledger import LedgerFile, Listing, item_progress
from imports.ledger.schema import VERSION_1, VERSIONS
from imports.source.tree import ListingProblem
from imports.work_item import Failure, ImageFile, ItemState, ListedItem, Plan, Signature
from tests.support.book import STATE_FILE, Book, gathered, hashed, listed, picture

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


def old_ledger(path: Path) -> None:
    """A ledger of version 1 with an item in each state, an image, a run and its counts."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(VERSION_1)
        connection.execute("insert into scope values (1, 'states', '/data', 'tag', 'target')")
        connection.execute(
            "insert into run values ('old', 'run', 1, ?, 5.0, 6.0, 3, 1)", (str(STATE_FILE),)
        )
        connection.execute("insert into run_count values ('old', 'import.inserted', 2)")
        columns = (
            "id, scope_id, path, size, mtime_ns, state, item_group, chunk, phase, reason, tries,"
            " warnings, updated_at"
        )
        for row in (
            (1, 1, "a", 1, 1, "imported", 7, None, None, None, 0, None, 100.0),
            (
                2,
                1,
                "b",
                1,
                1,
                "failed",
                None,
                None,
                "import",
                "record b/FL/1: bad 7",
                2,
                None,
                101.0,
            ),
            (3, 1, "c", 1, 1, "planned", None, 4, None, None, 0, '["image gone"]', 102.0),
            (4, 1, "d", 1, 1, "listed", None, None, None, None, 0, None, 103.0),
        ):
            connection.execute(f"insert into item ({columns}) values ({'?,' * 12}?)", row)
        connection.execute("insert into item_image values (1, 0, '/images/one.png')")
        connection.execute(
            "insert into image values"
            " ('/images/one.png', 10, 1, 'aa11', 'png', 'image/png', 3, 2, null, null)"
        )
        connection.execute("pragma user_version = 1")
        connection.commit()


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Book]:
    """A ledger of version 1, opened by this version."""
    path = tmp_path / "upload_tracker.db"
    old_ledger(path)
    book = Book(path, batch_id="new")
    yield book
    book.file.close()


# From version 1


def test_an_old_ledger_keeps_its_rows_and_their_states(old: Book) -> None:
    assert old.scope_id == 1
    assert old.rows(
        "select id, path, size, mtime_ns, state, item_group, chunk, phase, reason, tries, warnings,"
        " updated_at from item order by id"
    ) == [
        (1, "a", 1, 1, "imported", 7, None, None, None, 0, None, 100.0),
        (2, "b", 1, 1, "failed", None, None, "import", "record b/FL/1: bad 7", 1, None, 101.0),
        (3, "c", 1, 1, "planned", None, 4, None, None, 0, '["image gone"]', 102.0),
        (4, "d", 1, 1, "listed", None, None, None, None, 0, None, 103.0),
    ]
    assert old.runs.counts("old") == {"import.inserted": 2}
    assert list(gathered(old.images, "stored", 9)) == [
        [hashed(ImageFile("/images/one.png", Signature(10, 1)), "aa11")]
    ]
    assert old.items.failures(9) == (1, [Failure("b", "import", "record b/FL/1: bad 7", 1)])
    assert old.rows("pragma user_version") == [(len(VERSIONS),)]


def test_the_failures_of_an_old_ledger_get_their_cause(old: Book) -> None:
    assert old.rows("select path, cause from item where cause is not null") == [("b", "bad …")]


def test_items_of_an_old_ledger_that_did_not_change_are_not_read_again(old: Book) -> None:
    entries = [listed(path) for path in "abcd"]
    assert old.list(*entries) == Listing(4, 0, 3, 1, 0, 0)
    assert old.listed_paths() == ["d", "b"], "what failed before comes last"
    assert old.items.count(ItemState.IMPORTED) == 1
    assert old.items.count(ItemState.PLANNED) == 1


def test_items_of_an_old_ledger_have_the_signature_of_files(old: Book) -> None:
    old.queue.open(ItemState.IMPORTED, None)
    ((item,),) = old.queue.batches(9)
    assert item.signature == Signature(1, 1)


def test_the_tries_of_an_old_ledger_which_had_no_limit_count_as_one(old: Book) -> None:
    entries = [listed(path) for path in "abcd"]
    given_up = []
    for run in ("first", "second", "third"):
        old.next_run(run)
        given_up.append(old.list(*entries, most_tries=3).given_up)
        if not given_up[-1]:
            old.failed(old.add()["b"])
    assert given_up == [0, 0, 1]


def test_an_old_ledger_can_be_asked_like_a_new_one(old: Book) -> None:
    old.file.close()
    assert ask(old.file.path, FAILED_FOLDERS) == [("b", "record b/FL/1: bad 7")]
    assert ask(old.file.path, RECENT_BATCHES) == []
    assert ask(old.file.path, "select folder_name, file_hash, created_at from folder_status") == [
        ("a", "1-1", 100.0),
        ("b", "1-1", 101.0),
        ("c", "1-1", 102.0),
        ("d", "1-1", 103.0),
    ]


def test_an_old_ledger_is_brought_up_to_date_once(old: Book) -> None:
    old.file.close()
    before = ask(old.file.path, "select type, name, sql from sqlite_master order by name")
    LedgerFile(old.file.path).close()
    assert ask(old.file.path, "select type, name, sql from sqlite_master order by name") == before


def test_old_and_new_ledgers_end_with_the_same_tables(old: Book, tmp_path: Path) -> None:
    new = tmp_path / "new.db"
    LedgerFile(new).close()
    names = "select type, name from sqlite_master order by type, name"
    assert ask(old.file.path, names) == ask(new, names)
    for (table,) in ask(new, "select name from sqlite_master where type in ('table', 'view')"):
        columns = f"select name, type, pk from pragma_table_info('{table}') order by cid"
        assert ask(old.file.path, columns) == ask(new, columns), table


def test_a_migration_that_fails_leaves_the_old_ledger_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "upload_tracker.db"
    old_ledger(path)
    with closing(sqlite3.connect(path)) as connection:
        # The migration makes this table at its end.
        connection.execute("create table batch (mine text)")
        connection.commit()
    before = ask(path, "select name, sql from sqlite_master order by name")
    with pytest.raises(LedgerError):
        LedgerFile(path)
    assert ask(path, "select name, sql from sqlite_master order by name") == before
    assert ask(path, "pragma user_version") == [(1,)]


# From version 3


@pytest.mark.parametrize("version", [1, 3])
def test_images_that_an_old_ledger_lacks_are_looked_for(tmp_path: Path, version: int) -> None:
    path = tmp_path / "upload_tracker.db"
    ledger_of_version(path, version)
    images = {
        "none": "image /i/none is not a PNG, JPEG, GIF, WebP or BMP",
        "grown": "image /i/grown changed while the run was under way; run again to import it",
        "shut": "image /i/shut cannot be read: Permission denied",
    }
    warnings = {
        11: ["image 'x.png' was not found", "2 licences A: only the last is kept"],
        12: ["metadata.source_image_file is a number, not a text"],
        13: ["device_id is left empty: it is no text in the stats"],
        14: [images["none"]],
        15: [images["grown"], "image 'y' cannot be used: it is gone, …"],
        16: [images["shut"]],
    }
    with closing(sqlite3.connect(path)) as connection:
        for number, texts in warnings.items():
            connection.execute(
                "insert into item (id, scope_id, path, size, mtime_ns, state, warnings,"
                " updated_at) values (?, 1, ?, 1, 1, 'imported', ?, 1)",
                (number, f"n{number}", json.dumps(texts)),
            )
        for number, name in ((14, "none"), (15, "grown"), (16, "shut")):
            connection.execute("insert into item_image values (?, 0, ?)", (number, f"/i/{name}"))
            connection.execute(
                "insert into image (path, size, mtime_ns, problem) values (?, 1, 1, ?)",
                (f"/i/{name}", images[name]),
            )
        connection.commit()
    book = Book(path, batch_id="new")
    found = [item for some in book.lacking.items(ItemState.IMPORTED, 99) for item in some]
    assert {item.id: item.mended for item in found} == {
        11: False,
        12: False,
        14: False,
        15: True,
        16: True,
    }
    assert book.rows("select id, not_found, unusable from item where not_found + unusable > 0") == [
        (3, 1, 0),
        (11, 1, 0),
        (12, 1, 0),
        (14, 0, 1),
        (15, 1, 1),
        (16, 0, 1),
    ]
    book.file.close()


# From version 2


def ledger_of_version(path: Path, version: int) -> None:
    """A ledger as an older program left it, with an item in each state."""
    old_ledger(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.create_function("cause_of", 1, str)
        for script in VERSIONS[1:version]:
            connection.executescript(script)
        connection.execute(f"pragma user_version = {version}")
        connection.commit()


@pytest.mark.parametrize("version", range(1, len(VERSIONS)))
def test_a_ledger_of_any_version_becomes_one_of_this(tmp_path: Path, version: int) -> None:
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    ledger_of_version(old, version)
    for path in (old, new):
        LedgerFile(path).close()
        assert ask(path, "pragma user_version") == [(len(VERSIONS),)]
    names = "select type, name, tbl_name from sqlite_master order by type, name"
    assert ask(old, names) == ask(new, names)
    for (table,) in ask(new, "select name from sqlite_master where type in ('table', 'view')"):
        columns = (
            f"select name, type, \"notnull\", dflt_value, pk from pragma_table_info('{table}')"
            " order by cid"
        )
        assert ask(old, columns) == ask(new, columns), table
    assert ask(old, "pragma integrity_check") == [("ok",)]


@pytest.mark.parametrize("version", range(1, len(VERSIONS)))
def test_items_of_any_version_have_nothing_disposed_of_and_no_records_that_are_known(
    tmp_path: Path, version: int
) -> None:
    path = tmp_path / "upload_tracker.db"
    ledger_of_version(path, version)
    book = Book(path, batch_id="new")
    assert book.rows(
        "select distinct records, weight, records_done, succeeded, refused, began_at, ended_at,"
        " disposed_at, moved_to, disposal_problem from item"
    ) == [(None, 1, 0, 0, 0, None, None, None, None, None)]
    assert book.disposals.problems(9) == (0, [])
    assert book.disposals.disposed() == 0
    assert [item.path for item in book.disposals.left(0, 9, 3)] == ["a", "b"]
    found = [(item.path, item.began_at, item.ended_at) for item in item_progress(book.scope)]
    assert found == [("a", 100.0, None), ("b", 101.0, None), ("c", 102.0, None)]
    assert book.batches(9) == [["c"]]
    assert book.batches(9, ItemState.IMPORTED) == [["a"]]
    assert book.queue.record_failures(2) == []
    book.file.close()


def test_a_migration_to_the_newest_version_that_fails_leaves_the_ledger_as_it_was(
    tmp_path: Path,
) -> None:
    path = tmp_path / "upload_tracker.db"
    ledger_of_version(path, 2)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table record_failure (mine text)")
        connection.commit()
    before = ask(path, "select name, sql from sqlite_master order by name")
    with pytest.raises(LedgerError):
        LedgerFile(path)
    assert ask(path, "select name, sql from sqlite_master order by name") == before
    assert ask(path, "pragma user_version") == [(2,)]


# From version 3


def test_what_an_older_program_took_for_an_empty_page_is_read_again(tmp_path: Path) -> None:
    """It may have been no page at all, and would be deleted."""
    path = tmp_path / "upload_tracker.db"
    ledger_of_version(path, 3)
    with closing(sqlite3.connect(path)) as connection:
        columns = "scope_id, path, size, mtime_ns, state, records, updated_at"
        for name, state, records in (
            ("e", "planned", 0),
            ("f", "planned", 1),
            ("g", "imported", 0),
        ):
            connection.execute(
                f"insert into item ({columns}) values (1, ?, 1, 1, ?, ?, 104.0)",
                (name, state, records),
            )
        connection.commit()
    book = Book(path, batch_id="old")
    assert book.listed_paths() == ["d", "e"]
    # What went in and is still there is not deleted by the run that goes on: it cannot tell.
    assert [(each.path, each.own) for each in book.disposals.left(0, 9, 3)] == [
        ("a", False),
        ("b", False),
        ("g", False),
    ]
    book.file.close()


def test_the_runs_of_an_older_program_are_in_their_order_and_were_told(tmp_path: Path) -> None:
    path = tmp_path / "upload_tracker.db"
    ledger_of_version(path, 3)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "insert into run values ('second', 'run', 1, ?, 1.0, 2.0, 3, 1)", (str(STATE_FILE),)
        )
        connection.commit()
    book = Book(path, batch_id="third")
    assert book.rows("select batch_id, number, told from run order by number") == [
        ("old", 1, 1),
        ("second", 2, 1),
        ("third", 3, 0),
    ]
    book.file.close()


# Files that are no ledger of ours


def test_a_ledger_of_a_newer_version_is_refused_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    LedgerFile(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"pragma user_version = {len(VERSIONS) + 1}")
    with pytest.raises(LedgerError, match=rf"of version {len(VERSIONS) + 1}, .* {len(VERSIONS)}\."):
        LedgerFile(path)
    assert ask(path, "pragma user_version") == [(len(VERSIONS) + 1,)]


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


def test_every_state_is_told_in_the_words_of_the_document(book: Book) -> None:
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
def test_a_folder_is_told_by_its_full_path_and_its_name(
    tmp_path: Path, source: str, path: str, folder_path: str, folder_name: str
) -> None:
    book = Book(tmp_path / "ledger.db", source=source)
    book.failed(*book.add(path).values())
    query = "select folder_path, folder_name from folder_status"
    assert book.rows(query) == [(folder_path, folder_name)]
    assert book.rows("select folder_path from folder_errors") == [(folder_path,)]
    book.file.close()


def test_what_a_folder_was_when_it_was_listed_is_told(book: Book) -> None:
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


def test_every_error_of_a_folder_is_told_with_its_time(book: Book) -> None:
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


def test_what_an_older_ledger_knows_of_files_that_are_gone_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.create_function("cause_of", 1, str)
        connection.executescript("".join(VERSIONS[:3]))
        connection.execute("insert into scope values (1, 'people', '/srv/data', 'tag', 'target')")
        columns = "id, scope_id, path, size, mtime_ns, state, reason, updated_at, disposed_at"
        for row in (
            (1, 1, "a", 1, 2, "imported", None, 1.0, 9.0, None),
            (2, 1, "b", 1, 2, "failed", "bad", 1.0, 8.0, "/failed/b"),
            (3, 1, "c", 1, 2, "failed", "bad", 1.0, None, None),
        ):
            connection.execute(f"insert into item ({columns}, moved_to) values ({'?,' * 9}?)", row)
        connection.execute("pragma user_version = 3")
        connection.commit()
    LedgerFile(path).close()
    query = "select path, what, reason, moved_to, batch_id, disposed_at from disposal order by id"
    assert ask(path, query) == [
        ("b", "moved", "bad", "/failed/b", None, 8.0),
        ("a", "deleted", None, None, None, 9.0),
    ]


def test_which_run_saw_an_image_stored_is_kept_for_its_scope(tmp_path: Path) -> None:
    path = tmp_path / "upload_tracker.db"
    ledger_of_version(path, len(VERSIONS) - 1)
    with closing(sqlite3.connect(path)) as connection:
        (run,) = connection.execute("select batch_id, scope_id from run limit 1")
        images = "insert or replace into image (path, size, mtime_ns, sha256, settled_by) values"
        connection.execute(
            f"{images} ('/x/1', 1, 1, '11', ?), ('/x/2', 1, 1, '11', ?)", run[:1] * 2
        )
        connection.execute(f"{images} ('/x/3', 1, 1, '22', 'a run that is gone')")
        connection.commit()
    LedgerFile(path).close()
    found = ask(path, "select batch_id, scope_id, sha256, single_file from seen_stored")
    assert found == [(*run, "11", "")]
