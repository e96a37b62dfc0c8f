"""Which values of a page become which rows: the parts of persons, companies and offices."""

from __future__ import annotations

from typing import Any, NamedTuple

from imports.kinds.people import tables as t
from imports.kinds.shapes import (
    Add,
    Shape,
    listed,
    named,
    scratch,
    shape_of,
    single,
)
from imports.tables.table import Table


class Part(NamedTuple):
    """A value of an object that becomes rows of its own: its name, and how to convert it."""

    name: str
    add: Add
    shape: Shape


class Shared(NamedTuple):
    """Companies or offices, which experiences share: the table, the parts, all names."""

    table: int
    parts: tuple[Part, ...]
    names: tuple[str, ...]


def _shape(table: Table, **names: str | dict[str, str]) -> Shape:
    return shape_of(t.GROUP, table, names)


def _without(shape: Shape, name: str) -> Shape:
    """The shape without the slot of a value that has another source."""
    return shape._replace(slots={each: shape.slots[each] for each in shape.slots if each != name})


_WEB_ADDRESS = {"url": "web_address_url", "rank": "web_address_rank"}
_ITEM_WITH_WEB_ADDRESS = {"web_address": _WEB_ADDRESS}

PROFILE_PARTS = (
    Part("profile_gender", single, _shape(t.GENDERS)),
    Part("profile_social_links", listed, _shape(t.SOCIAL_LINKS)),
    Part("profile_status", single, _shape(t.STATUSES)),
    Part("profile_emails", listed, _shape(t.EMAILS)),
    Part("profile_phones", listed, _shape(t.PHONES)),
    Part("profile_address", single, _shape(t.ADDRESSES)),
)
RESUME_PARTS = (
    Part(
        "educations",
        listed,
        _shape(t.EDUCATIONS, educational_establishment_web_address=_WEB_ADDRESS),
    ),
    Part("certifications", listed, _shape(t.CERTIFICATIONS, **_ITEM_WITH_WEB_ADDRESS)),
    Part("memberships", listed, _shape(t.MEMBERSHIPS, **_ITEM_WITH_WEB_ADDRESS)),
    Part("publications", listed, _shape(t.PUBLICATIONS, **_ITEM_WITH_WEB_ADDRESS)),
    Part("patents", listed, _shape(t.PATENTS, **_ITEM_WITH_WEB_ADDRESS)),
    Part("awards", listed, _shape(t.AWARDS, **_ITEM_WITH_WEB_ADDRESS)),
)
EXPERIENCE_PARTS = (
    Part(
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
    Part(
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
    Part("job_seniority", single, _shape(t.JOB_SENIORITY)),
)
_COMPANY_PARTS = (
    Part("company_web_address", single, _shape(t.ORGANISATION_WEB_ADDRESSES)),
    Part("company_employees", single, _shape(t.EMPLOYEES)),
    Part("company_social_links", named, _without(_shape(t.ORGANISATION_SOCIAL_LINKS), "name")),
    Part("company_industries", listed, _shape(t.INDUSTRIES, id="industry_id")),
    Part("company_phones", listed, _shape(t.ORGANISATION_PHONES)),
)
_OFFICE_PARTS = (
    Part("office_address", single, _shape(t.OFFICE_ADDRESSES)),
    Part("office_industries", listed, _shape(t.OFFICE_INDUSTRIES, id="industry_id")),
)


def _names(parts: tuple[Part, ...]) -> tuple[str, ...]:
    """The fields of parts, for `scratch`."""
    return tuple(f"{part.name} jsonb" for part in parts)


RECORD = scratch("profile_data jsonb", "resume_data jsonb")
PROFILE = scratch(
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
    *_names(PROFILE_PARTS),
)
RESUME = scratch(
    "resume_last_modified_date timestamptz", "experiences jsonb", *_names(RESUME_PARTS)
)
_COMPANY_TEXTS = (
    "company_id",
    "company_name",
    "company_domain",
    "company_logo_url",
    "company_industry",
)
_OFFICE_TEXTS = ("office_id", "office_type")
EXPERIENCE = scratch(
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
    *_names(EXPERIENCE_PARTS),
)
# The indexes in a scratch row where parts begin.
IN_PROFILE = 14
IN_RESUME = 2
OF_COMPANY = 7
OF_OFFICE = OF_COMPANY + len(_COMPANY_TEXTS)
IN_COMPANY = OF_OFFICE + len(_OFFICE_TEXTS) + 1
IN_OFFICE = IN_COMPANY + len(_COMPANY_PARTS)
IN_EXPERIENCE = IN_OFFICE + len(_OFFICE_PARTS)

PEOPLE, PROFILES, EXPERIENCES, _ORGANISATIONS, _OFFICES = map(
    t.GROUP.tables.index, (t.PEOPLE, t.PROFILES, t.EXPERIENCES, t.ORGANISATIONS, t.OFFICES)
)
COMPANY = Shared(
    _ORGANISATIONS,
    _COMPANY_PARTS,
    (*_COMPANY_TEXTS, *(part.name for part in _COMPANY_PARTS)),
)
OFFICE = Shared(
    _OFFICES,
    _OFFICE_PARTS,
    (*_OFFICE_TEXTS, "office_phones", *(part.name for part in _OFFICE_PARTS)),
)
NO_PROFILE: list[Any] = [None] * 7
