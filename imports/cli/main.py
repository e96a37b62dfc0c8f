"""The command line: every command, and what it exits with.

Nothing heavy is imported before a command runs: `--help` answers at once.
"""

from __future__ import annotations

import errno
import gc
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn, TextIO, TypeVar

import click

from imports.display_text import shown, shown_json, shown_lines
from imports.kinds import kind_named
from imports.kinds.wording import WORDINGS
from imports.run.streams import lost, show_cursor, tell, tell_apart

if TYPE_CHECKING:
    from imports.errors import ImporterError
    from imports.kinds.kind import Kind
    from imports.run.report import RunReport
    from imports.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

EXIT_CODES = """\
\b
Exit codes:
    0  all done
    1  a fatal error; the message says what to do
    2  wrong usage
    3  done, but some items failed, or verification found differences
   11  another run holds the ledger or the work state, or uses the server to be stopped
   75  the target stayed away; run again to resume
  130  interrupted; run again to resume
"""


class _PathType(click.Path):
    """A path that is not empty: that would be the working folder, whose files may be deleted."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("It is empty. The working folder is a dot: `.`", param, ctx)
        return super().convert(value, param, ctx)


_FOLDER = _PathType(path_type=Path)


def main(arguments: list[str] | None = None) -> None:
    """Runs a command and exits with its code. `arguments` are the process's own by default."""
    try:
        # Not standalone, click returns the code of an Exit in place of raising it.
        code = cli.main(arguments, prog_name="resilient-importer", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        # What the user typed may be a name that a shell found.
        error.message = shown(error.message)  # type: ignore[misc]  # it is shown now, and last
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped.", err=True)
        sys.stdout.flush()
        # Not sys.exit: Python would end itself by the signal if it came while code of a text,
        # a dataclass's for one, was executed. Nothing is open yet that needs to be closed.
        os._exit(130)
    except _UnreadError as unread:
        _end_unread(unread.error)
    except Exception as error:  # noqa: BLE001 - the last resort
        from imports.cli import faults

        told = faults.told(error, _log_folder())
        _tell_error(told)
        sys.exit(told.exit_code)


def _tell_error(error: ImporterError) -> None:
    from imports.errors import BackendUnavailableError

    text = f"Error: {error}"
    if isinstance(error, BackendUnavailableError):
        text += " When it answers, the same command goes on."
    click.echo(shown_lines(text.split("\n")) if error.has_lines else shown(text), err=True)


def _log_folder() -> Path:
    """Where the log is of a command that failed before its settings were known."""
    from imports.configuration.project_folder import project_folder
    from imports.errors import UsageError

    try:
        return project_folder(os.environ)
    except (UsageError, OSError):
        return Path()


class _UnreadError(Exception):
    """What a command is for cannot be written to standard output, or nobody reads it."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


def _print(text: str) -> None:
    """Prints what a command is for.

    Raises:
        _UnreadError: if nobody reads it. A run, which is for something else, goes on: `tell`.
    """
    click.echo(text)
    if (error := lost(sys.stdout)) is not None:
        raise _UnreadError(error)


def _end_unread(error: OSError) -> NoReturn:
    """Ends as all programs do that have no reader any more; tells why, if it is something else."""
    if error.errno == errno.EPIPE:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGPIPE)
    click.echo(f"Error: Standard output cannot be written to: {error.strerror}.", err=True)
    sys.exit(1)


class _KindCommand(click.Command):
    """A command for a kind, which is not imported before it is called or asked for its options."""

    def __init__(
        self, name: str, summary: str, kind: str, make: Callable[[Kind], click.Command]
    ) -> None:
        super().__init__(name, help=summary, epilog=EXIT_CODES)
        self._kind = kind
        self._make = make

    def get_params(self, context: click.Context) -> list[click.Parameter]:
        if self.callback is None:
            made = self._make(kind_named(self._kind))
            self.params, self.callback = made.params, made.callback
        return super().get_params(context)


@click.group(epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="resilient-importer")
def cli() -> None:
    """Imports JSON files and the images they name into PostgreSQL or Supabase.

    Every record once, every image once, however often it is interrupted: the same command again
    picks up where it stopped.

    Settings (.env), work state and ledger are those of the project folder: what IMPORTER_PROJECT
    names, else the nearest folder upwards that has them, else the checkout that this program is run
    from, else the working folder.
    """
    _check_working_folder()


def _check_working_folder() -> None:
    """Refuses a working folder whose path neither the ledger nor a database can keep."""
    from imports.errors import UsageError

    try:
        folder = str(Path.cwd())
    except FileNotFoundError:
        raise UsageError("The working folder is gone. Change to one that is there.") from None
    try:
        folder.encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"The path of the working folder, {folder}, is no valid UTF-8. Rename that folder, or"
            " work in another one."
        ) from None


def _options(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


_target_options = _options(
    click.option(
        "--backend",
        type=click.Choice(["auto", "supabase", "postgresql", "embedded"]),
        help="Where to. auto: Supabase if SUPABASE_URL is set, else DATABASE_URL, else the"
        " embedded PostgreSQL in .importer/. embedded: that one, whatever is set."
        "  [default: auto]",
    ),
    click.option(
        "--database-url",
        metavar="URL",
        callback=lambda _context, _option, value: _without_password(value),
        help="PostgreSQL to use, as DATABASE_URL. Everybody on this machine sees a flag: a password"
        " belongs into DATABASE_URL, .env, PGPASSWORD or ~/.pgpass.",
    ),
    click.option("--production", is_flag=True, help="Read .env.production in place of .env.local."),
)

_kind_option = click.option(
    "--kind", type=click.Choice(list(WORDINGS)), help="Only what is of this kind."
)

_state_option = click.option(
    "--state-file",
    type=_FOLDER,
    help="The checkpoint of the run; ledger and logs lie beside it.  [default: work_state.json]",
)

_ledger_option = click.option(
    "--db-path",
    type=_FOLDER,
    metavar="FILE",
    help="The ledger.  [default: upload_tracker.db, beside the work state]",
)

_image_root_option = click.option(
    "--image-root",
    "image_roots",
    type=_FOLDER,
    multiple=True,
    help="A folder from which images may be read too, and to which links may lead, besides the one"
    " that holds the source.",
)

_retry_option = _options(
    click.option(
        "--max-retries",
        type=click.IntRange(0),
        help="How often a request that may pass is tried again, and by how many runs an item that"
        " failed is.  [default: 3]",
    ),
    click.option(
        "--max-wait",
        type=click.FloatRange(0, 86_400),
        metavar="SECONDS",
        help="How long a database or image store that stays away is waited for; 0: no longer than"
        " the tries take.  [default: 120]",
    ),
)

_item_options = _options(
    click.option("--tag", help="The dataset's tag (required)."),
    _target_options,
    _retry_option,
    click.option(
        "--max-concurrent-uploads",
        type=click.IntRange(1),
        help="Images uploaded at once.  [default: 10]",
    ),
    click.option("--debug-log", is_flag=True, help="Log every record."),
    click.option("--verify-writes", is_flag=True, help="Compare what was written with the files."),
    click.option("--deep", is_flag=True, help="With --verify-writes: also hash the stored images."),
    _state_option,
    _ledger_option,
    click.option("--created-by", help="Who makes the dataset, for its row."),
    click.option("--description", help="What the dataset is, for its row."),
    _image_root_option,
    click.option(
        "--patterns",
        metavar="PATTERN,…",
        callback=lambda _context, _option, value: _split(value),
        help="Shell patterns for the names of the files that make a work item, in place of the"
        " kind's own.",
    ),
)

_run_options = _options(
    _item_options,
    click.option(
        "--batch-size",
        type=click.IntRange(1),
        help="Work items that are merged in one transaction.  [default: 500]",
    ),
    click.option(
        "--batch-delay",
        type=click.FloatRange(0, 3600),
        metavar="SECONDS",
        help="A pause after each batch; batches are merged one after the other then.",
    ),
    click.option(
        "--max-workers",
        "--workers",
        type=click.IntRange(1),
        help="Parallel workers.  [default: 16]",
    ),
    click.option("--scan-only", is_flag=True, help="List the source, and import nothing."),
    click.option("--status", "show_status", is_flag=True, help="Show the status, and do no more."),
    click.option(
        "--retry-failed",
        is_flag=True,
        help="Try all failed items again, however many runs have tried them.",
    ),
    click.option("--force", is_flag=True, help="Import what is imported already, too."),
    click.option("--restart", is_flag=True, help="Give up the unfinished run over the same."),
    click.option("--limit", type=click.IntRange(1), help="Import at most so many work items."),
)

_single_file_option = click.option(
    "--single-file", type=_FOLDER, help="Import only this file, imported before or not."
)

_status_files_option = click.option(
    "--no-status-files",
    is_flag=True,
    help="Write no success.json or failed.json into the folders.",
)


_if_exists_option = click.option(
    "--if-exists",
    type=click.Choice(["keep", "newer", "replace"]),
    help="Rows that an earlier import wrote: keep them, replace them by newer ones, or by any."
    "  [default: newer]",
)

_work_off_options = _options(
    click.option(
        "--on-success",
        type=click.Choice(["delete", "move", "keep"]),
        help="What becomes of a file when all its records are in.  [default: delete; keep with"
        " --single-file]",
    ),
    click.option(
        "--on-failure",
        type=click.Choice(["move", "keep"]),
        help="What becomes of a file of which something failed. Moved, it has a list of what is"
        " wrong beside it.  [default: move; keep with --single-file]",
    ),
    click.option(
        "--failed-dir",
        type=_FOLDER,
        help="Where failed files go.  [default: failed_uploads, beside DIR]",
    ),
    click.option(
        "--done-dir",
        type=_FOLDER,
        help="Where files go that are moved on success.  [default: done_uploads, beside DIR]",
    ),
    click.option(
        "--progress-csv",
        type=_FOLDER,
        metavar="FILE",
        help="The progress log, a row for each file.  [default: data/supabase_upload_progress.csv]",
    ),
    click.option("--no-progress-csv", is_flag=True, help="Keep no progress log."),
    click.option(
        "--watch", is_flag=True, help="When all is done, wait for new files, until Ctrl-C."
    ),
    click.option(
        "--yes",
        is_flag=True,
        help="Do not ask, on a terminal, before the first run that deletes files of a source.",
    ),
)


def _without_password(url: str | None) -> str | None:
    """Warns of a password in a flag, which the list of processes shows."""
    if url is not None and re.search(r"//[^/@]*:[^/@]+@|[?&](ssl)?password=[^&]", url):
        click.echo(
            "Warning: the list of processes shows the password in --database-url to everybody on"
            " this machine. Set DATABASE_URL, in the environment or in .env, or PGPASSWORD.",
            err=True,
        )
    return url


def _split(text: str | None) -> tuple[str, ...] | None:
    from imports.settings import split_patterns

    return None if text is None else split_patterns(text)


def _source_command(kind: Kind) -> click.Command:
    """The command that imports a source of a kind."""
    wording = kind.wording
    options = _run_options
    if kind.items_are_folders:
        options = _options(options, _status_files_option)
    if wording.single_command is None:
        options = _options(options, _single_file_option)
    if kind.compares_moments:
        options = _options(options, _if_exists_option)
    if kind.worked_off:
        options = _options(options, _work_off_options)
    if wording.source_option is not None:
        options = _options(
            click.option(
                wording.source_option, "same_source", type=_FOLDER, help="The same as DIR."
            ),
            options,
        )

    @click.command
    @click.argument("source", required=False, type=_FOLDER, metavar="[DIR]")
    @options
    def import_source(
        source: Path | None, show_status: bool, same_source: Path | None = None, **flags: Any
    ) -> None:
        if source is not None and same_source is not None and source != same_source:
            raise click.UsageError(f"DIR and {wording.source_option} name different folders.")
        if show_status:
            _show_status(flags, kind.name, flags["tag"], as_json=False)
        else:
            _exit(_import(_settings(kind.name, source=source or same_source, **flags)))

    return import_source


def _single_command(kind: Kind) -> click.Command:
    """The command that imports a single work item of a kind."""

    @click.command
    @click.argument("path", type=_FOLDER)
    @click.option(
        "--source",
        type=_FOLDER,
        help=f"The source that the {kind.wording.item} is part of.",
    )
    @_item_options
    @_status_files_option
    def import_single(path: Path, **flags: Any) -> None:
        _import_single(kind, path, flags)

    return import_single


for _name, _wording in WORDINGS.items():
    _help = f"{_wording.summary}\n\n{_wording.details}".rstrip()
    cli.add_command(_KindCommand(_name, _help, _name, _source_command))
    if _wording.single_command is not None:
        _summary = f"Import a single {_wording.item}, imported before or not."
        cli.add_command(_KindCommand(_wording.single_command, _summary, _name, _single_command))


@cli.command()
@_target_options
@_state_option
@_ledger_option
@_retry_option
@click.option("--deep", is_flag=True, help="Also read and hash every stored image.")
@click.option("--repair", is_flag=True, help="Import again what is missing or different.")
@click.option("--debug-log", is_flag=True, help="Log every record that is repaired.")
@click.option("--tag", help="The last run with this tag, in place of the last one of all.")
@_kind_option
@click.option("--source", type=_FOLDER, help="The last run over this source.")
@_image_root_option
def verify(
    repair: bool, tag: str | None, kind: str | None, source: Path | None, **flags: Any
) -> None:
    """Compare what the last run's target has with what its files say now.

    The last run of all, or the last one that --tag, --kind and --source choose.
    """
    from imports.cli.report import render_verification
    from imports.resilient_importer import ResilientImporter
    from imports.run import next_command
    from imports.run.last_work import last_work
    from imports.run.report_builder import EXIT_SOME_FAILED
    from imports.settings import refuse_env_files_in

    settings = last_work(_settings("states", **flags), tag, kind, source)
    refuse_env_files_in(settings.imported, settings.project, production=flags["production"])
    with _running(settings) as (display, stop):
        with ResilientImporter(settings, display, stop) as importer:
            report = importer.verify_again(repair=repair)
            state = importer.session.state
        display.close()
        lines = render_verification(report)
        if state.unfinished:
            lines.append(f"To resume:  {next_command.resume(state, settings.state_file)}")
        if report.repairable and not repair:
            named = {"--tag": tag, "--kind": kind, "--source": source}
            chosen = [part for name, value in named.items() if value for part in (name, str(value))]
            command = next_command.verify(settings.state_file, *chosen, repair=True)
            lines.append(f"To import what differs again:  {command}")
        tell(shown_lines(lines), sys.stdout)
        if not report.clean:
            tell_apart(shown_lines(lines))
    if not report.clean:
        raise click.exceptions.Exit(EXIT_SOME_FAILED)


@cli.command()
@_kind_option
@click.option("--tag", help="Only runs with this tag.")
@_target_options
@_state_option
@_ledger_option
@_retry_option
@click.option("--give-up", is_flag=True, help="Give them up: nothing goes on with them any more.")
def resume(kind: str | None, tag: str | None, give_up: bool, **flags: Any) -> None:
    """Go on with every unfinished run, one after the other, the oldest first.

    Each goes on with the options that it was begun with. The exit code is the worst of all.
    """
    from imports.cli.resuming import give_up_runs, resumable_runs, resume_all
    from imports.cli.status import last_ledger
    from imports.settings import refuse_env_files_in

    settings = _settings("states", **flags)
    settings = replace(settings, db_path=last_ledger(settings))
    runs = resumable_runs(settings, _given(flags), kind, tag)
    if not runs:
        tell(shown(f"Nothing is unfinished in the ledger {settings.ledger_file}."), sys.stdout)
    if give_up:
        for each in runs:
            tell(shown(f"Given up: {each.name}"), sys.stdout)
        give_up_runs(settings, runs)
        return

    def go_on(settings: Settings, batch_id: str) -> int:
        refuse_env_files_in(settings.imported, settings.project, production=flags["production"])
        return _import(settings, batch_id)

    _exit(resume_all(runs, go_on, lambda text: tell(shown(text), sys.stdout), _tell_error))


@cli.command()
@_kind_option
@click.option("--tag", help="Only what has this tag.")
@click.option("--json", "as_json", is_flag=True, help="For programs: as JSON.")
@click.option(
    "--warnings",
    is_flag=True,
    help="List what was imported with a warning, a line each (--json: an object a line).",
)
@click.option("--limit", type=click.IntRange(1), help="With --warnings: at most so many.")
@click.option(
    "--file",
    type=_FOLDER,
    metavar="PATH",
    help="Where this file is: what was done with it, why, when, and by which run.",
)
@_state_option
@_ledger_option
def status(
    kind: str | None,
    tag: str | None,
    as_json: bool,
    warnings: bool,
    limit: int | None,
    file: Path | None,
    **flags: Any,
) -> None:
    """Show what is imported, pending and failed, the last batches, and what to type next."""
    if limit is not None and not warnings:
        raise click.UsageError("--limit is for --warnings.")
    if warnings and file is not None:
        raise click.UsageError("--warnings and --file ask for different things.")
    if warnings:
        _show_warnings(flags, kind, tag, limit, as_json=as_json)
    elif file is not None:
        _show_whereabouts(flags, kind, tag, file, as_json=as_json)
    else:
        _show_status(flags, kind, tag, as_json=as_json)


@cli.command()
@click.argument("paths", nargs=-1, type=_FOLDER, metavar="[PATH]...")
@click.option("--tag", help="Only what has this tag.")
@_kind_option
@click.option(
    "--all", "everything", is_flag=True, help="All that failed with the tag, in place of PATHs."
)
@click.option("--note", metavar="TEXT", help="Why; kept, and shown by `status`.")
@click.option("--undo", is_flag=True, help="Take it back: they count as failed again.")
@_state_option
@_ledger_option
def acknowledge(
    paths: tuple[Path, ...],
    tag: str | None,
    kind: str | None,
    everything: bool,
    note: str | None,
    undo: bool,
    **flags: Any,
) -> None:
    """Acknowledge failed files: they no longer count as failed.

    No run tries them, and none exits with 3 for them, until they change or --retry-failed asks for
    it. PATH is the path of a file (of a folder, where folders are imported), or its name in its
    source.
    """
    from imports.cli.acknowledge import acknowledge_failed
    from imports.cli.status import last_ledger
    from imports.settings import read_settings

    if bool(paths) is everything:
        raise click.UsageError("Name the files that failed, or all of them: --all.")
    if everything and tag is None:
        raise click.UsageError("--all needs a --tag.")
    if undo and note is not None:
        raise click.UsageError("--note says why something is acknowledged, not taken back.")
    settings = read_settings(**flags)
    _tell_project(settings, sys.stderr)
    lines = acknowledge_failed(
        settings, last_ledger(settings), paths, kind, tag, note=note, undo=undo
    )
    _print(shown_lines(lines))


@cli.group()
def schema() -> None:
    """The tables and functions that a target needs."""


@schema.command("apply")
@_target_options
def schema_apply(**flags: Any) -> None:
    """Apply the migrations that the PostgreSQL at DATABASE_URL, or the embedded one, lacks."""
    from imports.backends.target import apply_missing_schema

    applied, place = apply_missing_schema(_settings("states", **flags))
    for name in applied:
        _print(f"applied {name}")
    _print(shown(f"The schema of {place} is up to date."))


@schema.command("print")
@click.option("--functions", "only_functions", is_flag=True, help="Only the functions.")
def schema_print(*, only_functions: bool) -> None:
    """Print the migrations, for Supabase's SQL editor.

    The functions alone are for a database that has the tables.
    """
    from imports.servers.schema import migrations

    for migration in migrations():
        if migration.checksum is not None or not only_functions:
            _print(f"-- {migration.version}_{migration.name}\n\n{migration.sql}")


@schema.command("export")
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if it would.")
@click.option("--same-version", is_flag=True, help="Keep the version of the file.")
def schema_export(*, check: bool, same_version: bool) -> None:
    """Write the functions, which are rendered from the tables, as the newest migration.

    For those who change the importer, in a checkout. They get a new version where they changed,
    so that `supabase db push` applies them. Keep the version where it has applied none of it yet.
    """
    from imports.cli.schema_export import export_functions
    from imports.errors import SchemaError

    export = export_functions(check=check, same_version=same_version)
    if check and export.written:
        raise SchemaError(
            "The functions in supabase/migrations are out of date. Write them anew with"
            " `resilient-importer schema export`."
        )
    _print(shown(f"{'wrote' if export.written else 'up to date:'} {export.path}"))


@cli.group()
def db() -> None:
    """The embedded PostgreSQL in .importer/."""


@db.command("start")
def db_start() -> None:
    """Start it, and keep it running until `db stop`."""
    from imports.servers import embedded

    server = embedded.start(_embedded_folder())
    embedded.keep(server.folder)
    _print(server.url)


@db.command("stop")
@click.option("--force", is_flag=True, help="Stop it under those who use it, too.")
def db_stop(force: bool) -> None:
    """Stop it, unless a run or somebody else uses it."""
    from imports.servers import embedded

    stopped = embedded.stop(_embedded_folder(), force=force)
    click.echo("The embedded PostgreSQL is stopped." if stopped else "It was not running.")


@db.command("url")
def db_url() -> None:
    """Print its URL, for psql and the like."""
    from imports.errors import EmbeddedServerError
    from imports.servers import embedded

    url = embedded.running_url(_embedded_folder())
    if url is None:
        raise EmbeddedServerError(
            "The embedded PostgreSQL is not running. Start it: resilient-importer db start"
        )
    _print(url)


def _embedded_folder() -> Path:
    from imports.backends.target import embedded_folder
    from imports.settings import read_settings

    settings = read_settings()
    _tell_project(settings, sys.stderr)
    return embedded_folder(settings.data_folder)


def _import(settings: Settings, resumed: str | None = None) -> int:
    """Imports a source, with `resumed` only by going on with that run; its exit code."""
    from imports.cli.report import render_report

    if kind_named(settings.kind).worked_off:
        _announce_disposal(settings)
    return _run(settings, render_report, resumed)


def _announce_disposal(settings: Settings) -> None:
    """Says what becomes of the files; before a source's first run that deletes some, it asks.

    It asks nobody but somebody at a terminal: without one the run was started on purpose.
    """
    from imports.ledger.file import reading
    from imports.ledger.summary import was_worked_off
    from imports.phases.disposal import what_becomes
    from imports.run.disposal_plan import disposal_plan
    from imports.run.source import find_source

    kind = kind_named(settings.kind)
    folder, single_item = find_source(settings, kind)
    plan = disposal_plan(settings, kind, folder, single_item)
    if plan is None:
        return
    tell(what_becomes(plan, folder, verified=settings.verify_writes), sys.stdout)
    asks = plan.deletes and single_item is None and not settings.yes
    if not (asks and sys.stdin.isatty() and sys.stdout.isatty()):
        return
    with reading(settings.ledger_file) as connection:
        if connection is not None and was_worked_off(connection, kind.name, str(folder)):
            return
    if not click.confirm("No run has worked this folder off yet. Go on?"):
        click.echo(
            "Nothing was done. --scan-only counts the files; --on-success keep --on-failure keep"
            " leaves them."
        )
        raise click.exceptions.Exit(1)


def _import_single(kind: Kind, path: Path, flags: dict[str, Any]) -> None:
    """Imports a single work item, and tells its story."""
    from imports.cli.import_single import settings_for, tell_beginning, tell_end

    settings = settings_for(kind, path, _settings(kind.name, **flags))
    tell(shown_lines(tell_beginning(kind, settings)), sys.stdout)
    _exit(_run(settings, lambda report: shown_lines(tell_end(kind, settings, report))))


def _exit(code: int) -> None:
    if code:
        raise click.exceptions.Exit(code)


def _run(settings: Settings, render: Callable[[RunReport], str], resumed: str | None = None) -> int:
    """Runs an import, and shows what it came to; its exit code."""
    from imports.cli.report import render_trouble
    from imports.resilient_importer import ResilientImporter

    with (
        _running(settings) as (display, stop),
        ResilientImporter(settings, display, stop, resumed=resumed) as importer,
    ):

        def tell_report(report: RunReport) -> None:
            display.close()
            tell(render(report), sys.stdout)
            if report.exit_code:
                tell_apart(render_trouble(report))

        report = importer.run(tell_report)
    return report.exit_code


def _show_status(
    flags: dict[str, Any], kind: str | None, tag: str | None, *, as_json: bool
) -> None:
    from imports.cli.status import last_ledger, read_status, render_status, status_json
    from imports.settings import read_settings

    # Not `_settings`: whether there are credentials for the target is no matter here.
    settings = read_settings(state_file=flags["state_file"], db_path=flags["db_path"])
    _tell_project(settings, sys.stderr)
    found = read_status(settings.state_file, last_ledger(settings), kind, tag)
    if as_json:
        _echo_json(status_json(found), indented=True)
    else:
        _print(render_status(found, settings.state_file, kind, settings.db_path))


def _show_warnings(
    flags: dict[str, Any], kind: str | None, tag: str | None, limit: int | None, *, as_json: bool
) -> None:
    from imports.cli.status import last_ledger, read_warnings
    from imports.settings import read_settings

    ledger = last_ledger(read_settings(**flags))
    for warned in read_warnings(ledger, kind, tag, limit):
        if as_json:
            _echo_json(warned._asdict())
        else:
            _print(shown(f"{warned.path}: {'; '.join(warned.warnings)}"))


def _show_whereabouts(
    flags: dict[str, Any], kind: str | None, tag: str | None, file: Path, *, as_json: bool
) -> None:
    from imports.cli.status import (
        last_ledger,
        read_whereabouts,
        render_whereabouts,
        whereabouts_json,
    )
    from imports.settings import read_settings

    ledger = last_ledger(read_settings(**flags))
    found = read_whereabouts(ledger, file, kind, tag)
    if as_json:
        _echo_json(whereabouts_json(found), indented=True)
    else:
        _print(render_whereabouts(found, file, ledger))


def _echo_json(value: object, *, indented: bool = False) -> None:
    import orjson

    text = orjson.dumps(value, option=orjson.OPT_INDENT_2 if indented else 0)
    _print(shown_json(text.decode()))


def _settings(kind: str, **flags: Any) -> Settings:
    from imports.settings import load_settings

    return load_settings(kind=kind, **_given(flags))


def _given(flags: dict[str, Any]) -> dict[str, Any]:
    """Without flags that were not given: they must not hide a variable that was set."""
    return {
        name: value
        for name, value in flags.items()
        if value is not None and value is not False and value != ()
    }


@contextmanager
def _running(settings: Settings) -> Iterator[tuple[Any, threading.Event]]:
    """A display and a stop event for a run, with log files, and Ctrl-C understood."""
    from imports.backends.target import describe, leave_at_once, reason
    from imports.cli import faults
    from imports.cli.progress import display_for
    from imports.run.logs import log_files
    from imports.workers.garbage import collect_from_now_on

    if not gc.isenabled():
        # As `start` left it.
        collect_from_now_on()
    stop = threading.Event()
    folder = settings.state_file.parent
    with log_files(folder, debug=settings.debug_log, warn=lambda text: tell(text, sys.stderr)):
        tell(shown(f"Target: {describe(settings)} ({reason(settings)})"), sys.stdout)
        _tell_project(settings, sys.stdout)
        display = display_for(sys.stderr)
        before = _on_interrupt(stop, display.say, partial(leave_at_once, settings))
        try:
            yield display, stop
        except click.exceptions.Exit:
            raise
        except Exception as error:
            display.close()
            told = faults.told(error, folder)
            _log_error(told)
            raise told from error
        finally:
            display.close()
            for number, handler in before.items():
                signal.signal(number, handler)


def _tell_project(settings: Settings, stream: TextIO) -> None:
    """Says which the project folder is, unless it is the working folder."""
    from imports.configuration.project_folder import VARIABLE

    if settings.project != Path():
        line = f"Project folder: {settings.project} (not the working folder; {VARIABLE} sets it)"
        tell(shown(line), stream)


def _log_error(error: ImporterError) -> None:
    """At night nobody may read what is written to standard error."""
    import logging

    for line in str(error).split("\n") if error.has_lines else [str(error)]:
        logging.getLogger("imports").error("%s", line)


_SAME_SIGNAL = 0.05
"""Seconds in which a second signal is the first one once more: `timeout` sends each one twice."""


def _on_interrupt(
    stop: threading.Event,
    say: Callable[[str], None],
    leave: Callable[[], None],
    clock: Callable[[], float] = time.monotonic,
) -> dict[int, Any]:
    """The first signal lets the batches in flight finish, the second ends the process at once.

    A hang-up never is a second one: a terminal that is closed sends two, or three.
    """
    first: float | None = None

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal first
        if first is None:
            first = clock()
            stop.set()
            say("Stopping: the batches under way are finished first. Once more stops at once.")
        elif number != signal.SIGHUP and clock() - first > _SAME_SIGNAL:
            try:
                show_cursor()
                leave()
            finally:
                os._exit(130)

    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        # By `nohup`.
        numbers.remove(signal.SIGHUP)
    return {number: signal.signal(number, handle) for number in numbers}
