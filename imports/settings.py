"""Settings: one frozen object, whose fields declare the options.

`loading` reads their values from flags, variables and .env files.
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
    batch_id,
    file,
    is_of_paths,
    path,
    plain,
    secret,
    switch,
    text,
)

DATA_FOLDER = Path(".importer")
"""The folder of the embedded PostgreSQL and the local images, in the project folder."""

AIRTABLE_CONFIG = Path("airtable.toml")
LEDGER_NAME = "upload_tracker.db"
PROGRESS_CSV = Path("data/supabase_upload_progress.csv")
"""The progress log of kinds that consume their source, in the project folder."""

SOURCE, IMPORT, RUN = Commands.SOURCE, Commands.IMPORT, Commands.RUN
VERIFY, CONSUMED = Commands.VERIFY, Commands.CONSUMED
TARGET = RUN | Commands.SCHEMA | Commands.CHECK | Commands.READ | Commands.AIRTABLE
MEMORY = RUN | Commands.STATUS | Commands.ACKNOWLEDGE | Commands.CHECK


# Without pydantic: importing it is slower than a small run.
@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of a run. The defaults are those of the command line.

    `project` is the project folder, or an empty path if that is the working folder. Other paths are
    relative to the working folder. `production` is true if .env.production was read, `staging` if
    .env.staging was.

    Values may also be strings, as variables have them.

    Raises:
        SettingsError: if a value is invalid.
    """

    project: Path = option(Path(), path, kept=Kept.TO_SHOW)
    kind: str = option("states", text, kept=Kept.NOT)
    source: Path | None = option(None, OrNone(path), kept=Kept.NOT)
    tag: str | None = option(
        None,
        OrNone(text),
        "The dataset's tag (required).",
        IMPORT,
        resumed_with=IMPORT,
        kept=Kept.NOT,
    )
    backend: Backend = option(
        Backend.AUTO,
        Choice(*Backend),
        "The target. auto: Supabase if SUPABASE_URL is set, else DATABASE_URL, else the"
        " embedded PostgreSQL in .importer/. embedded: always that one.",
        TARGET,
        resumed_with=IMPORT,
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
        "The PostgreSQL, as in DATABASE_URL. Every user of this machine can see flags: put a"
        " password into DATABASE_URL, .env, PGPASSWORD or ~/.pgpass.",
        TARGET,
        metavar="URL",
        variables=("DATABASE_URL",),
        kept=Kept.NOT,
    )
    production: bool = option(
        False,
        switch,
        "Read .env.production instead of .env.local.",
        TARGET | Commands.STATUS,
        # Without a variable: it decides which file has the variables.
        variables=(),
        resumed_with=RUN,
        kept=Kept.TO_SHOW,
    )
    staging: bool = option(
        False,
        switch,
        "Read .env.staging instead of .env.local.",
        TARGET | Commands.STATUS,
        variables=(),
        resumed_with=RUN,
        kept=Kept.TO_SHOW,
    )
    max_retries: int = option(
        3,
        WholeNumber(0),
        "Retries per request; also the number of runs that retry a failed item.",
        RUN | Commands.AIRTABLE,
        own_help={Commands.AIRTABLE: "Retries per request."},
    )
    max_wait: float = option(
        120.0,
        Number(0, 86_400),
        "How long to wait for a database or an image store that does not answer; 0: only retry.",
        RUN | Commands.AIRTABLE,
        own_help={
            Commands.AIRTABLE: "How long to wait for a database, or for Airtable, if it does not"
            " answer; 0: only retry."
        },
        metavar="SECONDS",
    )
    max_concurrent_uploads: int = option(10, WholeNumber(1), "Images uploaded at once.", IMPORT)
    debug_log: bool = option(
        False,
        switch,
        "Log every record, and the requests to the target; the report shows rates.",
        RUN | Commands.STATUS,
        own_help={
            VERIFY: "Log every record that is repaired.",
            Commands.RESET: "Log the requests to the target.",
            Commands.STATUS: "For earlier command lines: `status` always shows everything.",
        },
        flags=("--debug-log", "--verbose"),
    )
    verify_writes: bool = option(False, switch, "Compare the written rows with the files.", IMPORT)
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
        "The checkpoint of the run; ledger and logs are beside it.",
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
        None, OrNone(any_text), "The creator of the dataset, for its row.", IMPORT
    )
    description: str | None = option(
        None, OrNone(any_text), "The description of the dataset, for its row.", IMPORT
    )
    image_roots: tuple[Path, ...] = option(
        (),
        Several(path, os.pathsep),
        "Images, and targets of links, may also be below this folder, not only below the parent"
        " of the source.",
        IMPORT | VERIFY,
        flags=("--image-root",),
        resumed_with=IMPORT,
        kept=Kept.TO_VERIFY,
    )
    patterns: tuple[str, ...] = option(
        (),
        Several(text, ","),
        "Shell patterns for the names of the files of a work item, instead of the kind's own.",
        IMPORT,
        metavar="PATTERN,…",
        resumed_with=IMPORT,
        kept=Kept.TO_VERIFY,
    )
    batch_id: str | None = option(
        None,
        OrNone(batch_id),
        "The batch id on the rows of the run. Several runs may have the same: a reset then undoes"
        " all of them.",
        IMPORT,
        shown_default="batch_, the time and six digits",
        metavar="ID",
        kept=Kept.NOT,
    )
    batch_size: int = option(
        500, WholeNumber(1), "Work items that are merged in one transaction.", SOURCE
    )
    batch_delay: float = option(
        0.0,
        Number(0, 3600),
        "A pause after each batch; batches then run one after the other.",
        SOURCE,
        metavar="SECONDS",
    )
    max_workers: int = option(
        16, WholeNumber(1), "Parallel workers.", SOURCE, flags=("--max-workers", "--workers")
    )
    scan_only: bool = option(False, switch, "List the source, and import nothing.", SOURCE)
    retry_failed: bool = option(
        False, switch, "Retry all failed items, however often they were tried.", SOURCE
    )
    public_bucket: bool = option(
        False,
        switch,
        "If the bucket for the images does not exist, create it as public. An existing one stays as"
        " it is.",
        Commands.OF_PLACES,
        resumed_with=Commands.OF_PLACES,
    )
    force: bool = option(False, switch, "Import again what is already imported.", SOURCE)
    restart: bool = option(
        False,
        switch,
        "Give up the unfinished run over the same source, tag and target.",
        SOURCE,
        kept=Kept.TO_SHOW,
    )
    limit: int | None = option(
        None, OrNone(WholeNumber(1)), "Import at most this number of work items.", SOURCE
    )
    no_status_files: bool = option(
        False,
        switch,
        "Write no success.json or failed.json into the folders.",
        Commands.OF_FOLDERS | Commands.ITEM,
        resumed_with=Commands.OF_FOLDERS | Commands.ITEM,
        kept=Kept.TO_VERIFY,
    )
    device_name: str | None = option(
        None,
        OrNone(text),
        "The name of the device, for all folders; else each folder's stats may have it.",
        Commands.OF_DEVICES | Commands.ITEM,
        resumed_with=Commands.OF_DEVICES | Commands.ITEM,
        kept=Kept.TO_VERIFY,
    )
    device_type: str | None = option(
        None,
        OrNone(text),
        "The type of the device, in the same way.",
        Commands.OF_DEVICES | Commands.ITEM,
        resumed_with=Commands.OF_DEVICES | Commands.ITEM,
        kept=Kept.TO_VERIFY,
    )
    single_file: Path | None = option(
        None,
        OrNone(path),
        "Import only this file (of recognitions: this folder), even if it was imported before.",
        Commands.OF_FILES,
        kept=Kept.TO_SHOW,
    )
    backup_dir: Path | None = option(
        None,
        OrNone(path),
        "Copy each imported file to this folder. A name that another content has there gets the"
        " time of the file.",
        Commands.OF_FILE_ITEMS,
        resumed_with=Commands.OF_FILE_ITEMS,
    )
    if_exists: IfExists = option(
        "newer",
        Choice[IfExists]("keep", "newer", "replace"),
        "Rows of earlier imports: keep them, replace them by newer ones, or always replace them.",
        Commands.OF_TIMESTAMPS,
        resumed_with=Commands.OF_TIMESTAMPS,
    )
    on_success: Disposal | None = option(
        None,
        OrNone(Choice(*Disposal)),
        "What to do with a file after all its records are imported.",
        CONSUMED,
        shown_default="delete; keep with --single-file",
        resumed_with=CONSUMED,
    )
    on_failure: OnFailure | None = option(
        None,
        OrNone(Choice[OnFailure](Disposal.MOVE, Disposal.KEEP)),
        "What to do with a file if a part of it failed. A moved file gets a list of its errors"
        " beside it.",
        CONSUMED,
        shown_default="move; keep with --single-file",
        resumed_with=CONSUMED,
    )
    failed_dir: Path | None = option(
        None,
        OrNone(path),
        "The folder for failed files.",
        CONSUMED,
        shown_default="failed_uploads, beside DIR",
        resumed_with=CONSUMED,
    )
    done_dir: Path | None = option(
        None,
        OrNone(path),
        "The folder for files that are moved on success.",
        CONSUMED,
        shown_default="done_uploads, beside DIR",
        resumed_with=CONSUMED,
    )
    progress_csv: Path | None = option(
        None,
        OrNone(file),
        "The progress log, with a row for each file.",
        CONSUMED,
        shown_default=str(PROGRESS_CSV),
        metavar="FILE",
        resumed_with=CONSUMED,
    )
    no_progress_csv: bool = option(
        False, switch, "Keep no progress log.", CONSUMED, resumed_with=CONSUMED
    )
    watch: bool = option(
        False,
        switch,
        "At the end, wait for new files, until Ctrl-C.",
        CONSUMED,
        resumed_with=CONSUMED,
    )
    yes: bool = option(
        False,
        switch,
        "Do not ask on a terminal before the first run that deletes files of a source.",
        CONSUMED,
    )
    airtable_api_key: Secret | None = option(
        None, OrNone(secret), variables=("AIRTABLE_API_KEY",), kept=Kept.NOT
    )
    airtable_config: Path = option(
        AIRTABLE_CONFIG,
        path,
        "The file that names base, tables and fields.",
        Commands.AIRTABLE,
        flags=("--config",),
        metavar="FILE",
        kept=Kept.NOT,
    )

    def __post_init__(self) -> None:
        """Converts and checks all values, except unchanged defaults."""
        for name, value in checked(vars(self), OPTIONS).items():
            object.__setattr__(self, name, value)

    def absolute(self) -> Settings:
        """The same with absolute paths."""
        return replace(self, **{name: absolute(getattr(self, name)) for name in PATHS})

    def as_json(self) -> dict[str, Any]:
        """Every setting as a JSON value; secrets are hidden."""
        return {name: plain(getattr(self, name)) for name in OPTIONS}

    @property
    def ledger_file(self) -> Path:
        """The ledger; by default it is beside the work state."""
        return self.db_path or self.state_file.parent / LEDGER_NAME

    @property
    def imported(self) -> Path | None:
        """The imported folder. Files in it may come from others, together with the data."""
        single = self.single_file
        if single is not None and single.is_dir():
            return single
        return self.source or (None if single is None else single.parent)

    @property
    def chosen_backend(self) -> Backend:
        """The backend by option and configuration, never `auto`."""
        if self.backend in (Backend.SUPABASE, Backend.EMBEDDED):
            return self.backend
        if self.backend is Backend.AUTO and self.supabase_url:
            return Backend.SUPABASE
        return Backend.POSTGRESQL if self.database_url else Backend.EMBEDDED


OPTIONS = {each.name: declared_option(each) for each in fields(Settings)}
"""The declaration of each setting, by name."""

PATHS = frozenset(each.name for each in OPTIONS.values() if is_of_paths(each.read))
"""The names of settings that are paths."""
