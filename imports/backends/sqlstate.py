"""What PostgreSQL's error codes mean for us. Source: PostgreSQL manual, appendix A."""

from __future__ import annotations

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
_PASSING_CLASSES = frozenset(
    {
        "08",  # connection exception
        "40",  # serialization failure, deadlock
        "53",  # out of connections, memory or disk
        "55",  # object in use, lock not available
        "57",  # shut down by an operator, cannot connect now
        "58",  # system error
    }
)
_INDIVISIBLE_CLASSES = frozenset({"53", "55", "58"})
"""No room, no lock, no disk: whatever the request is."""

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
_QUERY_CANCELED = "57014"


def is_sqlstate(code: str) -> bool:
    """Whether this is a code of PostgreSQL's, and not, say, a gateway's own number."""
    known = _PASSING_CLASSES | _DATA_CLASSES | _OTHER_CLASSES
    return len(code) == 5 and code[:2] in known


def error_for(code: str, message: str) -> ImporterError:
    """The error of ours for an SQLSTATE; a statement that was cut short may pass if smaller."""
    if code == _QUERY_CANCELED:
        return StatementCancelledError(f"the database cut it short: {message} (SQLSTATE {code})")
    if code[:2] in _DATA_CLASSES:
        return DataRefusedError(
            f"the database refused it: {message} (SQLSTATE {code})", sqlstate=code
        )
    if code in _SCHEMA_CODES:
        return SchemaError(
            f"The database lacks a part of our schema: {message} (SQLSTATE {code})."
            " Apply it with `resilient-importer schema apply`, or `supabase db push`."
        )
    if code[:2] in _PASSING_CLASSES:
        return BackendUnavailableError(
            f"The database cannot take it just now: {message} (SQLSTATE {code}).",
            divisible=code[:2] not in _INDIVISIBLE_CLASSES,
        )
    return BackendError(f"The database refused to work: {message} (SQLSTATE {code}).")
