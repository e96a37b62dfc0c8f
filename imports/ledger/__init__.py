"""The ledger: the SQLite file with the result of each item and image, across runs.

Only the coordinator writes it. It records an item as imported only after the target's commit.
"""

from imports.ledger.disposal import DisposalLedger, DisposedItem, DueItem
from imports.ledger.exempt import ExemptLedger
from imports.ledger.file import LedgerFile
from imports.ledger.growing import GrowingLedger, StableSince
from imports.ledger.images import ImageLedger
from imports.ledger.items import ItemLedger
from imports.ledger.known import KnownLedger
from imports.ledger.lacking import LackingLedger
from imports.ledger.listing import Listing, ListingLedger
from imports.ledger.placements import (
    Claim,
    KnownPlace,
    PlacementLedger,
    PlacementStage,
)
from imports.ledger.progress import ItemProgress, item_progress
from imports.ledger.queue import ImportQueue
from imports.ledger.reset_places import MarkedPlace, ResetPlaces
from imports.ledger.resets import (
    KnownRun,
    Undone,
    UndonePlaces,
    count_undone,
    known_runs,
    undo_runs,
)
from imports.ledger.runs import RunLedger, RunRecord
from imports.ledger.scope import Scope
from imports.ledger.seen_rows import SeenRows

__all__ = [
    "Claim",
    "DisposalLedger",
    "DisposedItem",
    "DueItem",
    "ExemptLedger",
    "GrowingLedger",
    "ImageLedger",
    "ImportQueue",
    "ItemLedger",
    "ItemProgress",
    "KnownLedger",
    "KnownPlace",
    "KnownRun",
    "LackingLedger",
    "LedgerFile",
    "Listing",
    "ListingLedger",
    "MarkedPlace",
    "PlacementLedger",
    "PlacementStage",
    "ResetPlaces",
    "RunLedger",
    "RunRecord",
    "Scope",
    "SeenRows",
    "StableSince",
    "Undone",
    "UndonePlaces",
    "count_undone",
    "item_progress",
    "known_runs",
    "undo_runs",
]
