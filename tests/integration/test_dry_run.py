"""A dry run says what an import would refuse, without a target, and writes nothing."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from imports import Settings
from imports.cli.dry_run import show_checked
from imports.errors import InterruptedRunError, UsageError
from imports.phases import prepare
from imports.phases.dry_run import Checked, check_source
from tests.support.kinds_under_contract import KINDS, KindUnderContract
from tests.support.people import person, write


def settings(source: Path, kind: str, **more: object) -> Settings:
    return Settings(kind=kind, source=source, tag="t", **more)  # type: ignore[arg-type]


def check(source: Path, kind: str, **more: object) -> Checked:
    total = Checked()
    for checked in check_source(settings(source, kind, **more), threading.Event()):
        total.items += checked.items
        total.failing += checked.failing
        total.findings += checked.findings
    return total


def files_below(folder: Path) -> dict[str, int]:
    return {str(each): each.stat().st_mtime_ns for each in folder.rglob("*")}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_bad_examples_of_every_kind_are_found_and_nothing_is_written(
    kind: KindUnderContract, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    kind.add_examples(source)
    before = files_below(tmp_path)
    monkeypatch.chdir(tmp_path)
    checked = check(source, kind.name, **kind.flags)
    assert checked.failing == len({each.path for each in checked.findings if each.fails}) > 0
    assert checked.items > checked.failing
    assert files_below(tmp_path) == before


def test_records_are_named_in_usual_and_large_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "a.json", [person("p-1"), {"id": None}])
    write(tmp_path, "large.json", [*(person(f"q-{n}") for n in range(30)), 5])
    (tmp_path / "b.json").write_text("{")
    monkeypatch.setattr(prepare, "LARGE_BYTES", 4_000)
    checked = check(tmp_path, "people")
    assert (checked.items, checked.failing) == (3, 3)
    assert [each.path for each in checked.findings] == ["a.json", "b.json", "large.json"]


def test_each_wrong_value_is_told_by_its_place(tmp_path: Path) -> None:
    document = {"metadata": {"record_count": -1}, "insights": {"deals": 5, "personal": "Sails."}}
    (tmp_path / "a.json").write_text(json.dumps(document))
    (tmp_path / "b.json").write_text('{"contact_id": "x", "insights": {"deals": "No id."}}')
    checked = check(tmp_path, "insights")
    wrong = [(each.path, each.field, each.problem) for each in checked.findings if each.fails]
    assert sorted(wrong) == [
        ("a.json", "insights.deals", "is a number, not a string"),
        ("a.json", "metadata.contact_id", "is missing"),
        ("a.json", "metadata.record_count", "is -1, less than 0"),
    ]
    assert (checked.items, checked.failing) == (2, 1)
    assert {each.path for each in checked.findings if not each.fails} == {"b.json"}


def test_one_file_some_files_and_none(tmp_path: Path) -> None:
    for number in range(5):
        write(tmp_path, f"{number}.json", [person("p-1")])
    assert check(tmp_path, "people", single_file=tmp_path / "3.json").items == 1
    assert check(tmp_path, "people", limit=2).items == 2
    with pytest.raises(UsageError, match="No JSON files found"):
        check(tmp_path, "states")
    stop = threading.Event()
    stop.set()
    with pytest.raises(InterruptedRunError):
        list(check_source(settings(tmp_path, "people"), stop))


def test_the_table_and_the_lines_of_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "good.json", [person("p-1")])
    (tmp_path / "bad\x1b.json").write_text("[]")
    assert show_checked(settings(tmp_path, "people"), as_json=False) == 3
    shown = capsys.readouterr().out
    assert "✗ bad\\x1b.json  " in shown
    assert shown.endswith("2 files checked, 1 would fail. Nothing was written.\n")
    assert show_checked(settings(tmp_path, "people"), as_json=True) == 3
    *found, total = map(json.loads, capsys.readouterr().out.splitlines())
    assert [(each["path"], each["fails"]) for each in found] == [("bad\x1b.json", True)]
    assert total == {"items": 2, "failing": 1, "exit_code": 3}
    (tmp_path / "bad\x1b.json").unlink()
    assert show_checked(settings(tmp_path, "people"), as_json=False) == 0


def test_a_single_folder_that_is_no_item_is_told_as_by_an_import(tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    with pytest.raises(UsageError, match=f"No recognitions found: nothing at {folder} is a folder"):
        check(tmp_path, "recognitions", single_file=folder)
