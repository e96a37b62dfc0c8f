"""A ledger in a folder of the test, with the usual operations of tests."""

from __future__ import annotations

import atexit
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from imports.items.images import Image, ImageFile
from imports.items.source import Signature
from imports.items.work_item import ItemState, ListedItem, Plan, WorkItem, listed_item
from imports.ledger import (
    DisposalLedger,
    DisposedItem,
    ExemptLedger,
    GrowingLedger,
    ImageLedger,
    ImportQueue,
    ItemLedger,
    LackingLedger,
    LedgerFile,
    Listing,
    ListingLedger,
    RunLedger,
    Scope,
)
from imports.source.tree import ListedEntry
from tests.support.folder import new_folder

STATE_FILE = Path("/data/work_state.json")
TOOK = (100.0, 102.5)


@cache
def _new_ledger() -> Path:
    """An empty ledger: copying one is faster than creating one."""
    path = new_folder("importer-ledger-") / "ledger.db"
    LedgerFile(path).close()
    atexit.register(shutil.rmtree, path.parent)
    return path


class Book:
    """A ledger with one scope and one run."""

    def __init__(
        self,
        path: Path,
        *,
        kind: str = "states",
        source: str = "/data",
        tag: str = "tag",
        run_name: str = "batch",
        only: str | None = None,
    ) -> None:
        if not path.exists():
            shutil.copy(_new_ledger(), path)
        self.file = LedgerFile(path)
        self.runs = RunLedger(self.file)
        self.scope_id = self.runs.scope(kind, source, tag, "target")
        self.runs.begin_run(self.scope_id, "run", run_name, STATE_FILE)
        self.use(Scope(self.file, self.scope_id, run_name, only))

    def use(self, scope: Scope) -> None:
        """Uses this scope from now on."""
        self.scope = scope
        self.listing = ListingLedger(scope)
        self.items = ItemLedger(scope)
        self.growing = GrowingLedger(scope)
        self.queue = ImportQueue(scope)
        self.images = ImageLedger(scope)
        self.lacking = LackingLedger(scope)
        self.exempt = ExemptLedger(scope)
        self.disposals = DisposalLedger(scope)

    def next_run(self, run_name: str) -> None:
        """Begins another run of the same scope."""
        self.runs.begin_run(self.scope_id, run_name, run_name, STATE_FILE)
        self.use(Scope(self.file, self.scope_id, run_name))

    def list(
        self,
        *entries: ListedEntry,
        whole: bool = True,
        again: bool = False,
        most_tries: int | None = None,
    ) -> Listing:
        return self.listing.record(entries, whole=whole, again=again, most_tries=most_tries)

    def add(self, *paths: str, group: int | None = None) -> dict[str, int]:
        """Lists these items as well as the known ones, and plans all listed ones; their ids."""
        self.list(*map(listed, paths), whole=False)
        ids = {}
        for items in self.listed_items(None, 100):
            self.plan(*(Plan(item.id, group=group) for item in items))
            ids |= {item.path: item.id for item in items}
        return ids

    def plan(self, *plans: Plan) -> None:
        self.items.record_plans(list(plans), {})

    def listed_paths(self) -> list[str]:
        return [item.path for items in self.listed_items(None, 100) for item in items]

    def listed_items(self, *arguments: Any, **more: Any) -> Iterator[list[WorkItem]]:
        """The items that planning has not read yet, in its order."""
        for rows in self.items.listed_items(*arguments, **more):
            yield [listed_item(row) for row in rows]

    def imported(self, *ids: int) -> None:
        self.queue.record_imported(list(ids), [], {}, TOOK)

    def failed(self, number: int, reason: str = "refused") -> None:
        self.queue.record_imported([number], [(number, reason)], {}, TOOK)

    def disposed(self, *ids: int, moved_to: str | None = None) -> None:
        self.disposals.record([DisposedItem(number, moved_to) for number in ids])

    def batches(self, size: int, state: ItemState = ItemState.PLANNED) -> list[list[str]]:
        self.queue.open(state, None)
        return [[item.path for item in items] for items in self.queue.batches(size)]

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        """The result of a query, over a connection of its own, as a user's would be."""
        return self.file.connection.execute(sql).fetchall()


def listed(path: str, size: int = 1, mtime_ns: int = 1, digest: str = "") -> ListedItem:
    return ListedItem(path, Signature(size, mtime_ns, digest=digest))


def picture(name: str, size: int = 10, mtime_ns: int = 1) -> ImageFile:
    return ImageFile(f"/images/{name}.png", Signature(size, mtime_ns))


def hashed(file: ImageFile, sha256: str) -> Image:
    return Image(file, sha256, "png", "image/png", 3, 2)


def gathered(images: ImageLedger, what: str, size: int) -> Iterator[list[Any]]:
    """The images of a run, selected first."""
    getattr(images, f"open_{what}")()
    pages: Iterator[list[Any]] = getattr(images, what)(size)
    return pages
