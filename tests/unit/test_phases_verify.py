from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from imports.backends.database import AddedRows, Comparison, Rows, TableComparison
from imports.errors import ImageProblemError, StatementCancelledError
from imports.items.images import Image, ImageFile
from imports.items.source import Signature
from imports.items.source import Source as ImportSource
from imports.items.work_item import WorkItem
from imports.kinds.people.kind import PEOPLE
from imports.kinds.states import STATES
from imports.phases.comparing import Compared, VerifyTarget, check_image, compare_items
from imports.phases.prepare import PrepareJob, prepare_current
from imports.run.report import Finding
from imports.tables.row_format import RowFormat
from tests.support.memory import target_config
from tests.support.people import emails, person, write
from tests.support.source import Source, license_

SAME = ("same", {})
IMAGE = Image(ImageFile("/images/1.png", Signature(1_234, 1)), "ab12", "png", "image/png", 3, None)


class ComparingDatabase:
    """Answers for each row by the licence number in it; what is not named is the same."""

    row_format = RowFormat.JSON

    def __init__(self, **answers: tuple[str, dict[str, tuple[object, object]]]) -> None:
        self.answers = answers

    def compare(self, rows: Rows) -> dict[int, TableComparison]:
        found = []
        for number, row in enumerate(rows.by_table[0]):
            answer = next(
                (answer for key, answer in self.answers.items() if key.encode() in row), SAME
            )
            identity = None if answer[0] == "missing" else str(number)
            found.append(Comparison(answer[0], identity, answer[1]))
        return {0: TableComparison(found, [])}


class Store:
    """A store with one image, or one that cannot be read."""

    def __init__(self, size: int | None, sha256: str | None = None) -> None:
        self._size = size
        self._sha256 = sha256

    def size(self, path: str) -> int | None:
        return self._size

    def sha256(self, path: str) -> str:
        if self._sha256 is None:
            raise ImageProblemError("cannot be read: Input/output error")
        return self._sha256


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return Source(tmp_path / "day")


def compared(source: Source, database: object, *paths: Path) -> Compared:
    # The signatures are those of long ago: what counts is what the files say now.
    items = [
        WorkItem(number, path.relative_to(source.folder).as_posix(), Signature(1, 1))
        for number, path in enumerate(paths, 1)
    ]
    target = VerifyTarget(target_config(database), STATES.group, {"dataset_id": 1, "batch_id": "b"})
    read_from = ImportSource(str(source.folder), STATES.patterns)
    job = PrepareJob("states", read_from, RowFormat.JSON, items)
    return compare_items(target, prepare_current(job))


def checked(store: Store, *, deep: bool) -> Finding | None:
    target = VerifyTarget(target_config(store=store), STATES.group, {})
    return check_image(target, IMAGE, deep=deep)


def test_what_is_the_same_is_no_finding_and_vouched_for(source: Source) -> None:
    path = source.add("a", licenses=[license_("A1"), license_("A2")])
    found = compared(source, ComparingDatabase(), path)
    assert (found.items, found.records) == (1, 2)
    assert found.findings == []
    assert found.row_marks == ["search_results/0", "search_results/1"]


def test_what_differs_is_found_with_its_file_and_both_values(
    source: Source,
) -> None:
    first = source.add("a", licenses=[license_("A1")])
    second = source.add("b", licenses=[license_("B1"), license_("B2")])
    database = ComparingDatabase(
        B1=("different", {"city": ("Miami", "Tampa"), "zip": (None, "x" * 500)}),
        B2=("missing", {}),
    )
    found = compared(source, database, first, second)
    different, missing = found.findings
    assert (different.found, different.subject) == ("different", "Belmar/FL/B1")
    assert (different.path, different.item_id) == ("b_parse.json", 2)
    assert different.detail.startswith("city is 'Miami', should be 'Tampa'; zip is None, should be")
    assert len(different.detail) < 200
    assert (missing.found, missing.subject) == ("missing", "Belmar/FL/B2")
    assert found.row_marks == ["search_results/0", "search_results/1"], (
        "a different row is one that a file speaks for"
    )


def test_what_a_newer_row_replaced_is_no_finding(source: Source) -> None:
    path = source.add("a", licenses=[license_("A1")])
    database = ComparingDatabase(A1=("superseded", {}))
    assert compared(source, database, path).findings == []


class OwningDatabase:
    """Takes so many rows at once, and has two e-mails too many of each person that it is asked."""

    row_format = RowFormat.JSON

    def __init__(self, most: int) -> None:
        self.most = most
        self.asked: list[tuple[int, int]] = []

    def compare(self, rows: Rows) -> dict[int, TableComparison]:
        if sum(map(len, rows.by_table.values())) > self.most:
            raise StatementCancelledError("it takes too long")
        found = {}
        ids: list[str] = []
        for index, table in rows.compared():
            some = [orjson.loads(row) for row in rows.by_table.get(index, [])]
            same = [Comparison("same", row.get("id"), {}) for row in some]
            found[index] = TableComparison(same, [])
            if table.qualified_name == "people.identities":
                ids = [row["id"] for row in some]
            if table.qualified_name == "people.emails":
                self.asked.append((len(ids), len(some)))
                more = {"position": 7, "email": None, "type": "x"}
                found[index].added.extend(AddedRows(each, 2, more) for each in ids)
        return found

    def identify(self) -> None:
        """It is there."""


def test_rows_that_were_added_are_found_and_sets_are_never_compared_in_parts(
    tmp_path: Path,
) -> None:
    persons = [person(f"p-{number}", emails=emails("a", "b", "c")) for number in range(5)]
    path = write(tmp_path, "a.json", persons)
    database = OwningDatabase(most=9)
    target = VerifyTarget(target_config(database), PEOPLE.group, {})
    items = [WorkItem(1, path.name, Signature(1, 1))]
    job = PrepareJob("people", ImportSource(str(tmp_path), PEOPLE.patterns), RowFormat.JSON, items)
    found = compare_items(target, prepare_current(job))
    assert [(each.found, each.item_id) for each in found.findings] == [("added", 1)] * 5
    assert found.findings[0].detail == (
        "people.emails has a row that is in no file (position 7, type 'x'), and 1 more"
    )
    assert len(database.asked) > 1
    assert all(emails == 3 * persons for persons, emails in database.asked)
    assert sum(persons for persons, _ in database.asked) == 5


def test_a_file_that_is_gone_or_broken_is_unreadable_and_the_others_are_compared(
    source: Source,
) -> None:
    good = source.add("a", licenses=[license_("A1")])
    broken = source.write("b_parse.json", b"{")
    gone = source.add("c")
    gone.unlink()
    found = compared(source, ComparingDatabase(), good, broken, gone)
    assert found.items == 3
    assert found.records == 1
    assert {each.path for each in found.findings} == {"b_parse.json", "c_parse.json"}
    assert {each.found for each in found.findings} == {"unreadable"}
    assert {each.item_id for each in found.findings} == {None}, "importing again is no help"


def test_an_image_of_the_right_size_is_fine_and_only_deep_looks_further() -> None:
    assert checked(Store(1_234, "other"), deep=False) is None
    assert checked(Store(1_234, "ab12"), deep=True) is None


@pytest.mark.parametrize(
    ("store", "deep", "found", "detail"),
    [
        (Store(None), False, "missing", ""),
        (Store(99), False, "different", "stored with 99 bytes, should be 1,234"),
        (Store(1_234, "cd34"), True, "different", "its content has the hash cd34"),
        (Store(1_234), True, "different", "cannot be read: Input/output error"),
    ],
)
def test_an_image_that_is_not_as_it_should_be_is_found(
    store: Store, deep: bool, found: str, detail: str
) -> None:
    finding = checked(store, deep=deep)
    assert finding == Finding(found, "sha256/ab/12/ab12.png", detail)
