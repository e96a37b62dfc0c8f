"""The options of commands: those that several have, declared once."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from imports.kinds.wording import WORDINGS

F = TypeVar("F", bound=Callable[..., Any])


class PathType(click.Path):
    """A path that is not empty: that would be the working folder, whose files may be deleted."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path that was given."""
        if value == "":
            self.fail("It is empty. The working folder is a dot: `.`", param, ctx)
        return super().convert(value, param, ctx)


FOLDER = PathType(path_type=Path)


def together(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    """Several decorators as one."""

    def decorate(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


target_options = together(
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


kind_option = click.option(
    "--kind", type=click.Choice(list(WORDINGS)), help="Only what is of this kind."
)


state_option = click.option(
    "--state-file",
    type=FOLDER,
    help="The checkpoint of the run; ledger and logs lie beside it.  [default: work_state.json]",
)


ledger_option = click.option(
    "--db-path",
    type=FOLDER,
    metavar="FILE",
    help="The ledger.  [default: upload_tracker.db, beside the work state]",
)


image_root_option = click.option(
    "--image-root",
    "image_roots",
    type=FOLDER,
    multiple=True,
    help="A folder from which images may be read too, and to which links may lead, besides the one"
    " that holds the source.",
)


retry_option = together(
    click.option(
        "--max-retries",
        type=click.IntRange(0),
        help="Retries per request; also the number of runs that retry a failed item.  [default: 3]",
    ),
    click.option(
        "--max-wait",
        type=click.FloatRange(0, 86_400),
        metavar="SECONDS",
        help="How long a database or image store that stays away is waited for; 0: no longer than"
        " the tries take.  [default: 120]",
    ),
)


item_options = together(
    click.option("--tag", help="The dataset's tag (required)."),
    target_options,
    retry_option,
    click.option(
        "--max-concurrent-uploads",
        type=click.IntRange(1),
        help="Images uploaded at once.  [default: 10]",
    ),
    click.option("--debug-log", is_flag=True, help="Log every record."),
    click.option("--verify-writes", is_flag=True, help="Compare what was written with the files."),
    click.option("--deep", is_flag=True, help="With --verify-writes: also hash the stored images."),
    state_option,
    ledger_option,
    click.option("--created-by", help="Who makes the dataset, for its row."),
    click.option("--description", help="What the dataset is, for its row."),
    image_root_option,
    click.option(
        "--patterns",
        metavar="PATTERN,…",
        callback=lambda _context, _option, value: _split(value),
        help="Shell patterns for the names of the files that make a work item, in place of the"
        " kind's own.",
    ),
)


run_options = together(
    item_options,
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


single_file_option = click.option(
    "--single-file", type=FOLDER, help="Import only this file, imported before or not."
)


status_files_option = click.option(
    "--no-status-files",
    is_flag=True,
    help="Write no success.json or failed.json into the folders.",
)


if_exists_option = click.option(
    "--if-exists",
    type=click.Choice(["keep", "newer", "replace"]),
    help="Rows that an earlier import wrote: keep them, replace them by newer ones, or by any."
    "  [default: newer]",
)


work_off_options = together(
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
        type=FOLDER,
        help="Where failed files go.  [default: failed_uploads, beside DIR]",
    ),
    click.option(
        "--done-dir",
        type=FOLDER,
        help="Where files go that are moved on success.  [default: done_uploads, beside DIR]",
    ),
    click.option(
        "--progress-csv",
        type=FOLDER,
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
