"""What answers of Airtable mean: our errors for those of pyairtable."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from imports.errors import (
    BackendError,
    BackendUnavailableError,
    DataRefusedError,
    ImporterError,
)

if TYPE_CHECKING:
    from requests import RequestException, Response

_RECORD = re.compile(r"\brec[A-Za-z0-9]{14}\b")
_FIELD = re.compile(r'[Ff]ield "?([^"]+?)"? cannot accept')
_CHECK = "`resilient-importer airtable-sync --check` compares airtable.toml with the base."
_LONGEST_TEXT = 300


class RefusedRecordError(DataRefusedError):
    """Airtable refused a request because of one of its records; it changed nothing.

    `field` is the field that the answer names, if it names one.
    """

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class MissingRecordError(RefusedRecordError):
    """A request names a record, `record_id`, that does not exist any more."""

    def __init__(self, message: str, record_id: str) -> None:
        super().__init__(message)
        self.record_id = record_id


class UnsureError(ImporterError):
    """There was no answer to a request: it may or may not have changed the base."""

    exit_code = BackendUnavailableError.exit_code


class TooManyRequestsError(BackendUnavailableError):
    """Airtable refuses every request for a while, since there were too many."""


class Problem(NamedTuple):
    """The type and the message in an unsuccessful answer."""

    type: str
    message: str


def error_for(error: RequestException) -> ImporterError:
    """Our error for an exception of a request."""
    from requests import exceptions

    if isinstance(error, exceptions.HTTPError) and error.response is not None:
        return answer_error(error.response)
    reason = str(error)[:_LONGEST_TEXT]
    if isinstance(error, exceptions.SSLError):
        return BackendError(
            f"The TLS connection to Airtable failed: {reason}. If your network replaces"
            " certificates by its own, set REQUESTS_CA_BUNDLE to those of its authority."
        )
    if isinstance(error, (exceptions.InvalidURL, exceptions.MissingSchema, exceptions.ProxyError)):
        return BackendError(
            f"No request can be sent to Airtable: {reason}. Check endpoint_url in airtable.toml,"
            " and the variable HTTPS_PROXY."
        )
    if _was_never_sent(error):
        return BackendUnavailableError(f"Airtable cannot be reached: {reason}.")
    return UnsureError(f"Airtable did not answer: {reason}.")


def answer_error(response: Response) -> ImporterError:
    """Our error for an unsuccessful answer."""
    status, problem = response.status_code, problem_in(response)
    says = f"{problem.type}: {problem.message} (HTTP {status})"
    if status == 401:
        return BackendError(
            f"Airtable refuses the key: {says}. Check AIRTABLE_API_KEY: it must be a personal"
            " access token (pat…) that was not revoked."
        )
    if status == 403:
        return BackendError(
            f"The key has no right to do this: {says}. The token in AIRTABLE_API_KEY needs the"
            " scopes data.records:read and data.records:write, and the base in its access list;"
            f" base and tables in airtable.toml must exist. {_CHECK}"
        )
    if status == 404:
        return BackendError(f"Airtable has no such base or table: {says}. {_CHECK}")
    if status == 429:
        if "BILLING_LIMIT" in says:
            return BackendError(
                "The calls of this month are used up, for all programs that use this workspace:"
                f" {says}. Wait for the next month, or choose another plan; the same command"
                " continues."
            )
        return TooManyRequestsError(f"Airtable had too many requests: {says}.", locked=True)
    if status >= 500 or status == 408:
        return UnsureError(f"Airtable cannot process the request now: {says}.")
    return _refusal(problem, says)


def _refusal(problem: Problem, says: str) -> ImporterError:
    if problem.type == "UNKNOWN_FIELD_NAME" or "Unknown field name" in problem.message:
        return BackendError(f"The base lacks a field that airtable.toml names: {says}. {_CHECK}")
    if problem.type == "INVALID_MULTIPLE_CHOICE_OPTIONS":
        return BackendError(
            f"A choice is missing in a field: {says}. Add this choice to the field"
            " note_submission_type in Airtable, or correct `type` in airtable.toml."
        )
    if problem.type == "INVALID_FILTER_BY_FORMULA":
        return BackendError(
            f"Members cannot be found by the field contact_id of airtable.toml: {says}. {_CHECK}"
        )
    if problem.type == "LIST_RECORDS_ITERATOR_NOT_AVAILABLE":
        return BackendUnavailableError(f"Airtable has ended a list of records: {says}.")
    record = _RECORD.search(problem.message)
    if problem.type == "ROW_DOES_NOT_EXIST" and record is not None:
        return MissingRecordError(says, record[0])
    field = _FIELD.search(problem.message)
    return RefusedRecordError(says, field=field[1] if field else None)


def problem_in(response: Response) -> Problem:
    """What an unsuccessful answer says; Airtable has several forms for it."""
    try:
        body = response.json()
        found = body["errors"][0] if "errors" in body else body["error"]
        if isinstance(found, str):
            return Problem(found, str(response.reason))
        kind = found.get("type") or found["error"]
        return Problem(str(kind), str(found.get("message") or response.reason)[:_LONGEST_TEXT])
    except (ValueError, LookupError, TypeError, AttributeError):
        return Problem("no error of Airtable", " ".join(response.text.split())[:_LONGEST_TEXT])


def _was_never_sent(error: RequestException) -> bool:
    """Whether the connection was refused before anything was sent."""
    from requests.exceptions import ConnectTimeout
    from urllib3.exceptions import NewConnectionError

    cause = getattr(error.args[0] if error.args else None, "reason", None)
    return isinstance(error, ConnectTimeout) or isinstance(cause, NewConnectionError)
