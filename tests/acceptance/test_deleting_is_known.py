"""That files will be deleted is known to the user: before the first run, and in each one."""

from __future__ import annotations

from pathlib import Path

import pytest

from imports.kinds import kind_named
from imports.kinds.wording import WORDINGS
from tests.support.command import Workplace
from tests.support.contents import held, until_somebody_waits
from tests.support.people import count, files, person, write
from tests.support.target import Target

KEEP = ["--on-success", "keep", "--on-failure", "keep"]
ASKED = "[y/N]"
CONSUMING = [name for name in WORDINGS if kind_named(name).consumes_source]


@pytest.fixture
def source(folder: Path) -> Path:
    source = folder / "data" / "results"
    write(source, "a.json", [person("p-1")])
    write(source, "sub/b.json", [person("p-2")])
    return source


def imported(source: Path, *options: object) -> list[object]:
    return ["people", source, "--tag", "T", *options]


# What is said


@pytest.mark.parametrize("kind", WORDINGS)
def test_the_summary_and_the_help_say_that_files_are_deleted(
    bare_place: Workplace, kind: str
) -> None:
    consumes = kind in CONSUMING
    (line,) = (
        line
        for line in bare_place.run("--help").out.splitlines()
        if line.strip().startswith(f"{kind} ")
    )
    assert ("delete each imported file" in line) == consumes
    told = " ".join(bare_place.run(kind, "--help").out.split())
    assert ("Each is deleted after it is imported" in told) == consumes


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "are deleted once they are imported; failed ones are moved to {}/failed_uploads."),
        (["--verify-writes"], "are deleted once they are verified; failed ones are moved"),
        (
            ["--on-success", "move", "--failed-dir", "bad"],
            "are moved to {}/done_uploads once they are imported; failed ones are moved to",
        ),
        (["--on-success", "keep"], "stay when they are imported; failed ones are moved to"),
        (["--on-failure", "keep"], "are deleted once they are imported; failed ones stay."),
        (KEEP, None),
        (["--single-file", "data/results/a.json"], None),
    ],
)
def test_the_first_line_says_what_becomes_of_the_files(
    pg_place: Workplace,
    postgresql: Target,
    source: Path,
    options: list[object],
    told: str | None,
) -> None:
    first = pg_place.run(*imported(source, *options)).out.splitlines()[0]
    if told is None:
        assert first.startswith("Target: ")
    else:
        assert first.startswith(f"Files in {source} {told.format(source.parent)}")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "A run will delete 2 files once they are imported, and move failed ones to"),
        (["--limit", 1], "A run will delete 1 files once they are imported"),
        (["--on-failure", "keep"], "A run will delete 2 files once they are imported."),
        (["--on-success", "move"], None),
        (KEEP, None),
    ],
)
def test_a_scan_says_how_many_files_a_run_will_delete(
    pg_place: Workplace, source: Path, options: list[object], told: str | None
) -> None:
    pg_place.run(*imported(source, *KEEP))
    write(source, "c.json", [person("p-3")])
    (source / "sub" / "b.json").unlink()
    # One is new, one was imported and is there yet: it goes too.
    scanned = pg_place.on_terminal(*imported(source, "--scan-only", *options)).text
    assert "Scanned only: 1 files to import." in scanned
    assert told is None or told in scanned
    assert ("will delete" in scanned) == (told is not None)
    assert files(source) == ["a.json", "c.json"]


# What is asked


def test_on_a_terminal_the_first_run_asks_and_no_is_no(
    pg_place: Workplace, postgresql: Target, source: Path
) -> None:
    for answer in (b"n\n", b"\n", b"no\n"):
        told = pg_place.on_terminal(*imported(source), answer=answer, exit_code=1)
        assert f"Files in {source} are deleted once they are imported" in told.text
        assert "Nothing was done." in told.text
        assert "Target:" not in told.text
    # Ctrl-C and Ctrl-D are no yes either.
    for key in (b"\x03", b"\x04"):
        pg_place.on_terminal(*imported(source), answer=key, exit_code=130)
    assert files(pg_place.folder) == ["data/results/a.json", "data/results/sub/b.json"]
    assert count(postgresql.database_url) == 0


def test_a_source_is_asked_about_once(
    pg_place: Workplace, postgresql: Target, source: Path
) -> None:
    pg_place.on_terminal(*imported(source), answer=b"y\n")
    assert (files(source), count(postgresql.database_url)) == ([], 2)
    write(source, "c.json", [person("p-3")])
    pg_place.on_terminal(*imported(source))
    # Nor for another dataset or target of it; but for another source, or another ledger.
    pg_place.on_terminal("people", source, "--tag", "other")
    other = source.with_name("other")
    write(other, "d.json", [person("p-4")])
    pg_place.on_terminal(*imported(other), answer=b"n\n", exit_code=1)
    elsewhere = ["--db-path", "other.db", "--state-file", "other.json"]
    pg_place.on_terminal(*imported(source, *elsewhere), answer=b"n\n", exit_code=1)


def test_a_run_that_was_interrupted_is_gone_on_with_unasked(
    pg_place: Workplace, postgresql: Target, source: Path
) -> None:
    url = postgresql.database_url
    with held(url, "import_merges"), pg_place.started(*imported(source, "--yes")) as running:
        until_somebody_waits(url)
        running.kill()
    assert files(source) == ["a.json", "sub/b.json"]
    told = pg_place.on_terminal(*imported(source)).text
    assert "Resuming the run" in told
    assert files(source) == []


@pytest.mark.parametrize(
    ("options", "environment"),
    [
        (["--yes"], {}),
        ([], {"IMPORTER_YES": "true"}),
        (["--scan-only"], {}),
        (["--single-file", "data/results/a.json"], {}),
        (["--single-file", "data/results/a.json", "--on-success", "delete"], {}),
        (["--on-success", "keep"], {}),
        (KEEP, {}),
        (["--on-success", "move"], {}),
        (["--status"], {}),
    ],
)
def test_what_deletes_nothing_or_was_said_is_not_asked(
    pg_place: Workplace, source: Path, options: list[object], environment: dict[str, str]
) -> None:
    pg_place.on_terminal(*imported(source, *options), environment=environment)


def test_a_run_that_only_kept_the_files_is_no_leave_to_delete_them(
    pg_place: Workplace, source: Path
) -> None:
    pg_place.on_terminal(*imported(source, *KEEP))
    pg_place.on_terminal(*imported(source, "--scan-only"))
    single = ["--single-file", source / "a.json"]
    pg_place.on_terminal(*imported(source, *single))
    write(source, "c.json", [person("p-3")])
    deleted = ["--single-file", source / "c.json", "--on-success", "delete"]
    pg_place.on_terminal(*imported(source, *deleted))
    pg_place.on_terminal(*imported(source), answer=b"n\n", exit_code=1)
    assert files(source) == ["a.json", "sub/b.json"]


def test_kinds_whose_sources_stay_are_told_and_asked_nothing(
    pg_place: Workplace, folder: Path
) -> None:
    (folder / "tests" / "one").mkdir(parents=True)
    (folder / "tests" / "one" / "stats.json").write_text("{}")
    told = pg_place.on_terminal("folders", folder / "tests", "--tag", "T").text
    assert told.splitlines()[0].startswith("Target: ")
