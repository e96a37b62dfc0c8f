"""What a run came to, and what verification found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from imports.ledger.work_state import MOST_LISTED, WorkState
from imports.work_item import NOTHING_EXEMPT, NOTHING_LACKING, ExemptRecords, Failure, Lacking

if TYPE_CHECKING:
    from imports.ledger import Listing


MOST_SHOWN = 10
"""Failures, warnings and the like that the summary shows; all are in the ledger."""

NOT_YET_IMPORTED = "not yet imported"
"""Counted beside the findings where a run is unfinished; nothing was compared with the target."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be.

    `found` is `missing`, `different`, `undecided` (different, and nobody knows which is newer),
    `added` (a row beside those that belong to a record), `orphaned` or `unreadable`; `subject` a
    record's label or an image's place; `item_id` the item that importing again may put right.
    """

    found: str
    subject: str
    detail: str = ""
    path: str = ""
    item_id: int | None = None


@dataclass(slots=True)
class VerifyReport:
    """What verification found. `findings` are the first ones, `found` counts all by what it is.

    `repairable` says whether there is anything that importing again may put right; `left` is how
    many work items a finished run left for another one, `gone` of how many the files are gone,
    since they were deleted or moved away after their import; `missing` is how many images what is
    imported lacks, `failed` how many work items are not in, since they failed, `acknowledged` how
    many of which somebody has acknowledged that. `guarded` and `left_out` are records that are not
    stored as their files say, and need not be: the target keeps what it has, or lacks what they
    refer to.
    """

    records: int = 0
    images: int = 0
    found: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    repairable: bool = False
    left: int = 0
    gone: int = 0
    missing: int = 0
    failed: int = 0
    acknowledged: int = 0
    guarded: int = 0
    left_out: int = 0

    @property
    def clean(self) -> bool:
        """Whether everything is as it should be."""
        return not self.found


def joined(one: VerifyReport | None, other: VerifyReport | None) -> VerifyReport | None:
    """Two verifications of one run as one."""
    if one is None or other is None:
        return one or other
    found = {
        name: one.found.get(name, 0) + other.found.get(name, 0)
        for name in (*one.found, *other.found)
    }
    return VerifyReport(
        records=one.records + other.records,
        images=one.images + other.images,
        found=found,
        findings=[*one.findings, *other.findings][:MOST_LISTED],
        repairable=one.repairable or other.repairable,
        left=one.left + other.left,
        gone=max(one.gone, other.gone),
        missing=other.missing,
        failed=other.failed,
        acknowledged=other.acknowledged,
        guarded=one.guarded + other.guarded,
        left_out=one.left_out + other.left_out,
    )


@dataclass(slots=True)
class RunReport:
    """What a run came to: its state, counts by name, failures, warnings, duplicates.

    Warnings are told, and missing images counted as `lacking`, by every run until the item is
    imported without a warning; so are records that are `left_out`, until what they refer to is
    there, or `guarded`. `notices` are about the whole run. `item` is
    what its kind calls a work item; `acknowledged` ones failed, and are not among the failures;
    `scanned` is the listing of a run that did no more; `not_disposed` are files that should have
    been deleted or moved away, and could not be.
    """

    state: WorkState
    item: str
    exit_code: int
    elapsed_seconds: float
    counts: dict[str, int]
    failures: list[Failure]
    failures_total: int
    acknowledged: int = 0
    notices: list[str] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)
    warnings_total: int = 0
    lacking: Lacking = NOTHING_LACKING
    left_out: ExemptRecords = NOTHING_EXEMPT
    guarded: ExemptRecords = NOTHING_EXEMPT
    duplicates: list[list[str]] = field(default_factory=list)
    duplicates_total: int = 0
    not_disposed: list[Failure] = field(default_factory=list)
    not_disposed_total: int = 0
    verification: VerifyReport | None = None
    scanned: Listing | None = None
    next_commands: list[str] = field(default_factory=list)

    @property
    def nothing_to_do(self) -> bool:
        """Whether everything was imported already."""
        return self.exit_code == 0 and not self.counts.get("planning.to_import")

    def count(self, name: str) -> int:
        """A count by its name, such as `import.inserted`."""
        return self.counts.get(name, 0)
