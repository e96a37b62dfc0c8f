"""Lists sources as a run does, with a stand-in for the session and for the ledger."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, cast

from imports.backends.retry import RetryPolicy
from imports.errors import InterruptedRunError, UsageError
from imports.items.source import Source
from imports.kinds import kind_named
from imports.ledger import Listing
from imports.phases.listing import list_source
from imports.run.display import SilentDisplay
from imports.run.session import RunSession
from imports.settings import Settings
from imports.source.tree import ListedEntry
from imports.workers.executors import Workers


class Taken:
    """Stores a listing, like the ledger. Requests a stop `after` this many entries."""

    def __init__(self, policy: RetryPolicy, after: int | None) -> None:
        self.entries: list[ListedEntry] = []
        self.options: dict[str, Any] = {}
        self._policy = policy
        self._after = after

    def none_known(self) -> bool:
        return True

    def record(self, entries: Iterable[ListedEntry], **options: Any) -> Listing:
        self.options = options
        for entry in entries:
            self.entries.append(entry)
            if len(self.entries) == self._after:
                self._policy.stop.set()
        return Listing(len(self.entries), len(self.entries), 0, 0, 0, 0)


def take(
    source: Source,
    kind: str,
    *,
    workers: Workers | None = None,
    stop_after: int | None = None,
    single_item: str | None = None,
    resumed: bool = False,
    **settings: Any,
) -> Taken:
    """Lists a source; returns what the ledger would record."""
    policy = RetryPolicy(0)
    taken = Taken(policy, stop_after)
    mine = Workers(1) if workers is None else workers

    def raise_if_stopping() -> None:
        if policy.stop.is_set():
            raise InterruptedRunError("The run was stopped.")

    found = kind_named(kind)
    session = SimpleNamespace(
        settings=Settings(kind=kind, **settings),
        kind=found,
        source=source,
        single_item=single_item,
        backups=None,
        disposal=None,
        consumes_source=found.consumes_source and single_item is None,
        resumed=resumed,
        counts=dict,
        display=SilentDisplay(),
        workers=mine,
        policy=policy,
        listing=taken,
        growing=SimpleNamespace(note=lambda *_: None),
        state=SimpleNamespace(total_files=0),
        checkpoint=lambda now: None,
        set_counts=lambda phase, **values: None,
        raise_if_stopping=raise_if_stopping,
        sign=lambda path: found.sign(source, path),
    )
    try:
        list_source(cast(RunSession, session))
    finally:
        if workers is None:
            mine.close()
    return taken


def walk(source: Source, kind: str, **options: Any) -> list[ListedEntry]:
    """All entries of a source, in the order of their paths; none of an empty one."""
    try:
        entries = take(source, kind, **options).entries
    except UsageError:
        return []
    return sorted(entries, key=lambda entry: entry.path)
