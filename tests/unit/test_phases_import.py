from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imports.backends.database import MergeAnswer, Rows
from imports.backends.retry import RetryPolicy
from imports.errors import BackendUnavailableError, DataRefusedError, StatementCancelledError
from imports.items.images import ImageFile
from imports.items.records import Aggregate, Record, RowOutcome, Spooled
from imports.items.source import Signature
from imports.items.source import Source as ImportSource
from imports.items.work_item import WorkItem
from imports.kinds.folders import FOLDERS
from imports.kinds.kind import as_told
from imports.kinds.states import STATES
from imports.phases.merge_job import begin_batch
from imports.phases.merging import Imported, ImportTarget, import_batch
from imports.phases.placing import place_rows
from imports.phases.prepare import PrepareJob, prepare_batch
from imports.run.spool import Spool, SpoolReader
from imports.source.status_files import StatusFiles, Unwritten, is_status_file
from imports.source.tree import signature_of
from imports.tables.row_format import RowFormat
from imports.workers.chained import FirstStep
from tests.support.book import hashed
from tests.support.memory import MemoryDatabase, target_config
from tests.support.source import Source, document, license_, png

RUN = {"dataset_id": 1, "batch_id": "batch_1"}


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return Source(tmp_path / "day")


def item_of(path: Path, folder: Path, number: int, chunk: int | None = None) -> WorkItem:
    return WorkItem(
        number, path.relative_to(folder).as_posix(), signature_of(path.stat()), (), chunk
    )


def target_of(database: MemoryDatabase, policy: RetryPolicy | None = None) -> ImportTarget:
    return ImportTarget(target_config(database, policy=policy), STATES.group, RUN, "batch_1", None)


def imported_by(target: ImportTarget, job: PrepareJob, spool: Spool) -> Imported:
    """What becomes of a batch, in one thread."""
    begun = begin_batch(SpoolReader(spool), job)
    if isinstance(begun, FirstStep):
        begun = begun.then(begun.function())
    return import_batch(target, begun)


def job_of(folder: Path, items: list[WorkItem]) -> PrepareJob:
    source = ImportSource(str(folder), STATES.patterns)
    return PrepareJob("states", source, RowFormat.JSON, items)


class Bench:
    """A folder of files, and what becomes of them in a database in memory."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.spool = Spool(source.folder.parent / "spool" / "run", RowFormat.JSON)
        self.items: list[WorkItem] = []

    def add(self, *numbers: str, name: str = "Belmar", **values: str) -> WorkItem:
        """A file with these licences."""
        count = len(self.items) + 1
        licenses = [license_(n, **values) for n in numbers]
        path = self.source.add(f"{count:03}", name=name, licenses=licenses)
        self.items.append(item_of(path, self.source.folder, count))
        return self.items[-1]

    def run(self, database: MemoryDatabase, items: list[WorkItem] | None = None) -> Imported:
        job = job_of(self.source.folder, items or self.items)
        return imported_by(target_of(database), job, self.spool)


@pytest.fixture
def bench(source: Source) -> Bench:
    return Bench(source)


def numbers(database: MemoryDatabase) -> list[object]:
    return [row["license_number"] for row in database.stored]


def test_a_batch_is_merged_by_one_request_in_the_order_of_its_items(bench: Bench) -> None:
    for each in (("A", "B"), ("C",), ("D",)):
        bench.add(*each)
    database = MemoryDatabase()
    imported = bench.run(database)
    assert len(database.requests) == 1
    assert numbers(database) == ["A", "B", "C", "D"]
    assert imported.item_ids == [1, 2, 3]
    assert imported.failures == []
    assert [each[1:] for each in imported.merged] == [
        (RowOutcome.INSERTED, f"Belmar/FL/{n}") for n in "ABCD"
    ]


def test_a_refused_record_is_isolated_and_all_others_are_merged_in_order(bench: Bench) -> None:
    for number in "ABCDEFGHIJ":
        bench.add(number)
    bench.add("poison-1")
    for number in "KLM":
        bench.add(number)
    database = MemoryDatabase(poison={"poison-1"})
    imported = bench.run(database)
    assert numbers(database) == list("ABCDEFGHIJKLM")
    assert imported.failures == [(11, "record Belmar/FL/poison-1: the database refused it")]
    assert len(imported.merged) == 13
    assert [label for label, _ in imported.refused] == ["Belmar/FL/poison-1"]
    assert json.loads(imported.refused[0][1])["license_number"] == "poison-1"


def test_one_bad_record_of_many_costs_few_requests(bench: Bench) -> None:
    for number in range(64):
        bench.add("poison" if number == 41 else str(number))
    database = MemoryDatabase(poison={"poison"})
    bench.run(database)
    assert len(database.requests) <= 13, "halving, not one by one"


def test_an_item_with_one_refused_record_failed_but_its_other_records_are_imported(
    bench: Bench,
) -> None:
    bench.add("A", "poison", "B")
    bench.add("C")
    database = MemoryDatabase(poison={"poison"})
    imported = bench.run(database)
    assert numbers(database) == ["A", "B", "C"]
    assert [item for item, _ in imported.failures] == [1]


def test_several_refused_records_of_one_item_are_one_failure(bench: Bench) -> None:
    bench.add("poison-1", "A", "poison-2", "poison-3")
    imported = bench.run(MemoryDatabase(poison={"poison"}))
    ((item, reason),) = imported.failures
    assert item == 1
    assert "poison-1" in reason
    assert "(and 2 more records)" in reason


def test_if_everything_is_refused_everything_is_reported(bench: Bench) -> None:
    for number in "ABC":
        bench.add(number)
    imported = bench.run(MemoryDatabase(poison={"license_number"}))
    assert [item for item, _ in imported.failures] == [1, 2, 3]
    assert imported.merged == []


def test_cleaned_values_count_once_a_record_of_their_item_is_imported(bench: Bench) -> None:
    """An item that failed as a whole is tried again, and may be counted then."""
    for each in (["A"], ["poison-1"], ["B", "poison-2"]):
        bench.add(*each, issue_date="N/A")
    imported = bench.run(MemoryDatabase(poison={"poison"}))
    assert imported.cleaned == {"N/A": 3}


def test_a_file_that_cannot_be_read_is_a_failure_beside_the_others(bench: Bench) -> None:
    bench.add("A")
    bad = bench.source.write("bad_parse.json", b"{")
    bench.items.append(item_of(bad, bench.source.folder, 2))
    bench.add("B")
    database = MemoryDatabase()
    imported = bench.run(database)
    assert numbers(database) == ["A", "B"]
    ((item, reason),) = imported.failures
    assert item == 2
    assert reason.startswith("is not JSON")


def test_a_batch_of_nothing_asks_for_nothing(bench: Bench) -> None:
    bad = bench.source.write("bad_parse.json", b"{")
    bench.items.append(item_of(bad, bench.source.folder, 1))
    database = MemoryDatabase()
    assert bench.run(database).merged == []
    assert database.requests == []


def test_the_same_batch_of_the_same_run_asks_with_the_same_id(bench: Bench) -> None:
    bench.add("A")
    bench.add("B")
    database = MemoryDatabase()
    bench.run(database)
    bench.run(database)
    first, second = database.requests
    assert first == second


def test_other_items_another_content_and_another_run_ask_with_other_ids(bench: Bench) -> None:
    bench.add("A")
    bench.add("B")
    database = MemoryDatabase()
    bench.run(database)
    bench.run(database, bench.items[:1])
    bench.run(database, bench.items[1:])
    path = bench.source.folder / bench.items[0].path
    os.utime(path, ns=(1, 1))
    changed = [item_of(path, bench.source.folder, 1), bench.items[1]]
    bench.run(database, changed)
    other = replace(target_of(database), run_name="batch_2")
    imported_by(other, job_of(bench.source.folder, bench.items[1:]), bench.spool)
    ids = [request for request, _ in database.requests]
    assert len(set(ids)) == 5


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=12).flatmap(
        lambda sizes: st.tuples(st.just(sizes), st.sets(st.integers(0, sum(sizes) - 1)))
    )
)
def test_refusals_lose_no_other_row_and_no_request_id_is_used_for_other_rows(
    case: tuple[list[int], set[int]],
) -> None:
    """Items of some records each; those at some positions are refused."""
    sizes, refused = case
    spool = SpooledRecords(sizes, refused)
    database = MemoryDatabase(poison={"poison"})
    items = [WorkItem(n, f"{n}.json", Signature(1, 1), (), 1) for n in range(len(sizes))]
    job = job_of(Path("/nonexistent"), items)
    imported = imported_by(target_of(database), job, cast(Spool, spool))
    good = [n for n in range(sum(sizes)) if n not in refused]
    assert [row["number"] for row in database.stored] == good
    assert [label for _, _, label in imported.merged] == [str(n) for n in good]
    assert {item for item, _ in imported.failures} == {spool.item_of(n) for n in refused}
    assert [label for label, _ in imported.refused] == [str(n) for n in sorted(refused)]
    asked: dict[object, tuple[bytes, ...]] = {}
    for request, rows in database.requests:
        assert asked.setdefault(request, rows) == rows, "one id for different rows"
    assert len(asked) == len(database.requests), "the same rows were asked for twice"


class SpooledRecords:
    """Stands in for the spool: records of one row, numbered throughout."""

    def __init__(self, sizes: list[int], refused: set[int]) -> None:
        self.items: dict[int, Spooled] = {}
        self._items: list[int] = []
        for item, size in enumerate(sizes):
            for _ in range(size):
                number = len(self._items)
                self._items.append(item)
                row = json.dumps({"number": number, "poison" if number in refused else "x": 1})
                record = Record(item, str(number), (Aggregate(((0, row.encode()),)),))
                self.items.setdefault(item, Spooled([], {})).records.append(record)

    def item_of(self, number: int) -> int:
        return self._items[number]

    def read(self, chunk: int) -> dict[int, Spooled]:
        return self.items


# A target that does not answer


def test_records_that_bring_the_target_down_are_isolated_while_it_answers_others(
    bench: Bench,
) -> None:
    for number in ("A", "heavy", "B", "C"):
        bench.add(number)
    database = MemoryDatabase(down={"heavy"})
    imported = bench.run(database)
    assert numbers(database) == ["A", "B", "C"]
    ((item, reason),) = imported.failures
    assert item == 2
    assert "cannot process the request now" in reason


def test_a_target_that_answers_to_nothing_ends_the_batch(bench: Bench) -> None:
    bench.add("A")
    bench.add("B")
    database = MemoryDatabase()
    database.away = True
    with pytest.raises(BackendUnavailableError):
        bench.run(database)
    assert len(database.requests) == 1, "its halves are not tried"


def test_a_run_that_is_stopping_does_not_look_for_the_culprit(bench: Bench) -> None:
    bench.add("A")
    bench.add("B")
    database = MemoryDatabase(down={"A"})
    stop = threading.Event()
    stop.set()
    target = target_of(database, RetryPolicy(3, stop))
    job = job_of(bench.source.folder, bench.items)
    with pytest.raises(BackendUnavailableError):
        imported_by(target, job, bench.spool)
    assert len(database.requests) == 1
    assert database.identified == 0


# The spool


def spooled(bench: Bench, chunk: int, items: list[WorkItem]) -> None:
    """Writes the items' records, and takes their files away."""
    bench.spool.open() if not bench.spool.folder.exists() else None
    job = job_of(bench.source.folder, items)
    prepared = prepare_batch(job)
    by_item = {item.id: Spooled([], prepared.cleaned.get(item.id, {})) for item in items}
    for record in prepared.records:
        by_item[record.item_id].records.append(record)
    assert bench.spool.write(chunk, by_item)
    for item in items:
        (bench.source.folder / item.path).unlink()
        bench.items[item.id - 1] = WorkItem(item.id, item.path, item.signature, (), chunk)


def test_rows_that_are_spooled_are_not_read_again(bench: Bench) -> None:
    bench.add("A")
    bench.add("B", "C")
    spooled(bench, 1, bench.items[:])
    database = MemoryDatabase()
    imported = bench.run(database)
    assert imported.failures == []
    assert numbers(database) == ["A", "B", "C"]


def test_spooled_rows_and_rows_of_files_keep_the_order_of_their_items(bench: Bench) -> None:
    for each in ("A", "B", "C", "D", "E"):
        bench.add(each)
    spooled(bench, 1, [bench.items[1]])
    spooled(bench, 2, [bench.items[3], bench.items[4]])
    database = MemoryDatabase()
    bench.run(database)
    assert numbers(database) == ["A", "B", "C", "D", "E"]


def test_what_is_torn_in_the_spool_is_read_from_its_file(bench: Bench) -> None:
    bench.add("A")
    bench.add("B")
    bench.spool.open()
    (bench.spool.folder / "1.json").write_bytes(b"torn")
    torn = [WorkItem(item.id, item.path, item.signature, item.images, 1) for item in bench.items]
    database = MemoryDatabase()
    assert bench.run(database, torn).failures == []
    assert numbers(database) == ["A", "B"]


def test_the_request_is_the_same_whether_rows_were_spooled_or_not(bench: Bench) -> None:
    bench.add("A")
    bench.add("B")
    plain, short = MemoryDatabase(), MemoryDatabase()
    bench.run(plain)
    spooled(bench, 1, bench.items[:])
    bench.run(short)
    assert plain.requests == short.requests


# Records and their rows


def record(item: int, *tables: int) -> Record:
    rows = tuple((table, f"{item}.{table}".encode()) for table in tables)
    return Record(item, str(item), (Aggregate(rows),))


def test_rows_are_placed_by_table_in_the_order_of_records() -> None:
    rows = place_rows(STATES.group, RUN, [record(1, 0, 1, 1), record(2, 0), record(3, 1)]).rows
    assert rows.by_table == {0: [b"1.0", b"2.0"], 1: [b"1.1", b"1.1", b"3.1"]}
    assert rows.run == RUN


def test_each_record_gets_the_answer_for_its_own_row() -> None:
    records = [record(1, 0, 1, 1), record(2, 1, 0), record(3, 0)]
    answers: dict[int, Any] = {0: "ISU", 1: "xy="}
    # Rows of table 0: of records 1, 2, 3; of table 1: two of record 1, then that of record 2.
    own = place_rows(STATES.group, RUN, records).own()
    assert [answers[each.table][each.first] for each in own if each] == ["I", "=", "U"]


def shared(item: int, key: str, timestamp: str, source: str) -> Record:
    own = Aggregate(((0, f"own {item}".encode()),), f"own {item}")
    rows = ((1, f"{key} {item}".encode()), (2, f"part {item}".encode()))
    return Record(item, str(item), (own, Aggregate(rows, key, timestamp, source)))


def test_the_latest_aggregate_of_a_key_is_merged_and_among_equal_ones_the_first() -> None:
    records = [
        shared(1, "x", "2025-01-01", "a"),
        shared(2, "x", "2025-02-01", "c"),
        shared(3, "x", "2025-02-01", "b"),
        shared(4, "y", "", "d"),
    ]
    for order in (records, records[::-1]):
        placed = place_rows(STATES.group, RUN, order)
        by_table = placed.rows.by_table
        assert sorted(by_table[1]) == [b"x 3", b"y 4"]
        assert sorted(by_table[2]) == [b"part 3", b"part 4"]
        assert len(by_table[0]) == 4
        went_in = {
            each.item_id
            for each, aggregates in zip(order, placed.aggregates, strict=True)
            if aggregates[1] is not None
        }
        assert went_in == {3, 4}


def test_an_aggregate_given_twice_is_merged_once() -> None:
    twice = [shared(1, "x", "2025-01-01", "a"), shared(1, "x", "2025-01-01", "a")]
    placed = place_rows(STATES.group, RUN, twice)
    assert placed.rows.by_table[1] == [b"x 1"]
    assert [aggregates[0] is None for aggregates in placed.aggregates] == [False, True]


def test_a_document_reaches_the_database_as_its_row(bench: Bench) -> None:
    bench.add("A")
    database = MemoryDatabase()
    bench.run(database)
    expected = document(licenses=[license_("A")])
    assert database.stored[0]["meta"] == expected["metadata"]
    assert database.stored[0]["expiration_date"] == "2027-02-28"


def test_rows_of_an_item_are_taken_from_its_own_chunk_alone(tmp_path: Path) -> None:
    """A chunk that is left over may hold what an item was before its file changed."""
    spool = Spool(tmp_path / "spool", RowFormat.JSON)
    spool.open()
    old, two, new = (
        Spooled([Record(item, label, (Aggregate(((0, b"{}"),)),))], {label: 1})
        for item, label in ((1, "old"), (2, "two"), (1, "new"))
    )
    assert spool.write(1, {1: old, 2: two})
    assert spool.write(2, {1: new})
    items = [
        WorkItem(1, "a", Signature(1, 1), (), 2),
        WorkItem(2, "b", Signature(1, 1), (), 1),
    ]
    job = job_of(tmp_path, items)
    imported = imported_by(target_of(MemoryDatabase()), job, spool)
    assert [label for _, _, label in imported.merged] == ["new", "two"]
    assert imported.cleaned == {"new": 1, "two": 1}


def test_one_record_that_takes_too_long_is_not_blamed(source: Source) -> None:
    """Somebody holds the table: all good records would be called bad, one after the other."""
    paths = [source.add(name) for name in ("a", "b", "c")]
    items = [item_of(path, source.folder, number) for number, path in enumerate(paths)]

    class Slow(MemoryDatabase):
        def merge(self, request_id: UUID, rows: Rows) -> MergeAnswer:
            raise StatementCancelledError("cut short")

    job = job_of(source.folder, items)
    spool = Spool(source.folder / "spool", RowFormat.JSON)
    with pytest.raises(BackendUnavailableError, match="timed out"):
        imported_by(target_of(Slow()), job, spool)


def test_a_full_disk_is_not_looked_for_in_the_records(source: Source) -> None:
    paths = [source.add(name) for name in ("a", "b", "c")]
    items = [item_of(path, source.folder, number) for number, path in enumerate(paths)]
    asked = []

    class Full(MemoryDatabase):
        def merge(self, request_id: UUID, rows: Rows) -> MergeAnswer:
            asked.append(request_id)
            raise BackendUnavailableError("no space left", divisible=False)

    job = job_of(source.folder, items)
    spool = Spool(source.folder / "spool", RowFormat.JSON)
    with pytest.raises(BackendUnavailableError, match="no space left"):
        imported_by(target_of(Full()), job, spool)
    assert len(asked) == 1


# Folders, and their status files


class FolderBench:
    """Folders, and what becomes of them and their status files."""

    def __init__(self, folder: Path) -> None:
        self.source = ImportSource(str(folder), FOLDERS.patterns)
        self.folder = folder
        self.spool = Spool(folder.parent / "spool" / "run", RowFormat.JSON)
        self.items: list[WorkItem] = []

    def add(self, path: str, stats: bytes = b"{}", images: int = 0) -> Path:
        place = self.folder / path
        place.mkdir(parents=True)
        (place / "stats.json").write_bytes(stats)
        found = []
        for number in range(images):
            file = place / f"{number}.png"
            file.write_bytes(png(number))
            found.append(hashed(ImageFile(str(file), signature_of(file.stat())), f"{number:02}"))
        signature = FOLDERS.sign(ImportSource(str(place), FOLDERS.patterns), ".")
        self.items.append(WorkItem(len(self.items) + 1, path, signature, tuple(found)))
        return place

    def run(
        self,
        database: MemoryDatabase,
        *,
        status_files: bool = True,
        items: list[WorkItem] | None = None,
    ) -> Imported:
        files = (
            StatusFiles(self.source, "batch_1", "Nov", "memory", as_told) if status_files else None
        )
        target = ImportTarget(target_config(database), FOLDERS.group, RUN, "batch_1", files)
        job = PrepareJob("folders", self.source, RowFormat.JSON, items or self.items)
        return imported_by(target, job, self.spool)


@pytest.fixture
def folders(tmp_path: Path) -> FolderBench:
    return FolderBench(tmp_path / "source")


def told(place: Path) -> dict[str, Any]:
    """What stands in the one status file of a folder."""
    (found,) = [each for each in place.iterdir() if is_status_file(each.name)]
    content: dict[str, Any] = json.loads(found.read_bytes())
    assert found.name == f"{content['status']}.json"
    return content


def test_each_folder_gets_its_status_file_when_the_batch_is_done(
    folders: FolderBench,
) -> None:
    good = folders.add("line/good", b'{"device_id": "D"}', images=2)
    broken = folders.add("broken", b"{")
    refused = folders.add("refused", b'{"device_id": "poison"}')
    bare = folders.add("bare")
    imported = folders.run(MemoryDatabase(poison={"poison"}))
    assert [item for item, _ in sorted(imported.failures)] == [2, 3]
    assert imported.unwritten == []
    assert told(good)["counts"] == {"images": 2, "inserted": 1}
    assert told(bare)["counts"] == {"images": 0, "inserted": 1}
    assert told(broken)["reason"].startswith("stats.json is not JSON: ")
    assert told(refused)["reason"] == "record refused: the database refused it"
    for place in (good, broken, refused, bare):
        found = told(place)
        assert found["batch_id"] == "batch_1"
        assert (found["tag"], found["target"]) == ("Nov", "memory")
        assert found.get("phase", "import") == "import"


def test_no_status_file_is_written_before_the_rows_are_committed(folders: FolderBench) -> None:
    place = folders.add("good")
    seen: list[list[str]] = []

    class Looking(MemoryDatabase):
        def merge(self, request_id: UUID, rows: Rows) -> MergeAnswer:
            seen.append(sorted(each.name for each in place.iterdir()))
            return super().merge(request_id, rows)

    folders.run(Looking())
    assert seen == [["stats.json"]]
    assert told(place)["status"] == "success"


def test_without_a_target_no_status_file_is_written(folders: FolderBench) -> None:
    place = folders.add("good")
    database = MemoryDatabase()
    database.away = True
    with pytest.raises(BackendUnavailableError):
        folders.run(database)
    assert sorted(each.name for each in place.iterdir()) == ["stats.json"]


def test_without_status_files_none_is_written(folders: FolderBench) -> None:
    place = folders.add("good")
    bad = folders.add("bad", b"{")
    imported = folders.run(MemoryDatabase(), status_files=False)
    assert imported.unwritten == []
    for each in (place, bad):
        assert sorted(file.name for file in each.iterdir()) == ["stats.json"]


def test_a_folder_that_is_gone_by_then_fails_and_its_status_file_is_not_written(
    folders: FolderBench,
) -> None:
    gone = folders.add("gone")
    good = folders.add("good")
    (gone / "stats.json").unlink()
    gone.rmdir()
    imported = folders.run(MemoryDatabase())
    assert [item for item, _ in imported.failures] == [1]
    assert imported.unwritten == [Unwritten("gone/failed.json", "No such file or directory")]
    assert told(good)["status"] == "success"
    assert not gone.exists()


def test_a_batch_that_comes_once_more_writes_its_status_files_again(folders: FolderBench) -> None:
    place = folders.add("good", images=1)
    database = MemoryDatabase()
    folders.run(database)
    (place / "success.json").unlink()
    folders.run(database)
    first, second = database.requests
    assert first == second, "a status file does not make it another folder"
    assert told(place)["counts"] == {"images": 1, "inserted": 1}


def test_an_image_that_the_folder_goes_without_is_not_counted(folders: FolderBench) -> None:
    place = folders.add("good", images=2)
    (item,) = folders.items
    lacking = WorkItem(item.id, item.path, item.signature, (None, item.images[1]))
    database = MemoryDatabase()
    folders.run(database, items=[lacking])
    assert told(place)["counts"] == {"images": 1, "inserted": 1}
    (row,) = database.stored
    assert row["image_count"] == 1
    assert [each["name"] for each in cast(list[dict[str, str]], row["images"])] == ["1.png"]


def test_another_image_or_another_digest_asks_with_another_id(folders: FolderBench) -> None:
    folders.add("good", images=1)
    (item,) = folders.items
    database = MemoryDatabase()
    folders.run(database)
    folders.run(database, items=[WorkItem(item.id, item.path, item.signature, (None,))])
    (image,) = item.images
    assert image is not None
    other = hashed(image.file, "ff")
    folders.run(database, items=[WorkItem(item.id, item.path, item.signature, (other,))])
    assert len({request for request, _ in database.requests}) == 3


def test_a_batch_has_the_times_of_its_begin_and_end(folders: FolderBench, bench: Bench) -> None:
    folders.add("good")
    bench.add("A")
    before = time.time()
    for imported in (folders.run(MemoryDatabase()), bench.run(MemoryDatabase())):
        began, ended = imported.took
        assert before <= began <= ended <= time.time()


# Refusals that may be the target's fault


class Gateway(MemoryDatabase):
    """Refuses what has one of some texts in it, and lets a merge of nothing through."""

    def __init__(self, *refused: str) -> None:
        super().__init__()
        self.refused = refused

    def merge(self, request_id: UUID, rows: Rows) -> MergeAnswer:
        text = b"".join(row for _, _, some in rows.tables() for row in some).decode()
        if any(each in text for each in self.refused):
            raise DataRefusedError("HTTP 400: blocked")
        return super().merge(request_id, rows)


def test_a_batch_without_a_judged_record_is_unexplained_and_gets_no_status_files(
    folders: FolderBench,
) -> None:
    place = folders.add("a", b'{"device_id": "bad"}')
    imported = folders.run(Gateway("device_id", "bad"))
    assert imported.unexplained == [(1, "HTTP 400: blocked")]
    assert (imported.judged, [item.id for item in imported.unexplained_items]) == (False, [1])
    assert [each.name for each in place.iterdir()] == ["stats.json"]


def test_a_refusal_beside_imported_records_is_not_unexplained(folders: FolderBench) -> None:
    places = [folders.add(name, b'{"device_id": "%b"}' % name.encode()) for name in ("a", "bad")]
    imported = folders.run(Gateway("bad"))
    assert (imported.judged, imported.unexplained, imported.unexplained_items) == (True, [], [])
    assert [told(place)["status"] for place in places] == ["success", "failed"]


def test_a_value_that_the_database_names_is_not_unexplained(bench: Bench) -> None:
    bench.add("poison")
    imported = bench.run(MemoryDatabase(poison={"poison"}))
    assert (imported.judged, imported.unexplained) == (True, [])
