"""The meaning of PostgreSQL's error codes. Source: PostgreSQL manual, appendix A."""

from __future__ import annotations

import re

from imports.errors import (
    BackendError,
    BackendUnavailableError,
    DataRefusedError,
    ImporterError,
    SchemaError,
    StatementCancelledError,
)

_SCHEMA_CODES = frozenset(
    {
        "3F000",  # invalid schema name
        "42P01",  # undefined table
        "42703",  # undefined column
        "42883",  # undefined function
        "42704",  # undefined object
        "42P10",  # no unique constraint for ON CONFLICT
    }
)
_TEMPORARY_CLASSES = frozenset(
    {
        "08",  # connection exception
        "40",  # serialization failure, deadlock
        "53",  # out of connections, memory or disk
        "55",  # object in use, lock not available
        "57",  # shut down by an operator, cannot connect now
        "58",  # system error
    }
)
_LOCK_NOT_AVAILABLE = "55P03"
_READ_ONLY = "25006"  # a full disk, a failover, a standby
_TEMPORARY_CODES = frozenset(
    {
        _READ_ONLY,
        "25P02",  # the transaction had failed already
        "25P03",  # the transaction was idle for too long
        "25P04",  # the transaction took too long
    }
)
_INDIVISIBLE_CLASSES = frozenset({"53", "55", "58"})
"""No space, lock or disk: a smaller request would fail, too."""

_ADVICE = {
    _READ_ONLY: "The database is read-only. Supabase and others set this when the disk is full:"
    " free space or enlarge the disk (in the dashboard), and end the read-only mode. Or it is a"
    " standby: set the URL of the primary",
    "53100": "The disk of the server is full: free space or enlarge it",
    "53200": "The server is out of memory: give it more, or use a smaller --batch-size",
    "53300": "It has too many connections: close some, or use the URL of a pooler",
    "53400": "A limit in its configuration is reached: raise it",
    _LOCK_NOT_AVAILABLE: "Another session holds a lock on our tables: pg_stat_activity and"
    " pg_locks show which",
    "57P03": "It is starting or recovering",
}
"""What to do about temporary errors that may not end by themselves."""

_DATA_CLASSES = frozenset(
    {
        "21",  # cardinality violation
        "22",  # data exception
        "23",  # constraint violation
        "44",  # check option
        "54",  # program limit exceeded
        "P0",  # raised by a trigger
    }
)
# fmt: off
_OTHER_CLASSES = frozenset((
    "00", "01", "02", "03", "09", "0A", "0B", "0F", "0L", "0P", "0Z", "20",
    "24", "25", "26", "27", "28", "2B", "2D", "2F", "34", "38", "39", "3B",
    "3D", "3F", "42", "72", "F0", "HV", "XX",
))
# fmt: on
INSUFFICIENT_PRIVILEGE = "42501"
_INVALID_PARAMETER = "22023"
_NO_SUCH_ROLE = re.compile(r'role "[^"]*" does not exist')
_QUERY_CANCELED = "57014"


def is_sqlstate(code: str) -> bool:
    """Whether this is a code of PostgreSQL, and not, for example, of a gateway."""
    known = _TEMPORARY_CLASSES | _DATA_CLASSES | _OTHER_CLASSES
    return len(code) == 5 and code[:2] in known


def is_unknown_role(code: str, message: str) -> bool:
    """Whether the database does not know the role of the client; no row is the cause."""
    return code == _INVALID_PARAMETER and _NO_SUCH_ROLE.search(message) is not None


def error_for(code: str, message: str) -> ImporterError:
    """Our error for an SQLSTATE; a cancelled statement may succeed if it is smaller."""
    if code == _QUERY_CANCELED:
        return StatementCancelledError(f"the database cancelled it: {message} (SQLSTATE {code})")
    if code[:2] in _DATA_CLASSES and not is_unknown_role(code, message):
        return DataRefusedError(
            f"the database refused it: {message} (SQLSTATE {code})", sqlstate=code
        )
    if code in _SCHEMA_CODES:
        return SchemaError(
            f"The database lacks a part of our schema: {message} (SQLSTATE {code})."
            " Apply it with `resilient-importer schema apply` or `supabase db push`."
        )
    if code[:2] in _TEMPORARY_CLASSES or code in _TEMPORARY_CODES:
        advice = f" {_ADVICE[code]}." if code in _ADVICE else ""
        return BackendUnavailableError(
            f"The database cannot process the request now: {message} (SQLSTATE {code}).{advice}",
            divisible=code != _READ_ONLY and code[:2] not in _INDIVISIBLE_CLASSES,
            locked=code == _LOCK_NOT_AVAILABLE,
        )
    return BackendError(f"The database refused the request: {message} (SQLSTATE {code}).")
