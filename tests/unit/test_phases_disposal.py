"""What a worker does with files that are done with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from imports.configuration.choices import Disposal
from imports.items.records import RecordFailure
from imports.items.source import Source
from imports.ledger import DisposedItem, DueItem
from imports.phases import disposing
from imports.phases.disposing import DisposalJob, dispose_batch
from imports.run.consuming.disposal_plan import DisposalPlan
from imports.source.tree import signature_of


class Place:
    """A source, and the folders beside it."""

    def __init__(self, base: Path) -> None:
        self.source = base / "source"
        self.done = base / "done"
        self.failed = base / "failed"
        self.source.mkdir()
        self._number = 0

    def plan(self, success: str = "delete", failure: str = "move") -> DisposalPlan:
        return DisposalPlan(Disposal(success), Disposal(failure), str(self.done), str(self.failed))

    def add(self, path: str, reason: str | None = None, content: bytes = b"{}") -> DueItem:
        file = self.source / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        self._number += 1
        return DueItem(self._number, path, signature_of(file.stat()), reason, again=False)

    def dispose(
        self, *items: DueItem, plan: DisposalPlan | None = None, **failures: list[RecordFailure]
    ) -> list[DisposedItem]:
        source = Source(str(self.source), ("*.json",))
        mine = failures.get("failures", [])
        job = DisposalJob(plan or self.plan(), source, [(item, mine) for item in items])
        return dispose_batch(job)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def errors(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_bytes())
    return found


def test_imported_files_are_deleted_and_failed_ones_are_moved(place: Place) -> None:
    good, bad = place.add("a/good.json"), place.add("a/bad.json", "record 0: bad")
    assert place.dispose(good, bad) == [
        DisposedItem(good.id),
        DisposedItem(bad.id, str(place.failed / "a" / "bad.json")),
    ]
    assert [each for each in place.source.rglob("*") if each.is_file()] == []
    assert not place.done.exists()


def test_an_imported_file_can_be_moved_and_has_no_list_of_errors(place: Place) -> None:
    good = place.add("a/b.json")
    (found,) = place.dispose(good, plan=place.plan("move"))
    assert found.moved_to == str(place.done / "a" / "b.json")
    assert [each.name for each in (place.done / "a").iterdir()] == ["b.json"]


def test_records_that_failed_are_listed_beside_their_file(place: Place) -> None:
    bad = place.add("bad.json", "record p: bad (and 1 more records)")
    failures = [RecordFailure(1, 0, "p", "bad"), RecordFailure(1, 7, "", "薬局: worse")]
    place.dispose(bad, failures=failures)
    assert errors(place.failed / "bad.errors.json") == [
        {"index": 0, "id": "p", "reason": "bad"},
        {"index": 7, "id": None, "reason": "薬局: worse"},
    ]


def test_a_file_that_failed_as_a_whole_has_one_error_without_an_index(place: Place) -> None:
    place.dispose(place.add("bad.json", "is not JSON"))
    assert errors(place.failed / "bad.errors.json") == [
        {"index": None, "id": None, "reason": "is not JSON"}
    ]


@pytest.mark.parametrize("reason", [None, "bad"])
def test_a_changed_file_stays_without_a_message(place: Place, reason: str | None) -> None:
    item = place.add("a.json", reason)
    (place.source / "a.json").write_bytes(b"{  }")
    other = place.add("b.json", reason)
    assert [each.id for each in place.dispose(item, other)] == [other.id]
    assert (place.source / "a.json").read_bytes() == b"{  }"
    assert not (place.failed / "a.errors.json").exists()


@pytest.mark.parametrize("success", ["delete", "move"])
def test_a_deleted_file_counts_as_disposed_of(place: Place, success: str) -> None:
    item = place.add("a.json")
    (place.source / "a.json").unlink()
    gone = DisposedItem(item.id, gone=True)
    assert place.dispose(item, plan=place.plan(success)) == [gone]


def test_a_failed_file_that_somebody_took_away_leaves_no_list_of_errors(place: Place) -> None:
    item = place.add("a.json", "cannot be read: No such file or directory")
    (place.source / "a.json").unlink()
    assert place.dispose(item) == [DisposedItem(item.id, vanished=True, gone=True)]
    failures = [RecordFailure(item.id, 0, "p", "bad")]
    assert place.dispose(item, failures=failures) == [DisposedItem(item.id, gone=True)], (
        "it was read"
    )
    assert [each for each in place.failed.rglob("*") if each.is_file()] == []


def test_a_failed_file_that_a_killed_run_moved_gets_its_list_of_errors(place: Place) -> None:
    item = place.add("a.json", "bad")
    place.dispose(item)
    (place.failed / "a.errors.json").unlink()
    assert place.dispose(item) == [DisposedItem(item.id, str(place.failed / "a.json"))]
    assert errors(place.failed / "a.errors.json")[0]["reason"] == "bad"


def test_two_failed_files_of_one_name_keep_their_own_lists(place: Place) -> None:
    first = place.add("a.json", "first", b"{1")
    place.dispose(first)
    second = place.add("a.json", "second", b"{2")
    (found,) = place.dispose(second)
    assert found.moved_to == str(place.failed / "a.1.json")
    assert errors(place.failed / "a.errors.json")[0]["reason"] == "first"
    assert errors(place.failed / "a.1.errors.json")[0]["reason"] == "second"


@pytest.mark.parametrize(
    ("success", "reason", "said"),
    [
        ("delete", None, "cannot be deleted: No space left on device"),
        ("move", None, "cannot be moved away: No space left on device"),
        ("delete", "bad", "cannot be moved away: No space left on device"),
    ],
)
def test_what_cannot_be_disposed_of_is_a_problem_and_the_others_go(
    place: Place, monkeypatch: pytest.MonkeyPatch, success: str, reason: str | None, said: str
) -> None:
    def guarded(function: Any) -> Any:
        def inner(path: str, *rest: Any) -> Any:
            if path.endswith("a.json"):
                raise OSError(28, "No space left on device")
            return function(path, *rest)

        return inner

    for name in ("delete", "move"):
        monkeypatch.setattr(disposing, name, guarded(getattr(disposing, name)))
    items = [place.add("a.json", reason), place.add("b.json", reason)]
    first, second = place.dispose(*items, plan=place.plan(success))
    assert (first.problem, first.moved_to) == (said, None)
    assert second.problem is None
    assert (place.source / "a.json").exists()
    assert not (place.source / "b.json").exists()


def test_an_error_without_a_text_of_the_system_has_its_own_text(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError("the disk is on fire")

    monkeypatch.setattr(disposing, "delete", broken)
    (found,) = place.dispose(place.add("a.json"))
    assert found.problem == "cannot be deleted: the disk is on fire"


def test_where_the_list_of_errors_cannot_be_written_it_is_tried_once_more(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = place.add("a.json", "bad")

    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(disposing, "write_errors", broken)
        (found,) = place.dispose(item)
    assert found.problem is not None
    assert place.dispose(item) == [DisposedItem(item.id, str(place.failed / "a.json"))]
    assert (place.failed / "a.errors.json").exists()


@pytest.mark.parametrize(
    "name",
    ["薬局.json", "\U0001f469.json", "it's.json", "a b\n.json", ".json", "-.json", "x" * 250],
)
def test_files_of_any_name_are_moved(place: Place, name: str) -> None:
    item = place.add(f"sub/{name}", "bad")
    (found,) = place.dispose(item)
    assert found.moved_to == str(place.failed / "sub" / name)
    assert (place.failed / "sub" / name).exists()
    assert len(list((place.failed / "sub").iterdir())) == 2
    assert list((place.source / "sub").iterdir()) == []


@pytest.mark.parametrize("label", ["", "p", "\u0000", "\ud800".encode("utf-8", "replace").decode()])
def test_a_record_may_be_called_anything(place: Place, label: str) -> None:
    place.dispose(place.add("a.json", "bad"), failures=[RecordFailure(1, 2**62, label, "r")])
    (found,) = errors(place.failed / "a.errors.json")
    assert found == {"index": 2**62, "id": label or None, "reason": "r"}


def test_many_records_that_failed_are_all_listed(place: Place) -> None:
    failures = [RecordFailure(1, number, str(number), "bad") for number in range(10_000)]
    place.dispose(place.add("a.json", "bad"), failures=failures)
    assert [each["index"] for each in errors(place.failed / "a.errors.json")] == list(range(10_000))


def test_an_empty_job_does_nothing(place: Place) -> None:
    assert place.dispose() == []


@pytest.mark.parametrize(
    ("success", "failure", "folders"),
    [
        ("delete", "move", ["failed"]),
        ("move", "move", ["done", "failed"]),
        ("move", "keep", ["done"]),
        ("keep", "keep", []),
        ("delete", "keep", []),
    ],
)
def test_only_folders_that_something_is_moved_to_are_named(
    place: Place, success: str, failure: str, folders: list[str]
) -> None:
    plan = place.plan(success, failure)
    assert [Path(each).name for each in plan.folders] == folders
    assert plan.of(place.add("a.json")) == success
    assert plan.of(place.add("b.json", "bad")) == failure
    assert plan.of(place.add("c.json", "")) == failure, "also where the reason is empty"


@pytest.mark.parametrize("reason", [None, "is not JSON"])
def test_a_file_behind_a_new_link_is_neither_deleted_nor_moved(
    place: Place, tmp_path: Path, reason: str | None
) -> None:
    """Even if it is just the file that was listed: its folder may be anybody's."""
    item = place.add("day/a.json", reason)
    (place.source / "day").rename(tmp_path / "home")
    (place.source / "day").symlink_to(tmp_path / "home")
    (found,) = place.dispose(item)
    assert "its folder was replaced by a link" in (found.problem or "")
    assert [each.name for each in (tmp_path / "home").iterdir()] == ["a.json"]
    assert not place.failed.exists()


def test_a_folder_that_is_gone_with_its_files_is_no_problem(place: Place) -> None:
    item = place.add("day/a.json")
    (place.source / "day/a.json").unlink()
    (place.source / "day").rmdir()
    assert place.dispose(item) == [DisposedItem(item.id, gone=True)]


def test_the_list_of_errors_of_a_file_that_another_run_moved_stays(place: Place) -> None:
    theirs = place.add("bad.json", "record p: bad")
    ours = theirs._replace(id=9, reason="cannot be read: No such file or directory")
    place.dispose(theirs, failures=[RecordFailure(1, 0, "p", "bad")])
    moved = str(place.failed / "bad.json")
    assert place.dispose(ours) == [DisposedItem(9, moved)]
    listed = place.failed / "bad.errors.json"
    assert errors(listed) == [{"index": 0, "id": "p", "reason": "bad"}]
    # One that was killed before it had written the list, writes it.
    listed.unlink()
    place.dispose(theirs, failures=[RecordFailure(1, 0, "p", "bad")])
    assert errors(listed) == [{"index": 0, "id": "p", "reason": "bad"}]
