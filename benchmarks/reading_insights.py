"""Reading insights by the Python client: a search, and pages at both ends of a large table."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial

from fill_insights import FREQUENT, RARE, fill_insights
from measurement import Measurement
from workshop import Workshop

from imports.insights import SupabaseInsightsClient
from imports.loading import load_settings

SEARCH, FIRST, FAR, ELSEWHERE = "search", "first-page", "far-page", "other-page"
_CALLS = 25
_PAGE = 50


def read_insights(workshop: Workshop, contacts: int) -> Iterator[tuple[str, Measurement]]:
    """The median time of calls of a client, in a table with an insight of each contact."""
    with workshop.postgresql() as target, workshop.working_folder() as folder:
        fill_insights(target.database_url, contacts)
        workshop.settle()
        settings = load_settings(environment=target.environment, folder=folder, kind="insights")
        with SupabaseInsightsClient(settings=settings) as client:
            for word in (RARE, FREQUENT):
                found = partial(client.search_insights, word, limit=_PAGE)
                yield key(SEARCH, contacts, word), _measured(found)
            page = partial(client.list_insights, limit=_PAGE)
            yield key(FIRST, contacts), _measured(partial(page, offset=0))
            end = contacts - _PAGE
            # As after the page before it; the first call passes over all rows.
            yield key(ELSEWHERE, contacts), _measured(partial(page, offset=end), calls=1)
            yield key(FAR, contacts), _measured(partial(page, offset=end))


def key(what: str, contacts: int, word: str = "") -> str:
    """The name of a measurement."""
    return f"insights-{what}/{contacts}" + (f"/{word}" if word else "")


def _measured(call: Callable[[], list[object]], calls: int = _CALLS) -> Measurement:
    """The median of several calls; each must find something."""
    seconds = []
    for _ in range(calls):
        began = time.perf_counter()
        found = call()
        seconds.append(time.perf_counter() - began)
        if not found:
            raise SystemExit("A client found nothing in a table that was filled.")
    return Measurement(statistics.median(seconds))
