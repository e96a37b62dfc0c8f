"""Insights in a database, and their sync into a small Airtable."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from imports.airtable.base import AirtableBase
from imports.airtable.config import AirtableConfig, config_from
from imports.airtable.limiter import Limiter
from imports.airtable.outcome import SyncReport
from imports.airtable.selection import Selection
from imports.airtable.syncing import sync
from imports.backends.retry import RetryPolicy
from imports.backends.retrying import RetryingDatabase
from tests.support.airtable_server import BASE, KEY, MEMBERS, AirtableServer
from tests.support.database import connected, query

TEXT = "Sails * a lot\n  * [2024-01-01,ENI-1,recurroo]"


def contact(number: int) -> str:
    return f"CNT-{number:09}"


def config_for(server: AirtableServer, **more: Any) -> AirtableConfig:
    """The configuration for a server."""
    given = {
        "base": BASE,
        "master": {"table": MEMBERS},
        "requests_per_second": server.per_second,
        "endpoint_url": server.url,
        **more,
    }
    return config_from(given)


def toml_for(server: AirtableServer) -> str:
    """The same as a file."""
    return (
        f'base = "{BASE}"\nrequests_per_second = {server.per_second}\n'
        f'endpoint_url = "{server.url}"\n[master]\ntable = "{MEMBERS}"\n'
    )


def add_insights(url: str, contacts: Iterable[str], text: str = TEXT, **columns: Any) -> None:
    """Rows of contacts, with one section; they were written long ago."""
    names = ["contact_id", "insights", "updated_at", *columns]
    insights = json.dumps({"personal": text})
    with connected(url) as connection, connection.cursor() as cursor:
        # Each has a time of its own.
        rows = [
            cursor.mogrify(
                f"({', '.join(['%s', '%s', 'now() - interval %s', *['%s'] * len(columns)])})",
                (each, insights, f"2 days {-number} ms", *columns.values()),
            ).decode()
            for number, each in enumerate(contacts)
        ]
        cursor.execute(
            f"INSERT INTO elvis__structured_insights ({', '.join(names)}) VALUES {', '.join(rows)}"
        )


def change_insights(url: str, contacts: Iterable[str], text: str) -> None:
    """Changes rows, as an import does: their time is now."""
    query(
        url,
        "UPDATE elvis__structured_insights SET insights = jsonb_build_object('personal', %s::text),"
        " version = version + 1 WHERE contact_id = ANY (%s)",
        text,
        list(contacts),
    )


@contextmanager
def base_of(
    server: AirtableServer,
    config: AirtableConfig | None = None,
    *,
    key: str = KEY,
    limiter: Limiter | None = None,
    policy: RetryPolicy | None = None,
) -> Iterator[AirtableBase]:
    """The base of a server; its limiter does not wait unless one is given."""
    config = config or config_for(server)
    policy = policy or RetryPolicy(3, threading.Event())
    limiter = limiter or Limiter(10_000, rest=0.0)
    with closing(AirtableBase(config, key, policy, limiter)) as base:
        yield base


def synced(
    database: RetryingDatabase,
    server: AirtableServer,
    selection: Selection | None = None,
    *,
    config: AirtableConfig | None = None,
    force: bool = False,
) -> SyncReport:
    """Syncs, with a server that is never in a hurry."""
    with base_of(server, config) as base:
        return sync(database, base, selection or Selection(), force=force)
