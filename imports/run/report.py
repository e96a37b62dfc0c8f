"""The reports of a run and of a verification."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from imports.items.records import NOTHING_EXEMPT, ExemptRecords
from imports.items.work_item import NOTHING_LACKING, Failure, Lacking
from imports.ledger.work_state import MOST_LISTED, WorkState

if TYPE_CHECKING:
    from imports.backends.operations import OperationStats
    from imports.ledger import Listing


MOST_SHOWN = 10
"""The number of failures, warnings and so on in the summary; the ledger has all of them."""

NOT_YET_IMPORTED = "not yet imported"
"""Counted with the findings of an unfinished run, without a comparison with the target."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference that verification found.

    `found` is `missing`, `different`, `undecided` (different, and it is unknown which is newer),
    `added` (a row that does not belong to its record), `orphaned` or `unreadable`; `subject` is a
    record's label or an image's place; `item_id` is the item that a repair imports again.
    """

    found: str
    subject: str
    detail: str = ""
    path: str = ""
    item_id: int | None = None


@dataclass(slots=True)
class VerifyReport:
    """The result of a verification. `findings` are the first ones; `found` counts all, by type.

    `repairable` says whether a repair may fix something. The numbers: `left` are work items that a
    finished run left for another one; `gone` are imported items whose files were deleted or moved;
    `missing` are missing images of imported items; `failed` are failed items, and `acknowledged`
    are acknowledged ones. `guarded` and `left_out` are records that rightly differ from their
    files: the stored row is guarded, or their parent is missing.
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
        """Whether no difference was found."""
        return not self.found


def joined(one: VerifyReport | None, other: VerifyReport | None) -> VerifyReport | None:
    """The sum of two verifications of one run."""
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
    """The result of a run: its state, counts by name, failures, warnings, duplicates.

    Each run reports warnings, and missing images (`lacking`), until the item is imported without a
    warning; likewise `left_out` records, until their parent exists, and `guarded` ones. `notices`
    are about the whole run. `item` is the kind's word for a work item; `acknowledged` items are not
    among the failures; `scanned` is the listing of a scan; `not_disposed` are files that could not
    be deleted or moved. `operations` are the requests to the target, only of a verbose run.
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
    operations: Mapping[str, OperationStats] = field(default_factory=dict)

    @property
    def nothing_to_do(self) -> bool:
        """Whether everything was imported already."""
        return self.exit_code == 0 and not self.counts.get("planning.to_import")

    def count(self, name: str) -> int:
        """A count by its name, such as `import.inserted`."""
        return self.counts.get(name, 0)
