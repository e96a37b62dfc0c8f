"""The ledger: the SQLite file that remembers, across runs, what each item and image came to.

Only the coordinator writes it. It calls an item imported only after its transaction committed.
"""

from imports.ledger.file import LedgerFile
from imports.ledger.images import ImageLedger
from imports.ledger.items import ItemLedger, Listing
from imports.ledger.runs import RunLedger, RunRecord

__all__ = ["ImageLedger", "ItemLedger", "LedgerFile", "Listing", "RunLedger", "RunRecord"]
