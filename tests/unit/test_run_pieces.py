"""Large files: read in pieces, merged piece by piece, and gone on with where they were left."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import pytest

from imports.errors import BackendUnavailableError, InterruptedRunError
from imports.items.records import RecordFailure
from imports.items.source import Signature
from imports.items.work_item import ItemState, WorkItem
from imports.kinds import kind_named
from imports.kinds.kind import ContentPiece
from imports.phases import pieces, planning, prepare
from imports.phases.import_ import import_items
from imports.phases.listing import list_source
from imports.phases.merging import item_failures
from imports.phases.pieces import PieceReader
from imports.phases.planning import plan_items
from imports.phases.prepare import PieceJob, largest_item, prepare_piece
from imports.run.session import RunSession
from imports.tables.row_format import RowFormat
from tests.support.session import PeopleBench, person

SIZE = 3
LARGEST = 2_000


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PeopleBench]:
    """Files of more than 2,000 bytes are large, and read 3 records at a time."""
    monkeypatch.setattr(prepare, "LARGE_BYTES", LARGEST)
    monkeypatch.setattr(pieces, "PIECE_RECORDS", SIZE)
    bench = PeopleBench(tmp_path)
    yield bench
    bench.close()


def add_large(bench: PeopleBench, name: str, *ids: str | None, tail: bytes = b"") -> Path:
    records = [person(each, pad="x" * 2_000) for each in ids]
    return bench.write(name, json.dumps({"results": records}).encode() + tail)


def planned(bench: PeopleBench, run_name: str = "batch", **flags: Any) -> RunSession:
    session = bench.session(run_name, **flags)
    list_source(session)
    plan_items(session)
    return session


def numbers(first: int, end: int) -> list[str]:
    return [f"p{number:03}" for number in range(first, end)]


def test_a_kind_without_pieces_has_no_largest_item() -> None:
    assert largest_item(kind_named("states")) is None
    assert largest_item(kind_named("people")) == prepare.LARGE_BYTES


@pytest.mark.parametrize("count", [1, 2, 3, 4, 6, 7, 10])
def test_a_large_file_is_imported_whole_whatever_the_number_of_its_records(
    bench: PeopleBench, count: int
) -> None:
    add_large(bench, "large.json", *numbers(0, count))
    bench.add("small.json", "small")
    report = bench.run(progress_csv=bench.base / "p.csv")
    assert report.exit_code == 0
    assert sorted(bench.database.people) == [*numbers(0, count), "small"]
    assert len(bench.database.requests) == 1 + -(-count // SIZE)
    assert report.count("import.inserted") == count + 1
    assert bench.left() == []
    assert f"large.json,{count},{count},0," in (bench.base / "p.csv").read_text()


def test_a_file_of_exactly_the_greatest_size_is_read_at_once(bench: PeopleBench) -> None:
    text = json.dumps({"results": [person("A")]})
    bench.write("a.json", text.encode() + b" " * (LARGEST - len(text)))
    bench.write("b.json", text.encode() + b" " * (LARGEST + 1 - len(text)))
    session = planned(bench)
    session.queue.open(ItemState.PLANNED, None, LARGEST)
    assert [item.path for item in session.queue.large()] == ["b.json"]
    rows = session.scope.connection.execute("select path, records, chunk from item order by path")
    (a, b) = rows.fetchall()
    assert a[:2] == ("a.json", 1)
    assert a[2] is not None
    assert b == ("b.json", None, None)


@pytest.mark.parametrize(
    ("content", "exit_code"),
    [(b"{}", 3), (b'{"results": []}', 0), (b'{"results": null}', 3), (b"[]", 3)],
)
def test_a_large_file_without_results_is_taken_as_a_small_one_is(
    bench: PeopleBench, content: bytes, exit_code: int
) -> None:
    bench.write("a.json", content + b" " * LARGEST)
    report = bench.run()
    assert report.exit_code == exit_code
    assert bench.left() == (["a.json"] if exit_code else [])
    bench.write("a.json", content)
    small = bench.run("small")
    assert small.exit_code == exit_code, "size makes no difference"
    reasons = [[each.reason for each in run.failures] for run in (report, small)]
    assert reasons[0] == reasons[1]


def test_records_that_fail_are_known_by_their_place_in_the_file(bench: PeopleBench) -> None:
    ids = [*numbers(0, 4), None, *numbers(5, 8), None]
    add_large(bench, "large.json", *ids)
    bench.database.poison = {"p006"}
    report = bench.run()
    assert report.exit_code == 3
    assert sorted(bench.database.people) == [each for each in ids if each not in {None, "p006"}]
    problems = json.loads((bench.failed / "large.errors.json").read_bytes())
    assert [(each["index"], each["id"]) for each in problems] == [
        (4, None),
        (6, "p006"),
        (8, None),
    ]
    assert report.failures[0].reason.endswith("(and 2 more records)")
    assert report.count("import.refused") == 3


@pytest.mark.parametrize("tail", [b"x", b"{}", b"]"])
def test_a_file_that_is_broken_at_its_end_fails_and_what_is_before_has_gone_in(
    bench: PeopleBench, tail: bytes
) -> None:
    add_large(bench, "large.json", *numbers(0, 7), tail=tail)
    report = bench.run()
    assert report.exit_code == 3
    assert "is not JSON" in report.failures[0].reason
    assert sorted(bench.database.people) == numbers(0, 7)
    assert not bench.left()
    (problem,) = json.loads((bench.failed / "large.errors.json").read_bytes())
    assert problem["index"] is None


def test_a_large_file_that_is_gone_or_changed_fails_alone(bench: PeopleBench) -> None:
    gone = add_large(bench, "gone.json", *numbers(0, 4))
    add_large(bench, "large.json", *numbers(10, 14))
    changed = add_large(bench, "z.json", *numbers(20, 24))
    session = planned(bench)
    gone.unlink()
    changed.write_bytes(changed.read_bytes() + b" ")
    import_items(session)
    assert sorted(bench.database.people) == numbers(10, 14)
    assert session.items.count(ItemState.IMPORTED) == 1
    assert bench.left() == ["z.json"], "it is another one now"


@pytest.mark.parametrize("stop_at", [1, 2, 3])
def test_an_interrupted_file_is_resumed_and_no_record_counts_twice(
    bench: PeopleBench, stop_at: int
) -> None:
    add_large(bench, "large.json", *numbers(0, 12 * SIZE))
    session = planned(bench)

    def stop() -> None:
        if len(bench.database.requests) + 1 == stop_at:
            session.policy.stop.set()

    bench.database.before_merge = stop  # type: ignore[method-assign]
    with pytest.raises(InterruptedRunError):
        import_items(session)
    done = len(bench.database.people)
    assert 0 < done < 12 * SIZE
    (row,) = session.scope.connection.execute("select state, records_done, succeeded from item")
    assert row == ("planned", done, done)
    session.close()
    bench.database.before_merge = lambda: None  # type: ignore[method-assign]
    report = bench.run()
    assert report.exit_code == 0
    assert sorted(bench.database.people) == numbers(0, 12 * SIZE)
    assert len(set(bench.database.requests)) == len(bench.database.requests)
    assert report.count("import.inserted") == 12 * SIZE


def test_after_an_outage_the_imported_pieces_stay(bench: PeopleBench) -> None:
    add_large(bench, "large.json", *numbers(0, 10))
    # One piece after the other: else a later one may be in when an earlier one cannot be.
    session = planned(bench, max_workers=1)

    def go_away() -> None:
        bench.database.away = len(bench.database.stored) > 3

    bench.database.before_merge = go_away  # type: ignore[method-assign]
    with pytest.raises(BackendUnavailableError):
        import_items(session)
    (row,) = session.scope.connection.execute("select state, records_done, succeeded from item")
    assert row[0] == "planned"
    assert row[1] == row[2] == len(bench.database.people)
    assert bench.left() == ["large.json"]


def test_pieces_that_come_out_of_order_are_recorded_in_theirs(
    bench: PeopleBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the ledger says is in must be in from the first record on."""
    add_large(bench, "large.json", *numbers(0, 12))
    session = planned(bench)
    order: list[int] = []
    record = session.queue.record_piece

    def watched(item_id: int, done: int, *rest: Any) -> None:
        order.append(done)
        record(item_id, done, *rest)

    def backwards(executor: Executor, function: Any, jobs: Any, **__: object) -> Any:
        waiting = list(jobs)
        if waiting and isinstance(waiting[0], PieceJob):
            waiting.reverse()
        return (executor.submit(function, job).result() for job in waiting)

    monkeypatch.setattr(session.queue, "record_piece", watched)
    monkeypatch.setattr("imports.phases.import_.run_bounded", backwards)
    import_items(session)
    assert order == [3, 6, 9, 12]
    assert session.items.count(ItemState.IMPORTED) == 1


def test_a_defect_costs_one_large_file_and_the_others_go_on(
    bench: PeopleBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each run ends with it, and what comes behind the file is never imported."""
    add_large(bench, "bad.json", *numbers(0, 4), "oops", *numbers(5, 7))
    add_large(bench, "good.json", *numbers(10, 14))
    encode = prepare.encode_records

    def defective(*arguments: Any, **more: Any) -> Any:
        content = arguments[3]
        if any(each["profile_data"]["profile_id"] == "oops" for each in content.results):
            raise KeyError("oops")
        return encode(*arguments, **more)

    monkeypatch.setattr(prepare, "encode_records", defective)
    report = bench.run()
    assert report.exit_code == 3
    assert set(bench.database.people) >= set(numbers(10, 14))
    ((path, _, reason, _),) = report.failures
    assert path == "bad.json"
    assert "unexpected KeyError" in reason


def test_a_file_with_a_defect_in_a_piece_is_no_good_one_after_an_interruption(
    bench: PeopleBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the next run, which does not read that piece again, would delete it."""
    add_large(bench, "large.json", "oops", *numbers(1, 12 * SIZE))
    encode = prepare.encode_records

    def defective(*arguments: Any, **more: Any) -> Any:
        if arguments[3].first == 0:
            raise KeyError("oops")
        return encode(*arguments, **more)

    session = planned(bench)
    bench.database.before_merge = session.policy.stop.set  # type: ignore[method-assign]
    with monkeypatch.context() as patch:
        patch.setattr(prepare, "encode_records", defective)
        with pytest.raises(InterruptedRunError):
            import_items(session)
    ((done, refused),) = session.scope.connection.execute("select records_done, refused from item")
    assert done >= SIZE
    assert refused == SIZE
    session.close()
    bench.database.before_merge = lambda: None  # type: ignore[method-assign]
    report = bench.run()
    assert (report.exit_code, bench.left()) == (3, [])
    assert (bench.failed / "large.json").exists()


@pytest.mark.parametrize("depth", [100, 300, 2_000])
@pytest.mark.parametrize("large", [False, True])
def test_a_record_that_is_nested_very_deep_ends_no_run(
    bench: PeopleBench, monkeypatch: pytest.MonkeyPatch, depth: int, large: bool
) -> None:
    if not large:
        monkeypatch.setattr(prepare, "LARGE_BYTES", 10**6)
    nested = '{"a":' * depth + "1" + "}" * depth
    record = json.dumps(person("deep", pad="x" * LARGEST))[:-1] + f',"more":{nested}}}'
    text = f'{{"results":[{json.dumps(person("A"))},{record},{json.dumps(person("B"))}]}}'
    bench.write("deep.json", text.encode())
    bench.add("good.json", "good")
    report = bench.run()
    assert "good" in bench.database.people
    assert report.exit_code in {0, 3}
    assert not any("unexpected" in each.reason for each in report.failures)


# Their parts


def test_a_reader_has_the_reason_of_its_end_and_yields_no_empty_piece(bench: PeopleBench) -> None:
    path = add_large(bench, "large.json", *numbers(0, 6))
    session = bench.session()
    signature = session.sign("large.json")
    reader = PieceReader(session, WorkItem(1, "large.json", signature))
    assert [(job.piece.first, job.piece.size) for job in reader.jobs()] == [(0, 3), (3, 3)]
    assert reader.problem is None
    for start, found in ((2, [(2, 3), (5, 1)]), (6, []), (99, [])):
        reader = PieceReader(session, WorkItem(1, "large.json", signature, records_done=start))
        assert [(job.piece.first, job.piece.size) for job in reader.jobs()] == found
    reader = PieceReader(session, WorkItem(1, "large.json", Signature(1, 1)))
    assert list(reader.jobs()) == []
    assert reader.problem is not None
    assert "changed" in reader.problem
    path.unlink()
    reader = PieceReader(session, WorkItem(1, "large.json", signature))
    assert list(reader.jobs()) == []
    assert reader.problem == "cannot be read: No such file or directory"


def test_records_of_a_piece_are_numbered_as_in_the_file() -> None:
    from imports.kinds.people.records import Page

    records = [person("A"), person(None), person("B")]
    piece = ContentPiece(500, 3, Page("a.json", 500, records))
    item = WorkItem(7, "a.json", Signature(1, 1))
    found = prepare_piece(PieceJob("people", RowFormat.JSON, item, piece))
    assert [(each.item_id, each.number) for each in found.records] == [(7, 500), (7, 502)]
    assert [(each.item_id, each.number) for each in found.problems] == [(7, 501)]
    assert found.failures == []


@pytest.mark.parametrize(
    ("failures", "told"),
    [
        ([], []),
        ([RecordFailure(1, 5, "p", "bad")], [(1, "record p: bad")]),
        ([RecordFailure(1, 5, "", "bad")], [(1, "record 5: bad")]),
        (
            [RecordFailure(1, 5, "p", "later"), RecordFailure(1, 2, "", "first")],
            [(1, "record 2: first (and 1 more records)")],
        ),
        (
            [RecordFailure(2, 0, "x", "a"), RecordFailure(1, 0, "y", "b")],
            [(2, "record x: a"), (1, "record y: b")],
        ),
        ([RecordFailure(1, 0, "p" * 500, "bad")], [(1, f"record {'p' * 200}…: bad")]),
    ],
)
def test_the_failures_of_records_are_one_failure_of_their_item(
    failures: list[RecordFailure], told: list[tuple[int, str]]
) -> None:
    assert item_failures(failures) == told


def test_planning_does_not_open_a_large_file(
    bench: PeopleBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_large(bench, "large.json", "A")
    opened: list[str] = []
    read_items = planning.read_items

    def watched(kind: Any, source: Any, items: list[WorkItem]) -> Any:
        opened.extend(item.path for item in items)
        return read_items(kind, source, items)

    monkeypatch.setattr(planning, "read_items", watched)
    planned(bench)
    assert opened == []
