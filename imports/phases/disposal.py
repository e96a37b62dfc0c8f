"""Disposal: files that are done with are deleted, or moved away with a list of what is wrong."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass

from imports.disposal import Fate, Problem, delete, move, write_errors
from imports.ledger import DisposedItem, DueItem
from imports.settings import Disposal
from imports.work_item import RecordFailure, Source

BATCH_SIZE = 64
"""Files that a worker disposes of at once."""


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


@dataclass(frozen=True, slots=True)
class DisposalJob:
    """Some items, each with its records that failed."""

    plan: DisposalPlan
    source: Source
    items: list[tuple[DueItem, list[RecordFailure]]]


def dispose_batch(job: DisposalJob) -> list[DisposedItem]:
    """Disposes of the files of a job; one that has changed meanwhile is left where it is."""
    found = (_dispose(job.plan, job.source, *each) for each in job.items)
    return [each for each in found if each is not None]


def _dispose(
    plan: DisposalPlan, source: Source, item: DueItem, failures: list[RecordFailure]
) -> DisposedItem | None:
    path = source.absolute(item.path)
    wanted = plan.of(item)
    try:
        _check_place(os.path.dirname(path))
        if wanted is Disposal.DELETE:
            changed = delete(path, item.signature) is Fate.CHANGED
            return None if changed else DisposedItem(item.id)
        folder = plan.done_folder if item.reason is None else plan.failed_folder
        moved = move(path, item.signature, folder, item.path)
        if moved.fate is Fate.CHANGED:
            return None
        if item.reason is not None and moved.path is not None:
            write_errors(moved.path, _problems(item.reason, failures))
        # Of such a file nothing was read: another run took it, or its owner.
        vanished = moved.path is None and item.reason is not None and not failures
        return DisposedItem(item.id, moved.path, vanished=vanished)
    except OSError as error:
        what = "deleted" if wanted is Disposal.DELETE else "moved away"
        return DisposedItem(item.id, problem=f"cannot be {what}: {error.strerror or error}")


def _check_place(folder: str) -> None:
    """Raises OSError if a folder of the source was replaced by a link to what is none of it."""
    if os.path.realpath(folder) != folder:
        raise OSError(errno.EXDEV, "its folder was replaced by a link", folder)


def _problems(reason: str, failures: list[RecordFailure]) -> list[Problem]:
    """What is wrong with a file: its records, or else the file as a whole."""
    found = [Problem(each.number, each.label or None, each.reason) for each in failures]
    return found or [Problem(None, None, reason)]
