"""Settings: each option declared once, as a field, and all of them as one frozen object.

Where their values come from is in `loading`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from imports.configuration.choices import Backend, Disposal, IfExists, OnFailure
from imports.configuration.commands import Commands
from imports.configuration.option import Kept, checked, declared_option, option
from imports.configuration.values import (
    Choice,
    Number,
    OrNone,
    Secret,
    Several,
    WholeNumber,
    absolute,
    address,
    any_text,
    file,
    is_of_paths,
    path,
    plain,
    secret,
    switch,
    text,
)

DATA_FOLDER = Path(".importer")
"""Where the embedded PostgreSQL and the local images live, below the project folder."""

LEDGER_NAME = "upload_tracker.db"
PROGRESS_CSV = Path("data/supabase_upload_progress.csv")
"""Where the progress log is below it, for kinds whose sources are consumed."""


SOURCE, IMPORT, RUN = Commands.SOURCE, Commands.IMPORT, Commands.RUN
VERIFY, CONSUMED = Commands.VERIFY, Commands.CONSUMED
TARGET = RUN | Commands.SCHEMA
MEMORY = RUN | Commands.STATUS | Commands.ACKNOWLEDGE


# No pydantic: it takes longer to import than a small import takes to run.
@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything a run needs to know. The defaults are those of the command line.

    `project` is the project folder, an empty path if that is the working folder. Other paths are
    relative to the working folder. With `production`, .env.production was read.

    Values may be given as text, as a variable has them.

    Raises:
        SettingsError: if one makes no sense.
    """

    project: Path = option(Path(), path, kept=Kept.TO_SHOW)
    kind: str = option("states", text, kept=Kept.NOT)
    source: Path | None = option(None, OrNone(path), kept=Kept.NOT)
    tag: str | None = option(
        None,
        OrNone(text),
        "The dataset's tag (required).",
        IMPORT,
        told_again=IMPORT,
        kept=Kept.NOT,
    )
    backend: Backend = option(
        Backend.AUTO,
        Choice(*Backend),
        "Where to. auto: Supabase if SUPABASE_URL is set, else DATABASE_URL, else the"
        " embedded PostgreSQL in .importer/. embedded: that one, whatever is set.",
        TARGET,
        told_again=IMPORT,
        kept=Kept.TO_SHOW,
    )
    supabase_url: str | None = option(
        None,
        OrNone(address),
        variables=("SUPABASE_URL", "NEXT_PUBLIC_SUPABASE_URL"),
        kept=Kept.NOT,
    )
    supabase_key: Secret | None = option(
        None,
        OrNone(secret),
        variables=("SUPABASE_SECRET_KEY", "SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_SERVICE_KEY"),
        kept=Kept.NOT,
    )
    database_url: Secret | None = option(
        None,
        OrNone(secret),
        "PostgreSQL to use, as DATABASE_URL. Everybody on this machine sees a flag: a password"
        " belongs into DATABASE_URL, .env, PGPASSWORD or ~/.pgpass.",
        TARGET,
        metavar="URL",
        variables=("DATABASE_URL",),
        kept=Kept.NOT,
    )
    production: bool = option(
        False,
        switch,
        "Read .env.production in place of .env.local.",
        TARGET,
        # It says which file has the variables.
        variables=(),
        told_again=RUN,
        kept=Kept.TO_SHOW,
    )
    max_retries: int = option(
        3,
        WholeNumber(0),
        "Retries per request; also the number of runs that retry a failed item.",
        RUN,
    )
    max_wait: float = option(
        120.0,
        Number(0, 86_400),
        "How long a database or image store that stays away is waited for; 0: no longer than"
        " the tries take.",
        RUN,
        metavar="SECONDS",
    )
    max_concurrent_uploads: int = option(10, WholeNumber(1), "Images uploaded at once.", IMPORT)
    debug_log: bool = option(
        False,
        switch,
        "Log every record.",
        IMPORT | VERIFY,
        own_help={VERIFY: "Log every record that is repaired."},
    )
    verify_writes: bool = option(False, switch, "Compare what was written with the files.", IMPORT)
    deep: bool = option(
        False,
        switch,
        "With --verify-writes: also hash the stored images.",
        IMPORT | VERIFY,
        own_help={VERIFY: "Also read and hash every stored image."},
    )
    state_file: Path = option(
        Path("work_state.json"),
        file,
        "The checkpoint of the run; ledger and logs lie beside it.",
        MEMORY,
        kept=Kept.TO_SHOW,
    )
    db_path: Path | None = option(
        None,
        OrNone(file),
        "The ledger.",
        MEMORY,
        shown_default="upload_tracker.db, beside the work state",
        metavar="FILE",
        kept=Kept.TO_SHOW,
    )
    data_folder: Path = option(DATA_FOLDER, path, kept=Kept.TO_SHOW)
    created_by: str | None = option(
        None, OrNone(any_text), "Who makes the dataset, for its row.", IMPORT
    )
    description: str | None = option(
        None, OrNone(any_text), "What the dataset is, for its row.", IMPORT
    )
    image_roots: tuple[Path, ...] = option(
        (),
        Several(path, os.pathsep),
        "A folder from which images may be read too, and to which links may lead, besides the one"
        " that holds the source.",
        IMPORT | VERIFY,
        flags=("--image-root",),
        told_again=IMPORT,
        kept=Kept.TO_VERIFY,
    )
    patterns: tuple[str, ...] = option(
        (),
        Several(text, ","),
        "Shell patterns for the names of the files that make a work item, in place of the"
        " kind's own.",
        IMPORT,
        metavar="PATTERN,…",
        told_again=IMPORT,
        kept=Kept.TO_VERIFY,
    )
    batch_size: int = option(
        500, WholeNumber(1), "Work items that are merged in one transaction.", SOURCE
    )
    batch_delay: float = option(
        0.0,
        Number(0, 3600),
        "A pause after each batch; batches are merged one after the other then.",
        SOURCE,
        metavar="SECONDS",
    )
    max_workers: int = option(
        16, WholeNumber(1), "Parallel workers.", SOURCE, flags=("--max-workers", "--workers")
    )
    scan_only: bool = option(False, switch, "List the source, and import nothing.", SOURCE)
    retry_failed: bool = option(
        False, switch, "Try all failed items again, however many runs have tried them.", SOURCE
    )
    force: bool = option(False, switch, "Import what is imported already, too.", SOURCE)
    restart: bool = option(
        False, switch, "Give up the unfinished run over the same.", SOURCE, kept=Kept.TO_SHOW
    )
    limit: int | None = option(
        None, OrNone(WholeNumber(1)), "Import at most so many work items.", SOURCE
    )
    no_status_files: bool = option(
        False,
        switch,
        "Write no success.json or failed.json into the folders.",
        Commands.OF_FOLDERS | Commands.ITEM,
        told_again=Commands.OF_FOLDERS | Commands.ITEM,
        kept=Kept.TO_VERIFY,
    )
    device_name: str | None = option(
        None,
        OrNone(text),
        "The name of the device, for all folders; else each folder's stats may have it.",
        Commands.OF_DEVICES | Commands.ITEM,
        told_again=Commands.OF_DEVICES | Commands.ITEM,
        kept=Kept.TO_VERIFY,
    )
    device_type: str | None = option(
        None,
        OrNone(text),
        "The type of the device, in the same way.",
        Commands.OF_DEVICES | Commands.ITEM,
        told_again=Commands.OF_DEVICES | Commands.ITEM,
        kept=Kept.TO_VERIFY,
    )
    single_file: Path | None = option(
        None,
        OrNone(path),
        "Import only this file, imported before or not.",
        Commands.OF_FILES,
        kept=Kept.TO_SHOW,
    )
    if_exists: IfExists = option(
        "newer",
        Choice[IfExists]("keep", "newer", "replace"),
        "Rows that an earlier import wrote: keep them, replace them by newer ones, or by any.",
        Commands.OF_TIMESTAMPS,
        told_again=Commands.OF_TIMESTAMPS,
    )
    on_success: Disposal | None = option(
        None,
        OrNone(Choice(*Disposal)),
        "What becomes of a file when all its records are in.",
        CONSUMED,
        shown_default="delete; keep with --single-file",
        told_again=CONSUMED,
    )
    on_failure: OnFailure | None = option(
        None,
        OrNone(Choice[OnFailure](Disposal.MOVE, Disposal.KEEP)),
        "What becomes of a file of which something failed. Moved, it has a list of what is"
        " wrong beside it.",
        CONSUMED,
        shown_default="move; keep with --single-file",
        told_again=CONSUMED,
    )
    failed_dir: Path | None = option(
        None,
        OrNone(path),
        "Where failed files go.",
        CONSUMED,
        shown_default="failed_uploads, beside DIR",
        told_again=CONSUMED,
    )
    done_dir: Path | None = option(
        None,
        OrNone(path),
        "Where files go that are moved on success.",
        CONSUMED,
        shown_default="done_uploads, beside DIR",
        told_again=CONSUMED,
    )
    progress_csv: Path | None = option(
        None,
        OrNone(file),
        "The progress log, a row for each file.",
        CONSUMED,
        shown_default=str(PROGRESS_CSV),
        metavar="FILE",
        told_again=CONSUMED,
    )
    no_progress_csv: bool = option(
        False, switch, "Keep no progress log.", CONSUMED, told_again=CONSUMED
    )
    watch: bool = option(
        False,
        switch,
        "When all is done, wait for new files, until Ctrl-C.",
        CONSUMED,
        told_again=CONSUMED,
    )
    yes: bool = option(
        False,
        switch,
        "Do not ask, on a terminal, before the first run that deletes files of a source.",
        CONSUMED,
    )

    def __post_init__(self) -> None:
        """Reads every value that could be wrong."""
        for name, value in checked(vars(self), OPTIONS).items():
            object.__setattr__(self, name, value)

    def absolute(self) -> Settings:
        """The same with absolute paths."""
        return replace(self, **{name: absolute(getattr(self, name)) for name in PATHS})

    def as_json(self) -> dict[str, Any]:
        """Every setting as JSON can have it, without what is secret."""
        return {name: plain(getattr(self, name)) for name in OPTIONS}

    @property
    def ledger_file(self) -> Path:
        """The ledger: it lies beside the work state, where nothing else is said."""
        return self.db_path or self.state_file.parent / LEDGER_NAME

    @property
    def imported(self) -> Path | None:
        """The folder that is imported: whatever lies in it may have come with the data."""
        single = self.single_file
        if single is not None and single.is_dir():
            return single
        return self.source or (None if single is None else single.parent)

    @property
    def chosen_backend(self) -> Backend:
        """The backend that is meant, by what is asked for and what is configured: never `auto`."""
        if self.backend in (Backend.SUPABASE, Backend.EMBEDDED):
            return self.backend
        if self.backend is Backend.AUTO and self.supabase_url:
            return Backend.SUPABASE
        return Backend.POSTGRESQL if self.database_url else Backend.EMBEDDED


OPTIONS = {each.name: declared_option(each) for each in fields(Settings)}
"""What is declared of each setting, by its name."""

PATHS = frozenset(each.name for each in OPTIONS.values() if is_of_paths(each.read))
"""The settings that are paths."""
