"""A command that is called from a folder of a project, and not from the project folder."""

from __future__ import annotations

from pathlib import Path

from tests.support.command import Workplace
from tests.support.people import count, person, write


def test_a_run_from_a_folder_below_goes_on_with_the_project(
    folder: Path, database_url: str
) -> None:
    project, below = Workplace(folder, {}), Workplace(folder / "data" / "today", {})
    (folder / ".env").write_text(f"DATABASE_URL={database_url}\nIMPORTER_TAG=T\n")
    write(folder / "data" / "pages", "a.json", [person("p-1")])
    below.folder.mkdir()
    found = {"IMPORTER_PROJECT": ""}
    keep = ("people", "../pages", "--on-success", "keep")
    told = below.run(*keep, environment=found)
    line = f"Project folder: {folder} (not the working folder; IMPORTER_PROJECT sets it)"
    assert line in told.out.splitlines()
    assert below.files() == []
    left = {path.relative_to(folder).as_posix() for path in project.files()}
    assert left > {
        *("work_state.json", "upload_tracker.db", "resilient_import.log"),
        "data/supabase_upload_progress.csv",
    }
    assert not any(each.startswith("data/today/") for each in left)
    for place in (project, below):
        status = place.run("status", environment=found)
        assert "success: 1" in status.out
        assert (line in status.err) == (place is below)
        assert "match their files" in place.run("verify", environment=found).out
    known = below.run("acknowledge", "../pages/a.json", environment=found)
    assert "a.json (people, tag T) does not count as failed." in known.out
    assert line in known.err
    # And the run of one is the run of the other.
    project.run("people", "data/pages", "--on-success", "keep", environment=found)
    assert project.counts("planning")["unchanged"] == 1
    assert count(database_url) == 1
