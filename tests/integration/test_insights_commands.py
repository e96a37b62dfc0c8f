"""The commands below `insights`, beside the import that it stays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from imports.cli.insights import export_all, search_text, show_contact
from imports.cli.main import main
from imports.errors import ImporterError, UsageError
from imports.insights.export import file_name
from imports.loading import load_settings
from imports.settings import Settings
from tests.support.bench import Bench, one_backend
from tests.support.database import query


@pytest.fixture
def settings(bench: Bench) -> Settings:
    """The target has insights of three contacts, one of them with all sections."""
    documents = [
        {
            "metadata": {
                "contact_id": "CNT-123456",
                "eni_id": f"ENI-{n}",
                "member_name": "Ann \x1b",
            },
            "insights": {"personal": f"* Sails. [N/A,ENI-{n}]", "3i": "<b>Timberland</b>.", "x": 1},
        }
        for n in (1, 2)
    ]
    documents += [{"contact_id": f"a/{n}.", "insights": {"deals": "None."}} for n in (1, 2)]
    for number, document in enumerate(documents):
        (bench.source.folder / f"{number}.json").write_text(json.dumps(document))
    assert bench.run(kind="insights").exit_code == 0
    return bench.settings(kind="insights", tag=None, source=None)


@one_backend
def test_an_insight_is_shown(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    show_contact(settings, "CNT-123456", as_json=False)
    shown = capsys.readouterr().out
    assert shown.startswith(
        "# Ann \\x1b (CNT-123456)\n\nCOMBINED-CNT-123456-ALL, version 2; 2 records"
    )
    assert "\n## Personal\n\n* Sails. [N/A,ENI-2]\n* Sails. [N/A,ENI-1]\n" in shown
    assert shown.endswith("\n## 3i\n\n<b>Timberland</b>.\n")
    show_contact(settings, "CNT-123456", as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["metadata"]["record_count"] == 2
    assert told["insights"]["3i"] == "<b>Timberland</b>."
    assert told["insights"]["x"] == 1
    with pytest.raises(ImporterError, match=r"no insight of CNT-9 in PostgreSQL") as error:
        show_contact(settings, "CNT-9", as_json=False)
    assert error.value.exit_code == 1
    for hostile in ("", "  ", "\udcff"):
        with pytest.raises(UsageError, match="is not a contact id"):
            show_contact(settings, hostile, as_json=False)


def test_reading_creates_no_database(tmp_path: Path) -> None:
    settings = load_settings(environment={}, folder=tmp_path, kind="insights")
    with pytest.raises(UsageError, match="no embedded PostgreSQL"):
        export_all(settings, tmp_path / "exported")
    assert list(tmp_path.iterdir()) == []


@one_backend
def test_insights_are_searched(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    search_text(settings, "timberlands", 9, as_json=False)
    assert capsys.readouterr().out.startswith("CNT-123456 Ann \\x1b: ")
    search_text(settings, "timberlands", 9, as_json=True)
    (told,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert "**Timberland**" in told["excerpt"]
    assert told["rank"] > 0
    search_text(settings, "nowhere", 9, as_json=False)
    assert capsys.readouterr().out == "Nothing was found.\n"


@one_backend
def test_all_contacts_are_exported(
    bench: Bench, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    query(
        bench.url,
        "INSERT INTO elvis__structured_insights (contact_id, eni_id, insights)"
        " VALUES ('CNT-123456', 'ENI-9', '{}'), ('CNT-9', 'ENI-1', '{\"deals\": \"One.\"}')",
    )
    folder = bench.folder / "out" / "deep"
    for _ in range(2):
        export_all(settings, folder)
        assert capsys.readouterr().out.startswith("4 contacts exported to ")
    names = ["CNT-123456", "CNT-9", "a%2F1%2E", "a%2F2%2E"]
    assert sorted(each.name for each in folder.iterdir()) == sorted(
        f"{name}{end}" for name in names for end in (".json", ".md")
    )
    told = json.loads((folder / "CNT-123456.json").read_text())
    assert told["metadata"]["eni_id"] == "COMBINED-CNT-123456-ALL"
    assert told.keys() == {"metadata", "insights"}
    assert "## Deals\n\nOne.\n" in (folder / "CNT-9.md").read_text()
    (folder / "CNT-9.md").unlink()
    (folder / "CNT-9.md").mkdir()
    with pytest.raises(UsageError, match=r"CNT-9\.md cannot be written"):
        export_all(settings, folder)


@pytest.mark.parametrize("contact", ["..", "a/b", "CON~1", "é" * 50, "%2F", "."])
def test_the_name_of_a_file_is_safe_and_its_own(contact: str) -> None:
    name = file_name(contact)
    assert set(name) & set("/\\.~: \0") == set()
    assert 0 < len(f"{name}.json") < 255
    assert name != file_name(f"{contact}x")


@one_backend
def test_the_command_is_an_import_or_a_command_below_it(
    bench: Bench,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in bench.target.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("IMPORTER_PROJECT", str(bench.folder))
    monkeypatch.chdir(bench.folder)

    def call(*arguments: str) -> int:
        with pytest.raises(SystemExit) as ended:
            main(["insights", *arguments])
        return int(ended.value.code or 0)

    assert call("show", "CNT-123456") == 0
    assert "# Ann" in capsys.readouterr().out
    assert call("search", "timberland", "sails", "--limit", "1", "--json") == 0
    assert json.loads(capsys.readouterr().out)["metadata"]["contact_id"] == "CNT-123456"
    assert call("export", "out") == 0
    assert len([*Path("out").iterdir()]) == 6
    assert call("show") == 2
    Path("show").mkdir()
    Path("show/a.json").write_text("{")
    capsys.readouterr()
    assert call("./show", "--dry-run", "--json") == 3
    assert json.loads(capsys.readouterr().out.splitlines()[0])["path"] == "a.json"
    assert call("--dry-run", str(bench.source.folder)) == 0
    assert call("show", "x", "--help") == 0
    assert "Usage: resilient-importer insights show [OPTIONS] CONTACT" in capsys.readouterr().out
