"""The records of the kind `people`: converting a page into rows, with nothing lost."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from imports.errors import RecordError
from imports.items.images import Image
from imports.kinds.kind import KindAggregate, KindRecord, RecordProblem
from imports.kinds.people.parts import (
    COMPANY,
    EXPERIENCE,
    EXPERIENCE_PARTS,
    EXPERIENCES,
    IN_COMPANY,
    IN_EXPERIENCE,
    IN_OFFICE,
    IN_PROFILE,
    IN_RESUME,
    NO_PROFILE,
    OF_COMPANY,
    OF_OFFICE,
    OFFICE,
    PEOPLE,
    PROFILE,
    PROFILE_PARTS,
    PROFILES,
    RECORD,
    RESUME,
    RESUME_PARTS,
    Part,
    Shared,
)
from imports.kinds.shapes import Rest, Rows, Slots, fill, is_empty, joined
from imports.source.cleaning import Tally, clean_text, json_type, shortened
from imports.source.json_text import as_json

NAMESPACE = UUID("8b0c1f0e-6a52-5d0b-9c39-2f6f5a1f7c44")
"""The namespace of all our identifiers. Never change it: stored rows would not be found."""


@dataclass(frozen=True, slots=True)
class Page:
    """Unconverted records of a file; `first` is the index of the first one."""

    path: str
    first: int
    results: list[Any]


def records(
    page: Page, images: Sequence[Image | None], tally: Tally
) -> list[KindRecord | RecordProblem]:
    """A record, or a problem, for each element of the results, in their order."""
    # On demand: the command line loads the kinds, and `--help` parses nothing.
    import orjson

    from imports.source.json_flaws import UnreadableValue

    encode = partial(as_json, option=orjson.OPT_SORT_KEYS)
    found: list[KindRecord | RecordProblem] = []
    for number, record in enumerate(page.results, page.first):
        if isinstance(record, UnreadableValue):
            found.append(RecordProblem(_label(record.value), record.reason))
            continue
        try:
            reader = _RecordReader(f"{page.path}#{number:06d}", encode, tally)
            found.append(reader.record(record))
        except RecordError as error:
            found.append(RecordProblem(_label(record), str(error)))
    return found


def identifier(name: str) -> str:
    """The UUIDv5 of a natural key, as text."""
    # `uuid.uuid5` does the same, but takes three times as long.
    digest = hashlib.sha1(
        NAMESPACE.bytes + name.encode("utf-8", "surrogatepass"), usedforsecurity=False
    ).hexdigest()
    variant = "89ab"[int(digest[16], 16) & 3]
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:32]}"


class _RecordReader:
    """Builds the aggregates of one record; `source` is its file and index."""

    __slots__ = ("aggregates", "encode", "source", "tally", "timestamp")

    def __init__(self, source: str, encode: Callable[[object], bytes], tally: Tally) -> None:
        self.source = source
        self.encode = encode
        self.tally = tally
        self.timestamp: datetime | None = None
        self.aggregates: dict[str, KindAggregate] = {}

    def record(self, record: Any) -> KindRecord:
        """The record of a person.

        Raises:
            RecordError: if it cannot be used.
        """
        (profile, resume), rest = self._values_and_rest(RECORD, record, "the record")
        if profile is None:
            raise RecordError("profile_data is missing")
        values, left = self._values_and_rest(PROFILE, profile, "profile_data")
        profile_id, modified = values[0], values[6]
        if profile_id is None:
            raise RecordError("profile_data.profile_id is missing")
        _refuse_unread(left, "profile_data", "profile_last_modified_date")
        self.timestamp = modified
        person = identifier(f"person/{profile_id}")
        key = (person,)
        rows: Rows = []
        if values[7:IN_PROFILE] != NO_PROFILE:
            rows.append((PROFILES, (person, *values[7:IN_PROFILE])))
        left = self._add(PROFILE_PARTS, values[IN_PROFILE:], key, "profile_data.", rows, left)
        if left is not None:
            rest = rest or {}
            rest["profile_data"] = left
        resume_modified = None
        if resume is not None:
            resume_values, left = self._values_and_rest(RESUME, resume, "resume_data")
            resume_modified, experiences = resume_values[:IN_RESUME]
            _refuse_unread(left, "resume_data", "resume_last_modified_date")
            # A person is as new as the newer one of profile and résumé.
            self.timestamp = max(filter(None, (modified, resume_modified)), default=None)
            if experiences is not None:
                self._experiences(person, experiences, rows)
            left = self._add(
                RESUME_PARTS, resume_values[IN_RESUME:], key, "resume_data.", rows, left
            )
            if left is not None:
                rest = rest or {}
                rest["resume_data"] = left
        own = (person, *values[:6], modified, resume_modified, rest)
        aggregate = self._aggregate(PEOPLE, own, rows)
        return KindRecord(profile_id, (aggregate, *self.aggregates.values()))

    def _experiences(self, person: str, experiences: Any, rows: Rows) -> None:
        if type(experiences) is not list:
            raise RecordError(f"resume_data.experiences is {json_type(experiences)}, not an array")
        for position, experience in enumerate(experiences):
            if experience is not None:
                self._experience(person, position, experience, rows)

    def _experience(self, person: str, position: int, experience: Any, rows: Rows) -> None:
        place = f"resume_data.experiences[{position}]"
        values, rest = self._values_and_rest(EXPERIENCE, experience, place)
        place += "."
        organisation = office = None
        name = _organisation_name(*values[OF_COMPANY : OF_COMPANY + 3])
        if name is not None:
            organisation = identifier(name)
            root = (organisation, *values[OF_COMPANY:OF_OFFICE])
            parts = values[IN_COMPANY:IN_OFFICE]
            left = self._shared(COMPANY, root, parts, place, experience)
        else:
            left = _raw(experience, COMPANY.names)
        rest = joined(rest, left)
        office_id, office_type, phones = values[OF_OFFICE:IN_COMPANY]
        if organisation is not None and office_id is not None:
            if phones is not None and type(phones) is not list:
                raise RecordError(f"{place}office_phones is {json_type(phones)}, not an array")
            office = identifier(f"office/{organisation}/{office_id}")
            root = (office, organisation, office_id, office_type, phones or None)
            parts = values[IN_OFFICE:IN_EXPERIENCE]
            left = self._shared(OFFICE, root, parts, place, experience)
        else:
            left = _raw(experience, OFFICE.names)
        rest = joined(rest, left)
        # Its own row precedes the rows that it owns.
        children: Rows = []
        rest = self._add(
            EXPERIENCE_PARTS, values[IN_EXPERIENCE:], (person, position), place, children, rest
        )
        own = (person, position, organisation, office, *values[:OF_COMPANY], rest)
        rows.append((EXPERIENCES, own))
        rows.extend(children)

    def _values_and_rest(
        self, scratch: tuple[Slots, list[Any]], value: Any, place: str
    ) -> tuple[list[Any], Rest | None]:
        """The values of an object that have slots, and its rest."""
        slots, blank = scratch
        values = blank.copy()
        return values, fill(values, slots, value, place, self.tally)

    def _add(
        self,
        parts: tuple[Part, ...],
        values: list[Any],
        key: tuple[object, ...],
        place: str,
        rows: Rows,
        rest: Rest | None,
    ) -> Rest | None:
        """Adds the rows of the parts of an object. Returns its rest, extended by their rests."""
        for (name, add, shape), value in zip(parts, values, strict=True):
            if value is not None:
                left = add(shape, key, value, place + name, rows, self.tally)
                if left is not None:
                    rest = rest or {}
                    rest[name] = left
        return rest

    def _shared(
        self,
        what: Shared,
        root: tuple[object, ...],
        values: list[Any],
        place: str,
        experience: dict[str, Any],
    ) -> Rest | None:
        """Adds the aggregate of an organisation or office. Returns the rest for the experience.

        If an earlier experience of the record has other values for it, the rest has all values.
        """
        children: Rows = []
        left = self._add(what.parts, values, root[:1], place, children, None)
        aggregate = self._aggregate(what.table, root, children)
        known = self.aggregates.setdefault(str(root[0]), aggregate)
        if known is aggregate or known.rows[0] == aggregate.rows[0]:
            return left
        return _raw(experience, what.names)

    def _aggregate(self, table: int, values: tuple[object, ...], children: Rows) -> KindAggregate:
        timestamp = self.timestamp
        content = self.encode((values, children))
        signature = hashlib.blake2b(content, digest_size=16).hexdigest()
        return KindAggregate(
            ((table, (*values, timestamp, self.source, signature)), *children),
            str(values[0]),
            timestamp.isoformat(timespec="microseconds") if timestamp is not None else "",
            self.source,
        )


def _organisation_name(id_: str | None, name: str | None, domain: str | None) -> str | None:
    """The natural key of a company: from its id, else its domain, else its name."""
    if id_ is not None:
        return f"organisation/{id_}"
    if domain is not None:
        return f"organisation-domain/{domain.lower()}"
    if name is not None:
        return f"organisation-name/{name}"
    return None


def _refuse_unread(rest: Rest | None, place: str, name: str) -> None:
    """Refuses a date that could not be read: we must not guess which record is newer.

    Raises:
        RecordError: if the date is in the rest.
    """
    if rest is not None and name in rest:
        shown = shortened(repr(rest[name]))
        raise RecordError(f"{place}.{name} cannot be read as a date: {shown}")


def _raw(value: dict[str, Any], names: tuple[str, ...]) -> Rest | None:
    """The unconverted values of an object with these names, without empty ones."""
    rest = {
        name: each for name in names if (each := value.get(name)) is not None and not is_empty(each)
    }
    return rest or None


def _label(record: Any) -> str:
    """The label of a record that cannot be used: its profile id, if it has one."""
    from imports.source.json_flaws import readable

    try:
        label = clean_text(record["profile_data"]["profile_id"], Tally()) or ""
    except (KeyError, TypeError, ValueError, IndexError):
        return ""
    return readable(label)
