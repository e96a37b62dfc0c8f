"""Connecting to a PostgreSQL, and classifying the errors of that."""

from __future__ import annotations

import re
import socket
from typing import Any, TypeVar

import psycopg2
from psycopg2.extensions import connection as Connection

from imports.errors import BackendError, BackendUnavailableError, ImporterError, UsageError
from imports.servers.database_url import DatabaseURL

C = TypeVar("C", bound=Connection)

# Parameters of the URL take precedence. If a peer is gone, we notice it within a minute: by
# keepalives while we wait for it, by tcp_user_timeout (milliseconds) while we send.
_DEFAULTS = {
    "connect_timeout": "10",
    "application_name": "resilient-importer",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}

# Texts of libpq and the server, in English, since errors of connecting have no SQLSTATE. A message
# in another language counts as temporary.
_PERMANENT = (
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
        "Check sslmode and similar parameters (sslrootcert, channel_binding, gssencmode …) in"
        " DATABASE_URL and in variables such as PGSSLMODE: the server does not support them, or is"
        " not the expected server.",
    ),
    (
        ("invalid response to SSL negotiation", "expected authentication request"),
        "The server there is not a PostgreSQL. Check host and port in DATABASE_URL.",
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
        "Copy the URL of the pooler again, from Connect in the dashboard of the project: host and"
        " user must belong to the same project; the user is postgres.PROJECT. A paused project must"
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
_TEMPORARY = (
    (
        ("too many", "connection slots", "ax client connections", "MaxClients"),
        "Close unused connections, or use the URL of a pooler.",
    ),
    (
        ("session is read-only", "in hot standby mode", "not read-only"),
        "No host of DATABASE_URL satisfies target_session_attrs.",
    ),
)
_TRY = re.compile(r'connection to server (?:at|on socket) "([^"]*)"(?: \(([^)]*)\))?.*? failed: ')
_OF_OURS = "for connection option"
_NO_ADDRESS = "could not translate host name"
_QUOTED = re.compile(r'"[^"]*"')
_POOLER = (
    " With Supabase, use the URL of the Session pooler, from Connect in the dashboard of the"
    " project: it has IPv4."
)


def connect(url: DatabaseURL, factory: type[C]) -> C:
    """Connects to a server; the timeout includes a server that accepts but does not answer.

    Raises:
        UsageError: if libpq refuses a parameter of the URL, or a variable such as PGSSLMODE.
        BackendError: if this configuration can never succeed.
        BackendUnavailableError: if the error may be temporary.
    """
    parameters: dict[str, Any] = {**_DEFAULTS, **url.parts()}
    # COPY sends UTF-8, whatever the environment says.
    parameters["client_encoding"] = "UTF8"
    try:
        connection: C = psycopg2.connect(connection_factory=factory, **parameters)
    except psycopg2.Error as error:
        raise connect_error(str(error), url) from error
    return connection


def connect_error(message: str, url: DatabaseURL) -> ImporterError:
    """Our error for libpq's message about a failed connection.

    libpq tries several times if there are several hosts, or with and without TLS. The error is
    permanent only if each try failed permanently.
    """
    tries = [line for line in message.splitlines() if _TRY.match(line) or _NO_ADDRESS in line]
    if not tries or all(_OF_OURS in line for line in tries):
        # There was no try: libpq refuses a parameter.
        said = message.strip().splitlines()[0].rstrip(".") if message.strip() else "no reason"
        return UsageError(
            f"The connection to {url.location} is configured wrongly: {said}. Correct"
            " DATABASE_URL, or the variables of PostgreSQL in the environment (PGSSLMODE,"
            " PGSERVICE …)."
        )
    said = "; ".join(dict.fromkeys(each.strip().rstrip(".") for each in tries))
    if _only_over_ipv6(tries):
        return BackendError(
            f"{url.location} has only an IPv6 address, and this machine has no IPv6: {said}. Use a"
            f" host with an IPv4 address.{_POOLER}"
        )
    advices = [_advice(each, _PERMANENT) for each in tries]
    if all(advices):
        return BackendError(f"{url.location} refuses the connection: {said}. {advices[0]}")
    advice = next(filter(None, (_advice(each, _TEMPORARY) for each in tries)), "")
    if not advice and all(_NO_ADDRESS in each for each in tries):
        advice = "Check the host in DATABASE_URL, and the network of this machine."
        if ".supabase.co" in said:
            advice += (
                " A paused project has no host. Without IPv6, db.….supabase.co may not be found"
                f" either.{_POOLER}"
            )
    return BackendUnavailableError(f"{url.location} cannot be reached: {said}. {advice}".rstrip())


def _advice(line: str, table: tuple[tuple[tuple[str, ...], str], ...]) -> str | None:
    found = _TRY.match(line)
    if found is None:
        return None
    # Without quoted text: names of users and databases could contain these words.
    said = _QUOTED.sub('""', line[found.end() :])
    return next((advice for words, advice in table if any(word in said for word in words)), None)


def _only_over_ipv6(tries: list[str]) -> bool:
    """Whether only IPv6 addresses were tried, and this machine has only IPv4."""
    found = [_TRY.match(line) for line in tries]
    addresses = [(match[2] or match[1]) for match in found if match is not None]
    return (
        len(addresses) == len(tries)
        and all(":" in address and not _has_route(address) for address in addresses)
        # Without IPv4 too, the whole network may be down.
        and _has_route("192.0.2.1")
    )


def _has_route(address: str) -> bool:
    """Whether this machine has a route to an address. Sends nothing."""
    aggregate = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(aggregate, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
    except OSError:
        return False
    return True
