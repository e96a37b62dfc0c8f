"""A small Airtable: a base with records, over HTTP, that enforces the documented limits.

Written from Airtable's public documentation of its Web API: ten records a request, all or none;
five requests a second, else no answer but 429 for 30 s; pages of 100; formulas with names of fields
only; calls of a month.
"""

from __future__ import annotations

import json
import random
import re
import string
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

KEY = "patTESTTESTTEST.0123456789"
BASE = "appTESTTESTTEST01"
LONGEST_TEXT = 100_000
LONGEST_URL = 16_000

_TERM = re.compile(r"(?:\{((?:[^{}\\]|\\.)*)\}|(RECORD_ID\(\)))='((?:[^'\\]|\\.)*)'")


class RefusedError(Exception):
    """An unsuccessful answer."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(status)
        self.status, self.body = status, body


def refused(status: int, kind: str, message: str) -> RefusedError:
    return RefusedError(status, {"error": {"type": kind, "message": message}})


@dataclass
class Field:
    """A field. A link names the table and the field at its other end; a select has choices."""

    id: str
    name: str
    type: str
    linked: str = ""
    inverse: str = ""
    choices: tuple[str, ...] = ()

    def as_schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = {"id": self.id, "name": self.name, "type": self.type}
        if self.type == "multipleRecordLinks":
            schema["options"] = {
                "linkedTableId": self.linked,
                "isReversed": False,
                "prefersSingleRecordLink": False,
                **({"inverseLinkFieldId": self.inverse} if self.inverse else {}),
            }
        if self.type == "singleSelect":
            choices = [{"id": f"sel{n:014}", "name": c} for n, c in enumerate(self.choices)]
            schema["options"] = {"choices": choices}
        return schema


@dataclass
class Table:
    """A table with its fields, and its records by id; a record has its values by field id."""

    id: str
    name: str
    fields: list[Field]
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    created: dict[str, str] = field(default_factory=dict)

    def field(self, given: str) -> Field | None:
        return next((each for each in self.fields if given in (each.id, each.name)), None)


def new_id(prefix: str) -> str:
    return prefix + "".join(random.choices(string.ascii_letters + string.digits, k=14))


NOTES = "Note Submission"
MEMBERS = "Master"


def usual_tables() -> list[Table]:
    """The two tables of the earlier program, with the names of its fields."""
    notes, members = "tblNOTESNOTESNOTE", "tblMASTERMASTERMA"
    return [
        Table(
            notes,
            NOTES,
            [
                Field("fldLINKLINKLINK01", "find_by_contact_lookup", "multipleRecordLinks",
                      members, "fldNOTESNOTESNO01"),
                Field("fldTYPETYPETYPE01", "note_submission_type", "singleSelect",
                      choices=("Call", "Elvis")),
                Field("fldCONTENTCONTE01", "note_content", "richText"),
                Field("fldDEALSDEALSDE01", "deals", "multilineText"),
                Field("fldINTROINTROIN01", "introductions", "multilineText"),
            ],
        ),
        Table(
            members,
            MEMBERS,
            [
                Field("fldCONTACTCONTA01", "contact_id", "singleLineText"),
                Field("fldNAMENAMENAME01", "name", "singleLineText"),
                Field("fldNOTESNOTESNO01", "Note Submission", "multipleRecordLinks",
                      notes, "fldLINKLINKLINK01"),
            ],
        ),
    ]  # fmt: skip


class AirtableServer:
    """The base, and what it saw of its callers."""

    def __init__(self, *, per_second: int = 5, rest: float = 30.0, delay: float = 0.0) -> None:
        self.tables = usual_tables()
        self.per_second = per_second
        self.rest = rest
        self.delay = delay
        self.quota: int | None = None
        self.calls: Counter[str] = Counter()
        self.refusals: Counter[int] = Counter()
        self.faults: deque[str] = deque()
        """What happens to the next requests: lost, lost_after, 503, 503_after, page or "" each."""
        self.arrivals: deque[float] = deque()
        self.locked_until = 0.0
        self.url = ""
        self._lock = threading.Lock()

    def table(self, name: str) -> Table:
        found = next((each for each in self.tables if name in (each.id, each.name)), None)
        if found is None:
            message = "Invalid permissions, or the requested model was not found."
            raise refused(403, "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND", message)
        return found

    def add_member(self, contact_id: str) -> str:
        members = self.table(MEMBERS)
        record_id = new_id("rec")
        members.records[record_id] = {"fldCONTACTCONTA01": contact_id}
        members.created[record_id] = _now()
        return record_id

    def add_note(self, member: str, kind: str, content: str = "") -> str:
        notes = self.table(NOTES)
        record_id = new_id("rec")
        notes.records[record_id] = {
            "fldLINKLINKLINK01": [member],
            "fldTYPETYPETYPE01": kind,
            "fldCONTENTCONTE01": content,
        }
        notes.created[record_id] = _now()
        return record_id

    def notes(self, kind: str = "Elvis") -> dict[str, list[dict[str, Any]]]:
        """All notes of a type, by the contact id of their member: names of fields and values."""
        found: dict[str, list[dict[str, Any]]] = {}
        members, table = self.table(MEMBERS), self.table(NOTES)
        for record_id, values in list(table.records.items()):
            if values.get("fldTYPETYPETYPE01") != kind:
                continue
            named = {each.name: values[each.id] for each in table.fields if each.id in values}
            (member,) = values["fldLINKLINKLINK01"]
            contact = members.records[member]["fldCONTACTCONTA01"]
            found.setdefault(contact, []).append({"id": record_id, **named})
        return found

    # Requests

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> Any:
        with self._lock:
            return self._answer(method, path, query, body)

    def _answer(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> Any:
        parts = [unquote(part) for part in path.strip("/").split("/")]
        if parts == ["v0", "meta", "bases", BASE, "tables"] and method == "GET":
            self.calls["schema"] += 1
            return {"tables": [self._schema(table) for table in self.tables]}
        if parts[:1] != ["v0"] or len(parts) not in (3, 4) or parts[1] != BASE:
            raise RefusedError(404, {"error": "NOT_FOUND"})
        self._limit()
        table = self.table(parts[2])
        if method == "POST" and parts[3:] == ["listRecords"]:
            self.calls["list"] += 1
            return self._list(table, body)
        if method == "GET" and len(parts) == 3:
            self.calls["list"] += 1
            options = {name: values[0] for name, values in query.items() if name != "fields[]"}
            return self._list(table, {**options, "fields": query.get("fields[]", [])})
        if method in ("POST", "PATCH") and len(parts) == 3:
            self.calls["create" if method == "POST" else "update"] += 1
            return self._write(table, body, creates=method == "POST")
        raise RefusedError(404, {"error": "NOT_FOUND"})

    def _limit(self) -> None:
        """Five requests a second; who sends more, must rest, and is refused until then."""
        now = time.monotonic()
        if now >= self.locked_until:
            while self.arrivals and self.arrivals[0] <= now - 1.0:
                self.arrivals.popleft()
            self.arrivals.append(now)
            if len(self.arrivals) > self.per_second:
                self.locked_until = now + self.rest
                self.arrivals.clear()
        if now < self.locked_until:
            self.calls["too_many"] += 1
            error = {"error": "RATE_LIMIT_REACHED", "message": "Rate limit exceeded."}
            raise RefusedError(429, {"errors": [error]})
        if self.quota is not None and sum(self.calls.values()) >= self.quota:
            message = "You've reached the maximum number of requests allowed for this month."
            error = {"error": "PUBLIC_API_BILLING_LIMIT_EXCEEDED", "message": message}
            raise RefusedError(429, {"errors": [error]})

    def _schema(self, table: Table) -> dict[str, Any]:
        return {
            "id": table.id,
            "name": table.name,
            "primaryFieldId": table.fields[0].id,
            "fields": [each.as_schema() for each in table.fields],
            "views": [],
        }

    def _list(self, table: Table, options: dict[str, Any]) -> dict[str, Any]:
        wanted = [self._known(table, each) for each in options.get("fields") or []]
        size = int(options.get("pageSize", 100))
        if not 1 <= size <= 100:
            raise refused(422, "INVALID_PAGE_SIZE", "The page size is not valid.")
        matches = self._formula(table, options.get("filterByFormula") or "")
        found = [record_id for record_id in sorted(table.records) if matches(record_id)]
        start = int(str(options.get("offset") or "itr/0").rpartition("/")[2])
        by_id = str(options.get("returnFieldsByFieldId", "")).lower() in ("1", "true")
        page = found[start : start + size]
        answer: dict[str, Any] = {
            "records": [self._record(table, each, wanted or table.fields, by_id) for each in page]
        }
        if start + size < len(found):
            answer["offset"] = f"itr/{start + size}"
        return answer

    def _formula(self, table: Table, formula: str) -> Any:
        """The only formula that is understood: any of some values of fields or record ids."""
        if not formula:
            return lambda record_id: True
        inner = formula.removeprefix("OR(").removesuffix(")")
        terms, end = [], 0
        for match in _TERM.finditer(inner):
            if inner[end : match.start()] not in ("", ","):
                break
            terms.append(match)
            end = match.end()
        if not formula.startswith("OR(") or end != len(inner):
            raise _bad_formula("please check your formula text.")
        by_value: dict[str, set[str]] = {}
        for name, _, text in (match.groups() for match in terms):
            key = re.sub(r"\\(.)", r"\1", name) if name is not None else "RECORD_ID()"
            by_value.setdefault(key, set()).add(re.sub(r"\\(.)", r"\1", text))
        fields = {name: each for each in table.fields if (name := each.name) in by_value}
        # Formulas do not know the ids of fields.
        if unknown := by_value.keys() - fields.keys() - {"RECORD_ID()"}:
            raise _bad_formula(f"Unknown field names: {', '.join(sorted(unknown)).lower()}")

        def matches(record_id: str) -> bool:
            if record_id in by_value.get("RECORD_ID()", ()):
                return True
            values = table.records[record_id]
            # Not case-sensitive, so that nobody relies on it.
            return any(
                str(values.get(each.id, "")).lower() in {text.lower() for text in by_value[name]}
                for name, each in fields.items()
            )

        return matches

    def _record(
        self, table: Table, record_id: str, fields: list[Field], by_id: bool
    ) -> dict[str, Any]:
        shown = {}
        for each in fields:
            value = table.records[record_id].get(each.id)
            if each.type == "multipleRecordLinks" and table.name == MEMBERS:
                value = [
                    other
                    for other, values in self.table(NOTES).records.items()
                    if record_id in values.get(each.inverse, ())
                ]
            # An empty field is missing.
            if value not in (None, "", []):
                shown[each.id if by_id else each.name] = value
        return {"id": record_id, "createdTime": table.created[record_id], "fields": shown}

    def _write(self, table: Table, body: Any, *, creates: bool) -> dict[str, Any]:
        records = body["records"]
        if not 1 <= len(records) <= 10:
            message = "Invalid request: parameter validation failed. Check your request data."
            raise refused(422, "INVALID_REQUEST_UNKNOWN", message)
        changes = []
        for each in records:
            record_id = new_id("rec") if creates else each["id"]
            if not creates and record_id not in table.records:
                message = f"Record ID {record_id} does not exist in this table"
                raise refused(422, "ROW_DOES_NOT_EXIST", message)
            values = {}
            for name, value in each["fields"].items():
                values[self._known(table, name).id] = self._valid(self._known(table, name), value)
            changes.append((record_id, values))
        # All or none.
        for record_id, values in changes:
            table.created.setdefault(record_id, _now())
            table.records[record_id] = {**table.records.get(record_id, {}), **values}
        by_id = bool(body.get("returnFieldsByFieldId"))
        return {
            "records": [
                self._record(table, record_id, table.fields, by_id) for record_id, _ in changes
            ]
        }

    def _known(self, table: Table, name: str) -> Field:
        found = table.field(name)
        if found is None:
            raise refused(422, "UNKNOWN_FIELD_NAME", f'Unknown field name: "{name}"')
        return found

    def _valid(self, target: Field, value: Any) -> Any:
        if value is None:
            return None
        if target.type == "multipleRecordLinks":
            for record_id in value:
                if record_id not in self.table(target.linked).records:
                    message = f"Record ID {record_id} does not exist"
                    raise refused(422, "ROW_DOES_NOT_EXIST", message)
            return list(value)
        if target.type == "singleSelect" and value not in target.choices:
            message = f'Insufficient permissions to create new select option ""{value}""'
            raise refused(422, "INVALID_MULTIPLE_CHOICE_OPTIONS", message)
        if not isinstance(value, str) or len(value) > LONGEST_TEXT:
            message = f'Field "{target.name}" cannot accept the provided value'
            raise refused(422, "INVALID_VALUE_FOR_COLUMN", message)
        return value


def _bad_formula(why: str) -> RefusedError:
    message = f"The formula for filtering records is invalid: {why}"
    return refused(422, "INVALID_FILTER_BY_FORMULA", message)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Callers are killed."""


@contextmanager
def airtable(
    *, per_second: int = 5, rest: float = 30.0, delay: float = 0.0
) -> Iterator[AirtableServer]:
    """A running server with an empty base."""
    server = AirtableServer(per_second=per_second, rest=rest, delay=delay)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def handle_any(self) -> None:
            content = self.rfile.read(int(self.headers.get("content-length") or 0))
            fault = server.faults.popleft() if server.faults else ""
            if fault == "lost":
                self.close_connection = True
                return
            status, body = (503, {}) if fault == "503" else self.result(content)
            if fault == "lost_after":
                self.close_connection = True
                return
            if fault == "503_after":
                status, body = 503, {}
            if server.delay:
                time.sleep(server.delay)
            payload = b"<html>Sign in</html>" if fault == "page" else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def result(self, content: bytes) -> tuple[int, Any]:
            address = urlsplit(self.path)
            try:
                if len(f"{server.url}{self.path}") > LONGEST_URL:
                    raise refused(414, "REQUEST_URI_TOO_LONG", "The URL is too long.")
                if self.headers.get("authorization") != f"Bearer {KEY}":
                    raise refused(401, "AUTHENTICATION_REQUIRED", "Authentication required")
                body = json.loads(content) if content else None
                query = parse_qs(address.query)
                return 200, server.answer(self.command, address.path, query, body)
            except RefusedError as answer:
                server.refusals[answer.status] += 1
                return answer.status, answer.body

        do_GET = do_POST = do_PATCH = handle_any  # noqa: N815 - the names are those of the library

    http = _Server(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
