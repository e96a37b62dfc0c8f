"""Connecting to a PostgreSQL, and what it means when that fails."""

from __future__ import annotations

import re
import socket
from typing import Any, TypeVar

import psycopg2
from psycopg2.extensions import connection as Connection

from imports.errors import BackendError, BackendUnavailableError, ImporterError, UsageError
from imports.servers.database_url import DatabaseURL

C = TypeVar("C", bound=Connection)

# What the URL says goes before. A peer that is gone is noticed within a minute: by keepalives
# while we wait for it, by the user time-out while it should take what we send (milliseconds).
_UNLESS_GIVEN = {
    "connect_timeout": "10",
    "application_name": "resilient-importer",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}

# libpq's and the server's own words, in English: connecting gives no SQLSTATE. A message in
# another language is taken for something that may pass.
_REFUSALS = (
    (
        (
            "does not support SSL",
            "certificate",
            "private key file",
            "channel binding",
            "GSSAPI",
            "authentication method requirement",
            "no protocols available",
            "unsupported protocol",
        ),
        "Check sslmode and what goes with it (sslrootcert, channel_binding, gssencmode …) in"
        " DATABASE_URL and in variables such as PGSSLMODE: the server cannot do what is asked for,"
        " or is not the one that is expected.",
    ),
    (
        ("invalid response to SSL negotiation", "expected authentication request"),
        "What answers there is no PostgreSQL. Check host and port in DATABASE_URL.",
    ),
    (
        (
            "unrecognized configuration parameter",
            "invalid value for parameter",
            "permission denied to set parameter",
            "unsupported startup parameter",
            "invalid command-line argument",
            "requires a value",
        ),
        "Check the options in DATABASE_URL and in PGOPTIONS; a pooler may refuse all of them.",
    ),
    (
        ("enant or user not found", "tenant/user"),
        "Copy the URL of the pooler anew, from Connect in the dashboard of the project: host and"
        " user must be those of one project, the user is postgres.PROJECT. A paused project must"
        " be restored first.",
    ),
    (
        (
            "authentication failed",
            "no password supplied",
            "no pg_hba.conf entry",
            "does not exist",
            "invalid connection option",
            "not permitted",
            "permission denied for database",
        ),
        "Check DATABASE_URL (or --database-url): its user, password and database.",
    ),
)
_PASSING = (
    (
        ("too many", "connection slots", "ax client connections", "MaxClients"),
        "Close connections that are not needed, or use the URL of a pooler.",
    ),
    (
        ("session is read-only", "in hot standby mode", "not read-only"),
        "No host of DATABASE_URL is as target_session_attrs asks.",
    ),
)
_TRY = re.compile(r'connection to server (?:at|on socket) "([^"]*)"(?: \(([^)]*)\))?.*? failed: ')
_OF_OURS = "for connection option"
_NO_ADDRESS = "could not translate host name"
_QUOTED = re.compile(r'"[^"]*"')
_POOLER = (
    " On Supabase take the URL of the Session pooler, from Connect in the dashboard of the"
    " project: it has IPv4."
)


def connect(url: DatabaseURL, factory: type[C]) -> C:
    """Connects. A server that accepts the connection and says nothing more is given up, too.

    Raises:
        UsageError: if libpq refuses what the URL, or a variable such as PGSSLMODE, says.
        BackendError: if it can never succeed as it is configured.
        BackendUnavailableError: if it may pass.
    """
    parameters: dict[str, Any] = {**_UNLESS_GIVEN, **url.parts()}
    # What COPY is fed with, whatever the environment says.
    parameters["client_encoding"] = "UTF8"
    try:
        connection: C = psycopg2.connect(connection_factory=factory, **parameters)
    except psycopg2.Error as error:
        raise connect_error(str(error), url) from error
    return connection


def connect_error(message: str, url: DatabaseURL) -> ImporterError:
    """The error of ours for what libpq said when it did not connect.

    With several hosts, or with and without TLS, it tries several times: only if each of them was
    refused for good, it is.
    """
    tries = [line for line in message.splitlines() if _TRY.match(line) or _NO_ADDRESS in line]
    if not tries or all(_OF_OURS in line for line in tries):
        # It did not come to a try: libpq does not accept what it was given.
        said = message.strip().splitlines()[0].rstrip(".") if message.strip() else "no reason"
        return UsageError(
            f"{url.location} cannot be connected to as it is configured: {said}. Correct"
            " DATABASE_URL, or the variables of PostgreSQL in the environment (PGSSLMODE,"
            " PGSERVICE …)."
        )
    said = "; ".join(dict.fromkeys(each.strip().rstrip(".") for each in tries))
    if _only_over_ipv6(tries):
        return BackendError(
            f"{url.location} has only an IPv6 address, and this machine has no IPv6: {said}. Use a"
            f" host that has an IPv4 address.{_POOLER}"
        )
    advices = [_advice(each, _REFUSALS) for each in tries]
    if all(advices):
        return BackendError(f"{url.location} refuses the connection: {said}. {advices[0]}")
    advice = next(filter(None, (_advice(each, _PASSING) for each in tries)), "")
    if not advice and all(_NO_ADDRESS in each for each in tries):
        advice = "Check the host in DATABASE_URL, and the network of this machine."
        if ".supabase.co" in said:
            advice += (
                " A paused project has no host. Where there is no IPv6, db.….supabase.co may not"
                f" be found either.{_POOLER}"
            )
    return BackendUnavailableError(f"{url.location} cannot be reached: {said}. {advice}".rstrip())


def _advice(line: str, table: tuple[tuple[tuple[str, ...], str], ...]) -> str | None:
    found = _TRY.match(line)
    if found is None:
        return None
    # Names of users and databases are in quotes, and could be anything.
    said = _QUOTED.sub('""', line[found.end() :])
    return next((advice for words, advice in table if any(word in said for word in words)), None)


def _only_over_ipv6(tries: list[str]) -> bool:
    """Whether all that was tried are IPv6 addresses, and this machine reaches only IPv4 ones."""
    found = [_TRY.match(line) for line in tries]
    addresses = [(match[2] or match[1]) for match in found if match is not None]
    return (
        len(addresses) == len(tries)
        and all(":" in address and not _has_route(address) for address in addresses)
        # Else the whole network may be down just now.
        and _has_route("192.0.2.1")
    )


def _has_route(address: str) -> bool:
    """Whether this machine knows a way to an address. Nothing is sent there."""
    aggregate = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(aggregate, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
    except OSError:
        return False
    return True
