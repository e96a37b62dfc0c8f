"""Listing: workers read the folders of a source, and the ledger records the work items."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from imports.items.phase import Phase
from imports.items.source import folder_prefix
from imports.phases.disposal import put_back_leftovers
from imports.phases.walking import Walk, nothing_found, single, walk
from imports.run.consuming.stability import stable_since
from imports.source.local_file import local_file
from imports.source.tree import ListedEntry, ListingProblem, printable

if TYPE_CHECKING:
    from imports.ledger import Listing
    from imports.run.session import RunSession
    from imports.settings import Settings

_SHOWN_AT_ONCE = 1_000


def list_source(session: RunSession, *, again: bool = False) -> Listing:
    """Lists the source, and records in the ledger what is new, changed, or to be retried.

    If a run lists it `again`, only what is new or changed.

    Raises:
        UsageError: if the source has no item of the kind.
    """
    settings, kind = session.settings, session.kind
    session.display.begin(Phase.PLANNING, None)
    only = session.source.file_name or session.single_item
    entries = _walk(session) if only is None else single(kind, session.source, only)
    if session.listing.none_known() and not settings.scan_only:
        entries = session.workers.expect_parsing(entries)
    listing = session.listing.record(
        _shown(session, entries),
        whole=session.single_item is None,
        again=(settings.force or session.single_item is not None)
        and not settings.scan_only
        and not again,
        most_tries=0 if again else _most_tries(settings),
        resumed=session.resumed and not again and not settings.scan_only,
    )
    stable = stable_since(session)
    if stable is not None:
        session.growing.note(stable, time.monotonic())
    counts = session.counts()
    disposed = counts.get("import.files_deleted", 0) + counts.get("import.files_moved", 0)
    if not listing.total and not session.consumes_source:
        raise nothing_found(kind, session.source, only)
    session.state.total_files = listing.total + disposed
    session.checkpoint(now=True)
    if again:
        return listing
    given_up = 0 if settings.scan_only else listing.given_up
    session.set_counts(
        Phase.PLANNING,
        unchanged=listing.unchanged,
        given_up=given_up,
        unreadable=listing.problems,
    )
    if listing.acknowledged or session.counts().get("planning.acknowledged"):
        session.set_counts(Phase.PLANNING, acknowledged=listing.acknowledged)
    return listing


def _most_tries(settings: Settings) -> int | None:
    if settings.scan_only:
        # A scan retries nothing: failed items stay failed.
        return 0
    return None if settings.retry_failed else settings.max_retries


def _walk(session: RunSession) -> Iterator[ListedEntry]:
    """All work items of the source, in no order."""
    yield from walk(
        Walk(session.kind, session.source, session.workers, session.policy.stop),
        partial(_put_back, session) if session.consumes_source else None,
    )


def _put_back(session: RunSession, prefix: str) -> Iterator[ListedEntry]:
    """Puts back the files that a killed run had set aside, and lists them.

    The ledger has no finished items for these files.
    """
    private = Path(session.source.absolute(prefix))
    try:
        names = {each.place.name for each in put_back_leftovers(session, private)}
        if names:
            with os.scandir(private.parent) as entries:
                files = [
                    local_file(session.source, entry) for entry in entries if entry.name in names
                ]
            parent = prefix.removesuffix("/").rpartition("/")[0]
            yield from session.kind.items_in(session.source, folder_prefix(parent or "."), files)
    except OSError as error:
        yield ListingProblem(
            printable(prefix.removesuffix("/")),
            f"has files that a killed run had set aside; they cannot be put back: {error.strerror}."
            " Move them back to the parent folder",
        )


def _shown(session: RunSession, entries: Iterator[ListedEntry]) -> Iterator[ListedEntry]:
    """Yields the entries, and shows their number."""
    for number, entry in enumerate(entries, 1):
        if number % _SHOWN_AT_ONCE == 0:
            session.display.advance(Phase.PLANNING, _SHOWN_AT_ONCE)
            session.raise_if_stopping()
        yield entry
