"""MigrationManager: imports a folder of insights, and tells what became of each file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from imports.errors import ImporterError
from imports.insights.client import SupabaseInsightsClient
from imports.insights.errors import SupabaseOperationError, failing_as
from imports.insights.state import ProcessingState
from imports.kinds.insights.insight import insight_in
from imports.kinds.insights.tables import consolidated_eni_id
from imports.ledger.file import reading
from imports.ledger.summary import ItemResult, item_results
from imports.resilient_importer import ResilientImporter
from imports.run.report import RunReport
from imports.settings import Settings
from imports.source.json_file import read_object
from imports.source.tree import signature_of_file

_TAG = "migration"


class MigrationManager:
    """Imports the JSON files in a folder, as the command `insights` does.

    The client's settings say where ledger and work state are, so an interrupted migration is
    resumed, and `resilient-importer status` shows it. Each imported file is copied to
    `backup_directory`, if that is given; the files stay where they are.
    """

    def __init__(
        self,
        client: SupabaseInsightsClient,
        source_directory: str | Path = "output/structured_insights",
        backup_directory: str | Path | None = None,
    ) -> None:
        self.client = client
        self.source_directory = Path(source_directory)
        self.backup_directory = None if backup_directory is None else Path(backup_directory)
        self.migrated_files: list[str] = []
        self.failed_files: list[tuple[str, str]] = []
        self.skipped_files: list[str] = []

    def discover_json_files(self) -> list[Path]:
        """The JSON files directly in the folder, by name; none if there is no folder."""
        return sorted(each for each in self.source_directory.glob("*.json") if each.is_file())

    def validate_json_file(
        self, file_path: str | Path
    ) -> tuple[bool, dict[str, Any] | None, list[str]]:
        """Whether a file can be imported, its content, and what is wrong, each with the field."""
        try:
            signature = signature_of_file(str(file_path))
            document = read_object(str(file_path), signature, Counter())
        except OSError as error:
            return False, None, [f"cannot be read: {error.strerror}"]
        except ImporterError as error:
            return False, None, [str(error)]
        errors = insight_in(document, Counter()).errors
        return not errors, document, errors

    def migrate_single_file(self, file_path: str | Path, force_overwrite: bool = False) -> bool:
        """Imports one file of the folder; returns whether it is in the target.

        An imported file that has not changed is skipped, unless with `force_overwrite`.

        Raises:
            SupabaseOperationError: if the target cannot be used, or another run is active.
        """
        place = Path(file_path)
        if not force_overwrite and self._result_of(place) is not None:
            self.skipped_files.append(str(place))
            return True
        report = self._run(self._settings(single_file=place))
        if report.failures:
            self.failed_files.append((str(place), report.failures[0].reason))
            return False
        self.migrated_files.append(str(place))
        return True

    def migrate_all_files(
        self, force_overwrite: bool = False, batch_size: int = 10
    ) -> ProcessingState:
        """Imports all files, `batch_size` in a transaction; returns the state by contact.

        Files that were imported and have not changed are skipped, unless with `force_overwrite`. A
        file that cannot be imported stops no other: its reason is in the state under the contact,
        or under the file's name if it names none.

        Raises:
            SupabaseOperationError: if the target cannot be used, or another run is active.
        """
        state = ProcessingState()
        self.migrated_files, self.failed_files, self.skipped_files = [], [], []
        files = self.discover_json_files()
        if not files:
            state.finalize()
            return state
        contacts = {each.name: self._contact_in(each) for each in files}
        known = self._known_contacts({each for each in contacts.values() if each})
        settings = self._settings(batch_size=batch_size, force=force_overwrite)
        report = self._run(settings)
        for result in self._results():
            place = str(self.source_directory / result.path)
            name = contacts.get(result.path) or result.path
            if result.state == "failed":
                self.failed_files.append((place, result.reason or ""))
                state.mark_failed(name, result.reason or "")
            elif result.run_name != report.state.run_name:
                self.skipped_files.append(place)
            else:
                self.migrated_files.append(place)
                state.mark_processed(name, name not in known)
                known.add(name)
        state.finalize()
        return state

    def get_migration_summary(self) -> dict[str, Any]:
        """How many files there are, and what became of those of the last call."""
        migrated, failed = len(self.migrated_files), len(self.failed_files)
        return {
            "total_discovered": len(self.discover_json_files()),
            "migrated": migrated,
            "failed": failed,
            "skipped": len(self.skipped_files),
            "success_rate": migrated / max(1, migrated + failed),
            "migrated_files": self.migrated_files,
            "failed_files": self.failed_files,
            "skipped_files": self.skipped_files,
        }

    def _settings(self, **more: Any) -> Settings:
        given = self.client.settings
        return replace(
            given,
            kind="insights",
            tag=given.tag or _TAG,
            source=self.source_directory,
            backup_dir=self.backup_directory,
            retry_failed=True,
            **more,
        )

    def _run(self, settings: Settings) -> RunReport:
        with failing_as("The migration cannot run"):
            report = ResilientImporter(settings).run()
        if not report.state.finished:
            raise SupabaseOperationError(
                "The migration was interrupted. Call it again: it continues where it stopped."
            )
        return report

    def _results(self) -> Iterator[ItemResult]:
        """The results of the files in the folder, by path."""
        settings = self._settings()
        with reading(settings.ledger_file) as connection:
            if connection is not None:
                source = str(self.source_directory.resolve())
                scope = ("insights", source, settings.tag or "", self.client.target.key)
                yield from item_results(connection, *scope)

    def _result_of(self, place: Path) -> ItemResult | None:
        """The result of a file that was imported and has not changed since; else None."""
        # The run says what is wrong with a file that is gone, or in another folder.
        if not place.is_file() or place.resolve().parent != self.source_directory.resolve():
            return None
        for each in self._results():
            if each.path == place.name and each.state == "imported":
                return each if each.mtime_ns == place.stat().st_mtime_ns else None
        return None

    def _contact_in(self, file: Path) -> str | None:
        """The contact that a file names; None if it cannot be read."""
        _, document, _ = self.validate_json_file(file)
        if document is None:
            return None
        return insight_in(document, Counter()).metadata.contact_id or None

    def _known_contacts(self, contact_ids: set[str]) -> set[str]:
        """Those of some contacts that have an insight of all their source groups."""
        if not contact_ids:
            return set()
        stored = self.client.iterate_insights(contact_ids=sorted(contact_ids))
        found = (each.metadata for each in stored)
        return {
            each.contact_id for each in found if each.eni_id == consolidated_eni_id(each.contact_id)
        }
