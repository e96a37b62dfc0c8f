"""Importing one page of people with a function: the document's `process_people_from_file`."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from imports.configuration.choices import Disposal
from imports.errors import InterruptedRunError, RecordError
from imports.loading import load_settings
from imports.resilient_importer import ResilientImporter
from imports.settings import Settings

_TAG = "default"


def process_people_from_file(path: str | Path, settings: Settings | None = None) -> tuple[int, int]:
    """Imports the persons of a JSON file; returns the numbers of imported and failed ones.

    For a file without results, or without a key `results`, it returns (0, 0). The file stays where
    it is, and no ledger stores it; a second call finds all rows unchanged and writes nothing. Many
    threads may call it at once. `settings` define the target; the default is the environment and
    the `.env` files, with the tag `default`.

    Raises:
        RecordError: if the file as a whole cannot be used; the message says why.
        ImporterError: if the target cannot be used, or the file does not exist.
    """
    place = Path(path)
    given = settings or load_settings(kind="people", tag=_TAG)
    with tempfile.TemporaryDirectory(prefix="importer-people-") as folder:
        mine = replace(
            given,
            kind="people",
            tag=given.tag or _TAG,
            source=None,
            single_file=place,
            state_file=Path(folder, "work_state.json"),
            db_path=None,
            on_success=Disposal.KEEP,
            on_failure=Disposal.KEEP,
            progress_csv=None,
            watch=False,
        )
        report = ResilientImporter(mine).run()
    if not report.state.finished:
        raise InterruptedRunError(f"{place}: not completely imported. {report.next_commands[0]}")
    succeeded = sum(
        report.count(f"import.{name}") for name in ("inserted", "updated", "skipped", "unchanged")
    )
    failed = report.count("import.refused")
    # On demand: Python imports this package for each of its modules.
    from imports.kinds.people.kind import NO_RESULTS

    if report.failures and report.failures[0].reason.startswith(NO_RESULTS):
        return 0, 0
    if report.failures and not (failed and report.failures[0].reason.startswith("record ")):
        raise RecordError(f"{place}: {report.failures[0].reason}")
    return succeeded, failed
