"""A base of Airtable: members are looked up, notes are created, updated and read."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from imports.airtable.answers import TooManyRequestsError, UnsureError, error_for
from imports.airtable.config import AirtableConfig, by_ids, is_field_id
from imports.airtable.limiter import Limiter
from imports.backends.outage import Server
from imports.backends.retry import RetryPolicy, with_retries
from imports.errors import BackendUnavailableError, InterruptedRunError, UsageError

if TYPE_CHECKING:
    from pyairtable import Api, Table
    from pyairtable.models.schema import BaseSchema

R = TypeVar("R")

RECORDS_A_CALL = 10
CONTACTS_A_CALL = 100
"""As many as a page of an answer has."""
_LONGEST_FORMULA = 12_000
_SETTLED_AFTER = 25
"""A request is taken for settled after the time of so many requests: 5 s."""
_TIMEOUTS = (10, 60)
"""Seconds to connect, and without an answer."""


@dataclass(frozen=True, slots=True)
class Member:
    """A record of the table of members, and the records that link to it as their member."""

    id: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StoredNote:
    """A record of the table of notes: its type, and its time of creation in ISO 8601."""

    id: str
    type: str | None
    created: str


class AirtableBase:
    """A base, through pyairtable, which is imported on first use.

    Requests wait for the limiter, and are retried. `calls` counts them, with all retries. All
    methods raise BackendError if the base refuses us, and BackendUnavailableError if it stays away.
    """

    def __init__(
        self, config: AirtableConfig, key: str, policy: RetryPolicy, limiter: Limiter
    ) -> None:
        """Sends no request yet.

        Raises:
            UsageError: if pyairtable is not installed.
        """
        self.config = config
        self.calls = 0
        self._policy = policy
        self._limiter = limiter
        self._server = Server()
        self._api = _api(config, key)
        self._names: dict[str, str] = {}

    @property
    def is_stopping(self) -> bool:
        """Whether the user has asked to stop."""
        return self._policy.stop.is_set()

    def members(self, contacts: Sequence[str]) -> dict[str, list[Member]]:
        """The members with these contact ids, by contact id; there may be several of one id."""
        fields = self.config.master.fields
        name = self._name(fields.contact_id)
        found: dict[str, list[Member]] = {each: [] for each in contacts}
        table = self._table(self.config.master.table)
        wanted = [fields.contact_id, fields.note_submissions]
        for formula in _any_of(_field(name), contacts):
            for record in self._records(table, formula, wanted, by_ids(fields)):
                contact = _text(record["fields"].get(fields.contact_id))
                notes = record["fields"].get(fields.note_submissions) or ()
                # Airtable's comparison may be less strict than ours.
                if contact in found:
                    found[contact].append(Member(record["id"], tuple(notes)))
        return found

    def notes(self, record_ids: Sequence[str]) -> list[StoredNote]:
        """Those of these records that the table of notes has."""
        fields = self.config.note_submission.fields
        table = self._table(self.config.note_submission.table)
        wanted = [fields.note_submission_type]
        return [
            StoredNote(
                record["id"],
                _text(record["fields"].get(fields.note_submission_type)),
                record["createdTime"],
            )
            for formula in _any_of("RECORD_ID()", record_ids)
            for record in self._records(table, formula, wanted, by_ids(fields))
        ]

    def create(self, records: Sequence[dict[str, Any]]) -> list[str]:
        """Creates at most ten notes, all or none; returns the ids of their records.

        Raises:
            UnsureError: if there was no answer: then it is not repeated.
            RefusedRecordError: if Airtable refuses one of them.
        """
        table = self._table(self.config.note_submission.table)
        created = self._ask(lambda: table.batch_create(records), repeats=False)
        return [each["id"] for each in created]

    def update(self, records: Sequence[tuple[str, dict[str, Any]]]) -> None:
        """Updates fields of at most ten notes, by the ids of their records; all or none.

        Raises:
            RefusedRecordError: if Airtable refuses one of them.
        """
        table = self._table(self.config.note_submission.table)
        changes = [{"id": record_id, "fields": fields} for record_id, fields in records]
        self._ask(lambda: table.batch_update(changes))  # type: ignore[arg-type]  # its TypedDict

    def schema(self) -> BaseSchema:
        """All tables and fields of the base."""
        return self._ask(self._api.base(self.config.base).schema)

    def let_settle(self, age: float) -> None:
        """Waits until a request that was sent `age` seconds ago has arrived, or never will."""
        self._limiter.pause(_SETTLED_AFTER / self.config.requests_per_second - age)

    def close(self) -> None:
        """Closes all connections."""
        self._api.session.close()

    def _name(self, field: str) -> str:
        """The name of a field of the members: formulas do not know ids."""
        if not is_field_id(field):
            return field
        if field not in self._names:
            tables = {(each.id, each.name): each for each in self.schema().tables}
            for names, table in tables.items():
                if self.config.master.table in names:
                    self._names |= {each.id: each.name for each in table.fields}
        if field not in self._names:
            raise UsageError(
                f"The table {self.config.master.table} has no field {field}. Correct airtable.toml."
            )
        return self._names[field]

    def _records(
        self, table: Table, formula: str, fields: list[str], use_ids: bool
    ) -> Iterator[dict[str, Any]]:
        options = {"formula": formula, "fields": fields, "use_field_ids": use_ids}
        # Not `Table.iterate`: a request that failed would end it.
        while True:
            page = self._ask(partial(self._page, table, options))
            yield from page["records"]
            if "offset" not in page:
                return
            options["offset"] = page["offset"]

    def _page(self, table: Table, options: dict[str, Any]) -> dict[str, Any]:
        """A page of records. A long formula is sent in the body of the request."""
        urls = table.urls
        found: dict[str, Any] = self._api.request(
            "get", urls.records, fallback=("post", urls.records_post), options=options
        )
        if not isinstance(found["records"], list):
            raise TypeError("no list of records")
        return found

    def _table(self, name: str) -> Table:
        return self._api.table(self.config.base, name)

    def _ask(self, send: Callable[[], R], *, repeats: bool = True) -> R:
        """Sends a request, and repeats it after temporary errors.

        Raises:
            UnsureError: if there was no answer, and the request may not be repeated.
        """

        def attempt() -> R:
            try:
                return self._sent(send)
            except UnsureError as error:
                if not repeats:
                    raise
                raise BackendUnavailableError(str(error)) from error
            except TooManyRequestsError:
                self._limiter.refused()
                raise

        return with_retries(self._policy, self._server, attempt)

    def _sent(self, send: Callable[[], R]) -> R:
        from pydantic import ValidationError
        from requests import RequestException

        self._limiter.wait()
        if self._policy.stop.is_set():
            raise InterruptedRunError("The sync was stopped. The same command continues it.")
        self.calls += 1
        try:
            return send()
        except RequestException as error:
            raise error_for(error) from error
        except (ValidationError, LookupError, TypeError, ValueError) as error:
            raise UnsureError(
                f"An answer did not come from Airtable: {type(error).__name__}. If it happens"
                " again, check endpoint_url in airtable.toml, and any proxy."
            ) from error
        finally:
            self._limiter.sent()


def limiter_for(config: AirtableConfig, stop: threading.Event) -> Limiter:
    """The limiter for a base; a stop ends its waits."""
    return Limiter(config.requests_per_second, sleep=stop.wait)


def _api(config: AirtableConfig, key: str) -> Api:
    try:
        # On demand: an extra, and slow to import.
        from pyairtable import Api
    except ImportError:
        raise UsageError(
            "The package pyairtable is not installed. Install it:"
            " pip install 'resilient-importer[airtable]'"
        ) from None
    # Its retries end after 3 s, and Airtable wants 30 s without a request.
    return Api(key, timeout=_TIMEOUTS, retry_strategy=None, endpoint_url=config.endpoint_url)


def _any_of(value: str, texts: Sequence[str]) -> Iterator[str]:
    """Formulas for records whose value is one of these texts, each of bounded length."""
    from pyairtable.formulas import quoted

    parts: list[str] = []
    length = 0
    for text in texts:
        part = f"{value}={quoted(text)}"
        if parts and (len(parts) == CONTACTS_A_CALL or length + len(part) > _LONGEST_FORMULA):
            yield f"OR({','.join(parts)})"
            parts, length = [], 0
        parts.append(part)
        length += len(part) + 1
    if parts:
        yield f"OR({','.join(parts)})"


def _field(name: str) -> str:
    from pyairtable.formulas import field_name

    return field_name(name)


def _text(value: Any) -> str | None:
    """The text of a field; a look-up field has a list of one."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value if isinstance(value, str) else None
