from __future__ import annotations

import errno
import json
import os
import re
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from imports.cli.main import cli, main
from imports.cli.running import on_interrupt
from imports.errors import BackendUnavailableError
from tests.support.book import Book

ROOT = Path(__file__).parents[2]
COMMANDS = [
    [],
    ["states"],
    ["folders"],
    ["folder"],
    ["people"],
    ["recognitions"],
    ["annotations"],
    ["insights"],
    ["insights", "show"],
    ["insights", "search"],
    ["insights", "export"],
    ["verify"],
    ["resume"],
    ["status"],
    ["acknowledge"],
    ["reset"],
    ["load"],
    ["load-qwen"],
    ["check"],
    ["airtable-sync"],
    ["schema"],
    ["schema", "apply"],
    ["schema", "print"],
    ["schema", "export"],
    ["db"],
    ["db", "start"],
    ["db", "stop"],
    ["db", "url"],
]


def call(*arguments: str) -> int | str | None:
    """The exit code of a command."""
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    return caught.value.code


def options(*path: str) -> set[str]:
    command: click.Command = cli
    for name in path:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), name)
        assert found is not None
        command = found
    parameters = command.get_params(click.Context(command))
    return {name for parameter in parameters for name in parameter.opts}


@pytest.mark.parametrize(
    "arguments",
    [
        ("people", "", "--tag", "t"),
        ("states", "--states-dir", "", "--tag", "t"),
        ("people", "--single-file", "", "--tag", "t"),
        ("states", ".", "--tag", "t", "--image-root", ""),
        ("acknowledge", ""),
        ("status", "--state-file", ""),
    ],
)
def test_an_empty_path_is_not_the_working_folder(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """It is what a shell makes of a variable that is not set; `people` deletes files."""
    assert call(*arguments) == 2
    assert "is empty" in capsys.readouterr().err.lower()


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No command finds the developer's .env files, or leaves anything in the project."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*command, "--help") == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"Usage: {' '.join(['resilient-importer', *command])} ")
    assert len(shown.splitlines()) > 4


def test_every_command_there_is_is_tested_for_it() -> None:
    found = [[]]
    for name, command in cli.commands.items():
        found.append([name])
        inner = getattr(command, "commands", getattr(command, "subcommands", {}))
        found += [[name, each] for each in inner]
    assert sorted(found) == sorted(COMMANDS)


def test_every_promised_option_is_there() -> None:
    promised = (
        "--states-dir --tag --backend --batch-size --max-workers --max-concurrent-uploads"
        " --debug-log --verify-writes --single-file --state-file --created-by --description"
        " --database-url --image-root --force --restart --limit --max-retries --production"
    )
    assert set(promised.split()) <= options("states")
    assert {"--repair", "--deep", "--state-file", "--db-path"} <= options("verify")
    promised = (
        "--tag --batch-size --max-retries --batch-delay --scan-only --status --db-path --patterns"
        " --retry-failed --no-status-files --image-root --backend --force --restart --limit"
        " --verify-writes --state-file --production"
    )
    assert set(promised.split()) <= options("folders")
    promised = "--tag --source --max-retries --db-path --patterns --no-status-files --state-file"
    assert set(promised.split()) <= options("folder")
    assert {"--kind", "--tag", "--json", "--state-file", "--db-path"} <= options("status")


def parsed(*arguments: str) -> dict[str, object]:
    """The options that a command gets, without running it."""
    group: click.Group = cli
    context = click.Context(group)
    rest = [*arguments]
    while True:
        left = group.make_context("x", rest, parent=context)
        _, command, rest = group.resolve_command(left, [*left._protected_args, *left.args])
        assert command is not None
        if not isinstance(command, click.Group):
            return command.make_context("x", rest, parent=left).params
        group, context = command, left


@pytest.mark.parametrize(
    "command",
    [
        ("recognitions", "DIR"),
        ("reset", "--batch-id", "b"),
        ("verify",),
        ("resume",),
        ("status",),
        ("schema", "apply"),
    ],
    ids=" ".join,
)
def test_options_for_the_environment_stand_before_or_after_the_command(
    command: tuple[str, ...],
) -> None:
    for flag in ("--production", "--staging"):
        assert parsed(flag, *command)[flag.strip("-")] is True
        assert parsed(flag, *command) == parsed(*command, flag)
        assert parsed(command[0], flag, *command[1:]) == parsed(*command, flag)
    assert parsed(*command)["production"] is False


def test_verbose_stands_before_or_after_the_command_and_is_the_debug_log() -> None:
    expected = parsed("states", "DIR", "--debug-log")
    assert expected["debug_log"] is True
    assert parsed("states", "DIR", "--verbose") == expected
    assert parsed("--verbose", "states", "DIR") == expected


@pytest.mark.parametrize("command", [("acknowledge", "--all"), ("db", "url"), ("schema", "print")])
def test_a_command_without_such_an_option_refuses_it(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("--production", *command) == 2
    assert "--production" in capsys.readouterr().err


def test_a_kind_has_the_options_that_fit_it() -> None:
    assert "--single-file" not in options("folders"), "there is a command for it"
    assert "--single-file" not in options("folder")
    assert "--states-dir" not in options("folders")
    assert "--no-status-files" not in options("states"), "files have none"
    assert {"--scan-only", "--status", "--db-path", "--retry-failed"} <= options("states")


def test_people_have_the_options_of_sources_that_are_consumed_and_no_other_has() -> None:
    own = {
        "--on-success",
        "--on-failure",
        "--failed-dir",
        "--done-dir",
        "--progress-csv",
        "--no-progress-csv",
        "--watch",
    }
    assert own | {"--if-exists", "--workers", "--max-workers", "--single-file"} <= options("people")
    for command in ("states", "folders", "folder"):
        assert not own & options(command), command


def test_kinds_whose_rows_are_newer_or_older_let_a_run_decide() -> None:
    commands = ("people", "states", "folders", "folder")
    assert [name for name in commands if "--if-exists" in options(name)] == ["people", "states"]


@pytest.mark.parametrize("command", ["people", "states", "folders"])
def test_workers_are_told_by_either_name(command: str) -> None:
    for flag in ("--workers", "--max-workers"):
        context = cli.commands[command].make_context(command, [flag, "50", "--tag", "t"])
        assert context.params["max_workers"] == 50


def test_what_is_not_said_is_left_to_variables() -> None:
    params = cli.commands["people"].make_context("people", ["a"]).params
    for name in ("on_success", "on_failure", "failed_dir", "done_dir", "progress_csv", "if_exists"):
        assert params[name] is None, name
    assert params["watch"] is False
    assert params["no_progress_csv"] is False


@pytest.mark.parametrize("command", ["folders", "folder"])
def test_help_for_folders_says_what_they_are_for(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(command, "--help") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert {
        "folders": "folders below DIR that hold images or a stats.json",
        "folder": "Import a single folder",
    }[command] in shown
    for code in (0, 1, 2, 3, 11, 75, 130):
        assert f" {code} " in shown


def test_no_secret_key_can_be_given_where_everybody_sees_it() -> None:
    assert not [name for name in options("states") if "key" in name or "password" in name]


def test_the_exit_codes_are_documented_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    call("states", "--help")
    shown = capsys.readouterr().out
    for code in (0, 1, 2, 3, 11, 75, 130):
        assert re.search(rf"^ +{code}  \w", shown, re.MULTILINE), code


@pytest.mark.parametrize(
    "arguments",
    [
        ["--nonsense"],
        ["nonsense"],
        ["states", "--nonsense"],
        ["states", "a", "b", "--tag", "t"],
        ["states", "a", "--states-dir", "b", "--tag", "t"],
        ["states", "a", "--tag"],
        ["states", "a", "--tag", "t", "--batch-size", "0"],
        ["states", "a", "--tag", "t", "--batch-size", "many"],
        ["states", "a", "--tag", "t", "--backend", "mysql"],
        ["states", "a", "--tag", "t", "--max-retries", "-1"],
        ["folders", "a", "--tag", "t", "--single-file", "a/b"],
        ["folders", "a", "--tag", "t", "--batch-delay", "-1"],
        ["folders", "a", "--tag", "t", "--batch-delay", "3601"],
        ["folders", "a", "--tag", "t", "--batch-delay", "soon"],
        ["people", "a", "--tag", "t", "--on-success", "burn"],
        ["people", "a", "--tag", "t", "--on-failure", "delete"],
        ["people", "a", "--tag", "t", "--if-exists", "older"],
        ["people", "a", "--tag", "t", "--workers", "0"],
        ["people", "a", "--tag", "t", "--watch", "b"],
        ["states", "a", "--tag", "t", "--watch"],
        ["folder"],
        ["folder", "a", "b"],
        ["status", "a"],
        ["schema", "nonsense"],
        ["db", "url", "extra"],
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_2_and_says_what_is_wrong(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*arguments) == 2
    shown = capsys.readouterr()
    assert "Error: " in shown.err
    assert shown.out == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["states", "--tag", "t"], "source is missing"),
        (["states", "."], "--tag"),
        (["states", "gone", "--tag", "t"], "gone is not a folder"),
        (["states", ".", "--tag", " "], "--tag"),
        (["states", ".", "--tag", "t", "--single-file", "gone.json"], "no such file"),
        (["states", ".", "--tag", "t", "--state-file", "gone/a.json"], "gone"),
        (["states", ".", "--tag", "t", "--backend", "supabase"], "SUPABASE_SERVICE_ROLE_KEY"),
        (["states", ".", "--tag", "t", "--database-url", "mysql://h/db"], "DATABASE_URL"),
        (["verify"], "no run to verify"),
        (["folders", "--tag", "t"], "source is missing"),
        (["folders", "."], "--tag"),
        (["folders", "gone", "--tag", "t"], "gone is not a folder"),
        (["people", "--tag", "t"], "source is missing"),
        (["people", "gone", "--tag", "t"], "gone is not a folder"),
        (["people", ".", "--tag", "t", "--failed-dir", "."], "--failed-dir"),
        (["people", ".", "--tag", "t", "--on-success", "move", "--done-dir", "."], "--done-dir"),
        (["folder", "gone"], "there is no such folder"),
        (["folder", "gone", "--tag", "t", "--source", "."], "there is no such folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_makes_no_sense_exits_2_and_says_what_to_name(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*arguments) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert "Traceback" not in shown


def test_status_before_any_run_offers_the_first_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call("status") == 0
    assert "No run yet" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["status", "--kind", "folders", "--tag", "t"],
        ["folders", "--status"],
        ["folders", "data", "--status"],
        ["states", "data", "--status", "--tag", "t"],
    ],
    ids=" ".join,
)
def test_status_needs_no_source_no_tag_and_no_credentials(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMPORTER_BACKEND", "supabase")
    assert call(*arguments) == 0
    assert "No run yet" in capsys.readouterr().out
    assert list(Path().iterdir()) == [], "it leaves nothing"


def test_status_of_a_kind_tells_of_that_kind_alone(capsys: pytest.CaptureFixture[str]) -> None:
    for kind in ("states", "folders"):
        book = Book(Path("upload_tracker.db"), kind=kind, run_name=kind)
        book.add("a")
        book.file.close()
    assert call("folders", "data", "--status") == 0
    shown = capsys.readouterr().out
    assert "STATUS REPORT: folders" in shown
    assert "STATUS REPORT: states" not in shown
    assert call("status", "--tag", "another") == 0
    assert "STATUS REPORT" not in capsys.readouterr().out
    assert call("status") == 0
    shown = capsys.readouterr().out
    assert shown.count("STATUS REPORT") == 2


def test_status_knows_the_kinds_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("status", "--kind", "folder") == 2
    told = capsys.readouterr().err
    for word in ("--kind", "states", "folders"):
        assert word in told


def test_status_for_programs_is_json_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    book = Book(Path("mine.db"), kind="folders")
    book.failed(*book.add("a").values(), "is empty")
    book.file.close()
    assert call("status", "--json", "--db-path", "mine.db") == 0
    found = json.loads(capsys.readouterr().out)
    assert [(each["kind"], each["failed"]) for each in found["scopes"]] == [("folders", 1)]
    assert found["last_run"] is None


def test_the_schema_is_printed_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("schema", "print") == 0
    shown = capsys.readouterr().out
    for path in sorted((ROOT / "supabase" / "migrations").glob("*.sql")):
        assert path.read_text(encoding="utf-8") in shown


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--version") == 0
    assert "resilient-importer" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command",
    [["-m", "imports"], ["-m", "imports", "states"], ["imports/resilient_importer.py"]],
    ids=" ".join,
)
def test_help_comes_at_once(command: list[str]) -> None:
    # The processor's time, not the clock's: other work on the machine does not count.
    began = _seconds_of_children()
    done = subprocess.run(
        [sys.executable, *command, "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.startswith("Usage: resilient-importer")
    assert _seconds_of_children() - began < 0.6


def _seconds_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


NEVER_AT_ONCE = {
    *("pydantic", "httpx", "supabase", "rich", "watchfiles", "tenacity", "psutil", "dotenv"),
    *("multiprocessing", "concurrent.futures.process", "importlib.metadata", "email"),
    *("pyairtable", "requests"),
}
"""What neither help nor a plain run has a use for."""


def imported(script: str, *arguments: str) -> set[str]:
    """The modules that a process has imported at the end of a script."""
    script = f"{script}\nimport sys\nprint(*sys.modules, file=sys.stderr)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


HELP = """\
from imports.__main__ import start
try:
    start()
except SystemExit:
    pass
"""


@pytest.mark.parametrize("arguments", [["--help"], ["states", "--help"]], ids=" ".join)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    found = imported(HELP, *arguments)
    assert "imports.cli.main" in found
    assert not found & {*NEVER_AT_ONCE, "psycopg2", "orjson", "msgspec", "logging"}
    others = {"imports.kinds.folders", "imports.kinds.people.kind"}
    assert not found & {*others, *(() if arguments[1:] else ["imports.kinds.states"])}


def test_a_run_imports_what_it_needs_when_it_needs_it() -> None:
    found = imported(
        "import imports.resilient_importer, imports.kinds\nimports.kinds.kind_named('states')"
    )
    assert {"imports.kinds.states", "imports.phases.import_", "psycopg2"} <= found
    assert not found & NEVER_AT_ONCE
    unused = ("kinds.folders", "kinds.people", "processes", "run.verification", "phases.verify")
    assert not found & {f"imports.{name}" for name in unused}


@pytest.mark.parametrize("before", ["enable", "disable"])
def test_a_run_collects_garbage_whatever_was_before(before: str) -> None:
    imported(f"""\
import gc
gc.{before}()
from imports.cli.running import running
from imports.settings import Settings
with running(Settings()):
    assert gc.isenabled()
    # Somebody else's process, who calls `main`, is left as it is.
    assert (gc.get_freeze_count() > 1000) is ({before!r} == "disable"), gc.get_freeze_count()
""")


# Signals


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What is said and done when signals come."""
    said: list[str] = []

    def end(code: int) -> None:
        said.append(f"ended {code}")

    monkeypatch.setattr("imports.cli.running.os._exit", end)
    before = {each: signal.getsignal(each) for each in ENDING}
    yield said
    for number, handler in before.items():
        signal.signal(number, handler)


ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.mark.parametrize("first", ENDING)
@pytest.mark.parametrize("second", ENDING)
def test_the_second_signal_ends_at_once_but_a_hang_up_and_an_echo_do_not(
    told: list[str], first: signal.Signals, second: signal.Signals
) -> None:
    now, stop = [100.0], threading.Event()
    on_interrupt(stop, told.append, lambda: told.append("left"), lambda: now[0])
    os.kill(os.getpid(), first)
    assert stop.is_set()
    assert len(told) == 1
    assert told[0].startswith("Stopping")
    os.kill(os.getpid(), second)
    assert len(told) == 1, "the same one once more, as `timeout` sends it"
    now[0] += 0.1
    os.kill(os.getpid(), second)
    assert told[1:] == ([] if second == signal.SIGHUP else ["left", "ended 130"])


def test_a_hang_up_that_was_ignored_stays_ignored(told: list[str]) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    stop = threading.Event()
    before = on_interrupt(stop, told.append, lambda: None)
    assert signal.SIGHUP not in before
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


SIGNALLED = """\
import os, signal, imports.servers.schema
# A shell starts a command in the background with this one ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
def migrations():
    os.kill(os.getpid(), signal.{name})
imports.servers.schema.migrations = migrations
from imports.__main__ import start
start()
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_each_signal_before_a_run_is_an_interruption(name: str) -> None:
    script = SIGNALLED.format(name=name)
    done = subprocess.run(
        [sys.executable, "-c", script, "schema", "print"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr.strip()) == (130, "", "Stopped.")


def test_an_error_that_nobody_knew_of_is_told_as_a_fault(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise KeyError("oh")

    monkeypatch.setattr("imports.servers.schema.migrations", fail)
    assert call("schema", "print") == 1
    shown = capsys.readouterr().err
    assert "This is a bug in the importer: KeyError" in shown
    assert "Traceback" not in shown
    assert "Traceback" in Path("resilient_import.log").read_text()


def test_what_to_do_about_a_target_that_stayed_away_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise BackendUnavailableError("No answer.")

    monkeypatch.setattr("imports.servers.schema.migrations", fail)
    assert call("schema", "print") == 75
    assert capsys.readouterr().err == (
        "Error: No answer. When it answers again, the same command resumes.\n"
    )


# What is no UTF-8

NO_UTF_8 = os.fsdecode(b"caf\xe9")


@pytest.mark.parametrize(
    "arguments",
    [
        ["states", ".", "--tag", NO_UTF_8],
        ["states", ".", "--tag", "t", "--description", NO_UTF_8],
        ["states", ".", "--tag", "t", "--created-by", NO_UTF_8],
        ["states", ".", "--tag", "t", "--patterns", NO_UTF_8],
        ["states", NO_UTF_8, "--tag", "t"],
        ["states", ".", "--tag", "t", "--state-file", NO_UTF_8],
        ["states", ".", "--tag", "t", "--db-path", NO_UTF_8],
        ["states", ".", "--tag", "t", "--database-url", f"postgresql://h/{NO_UTF_8}"],
        ["states", ".", "--tag", "t", "--image-root", NO_UTF_8],
        ["folder", NO_UTF_8],
        ["people", ".", "--tag", "t", "--failed-dir", NO_UTF_8],
        ["people", ".", "--tag", "t", "--progress-csv", NO_UTF_8],
        ["verify", "--state-file", NO_UTF_8],
        ["status", "--tag", NO_UTF_8],
        ["status", "--state-file", NO_UTF_8],
    ],
    ids=lambda each: " ".join(each).replace(NO_UTF_8, "-"),
)
def test_bytes_that_are_no_utf_8_are_refused_in_every_option(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    book = Book(Path("upload_tracker.db"))
    book.add("a")
    book.file.close()
    assert call(*arguments) == 2
    told = capsys.readouterr().err
    assert "UTF-8" in told
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize("command", [["states", ".", "--tag", "t"], ["db", "start"], ["status"]])
def test_a_working_folder_that_is_no_utf_8_or_gone_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: list[str],
) -> None:
    folder = tmp_path / NO_UTF_8
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert call(*command) == 2
    assert r"caf\xe9, is not valid UTF-8" in capsys.readouterr().err
    folder.rmdir()
    assert call(*command) == 2
    assert "does not exist any more" in capsys.readouterr().err


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_offers_another_place(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], code: int
) -> None:
    def flock(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("fcntl.flock", flock)
    assert call("states", ".", "--tag", "t") == 2
    told = capsys.readouterr().err
    assert "work_state.json cannot be locked" in told
    assert "--state-file" in told
    assert not list(Path().glob("*.lock.*"))
