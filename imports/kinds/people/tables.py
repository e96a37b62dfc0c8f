"""The tables of the kind `people`: persons, organisations, offices, and the tables they own.

Persons, organisations and offices have an `id`. The other tables are owned by one of them: a row
for each element of an array in the input, with its `position`, or a single row.
"""

from __future__ import annotations

from imports.tables.table import Column, LatestWins, Replace, Table, TableGroup

_LINK = "name text, url text"
_PHONE = "phone text, ddi boolean, dnc boolean, type text, carrier text, priority integer"
_WEB_ADDRESS = "web_address_url text, web_address_rank bigint"
_INDUSTRY = (
    "industry_id text, standard text, code2 text, name2 text, code3 text, name3 text, code4 text,"
    " name4 text, code5 text, name5 text, code6 text, name6 text, activity_priority integer,"
    " priority integer"
)
_ADDRESS = (
    "formatted_address text, street_address text, street_number text, street text, premise text,"
    " subpremise text, establishment text, sublocality text, locality text, city text,"
    " postal_code text, postal_town text, county text, state text, region text,"
    " administrative_area_level_1 text, administrative_area_level_2 text,"
    " administrative_area_level_3 text, administrative_area_level_4 text,"
    " administrative_area_level_5 text, country text, country_code text, continent text,"
    " lat double precision, lng double precision, place_id text, accuracy text, quality text,"
    " score double precision, confidence_score double precision, last_modified_date timestamptz"
)


def _columns(text: str) -> tuple[Column, ...]:
    """Columns, written as in DDL."""
    columns = []
    for each in text.split(","):
        name, type_ = each.strip().split(" ", 1)
        columns.append(
            Column(name, type_.removesuffix(" not null"), not type_.endswith(" not null"))
        )
    return tuple(columns)


def _root(
    schema: str,
    name: str,
    columns: str,
    *names: str,
    timestamp: str = "last_modified_date",
    shared: bool = True,
) -> Table:
    """A table whose rows have an id and own rows of other tables; messages show its `names`.

    `timestamp` is the column that decides which row is newer. Rows of a `shared` table take it from
    the records that share them.
    """
    return Table(
        schema=schema,
        name=name,
        columns=_columns(
            f"id uuid not null, {columns}, {timestamp} timestamptz,"
            " source text not null, content_signature text not null"
        ),
        key=("id",),
        on_conflict=LatestWins(timestamp, "source", "content_signature", undated_is_oldest=shared),
        id_type="uuid",
        names=names,
    )


def _owned(owner: Table, name: str, key: str, columns: str) -> Table:
    """A table whose rows belong to those of another."""
    key_columns = _columns(key)
    return Table(
        schema=owner.schema,
        name=name,
        columns=key_columns + _columns(columns),
        key=tuple(column.name for column in key_columns),
        on_conflict=Replace(),
        run_columns=(),
        id_type=None,
        stamped=False,
        owner=owner.qualified_name,
    )


_ONE_OF_ORGANISATION = "organisation_id uuid not null"
_OF_ORGANISATION = f"{_ONE_OF_ORGANISATION}, position integer not null"
_ONE_OF_OFFICE = "office_id uuid not null"
_OF_OFFICE = f"{_ONE_OF_OFFICE}, position integer not null"
_ONE_OF_PERSON = "person_id uuid not null"
_OF_PERSON = f"{_ONE_OF_PERSON}, position integer not null"
_ONE_OF_EXPERIENCE = f"{_ONE_OF_PERSON}, experience_position integer not null"
_OF_EXPERIENCE = f"{_ONE_OF_EXPERIENCE}, position integer not null"

ORGANISATIONS = _root(
    "organisation",
    "identities",
    "neuron360_company_id text, name text, domain text, logo_url text, industry text",
    "neuron360_company_id",
    "name",
)
OFFICES = _root(
    "organisation",
    "offices",
    "organisation_id uuid not null, neuron360_office_id text not null, type text, phones jsonb",
    "organisation_id",
    "neuron360_office_id",
)
ORGANISATION_WEB_ADDRESSES = _owned(
    ORGANISATIONS, "web_addresses", _ONE_OF_ORGANISATION, "url text, rank bigint"
)
EMPLOYEES = _owned(
    ORGANISATIONS,
    "employees",
    _ONE_OF_ORGANISATION,
    "number_of_employees bigint, number_of_employees_code text, number_of_employees_min bigint,"
    " number_of_employees_max bigint",
)
ORGANISATION_SOCIAL_LINKS = _owned(ORGANISATIONS, "social_links", _OF_ORGANISATION, _LINK)
INDUSTRIES = _owned(ORGANISATIONS, "industries", _OF_ORGANISATION, _INDUSTRY)
ORGANISATION_PHONES = _owned(ORGANISATIONS, "phones", _OF_ORGANISATION, _PHONE)
OFFICE_ADDRESSES = _owned(OFFICES, "office_addresses", _ONE_OF_OFFICE, _ADDRESS)
OFFICE_INDUSTRIES = _owned(OFFICES, "office_industries", _OF_OFFICE, _INDUSTRY)

PEOPLE = _root(
    "people",
    "identities",
    "neuron360_profile_id text not null, first_name text, last_name text, full_name text,"
    " picture_url text, last_seen_date timestamptz, last_modified_date timestamptz,"
    " resume_last_modified_date timestamptz, rest jsonb",
    "neuron360_profile_id",
    timestamp="latest_modified_date",
    shared=False,
)
PROFILES = _owned(
    PEOPLE,
    "profiles",
    _ONE_OF_PERSON,
    "headline text, summary text, languages text[], expertises text[], tags text[],"
    " prior_industries text[], raw_location text",
)
GENDERS = _owned(
    PEOPLE, "genders", _ONE_OF_PERSON, "gender text, confidence_score double precision"
)
SOCIAL_LINKS = _owned(PEOPLE, "social_links", _OF_PERSON, _LINK)
STATUSES = _owned(PEOPLE, "statuses", _ONE_OF_PERSON, "status text")
EMAILS = _owned(PEOPLE, "emails", _OF_PERSON, "email text, type text, priority integer")
PHONES = _owned(PEOPLE, "phones", _OF_PERSON, _PHONE)
ADDRESSES = _owned(PEOPLE, "addresses", _ONE_OF_PERSON, _ADDRESS)
EXPERIENCES = _owned(
    PEOPLE,
    "experiences",
    _OF_PERSON,
    "organisation_id uuid, office_id uuid, job_title text, start_date date, end_date date,"
    " summary text, current boolean, priority integer, raw_location text, rest jsonb",
)
JOB_TITLE_DETAILS = _owned(
    PEOPLE,
    "job_title_details",
    _ONE_OF_EXPERIENCE,
    "raw_job_title text, raw_job_title_language_code text,"
    " raw_job_title_language_detection_confidence_score double precision,"
    " raw_translated_job_title text, normalized_job_title_id bigint, normalized_job_title text",
)
JOB_FUNCTIONS = _owned(
    PEOPLE,
    "job_functions",
    _OF_EXPERIENCE,
    "level1_code text, level1_name text, level1_confidence_score double precision,"
    " level2_code text, level2_name text, level2_confidence_score double precision,"
    " level3_code text, level3_name text, level3_confidence_score double precision,"
    " priority integer",
)
JOB_SENIORITY = _owned(PEOPLE, "job_seniority", _ONE_OF_EXPERIENCE, "job_level text")
EDUCATIONS = _owned(
    PEOPLE,
    "educations",
    _OF_PERSON,
    "educational_establishment text, diploma text, specialization text, start_date date,"
    f" end_date date, priority integer, {_WEB_ADDRESS}",
)
CERTIFICATIONS = _owned(
    PEOPLE,
    "certifications",
    _OF_PERSON,
    "name text, authority text, reference text, description text, date date, start_date date,"
    f" end_date date, priority integer, {_WEB_ADDRESS}",
)
MEMBERSHIPS = _owned(
    PEOPLE,
    "memberships",
    _OF_PERSON,
    "title text, name text, description text, reference text, location text, start_date date,"
    f" end_date date, priority integer, {_WEB_ADDRESS}",
)
PUBLICATIONS = _owned(
    PEOPLE,
    "publications",
    _OF_PERSON,
    "name text, description text, issue text, reference text, date date, priority integer,"
    f" {_WEB_ADDRESS}",
)
PATENTS = _owned(
    PEOPLE,
    "patents",
    _OF_PERSON,
    "name text, description text, issue text, number text, reference text, date date,"
    f" start_date date, end_date date, priority integer, {_WEB_ADDRESS}",
)
AWARDS = _owned(
    PEOPLE,
    "awards",
    _OF_PERSON,
    f"name text, description text, issue text, date date, priority integer, {_WEB_ADDRESS}",
)

GROUP = TableGroup(
    "people",
    (
        ORGANISATIONS,
        OFFICES,
        ORGANISATION_WEB_ADDRESSES,
        EMPLOYEES,
        ORGANISATION_SOCIAL_LINKS,
        INDUSTRIES,
        ORGANISATION_PHONES,
        OFFICE_ADDRESSES,
        OFFICE_INDUSTRIES,
        PEOPLE,
        PROFILES,
        GENDERS,
        SOCIAL_LINKS,
        STATUSES,
        EMAILS,
        PHONES,
        ADDRESSES,
        EXPERIENCES,
        JOB_TITLE_DETAILS,
        JOB_FUNCTIONS,
        JOB_SENIORITY,
        EDUCATIONS,
        CERTIFICATIONS,
        MEMBERSHIPS,
        PUBLICATIONS,
        PATENTS,
        AWARDS,
    ),
)
