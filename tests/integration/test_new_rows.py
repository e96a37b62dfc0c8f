"""Rows that are all new go straight into place; any others are merged, and nobody sees which."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from uuid import uuid4

import psycopg2
import pytest

from imports.backends import postgresql
from imports.backends.database import Database, Rows
from imports.backends.new_rows import _MAX_FAILED_COPIES
from imports.kinds.annotations.tables import GROUP as ANNOTATIONS
from imports.kinds.annotations.tables import QWEN_ANNOTATIONS
from imports.tables.row_format import encoder
from tests.integration.test_merge import opened, rows_of
from tests.support.annotations import add_recognitions, linked
from tests.support.bench import Bench, one_backend
from tests.support.database import query

pytestmark = one_backend


@pytest.fixture
def merged(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each batch had that was merged, rather than brought in by COPY alone."""
    counts: list[int] = []
    merge: Callable[..., dict[str, str]] = postgresql._merge

    def watched(cursor: object, rows: object) -> dict[str, str]:
        counts.append(len(rows.by_table[0]))  # type: ignore[attr-defined]
        return merge(cursor, rows)

    monkeypatch.setattr(postgresql, "_merge", watched)
    return counts


def put(database: Database, dataset_id: int, *licenses: tuple[str | None, int, str]) -> str:
    """The outcome of a batch of rows, a letter for each."""
    return database.merge(uuid4(), rows_of(database, dataset_id, *licenses)).outcomes[0]


def test_into_an_empty_dataset_rows_go_by_copy_alone(bench: Bench, merged: list[int]) -> None:
    with opened(bench) as (database, dataset_id):
        assert put(database, dataset_id, ("A", 1, "a\tb\\"), (None, 1, "none")) == "II"
        assert put(database, dataset_id, ("B", 1, "b")) == "I"
    assert merged == []
    assert bench.rows() == [("A", "a\tb\\"), ("B", "b"), (None, "none")]
    assert bench.rows("batch_id", "1")[0] == ("batch_test",)


def test_rows_go_in_by_their_keys_so_that_nobody_who_does_the_same_deadlocks(
    bench: Bench, merged: list[int]
) -> None:
    """In no order of their times, which come before the number of a licence."""
    with opened(bench) as (database, dataset_id):
        put(database, dataset_id, ("B", 1, "b"), (None, 2, "-"), ("C", 4, "c"), ("A", 3, "a"))
    assert merged == []
    assert bench.rows("license_number", "ctid") == [("A",), ("B",), ("C",), (None,)]


def test_a_dataset_that_has_rows_is_merged_into_from_the_start(
    bench: Bench, merged: list[int]
) -> None:
    with opened(bench) as (database, dataset_id):
        put(database, dataset_id, ("A", 1, "old"))
    with opened(bench) as (database, dataset_id):
        assert put(database, dataset_id, ("B", 1, "new")) == "I"
        other = database.dataset_id("states", "another", None, None)
        assert put(database, other, ("A", 1, "elsewhere")) == "I"
    assert merged == [1]


def test_a_row_twice_in_a_batch_is_there_once_with_the_newest(
    bench: Bench, merged: list[int]
) -> None:
    with opened(bench) as (database, dataset_id):
        batch = (("A", 2, "newest"), ("A", 1, "older"), (None, 1, "x"), (None, 3, "y"))
        assert put(database, dataset_id, *batch) == "ISSI"
        assert put(database, dataset_id, ("B", 1, "b")) == "I"
    assert merged == [4]
    assert bench.rows() == [("A", "newest"), ("B", "b"), (None, "y")]


def test_after_a_few_batches_with_rows_that_are_there_all_are_merged(
    bench: Bench, merged: list[int]
) -> None:
    with opened(bench) as (database, dataset_id):
        put(database, dataset_id, ("A", 1, "first"))
        for day in range(2, 2 + _MAX_FAILED_COPIES):
            assert put(database, dataset_id, ("A", day, f"day {day}")) == "U"
        assert put(database, dataset_id, ("Z", 1, "new, but merged")) == "I"
        assert put(database, dataset_id, ("A", 1, "too old")) == "S"
    assert merged == [1] * (_MAX_FAILED_COPIES + 2)
    assert bench.rows()[0] == ("A", f"day {1 + _MAX_FAILED_COPIES}")


def test_rows_that_a_trigger_leaves_out_are_told_as_a_merge_tells_them(
    bench: Bench, merged: list[int]
) -> None:
    query(
        bench.url,
        "CREATE FUNCTION leave_out() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN IF new.license_number = 'B' THEN RETURN NULL; END IF; RETURN new; END $$;"
        " CREATE TRIGGER leave_out BEFORE INSERT ON search_results"
        " FOR EACH ROW EXECUTE FUNCTION leave_out()",
    )
    try:
        with opened(bench) as (database, dataset_id):
            batch = (("A", 1, "x"), ("B", 1, "x"), ("C", 1, "x"))
            assert put(database, dataset_id, *batch) == "I=I"
    finally:
        query(bench.url, "DROP TRIGGER leave_out ON search_results; DROP FUNCTION leave_out()")
    assert merged == [3]
    assert [row[0] for row in bench.rows()] == ["A", "C"]


def put_boxes(
    database: Database, *boxes: tuple[int, str | None, int]
) -> tuple[str, dict[str, int]]:
    """The outcome of boxes (recognition, label, left edge), and the counts of derived rows."""
    encode = encoder(QWEN_ANNOTATIONS, database.row_format)
    rows = [
        encode((number, "camera1.jpg", label, {"x": left}, "FOOD")) for number, label, left in boxes
    ]
    run = {"dataset_id": 1, "batch_id": "b", "if_exists": "newer", "repair": False}
    answer = database.merge(uuid4(), Rows(ANNOTATIONS, run, {0: rows}))
    return answer.outcomes[0], dict(answer.derived)


def test_rows_with_parents_and_derivations_go_by_copy_too(bench: Bench, merged: list[int]) -> None:
    add_recognitions(bench.url, 1, 2)
    derived = "initial_annotations"
    with opened(bench) as (database, _):
        some = ((1, "dish_0", 7), (2, None, 7), (1, "dish_0", 5), (1, "dish_1", 5))
        assert put_boxes(database, *some) == ("IIII", {derived: 3, "initial_tray_items": 0})
        letters, _ = put_boxes(database, (1, "dish_0", 8), (3, "dish_0", 8), (2, "dish_1", 8))
        assert (letters, merged) == ("ILI", [3]), "one has no parent"
        assert put_boxes(database, (2, "dish_0", 9))[0] == "I"
        assert put_boxes(database, (2, "dish_0", 9), (2, "dish_0", 3))[0] == "=I"
    assert merged == [3, 2]
    assert linked(bench.url) == [
        *((1, 1, "dish_0", left) for left in (5, 7, 8)),
        (1, 1, "dish_1", 5),
        *((2, 1, "dish_0", left) for left in (3, 9)),
        (2, 1, "dish_1", 8),
    ]


def test_for_whom_row_level_security_is_active_all_are_merged(
    bench: Bench, merged: list[int]
) -> None:
    """COPY is refused then; a merge is not, where there are policies."""
    name = psycopg2.extensions.parse_dsn(bench.url)["dbname"]
    role = f"restricted_{name}"
    tables = ("search_results", "datasets", "import_target", "import_merges", "image_assets")
    policies = "".join(
        f"CREATE POLICY mine ON {table} TO {role} USING (true) WITH CHECK (true);"
        for table in tables
    )
    query(
        bench.url, f"CREATE ROLE {role} LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}"
    )
    query(bench.url, policies)
    try:
        bench.source.add_many(3)
        report = bench.run(database_url=bench.url.replace("postgres:@", f"{role}:@"))
    finally:
        query(bench.url, "".join(f"DROP POLICY mine ON {table};" for table in tables))
        query(bench.url, f"DROP OWNED BY {role}; DROP ROLE {role}")
    assert (report.exit_code, report.count("import.inserted"), merged) == (0, 3, [3])


@pytest.mark.parametrize("seed", range(3))
def test_the_newest_of_each_key_wins_whatever_comes_at_the_same_time(
    bench: Bench, seed: int
) -> None:
    chance = random.Random(seed)
    rows = [(f"K{key}", day, f"day {day}") for key in range(12) for day in range(1, 13)]
    chance.shuffle(rows)
    batches = [rows[start : start + 6] for start in range(0, len(rows), 6)]
    letters: list[str] = []
    errors: list[BaseException] = []

    def work(database: Database, dataset_id: int, mine: list[list[tuple[str, int, str]]]) -> None:
        try:
            letters.extend(put(database, dataset_id, *batch) for batch in mine)
        except BaseException as error:  # noqa: BLE001 - it is raised in the test's own thread
            errors.append(error)

    with opened(bench) as (database, dataset_id):
        threads = [
            threading.Thread(target=work, args=(database, dataset_id, batches[number::4]))
            for number in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    if errors:
        raise errors[0]
    assert bench.rows() == sorted((f"K{key}", "day 12") for key in range(12))
    assert "".join(letters).count("I") == 12
