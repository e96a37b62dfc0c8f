"""What a run does with the files of a source that it consumes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from imports.configuration.choices import Disposal
from imports.errors import UsageError
from imports.kinds.kind import Kind
from imports.ledger import DueItem
from imports.settings import Settings


def disposal_plan(
    settings: Settings, kind: Kind, folder: Path, single_item: str | None
) -> DisposalPlan | None:
    """What a run does with the files of a source, None where they all stay.

    A source that is consumed is emptied where nothing else is said; a single file, which
    somebody wants to look into, stays.

    Raises:
        UsageError: if files would be moved to where they are, or to a folder around that.
    """
    if not kind.consumes_source or settings.scan_only:
        return None
    usual = single_item is None
    plan = DisposalPlan(
        settings.on_success or (Disposal.DELETE if usual else Disposal.KEEP),
        Disposal(settings.on_failure or (Disposal.MOVE if usual else Disposal.KEEP)),
        str((settings.done_dir or folder.parent / "done_uploads").resolve()),
        str((settings.failed_dir or folder.parent / "failed_uploads").resolve()),
    )
    for place in plan.folders:
        if folder.is_relative_to(place):
            raise UsageError(
                f"Files of {folder} cannot be moved to {place}: that is the source, or around it."
                " Name another folder with --failed-dir or --done-dir."
            )
    keeps = plan.on_success is Disposal.KEEP and plan.on_failure is Disposal.KEEP
    return None if keeps else plan


@dataclass(frozen=True, slots=True)
class DisposalPlan:
    """What becomes of files: of those that went in, and of those that did not."""

    on_success: Disposal
    on_failure: Disposal
    done_folder: str
    failed_folder: str

    @property
    def folders(self) -> list[str]:
        """Where files are moved to."""
        return [
            folder
            for disposal, folder in (
                (self.on_success, self.done_folder),
                (self.on_failure, self.failed_folder),
            )
            if disposal is Disposal.MOVE
        ]

    @property
    def deletes(self) -> bool:
        """Whether files are deleted."""
        return self.on_success is Disposal.DELETE

    def of(self, item: DueItem) -> Disposal:
        """What becomes of the file of an item."""
        return self.on_success if item.reason is None else self.on_failure

    def folder_of(self, item: DueItem) -> str:
        """Where the file of an item is moved to, if it is moved."""
        return self.done_folder if item.reason is None else self.failed_folder
