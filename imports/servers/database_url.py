"""Converting the URL of a database from Supabase, Vercel, Prisma and others for libpq.

Parameters for other drivers, which libpq does not know, are removed. Unknown parameters are errors
that name them. No message shows a part of the password.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from imports.errors import UsageError

_BEGIN = re.compile(r"(postgres(?:ql)?)(?:\+\w+)?://")
_PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,40}")

# Settings of connection pools, caches and timeouts of other programs, which do not matter for us.
# Never add a parameter that makes a connection safer: we must not remove such a parameter.
# fmt: off
_OF_OTHERS = frozenset((
    # Supabase, Vercel
    "supa", "workaround", "pgbouncer", "pool_mode",
    # Prisma
    "connection_limit", "pool_timeout", "socket_timeout", "statement_cache_size",
    "single_use_connections", "max_connection_lifetime", "max_idle_connection_lifetime",
    # node-postgres, postgres.js
    "uselibpqcompat", "max", "min", "idle_timeout", "max_lifetime", "prepare", "fetch_types",
    "query_timeout", "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout",
    "connectionTimeoutMillis", "idleTimeoutMillis",
    # Rails, Django, SQLAlchemy, asyncpg
    "pool", "pool_size", "max_overflow", "checkout_timeout", "reaping_frequency",
    "idle_check_interval", "encoding", "prepared_statements", "statement_limit", "advisory_locks",
    "timeout", "conn_max_age", "conn_health_checks", "prepared_statement_cache_size",
    "command_timeout", "min_size", "max_size", "async_fallback",
    # JDBC, Go, Rust
    "prepareThreshold", "preparedStatementCacheQueries", "reWriteBatchedInserts", "socketTimeout",
    "loginTimeout", "ApplicationName", "stringtype", "pool_max_conns", "pool_min_conns",
    "pool_max_conn_lifetime", "pool_max_conn_idle_time", "pool_health_check_period",
    "default_query_exec_mode", "statement_cache_capacity", "description_cache_capacity",
    "binary_parameters", "statement-cache-capacity", "timezone", "TimeZone",
))
# fmt: on
_SCHEMAS = frozenset({"schema", "currentSchema", "search_path", "schema_search_path"})
_SWITCHES = {"true": "require", "1": "require", "false": "disable", "0": "disable"}
_NO_VERIFY = "no-verify"


@dataclass(frozen=True, slots=True)
class DatabaseURL:
    """A URL that libpq accepts.

    `left_out` has the names of the removed parameters. `other_schemas` has the schemas in the URL
    other than that of our tables.
    """

    text: str
    left_out: tuple[str, ...] = ()
    other_schemas: tuple[str, ...] = ()

    def parts(self) -> dict[str, str]:
        """The parameters of the connection, including the password."""
        return _parse(self.text)

    @property
    def location(self) -> str:
        """Database and hosts for messages, without user and password."""
        parts = self.parts()
        name = parts.get("dbname", "postgres")
        hosts = parts.get("host", "").split(",")
        ports = parts.get("port", "").split(",")
        if hosts == [""] and "service" in parts:
            return f"database {name} of service {parts['service']}"
        if all(host.startswith("/") or not host for host in hosts):
            return f"database {name} on a local socket"
        if len(ports) < len(hosts):
            ports = ports[:1] * len(hosts)
        pairs = zip(hosts, ports, strict=False)
        return f"database {name} on {','.join(f'{host}:{port or 5432}' for host, port in pairs)}"


def understood(url: str) -> DatabaseURL:
    """Converts a URL for libpq.

    Raises:
        UsageError: if it is not a PostgreSQL URL, would be misread, or has an unknown parameter.
    """
    begin = _BEGIN.match(url)
    if begin is None:
        raise UsageError("DATABASE_URL must begin with postgresql://.")
    front, _, query = url.partition("?")
    front = f"{begin[1]}://{front[begin.end() :]}"
    _check_front(front)
    kept, left_out, schemas = [], [], []
    pairs = [_pair(part) for part in query.split("&") if part]
    names = {name for name, _ in pairs}
    for name, value in pairs:
        if name == "ssl":
            # For node-postgres and JDBC a boolean; asyncpg has the values of sslmode here.
            name, value = "sslmode", _SWITCHES.get(value, value)
            if "sslmode" in names:
                continue
        if name == "sslmode" and value == _NO_VERIFY:
            value = "require"
        if name in _SCHEMAS:
            schemas += [each for each in unquote(value).split(",") if each.strip(' "') != "public"]
            left_out.append(name)
        elif name in _OF_OTHERS:
            left_out.append(name)
        elif _is_known(name):
            # Some URLs have options=-c%20x=1, but libpq needs a percent-encoded `=`.
            kept.append(f"{name}={value.replace('=', '%3D')}")
        else:
            raise _unknown(name, query)
    text = f"{front}?{'&'.join(kept)}" if kept else front
    _check_hosts(_parse(text))
    return DatabaseURL(text, tuple(left_out), tuple(schemas))


def _pair(part: str) -> tuple[str, str]:
    name, _, value = part.partition("=")
    return unquote(name), value


def _is_known(name: str) -> bool:
    """Whether libpq has a parameter with this name."""
    from psycopg2 import ProgrammingError
    from psycopg2.extensions import parse_dsn

    if _PLAIN_NAME.fullmatch(name) is None:
        return False
    try:
        parse_dsn(f"postgresql://?{name}=")
    except ProgrammingError:
        return False
    return True


def _parse(text: str) -> dict[str, str]:
    # On demand: settings are also read if there is no database.
    from psycopg2 import ProgrammingError
    from psycopg2.extensions import parse_dsn

    try:
        parts: dict[str, str] = parse_dsn(text)
    except (ProgrammingError, ValueError):
        # `from None`: its message may contain a part of the password.
        raise _misread() from None
    return parts


def _check_front(front: str) -> None:
    """Refuses a URL that libpq would misread: an @ after the host belongs to a password."""
    if "@" in front.split("://", 1)[1].partition("/")[2]:
        raise _misread()
    _check_hosts(_parse(front))


def _check_hosts(parts: dict[str, str]) -> None:
    ports = parts.get("port", "").split(",")
    if "@" in parts.get("host", "") or not all(_is_port(port) for port in ports):
        raise _misread()


def _is_port(port: str) -> bool:
    """Whether this is a valid port, or empty for the default port."""
    return not port or (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65_536)


def _misread() -> UsageError:
    return UsageError(
        "DATABASE_URL cannot be read: it has no valid host and port. Characters like @ / % : # in"
        " the user or the password must be percent-encoded (@ is %40)."
    )


def _unknown(name: str, query: str) -> UsageError:
    # A part of a password with a question mark would appear here as the name of a parameter.
    if "@" in query or _PLAIN_NAME.fullmatch(name) is None:
        return UsageError(
            "DATABASE_URL has text after its ? that is not a parameter. A ? in the user or the"
            " password must be percent-encoded (%3F)."
        )
    return UsageError(
        f"DATABASE_URL has a parameter that PostgreSQL does not know: {name}. Correct or remove it"
        " (the PostgreSQL manual lists the parameters: Parameter Key Words)."
    )
