"""The command `reset`: what it shows and asks, and how it ends."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

import pytest

from imports.cli.main import main
from imports.run.lock import hold
from imports.run.reset import ResetTarget
from tests.integration.test_reset import add, run_name
from tests.support import people
from tests.support.bench import Bench
from tests.support.database import query
from tests.support.people import person
from tests.support.source import png


class Ended(NamedTuple):
    """A command that has ended."""

    code: int
    out: str
    err: str


class Terminal(io.StringIO):
    """Standard input of somebody at a terminal, who types this."""

    def isatty(self) -> bool:
        return True


Command = Callable[..., Ended]


@pytest.fixture
def command_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[Bench], Command]:
    """Runs `reset` in this process, by the files and the variables of a bench."""
    return partial(_command, monkeypatch, capsys)


@pytest.fixture
def command(bench: Bench, command_on: Callable[[Bench], Command]) -> Command:
    """The same for the bench of the test."""
    return command_on(bench)


def _command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], bench: Bench
) -> Command:
    variables = {
        **bench.target.environment,
        "IMPORTER_PROJECT": str(bench.folder),
        "IMPORTER_DATA_FOLDER": str(bench.data_folder),
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str, typed: str | None = None) -> Ended:
        monkeypatch.setattr(sys, "stdin", io.StringIO() if typed is None else Terminal(typed))
        monkeypatch.setattr(sys.stderr, "isatty", lambda: typed is not None, raising=False)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["reset", "--max-wait", "0", *arguments])
        code = ended.value.code
        return Ended(code if isinstance(code, int) else 0, *capsys.readouterr())

    return run


def counts(bench: Bench) -> tuple[int, int]:
    return bench.count(), len(bench.images())


@pytest.fixture
def second(bench: Bench) -> str:
    """Two imports; the second one changes a row of the first, and brings one: its batch id."""
    add(bench, "a", 1)
    add(bench, "b", 2)
    run_name(bench.run())
    add(bench, "b", 4, "Revoked")
    add(bench, "c", 1)
    return run_name(bench.run())


def test_it_shows_first_and_deletes_when_told_to(
    bench: Bench, second: str, command: Command
) -> None:
    shown = command("--batch-id", second, "--dry-run")
    assert (shown.code, counts(bench)) == (0, (3, 3))
    assert shown.out.splitlines()[-5:] == [
        f"Reset of {second}: states from {bench.source.folder}, tag test",
        "  search_results  2 rows; 1 of them were only updated",
        "  Rows that were only updated are deleted too; earlier content is not kept.",
        f"  1 image ({len(png(4))} bytes) that no other row names",
        "  2 files can be imported again after that",
    ]
    assert shown.out.startswith("Target: ")
    done = command("--batch-id", second, "--confirm")
    assert (done.code, counts(bench)) == (0, (1, 2))
    assert done.out.splitlines()[-1] == "Deleted: 2 rows, 1 image"
    assert "Deleted: 2 rows, 1 image" in (bench.folder / "resilient_import.log").read_text()
    again = command("--batch-id", second, "--confirm")
    assert (again.code, counts(bench)) == (0, (1, 2))
    assert again.out.splitlines()[-2:] == ["No row of this run is left.", "Deleted: nothing"]
    assert not bench.state_file.exists(), "nothing continues that run"
    assert bench.run().count("import.inserted") == 2
    assert counts(bench) == (3, 3)


def test_as_json(bench: Bench, second: str, command: Command) -> None:
    shown = json.loads(command("--batch-id", second, "--dry-run", "--json").out)
    assert (shown["batch_id"], shown["kind"], shown["dry_run"]) == (second, "states", True)
    assert shown["found"] == {
        "tables": {"search_results": {"rows": 2, "only_updated": 1}},
        "images": 1,
        "image_bytes": len(png(4)),
        "placed_images": 0,
        "placed_image_bytes": 0,
        "items_importable": 2,
        "items_gone": 0,
    }
    assert "deleted" not in shown
    done = json.loads(command("--batch-id", second, "--confirm", "--json").out)
    assert done["deleted"] == {
        "rows": {"search_results": 2},
        "images": 1,
        "stayed": {},
        "stayed_rows": [],
        "not_removed": [],
    }
    assert done["exit_code"] == 0


def test_the_batch_id_must_be_typed(bench: Bench, second: str, command: Command) -> None:
    nobody = command("--batch-id", second)
    assert (nobody.code, nobody.out) == (2, "")
    assert "There is no terminal" in nobody.err
    assert command("--batch-id", second, "--json", typed=second).code == 2
    wrong = command("--batch-id", second, typed="yes\n")
    assert wrong.code == 1
    assert "Nothing was done" in wrong.err
    assert command("--batch-id", second, typed="").code == 130
    assert counts(bench) == (3, 3)
    assert command("--batch-id", second, typed=f"{second}\n").code == 0
    assert counts(bench) == (1, 2)


def test_nothing_is_deleted_while_a_run_uses_the_ledger(
    bench: Bench, second: str, command: Command
) -> None:
    with ExitStack() as held:
        hold(bench.settings().ledger_file, "The ledger", "--db-path", held)
        assert command("--batch-id", second, "--confirm").code == 11
    assert counts(bench) == (3, 3)


def test_a_run_into_another_target_is_refused(bench: Bench, second: str, command: Command) -> None:
    query(bench.url, "UPDATE import_target SET id = gen_random_uuid()")
    refused = command("--batch-id", second, "--confirm")
    assert (refused.code, counts(bench)) == (1, (3, 3))
    assert f"The run {second} was into" in refused.err
    assert "is another target" in refused.err


def test_env_files_in_the_source_do_not_say_where_the_rows_are(
    bench: Bench, second: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.source.write(".env", b"DATABASE_URL=postgresql://elsewhere/x")
    monkeypatch.setenv("IMPORTER_PROJECT", str(bench.source.folder))
    options = ("--batch-id", second, "--confirm", "--state-file", str(bench.state_file))
    refused = command(*options)
    assert (refused.code, counts(bench)) == (2, (3, 3))
    assert "may have come with the data" in refused.err


def test_a_run_of_a_lost_ledger_needs_its_kind(bench: Bench, second: str, command: Command) -> None:
    for path in bench.folder.glob("upload_tracker.db*"):
        path.unlink()
    known_by_its_state = command("--batch-id", second, "--dry-run")
    assert known_by_its_state.code == 0
    assert "2 rows" in known_by_its_state.out
    bench.state_file.unlink()
    refused = command("--batch-id", second, "--dry-run")
    assert (refused.code, "with --kind" in refused.err) == (2, True)
    assert f"Did you mean {second}?" in command("--batch-id", f"{second}.2", "--dry-run").err
    shown = command("--batch-id", second, "--kind", "states", "--dry-run")
    assert "The ledger does not know this run." in shown.out
    assert command("--batch-id", second, "--kind", "states", "--confirm").code == 0
    assert counts(bench) == (1, 2)
    nothing = command("--batch-id", second, "--kind", "people", "--confirm")
    assert (nothing.code, counts(bench)) == (0, (1, 2))
    assert bench.run().count("import.inserted") == 2


def test_another_kind_is_refused(bench: Bench, second: str, command: Command) -> None:
    refused = command("--batch-id", second, "--kind", "folders", "--confirm")
    assert (refused.code, counts(bench)) == (2, (3, 3))
    assert "is of the kind states, not folders" in refused.err


def test_files_that_a_run_deleted_do_not_come_back(bench: Bench, command: Command) -> None:
    people.write(bench.source.folder, "a.json", [person("p-1")])
    people.write(bench.source.folder, "b.json", [person("p-2"), {}])
    report = bench.run(kind="people")
    shown = command("--batch-id", report.state.run_name, "--confirm")
    assert shown.code == 0
    assert (
        "2 files cannot: a run deleted or moved them, and a reset does not bring them back"
        in shown.out
    )
    assert shown.out.splitlines()[-1] == "Deleted: 2 rows with the rows that they own, 0 images"
    assert bench.count("people.identities") == 0
    assert people.files(bench.source.folder) == []
    assert people.files(bench.source.folder.parent / "failed_uploads") == [
        "b.errors.json",
        "b.json",
    ]


def test_rows_of_every_cycle_are_found_without_a_ledger(bench: Bench, command: Command) -> None:
    people.write(bench.source.folder, "a.json", [person("p-1"), person("p-2")])
    run = run_name(bench.run(kind="people"))
    query(
        bench.url,
        "UPDATE people.identities SET batch_id = batch_id || '.7'"
        " WHERE neuron360_profile_id = 'p-2'",
    )
    bench.forget()
    state = str(bench.state_file)
    options = ("--batch-id", run, "--kind", "people", "--confirm", "--state-file", state)
    assert command(*options).code == 0
    assert bench.count("people.identities") == 0


def test_rows_that_others_refer_to_are_listed(
    postgresql_bench: Bench, command_on: Callable[[Bench], Command]
) -> None:
    bench = postgresql_bench
    add(bench, "a")
    add(bench, "b")
    run = run_name(bench.run())
    query(
        bench.url,
        "CREATE TABLE notes (of bigint REFERENCES search_results);"
        "INSERT INTO notes SELECT id FROM search_results WHERE search_name = 'a'",
    )
    done = command_on(bench)("--batch-id", run, "--confirm")
    assert done.code == 3
    assert done.out.splitlines()[-3:] == [
        "Deleted: 1 row, 0 images",
        "Stayed, since other rows refer to them: 1 row",
        "  search_results a/FL/a",
    ]


def test_an_interrupted_reset_is_continued(
    bench: Bench, second: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stops after a page of rows: the images are removed by the next one."""

    def stop(target: ResetTarget) -> None:
        target.database.policy.stop.set()
        checked(target)

    checked = ResetTarget.raise_if_stopping
    with monkeypatch.context() as patch:
        patch.setattr(ResetTarget, "raise_if_stopping", stop)
        stopped = command("--batch-id", second, "--confirm")
    assert (stopped.code, counts(bench)) == (130, (1, 3))
    assert "The same command continues it" in stopped.err
    continued = command("--batch-id", second, "--confirm")
    assert (continued.code, counts(bench)) == (0, (1, 2))
    assert continued.out.splitlines()[-1] == "Deleted: 0 rows, 1 image"
