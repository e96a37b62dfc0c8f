"""The records of the kind `people`: converting a page into rows, with nothing lost."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from imports.errors import RecordError
from imports.kinds.kind import (
    KindAggregate,
    KindRecord,
    RecordProblem,
)
from imports.kinds.people import tables as t
from imports.kinds.shapes import (
    Add,
    Rest,
    Rows,
    Shape,
    Slots,
    fill,
    is_empty,
    joined,
    listed,
    named,
    scratch,
    shape_of,
    single,
)
from imports.source.cleaning import Tally, clean_text, json_type, shortened
from imports.source.json_text import as_json
from imports.tables.table import Table
from imports.work_item import Image

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


class _Part(NamedTuple):
    """A value of an object that becomes rows of its own: its name, and how to convert it."""

    name: str
    add: Add
    shape: Shape


class _Shared(NamedTuple):
    """Companies or offices, which experiences share: the table, the parts, all names."""

    table: int
    parts: tuple[_Part, ...]
    names: tuple[str, ...]


def _shape(table: Table, **names: str | dict[str, str]) -> Shape:
    return shape_of(t.GROUP, table, names)


def _without(shape: Shape, name: str) -> Shape:
    """The shape without the slot of a value that has another source."""
    return shape._replace(slots={each: shape.slots[each] for each in shape.slots if each != name})


_WEB_ADDRESS = {"url": "web_address_url", "rank": "web_address_rank"}
_ITEM_WITH_WEB_ADDRESS = {"web_address": _WEB_ADDRESS}

_PROFILE_PARTS = (
    _Part("profile_gender", single, _shape(t.GENDERS)),
    _Part("profile_social_links", listed, _shape(t.SOCIAL_LINKS)),
    _Part("profile_status", single, _shape(t.STATUSES)),
    _Part("profile_emails", listed, _shape(t.EMAILS)),
    _Part("profile_phones", listed, _shape(t.PHONES)),
    _Part("profile_address", single, _shape(t.ADDRESSES)),
)
_RESUME_PARTS = (
    _Part(
        "educations",
        listed,
        _shape(t.EDUCATIONS, educational_establishment_web_address=_WEB_ADDRESS),
    ),
    _Part("certifications", listed, _shape(t.CERTIFICATIONS, **_ITEM_WITH_WEB_ADDRESS)),
    _Part("memberships", listed, _shape(t.MEMBERSHIPS, **_ITEM_WITH_WEB_ADDRESS)),
    _Part("publications", listed, _shape(t.PUBLICATIONS, **_ITEM_WITH_WEB_ADDRESS)),
    _Part("patents", listed, _shape(t.PATENTS, **_ITEM_WITH_WEB_ADDRESS)),
    _Part("awards", listed, _shape(t.AWARDS, **_ITEM_WITH_WEB_ADDRESS)),
)
_EXPERIENCE_PARTS = (
    _Part(
        "job_title_details",
        single,
        _shape(
            t.JOB_TITLE_DETAILS,
            raw_job_title={
                "job_title": "raw_job_title",
                "language_code": "raw_job_title_language_code",
                "language_detection_confidence_score": (
                    "raw_job_title_language_detection_confidence_score"
                ),
            },
            raw_translated_job_title={"job_title": "raw_translated_job_title"},
            normalized_job_title={
                "id": "normalized_job_title_id",
                "job_title": "normalized_job_title",
            },
        ),
    ),
    _Part(
        "job_functions",
        listed,
        _shape(
            t.JOB_FUNCTIONS,
            **{
                f"level{level}": {
                    name: f"level{level}_{name}" for name in ("code", "name", "confidence_score")
                }
                for level in (1, 2, 3)
            },
        ),
    ),
    _Part("job_seniority", single, _shape(t.JOB_SENIORITY)),
)
_COMPANY_PARTS = (
    _Part("company_web_address", single, _shape(t.ORGANISATION_WEB_ADDRESSES)),
    _Part("company_employees", single, _shape(t.EMPLOYEES)),
    _Part("company_social_links", named, _without(_shape(t.ORGANISATION_SOCIAL_LINKS), "name")),
    _Part("company_industries", listed, _shape(t.INDUSTRIES, id="industry_id")),
    _Part("company_phones", listed, _shape(t.ORGANISATION_PHONES)),
)
_OFFICE_PARTS = (
    _Part("office_address", single, _shape(t.OFFICE_ADDRESSES)),
    _Part("office_industries", listed, _shape(t.OFFICE_INDUSTRIES, id="industry_id")),
)


def _names(parts: tuple[_Part, ...]) -> tuple[str, ...]:
    """The fields of parts, for `scratch`."""
    return tuple(f"{part.name} jsonb" for part in parts)


_RECORD = scratch("profile_data jsonb", "resume_data jsonb")
_PROFILE = scratch(
    "profile_id text",
    "profile_first_name text",
    "profile_last_name text",
    "profile_full_name text",
    "profile_picture.url text",
    "profile_last_seen_date timestamptz",
    "profile_last_modified_date timestamptz",
    "profile_headline text",
    "profile_summary text",
    "profile_languages text[]",
    "profile_expertises text[]",
    "profile_tags text[]",
    "profile_prior_industries text[]",
    "raw_location text",
    *_names(_PROFILE_PARTS),
)
_RESUME = scratch(
    "resume_last_modified_date timestamptz", "experiences jsonb", *_names(_RESUME_PARTS)
)
_COMPANY_TEXTS = (
    "company_id",
    "company_name",
    "company_domain",
    "company_logo_url",
    "company_industry",
)
_OFFICE_TEXTS = ("office_id", "office_type")
_EXPERIENCE = scratch(
    "job_title text",
    "start_date date",
    "end_date date",
    "summary text",
    "current boolean",
    "priority integer",
    "raw_location text",
    *(f"{name} text" for name in _COMPANY_TEXTS + _OFFICE_TEXTS),
    "office_phones jsonb",
    *_names(_COMPANY_PARTS),
    *_names(_OFFICE_PARTS),
    *_names(_EXPERIENCE_PARTS),
)
# The indexes in a scratch row where parts begin.
_IN_PROFILE = 14
_IN_RESUME = 2
_OF_COMPANY = 7
_OF_OFFICE = _OF_COMPANY + len(_COMPANY_TEXTS)
_IN_COMPANY = _OF_OFFICE + len(_OFFICE_TEXTS) + 1
_IN_OFFICE = _IN_COMPANY + len(_COMPANY_PARTS)
_IN_EXPERIENCE = _IN_OFFICE + len(_OFFICE_PARTS)

_PEOPLE, _PROFILES, _EXPERIENCES, _ORGANISATIONS, _OFFICES = map(
    t.GROUP.tables.index, (t.PEOPLE, t.PROFILES, t.EXPERIENCES, t.ORGANISATIONS, t.OFFICES)
)
_COMPANY = _Shared(
    _ORGANISATIONS,
    _COMPANY_PARTS,
    (*_COMPANY_TEXTS, *(part.name for part in _COMPANY_PARTS)),
)
_OFFICE = _Shared(
    _OFFICES,
    _OFFICE_PARTS,
    (*_OFFICE_TEXTS, "office_phones", *(part.name for part in _OFFICE_PARTS)),
)
_NO_PROFILE: list[Any] = [None] * 7


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
        (profile, resume), rest = self._values_and_rest(_RECORD, record, "the record")
        if profile is None:
            raise RecordError("profile_data is missing")
        values, left = self._values_and_rest(_PROFILE, profile, "profile_data")
        profile_id, modified = values[0], values[6]
        if profile_id is None:
            raise RecordError("profile_data.profile_id is missing")
        _refuse_unread(left, "profile_data", "profile_last_modified_date")
        self.timestamp = modified
        person = identifier(f"person/{profile_id}")
        key = (person,)
        rows: Rows = []
        if values[7:_IN_PROFILE] != _NO_PROFILE:
            rows.append((_PROFILES, (person, *values[7:_IN_PROFILE])))
        left = self._add(_PROFILE_PARTS, values[_IN_PROFILE:], key, "profile_data.", rows, left)
        if left is not None:
            rest = rest or {}
            rest["profile_data"] = left
        resume_modified = None
        if resume is not None:
            resume_values, left = self._values_and_rest(_RESUME, resume, "resume_data")
            resume_modified, experiences = resume_values[:_IN_RESUME]
            _refuse_unread(left, "resume_data", "resume_last_modified_date")
            # A person is as new as the newer one of profile and résumé.
            self.timestamp = max(filter(None, (modified, resume_modified)), default=None)
            if experiences is not None:
                self._experiences(person, experiences, rows)
            left = self._add(
                _RESUME_PARTS, resume_values[_IN_RESUME:], key, "resume_data.", rows, left
            )
            if left is not None:
                rest = rest or {}
                rest["resume_data"] = left
        own = (person, *values[:6], modified, resume_modified, rest)
        aggregate = self._aggregate(_PEOPLE, own, rows)
        return KindRecord(profile_id, (aggregate, *self.aggregates.values()))

    def _experiences(self, person: str, experiences: Any, rows: Rows) -> None:
        if type(experiences) is not list:
            raise RecordError(f"resume_data.experiences is {json_type(experiences)}, not an array")
        for position, experience in enumerate(experiences):
            if experience is not None:
                self._experience(person, position, experience, rows)

    def _experience(self, person: str, position: int, experience: Any, rows: Rows) -> None:
        place = f"resume_data.experiences[{position}]"
        values, rest = self._values_and_rest(_EXPERIENCE, experience, place)
        place += "."
        organisation = office = None
        name = _organisation_name(*values[_OF_COMPANY : _OF_COMPANY + 3])
        if name is not None:
            organisation = identifier(name)
            root = (organisation, *values[_OF_COMPANY:_OF_OFFICE])
            parts = values[_IN_COMPANY:_IN_OFFICE]
            left = self._shared(_COMPANY, root, parts, place, experience)
        else:
            left = _raw(experience, _COMPANY.names)
        rest = joined(rest, left)
        office_id, office_type, phones = values[_OF_OFFICE:_IN_COMPANY]
        if organisation is not None and office_id is not None:
            if phones is not None and type(phones) is not list:
                raise RecordError(f"{place}office_phones is {json_type(phones)}, not an array")
            office = identifier(f"office/{organisation}/{office_id}")
            root = (office, organisation, office_id, office_type, phones or None)
            parts = values[_IN_OFFICE:_IN_EXPERIENCE]
            left = self._shared(_OFFICE, root, parts, place, experience)
        else:
            left = _raw(experience, _OFFICE.names)
        rest = joined(rest, left)
        # Its own row precedes the rows that it owns.
        children: Rows = []
        rest = self._add(
            _EXPERIENCE_PARTS, values[_IN_EXPERIENCE:], (person, position), place, children, rest
        )
        own = (person, position, organisation, office, *values[:_OF_COMPANY], rest)
        rows.append((_EXPERIENCES, own))
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
        parts: tuple[_Part, ...],
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
        what: _Shared,
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
