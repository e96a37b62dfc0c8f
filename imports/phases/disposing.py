"""Deleting and moving the files of items: the workers of the disposal."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imports.configuration.choices import Disposal
from imports.ledger import DisposedItem, DueItem
from imports.source.moving import (
    Fate,
    Outcome,
    delete,
    finish_delete,
    finish_move,
    is_left_of,
    move,
)
from imports.source.problem_list import Problem, has_errors, write_errors
from imports.source.set_aside import AsideFolders
from imports.source.tree import is_same_file, signature_of

if TYPE_CHECKING:
    from imports.items.records import RecordFailure
    from imports.items.source import Signature, Source
    from imports.run.consuming.disposal_plan import DisposalPlan


@dataclass(frozen=True, slots=True)
class DisposalJob:
    """Some items, each with its failed records."""

    plan: DisposalPlan
    source: Source
    items: list[tuple[DueItem, list[RecordFailure]]]


def dispose_batch(job: DisposalJob) -> list[DisposedItem]:
    """Disposes of the files of a job; files that have changed meanwhile are not in the result."""
    with AsideFolders() as private:
        found = (_dispose(job.plan, job.source, *each, private) for each in job.items)
        return [each for each in found if each is not None]


def finish_leftover(
    plan: DisposalPlan, source: Source, item: DueItem, failures: list[RecordFailure], aside: Path
) -> DisposedItem | None:
    """Disposes of an item's file that a killed run had set aside; None if it is another file."""

    def end() -> Outcome:
        if plan.of(item) is Disposal.DELETE:
            return finish_delete(aside)
        home = Path(source.absolute(item.path))
        return finish_move(aside, home, plan.folder_of(item), item.path)

    try:
        left = is_left_of(aside, item.signature)
    except OSError:
        return None
    return _disposed(plan, item, failures, end) if left else None


def _dispose(
    plan: DisposalPlan,
    source: Source,
    item: DueItem,
    failures: list[RecordFailure],
    private: AsideFolders,
) -> DisposedItem | None:
    path = source.absolute(item.path)

    def end() -> Outcome:
        _check_folder(os.path.dirname(path))
        if plan.of(item) is Disposal.DELETE:
            return delete(path, item.signature, private)
        return move(path, item.signature, plan.folder_of(item), item.path, private)

    disposed = _disposed(plan, item, failures, end)
    if disposed is None or disposed.problem is None:
        return disposed
    return disposed._replace(signature=new_signature(path, item.signature))


def _disposed(
    plan: DisposalPlan, item: DueItem, failures: list[RecordFailure], end: Callable[[], Outcome]
) -> DisposedItem | None:
    try:
        outcome = end()
        if outcome.fate is not Fate.IN_USE or outcome.kept_as is not None:
            return _recordable(item, failures, outcome)
        problem = "a program has it open for writing"
    except OSError as error:
        problem = error.strerror or str(error)
    what = "deleted" if plan.of(item) is Disposal.DELETE else "moved away"
    return DisposedItem(item.id, problem=f"cannot be {what}: {problem}")


def _recordable(
    item: DueItem, failures: list[RecordFailure], outcome: Outcome
) -> DisposedItem | None:
    """What the ledger records about an outcome; writes the list of errors first."""
    if outcome.kept_as is not None:
        return DisposedItem(item.id, kept_as=outcome.kept_as)
    if outcome.fate is Fate.CHANGED:
        return None
    # If the list exists, another run has read and moved the file.
    known = outcome.fate is Fate.GONE and outcome.path is not None and has_errors(outcome.path)
    if item.reason is not None and outcome.path is not None and not known:
        write_errors(outcome.path, _problems(item.reason, failures))
    gone = outcome.fate is Fate.GONE and outcome.path is None
    # Another run, or its owner, removed the file before it was read.
    vanished = gone and item.reason is not None and not failures
    return DisposedItem(item.id, outcome.path, vanished=vanished, gone=gone)


def new_signature(path: str, signature: Signature) -> Signature | None:
    """The signature of a file that was put back; None if it is another file."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    if not signature.digest or not is_same_file(status, signature):
        return None
    return signature_of(status, exact=True)


def _check_folder(folder: str) -> None:
    """Raises OSError if a folder of the source was replaced by a link."""
    if os.path.realpath(folder) != folder:
        raise OSError(errno.EXDEV, "its folder was replaced by a link", folder)


def _problems(reason: str, failures: list[RecordFailure]) -> list[Problem]:
    """The problems of a file: those of its records, else that of the whole file."""
    found = [Problem(each.number, each.label or None, each.reason) for each in failures]
    return found or [Problem(None, None, reason)]
