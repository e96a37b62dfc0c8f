from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from imports.cli.import_single import settings_for, tell_beginning, tell_end
from imports.errors import UsageError
from imports.items.work_item import Failure
from imports.kinds.folders import FOLDERS
from imports.ledger import LedgerFile, ListingLedger, RunLedger, Scope
from imports.run.report import VerifyReport
from imports.settings import Settings
from tests.support.book import Book, listed
from tests.support.reports import report
from tests.support.source import png


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A source with some folders; the working folder is another one."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data"
    for name in ("Batch54", "line/Batch55"):
        (folder / name).mkdir(parents=True)
        (folder / name / "a.png").write_bytes(png())
    (folder / "Batch54/stats.json").write_text('{"test_status": "passed"}')
    return folder


def known(
    source: Path,
    tag: str,
    *paths: str,
    kind: str = "folders",
    ledger: str = "upload_tracker.db",
    run_name: str = "batch",
) -> None:
    """Has the ledger know of an import, of some items, by default of one that is not asked for."""
    book = Book(Path(ledger), kind=kind, source=str(source), tag=tag, run_name=run_name)
    book.add(*(paths or ("another",)))
    book.file.close()


def chosen(path: Path, **settings: Any) -> Settings:
    return settings_for(FOLDERS, path, Settings(kind="folders", **settings))


# Which source it is a part of


def test_a_folder_that_no_import_had_is_a_part_of_the_working_folder(data: Path) -> None:
    for path in (data / "Batch54", Path("data/Batch54")):
        settings = chosen(path)
        assert settings.source == data.parent
        assert settings.tag == "default"
        assert settings.single_file == path
    assert not Path("upload_tracker.db").exists(), "a look into the ledger makes none"


def test_the_working_folder_itself_can_be_the_folder(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data / "Batch54")
    assert chosen(Path()).source == data / "Batch54"


def test_elsewhere_it_is_a_part_of_the_folder_around_it(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data / "line")
    settings = chosen(data / "Batch54")
    assert (settings.source, settings.tag) == (data, "default")


def test_a_folder_is_a_part_of_the_source_that_the_last_import_had(data: Path) -> None:
    known(data, "Nov")
    settings = chosen(data / "line/Batch55")
    assert (settings.source, settings.tag) == (data, "Nov")
    assert settings.single_file == data / "line/Batch55"


def test_the_source_itself_can_be_the_folder(data: Path) -> None:
    known(data, "Nov", ".")
    settings = chosen(data)
    assert (settings.source, settings.tag) == (data, "Nov")


def test_a_relative_path_and_one_by_a_link_are_the_same_folder(data: Path) -> None:
    known(data, "Nov")
    Path("link").symlink_to(data)
    for path in (Path("data/Batch54"), Path("data/line/../Batch54"), Path("link/Batch54")):
        settings = chosen(path)
        assert (settings.source, settings.tag) == (data, "Nov")
        assert settings.single_file is not None
        assert settings.single_file.resolve() == data / "Batch54"


def test_of_several_sources_the_nearest_is_taken(data: Path) -> None:
    known(data, "Nov")
    known(data / "line", "Dec")
    settings = chosen(data / "line/Batch55")
    assert (settings.source, settings.tag) == (data / "line", "Dec")
    settings = chosen(data / "Batch54")
    assert (settings.source, settings.tag) == (data, "Nov")


def test_the_source_that_has_the_very_folder_goes_before_a_nearer_one(data: Path) -> None:
    known(data, "Nov", "line/Batch55")
    known(data / "line", "Dec")
    settings = chosen(data / "line/Batch55")
    assert (settings.source, settings.tag) == (data, "Nov")


def test_of_two_that_have_the_very_folder_the_nearer_is_taken(data: Path) -> None:
    known(data, "Nov", "line/Batch55")
    known(data / "line", "Dec", "Batch55")
    settings = chosen(data / "line/Batch55")
    assert (settings.source, settings.tag) == (data / "line", "Dec")


def test_a_source_of_which_nothing_is_known_is_none(data: Path) -> None:
    """A mistyped folder, or one whose import found nothing."""
    file = LedgerFile(Path("upload_tracker.db"))
    RunLedger(file).scope("folders", str(data / "line"), "Dec", "target")
    file.close()
    settings = chosen(data / "line/Batch55")
    assert (settings.source, settings.tag) == (data.parent, "default")
    known(data, "Nov")
    settings = chosen(data / "line/Batch55")
    assert (settings.source, settings.tag) == (data, "Nov")


def test_a_source_whose_name_only_begins_the_same_is_another(data: Path) -> None:
    known(data.with_name("dat"), "Nov")
    known(data / "Batch5", "Nov")
    settings = chosen(data / "Batch54")
    assert (settings.source, settings.tag) == (data.parent, "default")


def test_imports_of_another_kind_or_in_another_ledger_do_not_count(data: Path) -> None:
    known(data, "Aug", kind="states")
    known(data, "Dec", ledger="other.db")
    assert chosen(data / "Batch54").tag == "default"
    assert chosen(data / "Batch54", db_path=Path("other.db")).tag == "Dec"


@pytest.mark.parametrize("paths", [(), ("Batch54",)])
def test_a_folder_with_several_tags_needs_one_to_be_named(
    data: Path, paths: tuple[str, ...]
) -> None:
    known(data, "Nov", *paths)
    known(data, "Dec", *paths)
    with pytest.raises(UsageError, match=r"more than one tag \(Dec, Nov\)\. Choose one with --tag"):
        chosen(data / "Batch54")
    settings = chosen(data / "Batch54", tag="Dec")
    assert (settings.source, settings.tag) == (data, "Dec")


def test_of_several_tags_the_only_one_that_has_the_folder_is_taken(data: Path) -> None:
    known(data, "Nov")
    known(data, "Dec", "Batch54")
    known(data, "Jan")
    assert chosen(data / "Batch54").tag == "Dec"


def test_several_tags_of_a_source_that_is_not_taken_are_no_matter(data: Path) -> None:
    known(data, "Nov")
    known(data, "Dec")
    known(data / "line", "Jan", "Batch55")
    settings = chosen(data / "line/Batch55")
    assert (settings.source, settings.tag) == (data / "line", "Jan")


def test_one_source_in_two_targets_is_one_source(data: Path) -> None:
    known(data, "Nov")
    file = LedgerFile(Path("upload_tracker.db"))
    scope = RunLedger(file).scope("folders", str(data), "Nov", "another target")
    ListingLedger(Scope(file, scope, "another")).record([listed("a")], whole=True, again=False)
    file.close()
    assert chosen(data / "Batch54").tag == "Nov"


def test_a_tag_that_no_import_had_makes_the_working_folder_the_source(data: Path) -> None:
    known(data, "Nov", "line/Batch55")
    settings = chosen(data / "line/Batch55", tag="new")
    assert (settings.source, settings.tag) == (data.parent, "new")


def test_what_is_named_goes_before_what_is_known(data: Path) -> None:
    known(data, "Nov", "line/Batch55")
    settings = chosen(data / "line/Batch55", source=data / "line", tag="mine")
    assert (settings.source, settings.tag) == (data / "line", "mine")
    settings = chosen(data / "line/Batch55", source=Path("data"))
    assert settings.source is not None
    assert settings.source.resolve() == data
    assert settings.tag == "Nov"
    assert chosen(data / "line/Batch55", source=data / "line").tag == "default"


# Items that would be taken for each other


def test_an_item_of_another_source_with_the_same_path_and_tag_is_not_replaced(data: Path) -> None:
    known(data.with_name("elsewhere"), "default", "data/Batch54")
    with pytest.raises(
        UsageError, match=r"data/Batch54 .* 'default', from .*/elsewhere\. Choose"
    ) as told:
        chosen(data / "Batch54")
    assert "--source" in str(told.value)
    assert chosen(data / "Batch54", tag="other").tag == "other"
    assert chosen(data / "Batch54", source=data).source == data
    assert chosen(data / "line/Batch55").tag == "default", "another path is no matter"


def test_what_is_named_is_refused_as_well_if_another_source_has_it(data: Path) -> None:
    known(data, "Nov", "line/Batch55", "Batch54")
    (data / "line/Batch54").mkdir()
    with pytest.raises(UsageError, match="already imported with the tag 'Nov', from"):
        chosen(data / "line/Batch54", source=data / "line", tag="Nov")
    assert chosen(data / "line/Batch54").source == data


def test_another_kind_or_the_same_source_is_no_clash(data: Path) -> None:
    known(data.with_name("elsewhere"), "Nov", "Batch54", kind="states")
    known(data, "Nov", "Batch54")
    assert chosen(data / "Batch54").tag == "Nov"
    assert chosen(data / "Batch54", source=Path("data"), tag="Nov").tag == "Nov"


def test_two_sources_that_are_folders_themselves_are_not_taken_for_each_other(data: Path) -> None:
    known(data / "line/Batch55", "Nov", ".")
    with pytest.raises(UsageError, match=r"Choose another --tag"):
        chosen(data / "Batch54", source=data / "Batch54", tag="Nov")


# The other settings


def test_it_has_a_work_state_of_its_own_and_leaves_a_larger_run_alone(data: Path) -> None:
    settings = chosen(data / "Batch54")
    assert settings.state_file == Path("work_state.folder.json")
    assert settings.ledger_file == Path("upload_tracker.db"), "the ledger is the same"
    assert settings.restart


def test_it_is_beside_the_one_that_is_named_and_keeps_its_ledger(data: Path) -> None:
    settings = chosen(data / "Batch54", state_file=Path("runs/mine.json"))
    assert settings.state_file == Path("runs/mine.folder.json")
    assert settings.ledger_file == Path("runs/upload_tracker.db")


def test_its_own_work_state_can_be_named_too(data: Path) -> None:
    """As the commands do that it says to type."""
    settings = chosen(data / "Batch54", state_file=Path("runs/mine.folder.json"))
    assert settings.state_file == Path("runs/mine.folder.json")


def test_a_look_into_the_ledger_neither_changes_nor_migrates_it(data: Path) -> None:
    Path("upload_tracker.db").touch()
    assert chosen(data / "Batch54").tag == "default"
    assert Path("upload_tracker.db").read_bytes() == b""


def test_everything_else_stays_as_it_was(data: Path) -> None:
    given = {"backend": "postgresql", "no_status_files": True, "patterns": ("*.png",)}
    settings = chosen(data / "Batch54", **given)
    for name, value in given.items():
        assert getattr(settings, name) == value


# What it tells before


def beginning(path: Path, **settings: Any) -> list[str]:
    return tell_beginning(FOLDERS, chosen(path, **settings))


def test_what_is_about_to_be_imported_is_told_as_in_the_document(data: Path) -> None:
    assert beginning(data / "Batch54") == [
        "🚀 Quick Upload",
        "=" * 50,
        "📁 Uploading folder: Batch54",
        "📸 Found 1 image files",
        "📊 Found stats.json file",
        "✅ Loaded stats.json successfully",
        "🏷️  Test status: passed",
    ]


def test_a_folder_deep_in_a_source_and_the_source_itself_are_told_by_their_names(
    data: Path,
) -> None:
    known(data, "Nov")
    assert "📁 Uploading folder: Batch55" in beginning(Path("data/line/Batch55"))
    assert "📁 Uploading folder: data" in beginning(data)


def test_broken_stats_are_told_before(data: Path) -> None:
    (data / "Batch54/stats.json").write_bytes(b"{")
    assert beginning(data / "Batch54")[-1].startswith("❌ stats.json is not JSON: ")


@pytest.mark.parametrize("content", [{"test_status": 1e300}, {"test_status": []}, {}])
def test_whatever_the_stats_hold_the_beginning_is_told(data: Path, content: object) -> None:
    (data / "Batch54/stats.json").write_text(json.dumps(content))
    assert "📁 Uploading folder: Batch54" in beginning(data / "Batch54")


def test_of_what_cannot_be_read_the_import_itself_tells(data: Path) -> None:
    for path in (data / "gone", data / "Batch54/a.png"):
        assert beginning(path) == ["🚀 Quick Upload", "=" * 50]


# What it tells after

DONE = {"planning.to_import": 1, "import.inserted": 1}


def end(data: Path, *, no_status_files: bool = False, **changes: Any) -> list[str]:
    settings = chosen(data / "Batch54", no_status_files=no_status_files)
    return tell_end(FOLDERS, settings, report(**{"counts": DONE} | changes))


def test_a_success_is_told_as_in_the_document(data: Path) -> None:
    assert end(data) == [
        "🚀 Executed database insert",
        "✅ Successfully uploaded folder: Batch54 (inserted)",
        "📄 Created success.json in Batch54",
        "=" * 50,
        "✅ Upload completed successfully!",
    ]


@pytest.mark.parametrize("outcome", ["inserted", "updated", "unchanged"])
def test_it_is_told_what_became_of_the_row(data: Path, outcome: str) -> None:
    lines = end(data, counts={"planning.to_import": 1, f"import.{outcome}": 1})
    assert f"✅ Successfully uploaded folder: Batch54 ({outcome})" in lines


def test_a_failure_is_told_with_its_reason_and_what_to_do(data: Path) -> None:
    lines = end(
        data,
        counts={"planning.to_import": 1},
        exit_code=3,
        failures=[Failure("Batch54", "import", "stats.json is empty")],
        failures_total=1,
        next_commands=["When mended:  resilient-importer folder data/Batch54"],
    )
    assert "❌ Not uploaded: stats.json is empty" in lines
    assert "🚀 Executed database insert" not in lines
    assert "📄 Created failed.json in Batch54" in lines
    assert not any("Successfully" in line or "success.json" in line for line in lines)
    assert lines[-2:] == [
        "❌ Upload failed",
        "  When mended:  resilient-importer folder data/Batch54",
    ]


@pytest.mark.parametrize("exit_code", [75, 130])
def test_a_run_that_was_broken_off_wrote_no_status_file_and_tells_of_none(
    data: Path, exit_code: int
) -> None:
    lines = end(data, counts={"planning.to_import": 1}, exit_code=exit_code)
    assert "❌ Upload failed" in lines
    assert not any("Created" in line for line in lines)


@pytest.mark.parametrize("outcome", ["inserted", "updated", "unchanged"])
def test_an_insert_is_told_of_if_something_went_in(data: Path, outcome: str) -> None:
    told = "🚀 Executed database insert"
    assert end(data, counts={f"import.{outcome}": 1})[0] == told
    for counts in ({}, {"planning.to_import": 1}, {"import.total_imported": 0}):
        assert told not in end(data, counts=counts, exit_code=75)
        assert "" not in end(data, counts=counts, exit_code=75)


def test_where_only_verification_found_something_the_folder_was_written_as_a_success(
    data: Path,
) -> None:
    lines = end(data, exit_code=3, verification=VerifyReport(found={"different": 1}))
    assert "✅ Upload completed successfully!" not in lines
    assert not any("failed.json" in line for line in lines)


def test_warnings_are_told(data: Path) -> None:
    lines = end(data, warnings=[("Batch54", "image 'b.png' cannot be used")], warnings_total=1)
    assert "⚠️  image 'b.png' cannot be used" in lines


@pytest.mark.parametrize("changes", [{}, {"exit_code": 3}])
def test_a_status_file_that_was_not_written_is_not_told_of(
    data: Path, changes: dict[str, Any]
) -> None:
    assert not any("Created" in line for line in end(data, no_status_files=True, **changes))
    unwritten = DONE | {"status_files.unwritten": 1}
    assert not any("Created" in line for line in end(data, counts=unwritten, **changes))
