from __future__ import annotations

import copy
import datetime as dt
import json
import os
import pickle
import uuid
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imports.errors import NotOursError, RecordError
from imports.items.source import Source
from imports.items.work_item import ListedItem
from imports.kinds.kind import ItemPlan, KindAggregate, KindRecord, RecordProblem
from imports.kinds.people.kind import PEOPLE, items_in
from imports.kinds.people.records import NAMESPACE, Page, identifier, records
from imports.source.cleaning import Tally
from imports.source.image_finder import image_finder
from imports.source.local_file import LocalFile
from imports.tables.row_format import RowFormat, encoder
from imports.tables.table import BATCH_ID, DATASET_ID, LatestWins, Replace
from tests.support.people import EXAMPLES

TABLES = PEOPLE.group.tables
MODIFIED = dt.datetime(2025, 2, 7, 10, tzinfo=dt.UTC)
SEEN = dt.datetime(2025, 2, 6, tzinfo=dt.UTC)

Row = dict[str, Any]


def page(*results: Any, path: str = "page.json", first: int = 0) -> Page:
    return Page(path, first, list(results))


def person(profile_id: Any = "p-1", resume: Any = None, **profile: Any) -> dict[str, Any]:
    """A record of a person with nothing but what is given."""
    profile_data = {
        "profile_id": profile_id,
        "profile_last_modified_date": "2025-02-07 10:00:00",
        **profile,
    }
    return {"profile_data": profile_data, "resume_data": resume}


def employed(*experiences: Any, **resume: Any) -> dict[str, Any]:
    """A person with these experiences."""
    return person(resume={"experiences": list(experiences), **resume})


def read_one(record: Any, tally: Tally | None = None) -> KindRecord:
    (found,) = records(page(record), (), Counter() if tally is None else tally)
    assert isinstance(found, KindRecord), found
    return found


def reason(record: Any) -> str:
    (found,) = records(page(record), (), Counter())
    assert isinstance(found, RecordProblem), found
    return found.reason


def rows(record: KindRecord, table: str) -> list[Row]:
    """The rows of a record in one table, without the id of their owner."""
    found = []
    for index, values in record.rows:
        described = TABLES[index]
        if described.qualified_name == table:
            row = dict(zip([each.name for each in described.columns], values, strict=True))
            if described.owner is not None:
                del row[described.key[0]]
            found.append(row)
    return found


def filled(row: Row) -> Row:
    return {name: value for name, value in row.items() if value is not None}


def aggregate(record: KindRecord, table: str) -> list[KindAggregate]:
    """The aggregates whose first row is in this table."""
    return [each for each in record.aggregates if TABLES[each.rows[0][0]].qualified_name == table]


# The tables


def test_every_table_of_the_document_is_there_parents_first() -> None:
    names = [table.qualified_name for table in TABLES]
    assert len(names) == len(set(names)) == 27
    for table in TABLES:
        if table.owner is not None:
            assert names.index(table.owner) < names.index(table.qualified_name)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.qualified_name)
def test_a_table_is_a_root_or_owned(table: Any) -> None:
    key = {column.name: column for column in table.columns if column.name in table.key}
    assert list(key) == list(table.key)
    assert not any(column.nullable for column in key.values())
    if table.owner is None:
        assert table.key == ("id",)
        assert table.run_columns == (DATASET_ID, BATCH_ID)
        shared = table.schema == "organisation"
        timestamp = "last_modified_date" if shared else "latest_modified_date"
        assert table.on_conflict == LatestWins(
            timestamp, "source", "content_signature", undated_is_oldest=shared
        )
        assert table.dated_by == (None if shared else timestamp)
        assert table.id_type == "uuid"
        names = [column.name for column in table.columns]
        assert names[-3:] == [timestamp, "source", "content_signature"]
    else:
        assert next(iter(key.values())).type == "uuid"
        assert {column.type for column in key.values()} <= {"uuid", "integer"}
        assert table.run_columns == ()
        assert table.on_conflict == Replace()
        assert table.id_type is None
        assert not table.stamped


# Files


def listed(folder: Path, prefix: str = "") -> list[str]:
    source = Source(str(folder), PEOPLE.patterns)
    with os.scandir(folder / prefix) as entries:
        found = list(items_in(source, prefix, [LocalFile(entry) for entry in entries]))
    return sorted(entry.path for entry in found if isinstance(entry, ListedItem))


def test_all_json_files_are_items_but_those_the_importer_put_there(tmp_path: Path) -> None:
    for path in (
        "a.json",
        "B.JSON",
        "notes.txt",
        ".a.json",
        "work_state.json",
        "work_state.folder.json",
        "work_stateful.json",
        "a.errors.json",
        "in/c.json",
        "failed_uploads/d.json",
        "in/done_uploads/e.json",
        "failed_uploads_of_may/f.json",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("{}")
    assert listed(tmp_path) == ["B.JSON", "a.json", "work_stateful.json"]
    assert listed(tmp_path, "in/") == ["in/c.json"]
    assert listed(tmp_path, "failed_uploads/") == []
    assert listed(tmp_path, "in/done_uploads/") == []
    assert listed(tmp_path, "failed_uploads_of_may/") == ["failed_uploads_of_may/f.json"]
    # Who names the folder itself wants its files.
    assert listed(tmp_path / "failed_uploads") == ["d.json"]


def read_file(folder: Path, content: Any) -> Page:
    path = folder / "page.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    source = Source(str(folder), PEOPLE.patterns)
    found: Page = PEOPLE.read(source, "page.json", PEOPLE.sign(source, "page.json"), Counter())
    return found


def read_pieces(folder: Path, content: Any) -> list[Page]:
    """The same, as a large file is read."""
    path = folder / "page.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    source = Source(str(folder), PEOPLE.patterns)
    assert PEOPLE.pieces is not None
    signature = PEOPLE.sign(source, "page.json")
    found = PEOPLE.pieces(source, "page.json", signature, 0, 9, Counter())
    return [piece.content for piece in found]


def test_results_that_stand_there_twice_are_refused(tmp_path: Path) -> None:
    """Only the last would be seen, and the file be deleted."""
    path = tmp_path / "page.json"
    source = Source(str(tmp_path), ("*.json",))
    path.write_bytes(b'{"results": [{}], "more": {"results": 1}, "results": []}')
    with pytest.raises(RecordError, match=r"^results occurs twice$"):
        PEOPLE.read(source, "page.json", PEOPLE.sign(source, "page.json"), Counter())
    path.write_bytes(b'{"results": [{"results": 1, "text": "\\"results\\""}], "more": "results"}')
    found = PEOPLE.read(source, "page.json", PEOPLE.sign(source, "page.json"), Counter())
    assert len(found.results) == 1


def test_the_results_of_a_file_are_read(tmp_path: Path) -> None:
    assert read_file(tmp_path, {"results": [{"a": 1}, 2]}) == page({"a": 1}, 2)


@pytest.mark.parametrize("content", [{"results": []}, {"query": {"results": 1}, "results": []}])
def test_a_page_with_an_empty_list_has_no_records(tmp_path: Path, content: Any) -> None:
    empty = read_file(tmp_path, content)
    assert empty == page()
    assert PEOPLE.records(empty, (), Counter()) == []
    source = Source(str(tmp_path), PEOPLE.patterns)
    assert PEOPLE.plan(source, "page.json", empty, image_finder(tmp_path, ())) == ItemPlan()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"results": {"0": {}}}, 'has an object as "results", not an array'),
        ({"results": "none"}, 'has a string as "results", not an array'),
        ({"results": None}, 'has null as "results", not an array'),
        ([], "is an array, not an object"),
        (17, "is a number, not an object"),
        ({}, 'has no array "results", nor anything else'),
        ({"Results": [], "q": 1}, 'has no array "results"; its names are "Results, q"'),
        (person(), 'has no array "results"; its names are "profile_data, resume_data"'),
        ({"data": {"results": []}}, 'has no array "results"; its names are "data.results"'),
        (
            {"error": "rate limit", "code": 429},
            'has no array "results"; its names are "error, code"',
        ),
        (
            {'say "x"' + "y" * 60: 1},
            'has no array "results"; its names are "say ' + "'x'" + "y" * 33 + '…"',
        ),
        (
            {str(each): each for each in range(7)},
            'has no array "results"; its names are "0, 1, 2, 3, 4, 5" and more',
        ),
    ],
)
@pytest.mark.parametrize("large", [False, True])
def test_a_file_without_a_list_of_results_is_none_of_ours(
    tmp_path: Path, content: Any, problem: str, large: bool
) -> None:
    if large:
        problem = problem.replace("data.results", "data")
    with pytest.raises(NotOursError) as caught:
        read_pieces(tmp_path, content) if large else read_file(tmp_path, content)
    assert str(caught.value) == f"not a page of a people search: it {problem}"


def test_a_page_that_was_cut_off_is_ours(tmp_path: Path) -> None:
    """It is moved away, with what is wrong, as the document says."""
    for read in (read_file, read_pieces):
        with pytest.raises(RecordError, match="is not JSON") as caught:
            read(tmp_path, '{"results": [ {"profile_data": ')
        assert not isinstance(caught.value, NotOursError)


@pytest.mark.parametrize("folder", [".vscode", "a/.git", "a/.b/c", "..a"])
def test_what_is_in_hidden_folders_is_not_taken(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / "a.json").write_text('{"results": []}')
    assert listed(tmp_path, f"{folder}/") == []
    # Who names the folder itself wants its files.
    assert listed(tmp_path / folder) == ["a.json"]


# Identifiers


@given(st.text())
def test_identifiers_are_the_uuid5_of_the_natural_key(name: str) -> None:
    assert identifier(name) == str(uuid.uuid5(NAMESPACE, name))


def test_identifiers_never_change() -> None:
    # Rows of earlier imports would not be found again.
    assert identifier("person/n360-0001") == "c646c28d-5c5b-58d8-9c40-f1e22ee2c0ff"
    assert identifier("organisation/c-10") == "4c8d71ab-4b75-5e6d-9b11-8ae1d3a0bfd4"


def company_key(**company: Any) -> str | None:
    found = aggregate(read_one(employed({"job_title": "x", **company})), "organisation.identities")
    return found[0].key if found else None


def test_a_company_is_known_by_its_id_else_its_domain_else_its_name() -> None:
    by_id = company_key(company_id="c", company_domain="d.example", company_name="N")
    assert by_id == company_key(company_id=" c ", company_name="Other")
    by_domain = company_key(company_domain="D.example", company_name="N")
    assert by_domain == company_key(company_domain="d.example", company_name="Other")
    by_name = company_key(company_id="", company_domain=None, company_name="N")
    assert len({by_id, by_domain, by_name, company_key(company_id="N")}) == 4
    assert company_key(company_industry="Software") is None
    assert company_key(company_id=7) == company_key(company_id="7")


# What becomes of a record


def examples(name: str) -> list[KindRecord | RecordProblem]:
    source = Source(str(EXAMPLES), PEOPLE.patterns)
    content = PEOPLE.read(source, name, PEOPLE.sign(source, name), Counter())
    return list(PEOPLE.records(content, (), Counter()))


def test_the_person_of_the_examples() -> None:
    nia = examples("keepers_p1.json")[0]
    assert isinstance(nia, KindRecord)
    assert nia.label == "k-1"
    (identity,) = rows(nia, "people.identities")
    assert len(identity.pop("content_signature")) == 32
    assert identity == {
        "id": identifier("person/k-1"),
        "neuron360_profile_id": "k-1",
        "first_name": "Nia",
        "last_name": "Ŵynne",
        "full_name": "Nia Ŵynne",
        "picture_url": None,
        "last_seen_date": SEEN,
        "resume_last_modified_date": MODIFIED,
        "rest": {"position": 1, "profile_metrics": {"completion_score": 0.4}},
        "last_modified_date": MODIFIED,
        "latest_modified_date": MODIFIED,
        "source": "keepers_p1.json#000000",
    }
    assert rows(nia, "people.profiles") == [
        {
            "headline": "Keeps the light",
            "summary": "First line.\nA second with a tab\there.",
            "languages": ["English", "Cymraeg ŵ"],
            "expertises": ["lamps", "fog horns"],
            "tags": ["keeper"],
            "prior_industries": [],
            "raw_location": "Llandudno, Wales",
        }
    ]
    assert rows(nia, "people.genders") == [{"gender": "female", "confidence_score": 0.93}]
    assert rows(nia, "people.social_links") == [
        {"position": 0, "name": "linkedin", "url": "https://social.example/in/k-1"}
    ]
    assert rows(nia, "people.statuses") == []
    assert rows(nia, "people.phones") == []
    assert rows(nia, "people.emails") == [
        {"position": 0, "email": "nia@light.example", "type": "personal", "priority": 1}
    ]
    (address,) = rows(nia, "people.addresses")
    assert filled(address) == {
        "country": "Wales",
        "formatted_address": "Llandudno, Wales",
        "city": "Llandudno",
        "last_modified_date": SEEN,
        "score": 0.7,
        "lat": 53.33,
        "lng": -3.83,
        "country_code": "GB",
    }


def test_the_resume_of_the_examples() -> None:
    nia = examples("keepers_p1.json")[0]
    assert isinstance(nia, KindRecord)
    orme, reef = (identifier(f"organisation/{each}") for each in ("c-10", "c-11"))
    assert rows(nia, "people.experiences") == [
        {
            "position": 0,
            "organisation_id": orme,
            "office_id": identifier(f"office/{orme}/o-1"),
            "job_title": "Head keeper",
            "start_date": dt.date(2012, 5, 1),
            "end_date": None,
            "summary": None,
            "current": True,
            "priority": 1,
            "raw_location": "Llandudno",
            "rest": None,
        },
        {
            "position": 1,
            "organisation_id": reef,
            "office_id": None,
            "job_title": "Surveyor",
            "start_date": dt.date(2003, 2, 3),
            "end_date": dt.date(2012, 4, 30),
            "summary": None,
            "current": False,
            "priority": 2,
            "raw_location": "Llandudno",
            "rest": None,
        },
    ]
    assert rows(nia, "people.job_title_details")[1] == {
        "experience_position": 1,
        "raw_job_title": "Surveyor",
        "raw_job_title_language_code": "cy",
        "raw_job_title_language_detection_confidence_score": 1.0,
        "raw_translated_job_title": "Surveyor",
        "normalized_job_title_id": 31,
        "normalized_job_title": "Keeper",
    }
    assert filled(rows(nia, "people.job_functions")[1]) == {
        "experience_position": 1,
        "position": 0,
        "level1_code": "OPS",
        "level1_name": "Operations",
        "level1_confidence_score": 0.8,
        "priority": 1,
    }
    assert rows(nia, "people.job_seniority") == [
        {"experience_position": 0, "job_level": "Senior"},
        {"experience_position": 1, "job_level": "Senior"},
    ]
    assert rows(nia, "people.educations") == [
        {
            "position": 0,
            "educational_establishment": "Sea School",
            "diploma": "BA",
            "specialization": "Optics",
            "start_date": dt.date(1999, 9, 1),
            "end_date": dt.date(2002, 7, 31),
            "priority": 1,
            "web_address_url": "https://sea.example",
            "web_address_rank": None,
        }
    ]
    for table, expected in {
        "certifications": {"name": "Radio", "authority": "Harbour Board", "reference": "R-7"},
        "memberships": {"title": "Member", "name": "Guild", "location": "Conwy"},
        "publications": {"name": "On Fog", "issue": "9"},
        "awards": {"name": "Lantern", "description": "Second", "issue": "Guild"},
    }.items():
        (row,) = rows(nia, f"people.{table}")
        assert expected.items() <= row.items()
    assert rows(nia, "people.patents") == []


def test_the_companies_of_the_examples() -> None:
    nia, bram = examples("keepers_p1.json")
    assert isinstance(nia, KindRecord)
    assert isinstance(bram, KindRecord)
    first, second = rows(nia, "organisation.identities")
    (shared,) = rows(bram, "organisation.identities")
    assert shared == {**first, "source": "keepers_p1.json#000001"}
    del second["content_signature"]
    assert second == {
        "id": identifier("organisation/c-11"),
        "neuron360_company_id": "c-11",
        "name": "Reef Survey",
        "domain": "reef.example",
        "logo_url": None,
        "industry": "Lights",
        "last_modified_date": MODIFIED,
        "source": "keepers_p1.json#000000",
    }
    assert rows(bram, "organisation.web_addresses") == [{"url": "https://orme.example", "rank": 7}]
    assert rows(bram, "organisation.employees") == [
        {
            "number_of_employees": 12,
            "number_of_employees_code": "A",
            "number_of_employees_min": 1,
            "number_of_employees_max": 20,
        }
    ]
    assert rows(bram, "organisation.social_links") == [
        {"position": 0, "name": "linkedin", "url": "https://social.example/c-10"}
    ]
    industry = {
        "position": 0,
        "industry_id": "48833",
        "standard": "NAICS",
        "code2": "48",
        "name2": "Transport",
        "code3": "488",
        "name3": "Support",
        "code4": "4883",
        "name4": "Water",
        "activity_priority": 1,
        "priority": 1,
    }
    assert [filled(row) for row in rows(bram, "organisation.industries")] == [industry]
    assert [filled(row) for row in rows(bram, "organisation.office_industries")] == [industry]
    assert filled(rows(bram, "organisation.phones")[0]) == {
        "position": 0,
        "phone": "+44 1492 000000",
        "ddi": True,
        "dnc": False,
        "type": "landline",
        "priority": 1,
    }
    (office,) = rows(bram, "organisation.offices")
    assert office["organisation_id"] == shared["id"]
    assert (office["neuron360_office_id"], office["type"], office["phones"]) == (
        "o-1",
        "station",
        None,
    )
    assert rows(bram, "organisation.office_addresses") == rows(bram, "people.addresses")


def test_a_bad_record_leaves_the_others_of_its_file_alone() -> None:
    good, empty, sparse = examples("one_bad_record.json")
    assert isinstance(good, KindRecord)
    assert empty == RecordProblem("", "profile_data.profile_id is missing")
    assert isinstance(sparse, KindRecord)
    assert sparse.label == "k-4"
    assert len(sparse.rows) == 1
    assert sparse.aggregates[0].timestamp == ""


def test_aggregates_have_the_ids_timestamps_and_sources_of_their_first_rows() -> None:
    record = read_one(
        employed(
            {"company_id": "c", "office_id": "o"}, resume_last_modified_date="2025-03-01 00:00:00"
        )
    )
    own, organisation, office = record.aggregates
    last_modified = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
    for each in (own, organisation, office):
        table, root = each.rows[0]
        assert TABLES[table].owner is None
        assert each.key == root[0]
        assert each.source == root[-2] == "page.json#000000"
        assert root[-3] == last_modified
        assert dt.datetime.fromisoformat(each.timestamp) == last_modified
        owned_by = {TABLES[index].owner for index, _ in each.rows[1:]}
        assert owned_by <= {TABLES[table].qualified_name}
        assert {values[0] for _, values in each.rows} == {each.key}


@pytest.mark.parametrize(
    ("profile", "resume", "expected"),
    [
        ("2025-01-02", "2025-01-01", "2025-01-02T00:00:00.000000+00:00"),
        ("2025-01-01", "2025-01-02", "2025-01-02T00:00:00.000000+00:00"),
        ("2025-01-01 00:00:00.5", "2025-01-01", "2025-01-01T00:00:00.500000+00:00"),
        (None, "2025-01-02", "2025-01-02T00:00:00.000000+00:00"),
        ("2025-01-01T01:00:00+02:00", None, "2024-12-31T23:00:00.000000+00:00"),
        (None, None, ""),
    ],
)
def test_a_company_is_as_new_as_the_later_date(profile: Any, resume: Any, expected: str) -> None:
    record = employed({"company_id": "c"}, resume_last_modified_date=resume)
    record["profile_data"]["profile_last_modified_date"] = profile
    (found,) = aggregate(read_one(record), "organisation.identities")
    assert found.timestamp == expected


@pytest.mark.parametrize("value", ["soon", "2025-03-01 10:00:00 EST", 2018, "q" * 300_000])
def test_a_person_whose_date_cannot_be_read_is_a_problem(value: object) -> None:
    shown = repr(value) if len(repr(value)) < 40 else repr(value)[:40] + "…"
    first = person(profile_last_modified_date=value)
    assert reason(first) == (
        f"profile_data.profile_last_modified_date cannot be read as a date: {shown}"
    )
    second = person(resume={"resume_last_modified_date": value})
    assert reason(second) == (
        f"resume_data.resume_last_modified_date cannot be read as a date: {shown}"
    )


@pytest.mark.parametrize("value", [None, "", "N/A", " not available "])
def test_a_word_for_no_date_makes_a_person_undated(value: str | None) -> None:
    record = read_one(person(profile_last_modified_date=value))
    assert record.aggregates[0].timestamp == ""


def test_a_date_of_a_person_that_says_nothing_of_its_age_may_be_unreadable() -> None:
    (found,) = rows(read_one(person(profile_last_seen_date="soon")), "people.identities")
    assert found["last_seen_date"] is None
    assert found["rest"]["profile_data"] == {"profile_last_seen_date": "soon"}


def test_a_whole_number_with_a_fraction_is_the_same_id() -> None:
    job = {"company_id": 7.0, "office_id": 8.0}
    same = {"company_id": "7", "office_id": 8}
    one, other = read_one(employed(job)), read_one(employed(same))
    one_id, other_id = read_one(person(12345.0)), read_one(person("12345"))
    assert [each.key for each in one.aggregates] == [each.key for each in other.aggregates]
    assert one_id.aggregates[0].key == other_id.aggregates[0].key
    assert one_id.label == "12345"
    large = {read_one(person(9000000000000000000 + each)).aggregates[0].key for each in (0, 100000)}
    floats = [9000000000000000000.0, 9000000000000100000.0]
    assert {read_one(person(each)).aggregates[0].key for each in floats} == large


def test_the_source_counts_from_the_first_record_of_a_piece() -> None:
    found = records(page(person(), None, person("p-2"), first=41), (), Counter())
    assert isinstance(found[2], KindRecord)
    assert found[2].aggregates[0].source == "page.json#000043"


def test_the_same_person_twice_is_two_records_of_one_key() -> None:
    first, second = records(page(person(profile_tags=["a"]), person()), (), Counter())
    assert isinstance(first, KindRecord)
    assert isinstance(second, KindRecord)
    assert first.aggregates[0].key == second.aggregates[0].key
    assert first.aggregates[0].source < second.aggregates[0].source


def test_what_is_said_twice_is_kept_twice() -> None:
    mail = {"email": "a@b.example"}
    record = read_one(person(profile_emails=[mail, None, {}, mail]))
    assert [row["position"] for row in rows(record, "people.emails")] == [0, 3]


def test_a_company_of_two_experiences_is_one_family() -> None:
    company = {"company_id": "c", "company_name": "N", "company_phones": [{"phone": "1"}]}
    record = read_one(employed(company, {**company, "job_title": "Earlier"}))
    assert len(aggregate(record, "organisation.identities")) == 1
    first, second = rows(record, "people.experiences")
    assert first["organisation_id"] == second["organisation_id"]
    assert first["rest"] is second["rest"] is None


def test_a_company_that_is_told_otherwise_later_in_the_record_is_kept_beside_it() -> None:
    record = read_one(
        employed(
            {"company_id": "c", "company_name": "New", "office_id": "o", "office_type": "hq"},
            {
                "company_id": "c",
                "company_name": "Old",
                "company_phones": [{"phone": "1"}],
                "office_id": "o",
                "office_type": "branch",
            },
        )
    )
    assert [row["name"] for row in rows(record, "organisation.identities")] == ["New"]
    assert [row["type"] for row in rows(record, "organisation.offices")] == ["hq"]
    first, second = rows(record, "people.experiences")
    assert first["rest"] is None
    assert second["rest"] == {
        "company_id": "c",
        "company_name": "Old",
        "company_phones": [{"phone": "1"}],
        "office_id": "o",
        "office_type": "branch",
    }
    assert first["office_id"] == second["office_id"] is not None


def test_a_newer_résumé_makes_a_person_newer() -> None:
    found = rows(
        read_one(employed({"company_id": "c"}, resume_last_modified_date="2025-03-01")),
        "people.identities",
    )[0]
    assert found["last_modified_date"] == MODIFIED
    assert found["latest_modified_date"] == dt.datetime(2025, 3, 1, tzinfo=dt.UTC)


def signature(record: Any, table: str = "people.identities") -> str:
    row = rows(read_one(record), table)[0]
    return str(row["content_signature"])


def test_a_signature_differs_when_anything_of_the_family_does() -> None:
    whole = employed({"company_id": "c", "company_phones": [{"phone": "1"}], "job_title": "x"})
    other_phone = copy.deepcopy(whole)
    other_phone["resume_data"]["experiences"][0]["company_phones"][0]["phone"] = "2"
    other_title = copy.deepcopy(whole)
    other_title["resume_data"]["experiences"][0]["job_title"] = "y"
    other_rest = {**copy.deepcopy(whole), "position": 2}
    newer = copy.deepcopy(whole)
    newer["profile_data"]["profile_last_modified_date"] = "2026-01-01"
    person_is = [signature(each) for each in (whole, other_phone, other_title, other_rest, newer)]
    assert person_is[0] == person_is[1]
    assert len(set(person_is)) == 4
    company = "organisation.identities"
    company_is = [signature(each, company) for each in (whole, other_phone, other_title, newer)]
    assert company_is[0] == company_is[2] == company_is[3] != company_is[1]


def test_a_signature_does_not_depend_on_the_order_of_names_nor_on_the_file() -> None:
    one = {**person(), "x": {"a": 1, "b": 2}}
    two = {"x": {"b": 2, "a": 1}, **person()}
    assert signature(one) == signature(two)
    (moved,) = records(page(one, path="elsewhere.json", first=9), (), Counter())
    assert isinstance(moved, KindRecord)
    assert rows(moved, "people.identities")[0]["content_signature"] == signature(one)


# Nothing is lost


def test_what_has_no_column_is_kept_in_the_shape_it_had() -> None:
    record = read_one(
        {
            "position": 3,
            "contact_data": {"contact_emails": [], "contact_phones": [{"phone": "1"}]},
            "profile_data": {
                "profile_id": "p",
                "nickname": "Bo",
                "profile_picture": {"url": "u", "width": 3},
                "profile_emails": [{"email": "a"}, {"email": "b", "verified": False}],
                "profile_status": {"status": None, "since": "2020"},
            },
            "resume_data": {
                "resume_tags": ["x"],
                "educations": [{"diploma": "BSc", "web_address_url": "not ours"}],
                "awards": [{"name": "A", "web_address": {"url": "u", "title": "T"}}],
            },
        }
    )
    assert rows(record, "people.identities")[0]["rest"] == {
        "position": 3,
        "contact_data": {"contact_emails": [], "contact_phones": [{"phone": "1"}]},
        "profile_data": {
            "nickname": "Bo",
            "profile_picture": {"width": 3},
            "profile_emails": {"1": {"verified": False}},
            "profile_status": {"since": "2020"},
        },
        "resume_data": {
            "resume_tags": ["x"],
            "educations": {"0": {"web_address_url": "not ours"}},
            "awards": {"0": {"web_address": {"title": "T"}}},
        },
    }
    assert rows(record, "people.statuses") == []


def test_what_says_nothing_is_not_kept() -> None:
    record = {**person(nickname=None), "contact_data": {"a": [], "b": {"c": [None, {}]}}}
    assert rows(read_one(record), "people.identities")[0]["rest"] is None


def test_an_experience_keeps_what_its_company_and_office_have_no_column_for() -> None:
    record = read_one(
        employed(
            {
                "salary": 1,
                "company_id": "c",
                "company_founded": 1990,
                "company_employees": {"number_of_employees": "40", "growth": 0.5},
                "company_social_links": {"x": {"url": "u", "name": "other", "followers": 3}},
                "office_id": "o",
                "office_address": {"city": "London", "planet": "Earth"},
                "job_seniority": {"job_level": "Director", "rank": 2},
            }
        )
    )
    assert rows(record, "people.experiences")[0]["rest"] == {
        "salary": 1,
        "company_founded": 1990,
        "company_employees": {"growth": 0.5},
        "company_social_links": {"x": {"name": "other", "followers": 3}},
        "office_address": {"planet": "Earth"},
        "job_seniority": {"rank": 2},
    }
    assert rows(record, "organisation.employees")[0]["number_of_employees"] == 40
    assert rows(record, "organisation.social_links") == [{"position": 0, "name": "x", "url": "u"}]


def test_a_company_that_cannot_be_named_stays_with_the_experience() -> None:
    left = {"company_industry": "Software", "company_phones": [{"phone": "1"}], "office_id": "o"}
    record = read_one(employed({"job_title": "x", "company_employees": {}, **left}))
    (row,) = rows(record, "people.experiences")
    assert row["organisation_id"] is row["office_id"] is None
    assert row["rest"] == left
    assert len(record.aggregates) == 1


def test_an_office_without_an_id_stays_with_the_experience() -> None:
    office = {"office_type": "hq", "office_address": {"city": "London", "state": None}}
    record = read_one(employed({"company_id": "c", "office_phones": [], **office}))
    (row,) = rows(record, "people.experiences")
    assert row["organisation_id"] is not None
    assert row["office_id"] is None
    assert row["rest"] == office


def test_phones_of_an_office_are_kept_as_they_are() -> None:
    phones = [{"phone": "1", "anything": [1]}]
    record = read_one(employed({"company_id": "c", "office_id": "o", "office_phones": phones}))
    assert rows(record, "organisation.offices")[0]["phones"] == phones


# Values


def test_a_date_that_nobody_can_read_is_null_counted_and_kept() -> None:
    tally: Tally = Counter()
    record = read_one(
        employed(
            {"start_date": "2018", "end_date": "present", "job_title": "x"},
            {"start_date": "unknown", "end_date": ""},
            {"start_date": 2018},
        ),
        tally,
    )
    first, second, third = rows(record, "people.experiences")
    assert first["start_date"] is first["end_date"] is None
    assert first["rest"] == {"start_date": "2018", "end_date": "present"}
    assert second["rest"] is None
    assert third["rest"] == {"start_date": 2018}
    assert tally == {"2018": 2, "present": 1, "unknown": 1, "": 1}


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        (7, 7),
        ("7", 7),
        (" -7 ", -7),
        (7.0, 7),
        ("7.0", 7),
        ("1e3", 1000),
        ("", None),
        ("n/a", None),
    ],
)
def test_whole_numbers(given_: Any, expected: int | None) -> None:
    record = read_one(person(profile_emails=[{"email": "a", "priority": given_}]))
    assert rows(record, "people.emails")[0]["priority"] == expected


@pytest.mark.parametrize(
    ("given_", "expected"), [(1, 1.0), ("0.98", 0.98), (".5", 0.5), ("1e-3", 0.001), (" ", None)]
)
def test_numbers(given_: Any, expected: float | None) -> None:
    record = read_one(person(profile_gender={"gender": "x", "confidence_score": given_}))
    found = rows(record, "people.genders")[0]["confidence_score"]
    assert found == expected
    assert found is None or type(found) is float


@pytest.mark.parametrize("value", ["a", "1_0", "٣", "0x1", "inf", "nan", [1], {}, True, 1.5, "1.5"])
def test_what_is_no_whole_number_is_a_problem(value: Any) -> None:
    problem = reason(person(profile_emails=[{}, {"priority": value}]))
    assert problem.startswith("profile_data.profile_emails[1].priority: expected a whole number")


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1, str(2**31), 1e300, "9" * 39, 10**400])
def test_a_number_that_its_column_cannot_hold_is_a_problem(value: Any) -> None:
    assert "too large" in reason(person(profile_emails=[{"priority": value}]))


@pytest.mark.parametrize("value", ["a", "inf", "nan", "1,5", [1], False])
def test_what_is_no_number_is_a_problem(value: Any) -> None:
    problem = reason(person(profile_address={"lat": value}))
    assert problem.startswith("profile_data.profile_address.lat: expected a number")


@pytest.mark.parametrize("value", ["1e999", 10**400])
def test_a_number_beyond_all_is_a_problem(value: Any) -> None:
    assert "too large" in reason(person(profile_address={"lat": value}))


def test_lists_of_texts() -> None:
    tags = [" a ", None, "", 'q"uote', "back\\slash", "com,ma", 7, "NULL", "{}"]
    record = read_one(person(profile_tags=tags, profile_languages=[]))
    (profile,) = rows(record, "people.profiles")
    assert profile["tags"] == [
        "a",
        None,
        None,
        'q"uote',
        "back\\slash",
        "com,ma",
        "7",
        "NULL",
        "{}",
    ]
    assert profile["languages"] == []
    assert profile["expertises"] is None


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        (None, "the record is null, not an object"),
        ("a string", "the record is a string, not an object"),
        ({}, "profile_data is missing"),
        ({"profile_data": None}, "profile_data is missing"),
        ({"profile_data": []}, "profile_data is an array, not an object"),
        ({"profile_data": {"profile_id": " "}}, "profile_data.profile_id is missing"),
        (person(None), "profile_data.profile_id is missing"),
        (person(["p"]), "profile_data.profile_id: expected a string, found an array"),
        (
            person(profile_headline=["x"]),
            "profile_data.profile_headline: expected a string, found a",
        ),
        (
            person(profile_address="London"),
            "profile_data.profile_address is a string, not an object",
        ),
        (person(profile_picture="u"), "profile_data.profile_picture is a string, not an object"),
        (
            person(profile_tags="a, b"),
            "profile_data.profile_tags: expected an array, found a string",
        ),
        (person(profile_tags=[[]]), "profile_data.profile_tags: expected a string, found an array"),
        (person(profile_emails={}), "profile_data.profile_emails is an object, not an array"),
        (
            person(profile_emails=["a@b"]),
            "profile_data.profile_emails[0] is a string, not an object",
        ),
        (
            person(profile_last_seen_date=[1]),
            "profile_data.profile_last_seen_date: expected a date",
        ),
        (person(resume=[]), "resume_data is an array, not an object"),
        (person(resume={"experiences": {}}), "resume_data.experiences is an object, not an array"),
        (employed("x"), "resume_data.experiences[0] is a string, not an object"),
        (
            employed({}, {"current": "yes"}),
            "resume_data.experiences[1].current: expected a boolean",
        ),
        (
            employed({"company_id": "c", "company_employees": 40}),
            "resume_data.experiences[0].company_employees is a number, not an object",
        ),
        (
            employed({"company_id": "c", "company_social_links": [{"url": "u"}]}),
            "resume_data.experiences[0].company_social_links is an array, not an object",
        ),
        (
            employed({"company_id": "c", "company_social_links": {"x": "u"}}),
            "resume_data.experiences[0].company_social_links.x is a string, not an object",
        ),
        (
            employed({"company_id": "c", "office_id": "o", "office_phones": "1"}),
            "resume_data.experiences[0].office_phones is a string, not an array",
        ),
        (
            employed({"job_functions": [{"level1": {"confidence_score": "high"}}]}),
            "resume_data.experiences[0].job_functions[0].level1.confidence_score: expected a",
        ),
        (
            person(resume={"awards": [{"web_address": "u"}]}),
            "resume_data.awards[0].web_address is a string, not an object",
        ),
    ],
)
def test_a_value_of_the_wrong_type_is_the_records_problem(record: Any, problem: str) -> None:
    assert reason(record).startswith(problem)
    before, found, after = records(page(person(), record, person("p-2")), (), Counter())
    assert isinstance(before, KindRecord)
    assert isinstance(found, RecordProblem)
    assert isinstance(after, KindRecord)


def test_a_problem_is_called_by_the_profile_id() -> None:
    (found,) = records(page(person("p-9", profile_address="x")), (), Counter())
    assert found.label == "p-9"


def test_what_is_nested_too_deeply_is_the_records_problem() -> None:
    deep: Any = "x"
    for _ in range(5_000):
        deep = [deep]
    assert "cannot be written as JSON again" in reason({**person(), "deep": deep})


# Anything at all

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(["2020-01-01", "2020", "n/a", "7", "\0"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


def full_record() -> dict[str, Any]:
    """A record with a value in every place."""
    address = {"city": "London", "lat": 51.5, "last_modified_date": "2025-02-06 00:00:00"}
    industry = {"id": "51", "code2": "51", "priority": 1}
    item = {
        "name": "N",
        "date": "2020-01-01",
        "priority": 1,
        "web_address": {"url": "u", "rank": 1},
    }
    phone = {"phone": "1", "ddi": False, "priority": 1}
    experience = {
        "job_title": "Founder",
        "start_date": "2018-01-01",
        "current": True,
        "priority": 1,
        "company_id": "c",
        "company_name": "N",
        "company_web_address": {"url": "u", "rank": 1},
        "company_employees": {"number_of_employees": 4},
        "company_social_links": {"linkedin": {"url": "u"}},
        "company_industries": [industry],
        "company_phones": [phone],
        "office_id": "o",
        "office_type": "hq",
        "office_address": address,
        "office_industries": [industry],
        "office_phones": [phone],
        "job_functions": [{"level1": {"code": "ENG", "confidence_score": 0.9}, "priority": 1}],
        "job_seniority": {"job_level": "Director"},
        "job_title_details": {"normalized_job_title": {"id": 77, "job_title": "Founder"}},
    }
    profile = {
        "profile_picture": {"url": "u"},
        "profile_tags": ["a"],
        "profile_gender": {"gender": "f", "confidence_score": 1},
        "profile_social_links": [{"name": "n", "url": "u"}],
        "profile_status": {"status": "s"},
        "profile_emails": [{"email": "e"}],
        "profile_phones": [phone],
        "profile_address": address,
    }
    lists = ("educations", "certifications", "memberships", "publications", "patents", "awards")
    resume = {"experiences": [experience], **{name: [item] for name in lists}}
    return copy.deepcopy({"position": 1, **person(resume=resume, **profile)})


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    return [path, *(place for key, each in inner for place in places(each, (*path, key)))]


PLACES = places(full_record())
ENCODERS = {
    row_format: [encoder(table, row_format) for table in TABLES] for row_format in RowFormat
}


def test_the_full_record_fills_every_table() -> None:
    filled_tables = {index for index, _ in read_one(full_record()).rows}
    assert filled_tables == set(range(len(TABLES)))


@given(st.sampled_from(PLACES), JSON)
def test_whatever_stands_in_a_record_it_is_a_record_or_a_problem(
    place: tuple[Any, ...], value: Any
) -> None:
    holder: Any = {"record": full_record()}
    path = ("record", *place)
    target = holder
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    (found,) = records(page(holder["record"]), (), Counter())
    if isinstance(found, RecordProblem):
        assert found.reason
        return
    pickle.loads(pickle.dumps(found))
    for row_format in RowFormat:
        for index, row in found.rows:
            assert ENCODERS[row_format][index](row)


@given(st.lists(JSON, max_size=4))
def test_there_is_one_answer_for_each_result(results: list[Any]) -> None:
    assert len(records(page(*results), (), Counter())) == len(results)


def read_persons(folder: Path, *persons: str) -> list[KindRecord | RecordProblem]:
    content = f'{{"results": [{", ".join(persons)}]}}'
    return list(PEOPLE.records(read_file(folder, content), (), Counter()))


def test_a_number_with_more_digits_than_its_column_is_kept_beside_it(tmp_path: Path) -> None:
    given_ = {
        "0.1234567890123456789": 0.12345678901234568,
        '"0.1234567890123456789"': 0.12345678901234568,
        "9007199254740993": 9007199254740992.0,
        "1e-400": 0.0,
        "0.125": 0.125,
        '" 0.10 "': 0.1,
        "0.10000000000000000000000": 0.1,
        "7": 7.0,
    }
    around = (
        '{{"profile_data": {{"profile_id": "p", "profile_gender": {{"confidence_score": {}}}}}}}'
    )
    persons = [around.format(each) for each in given_]
    kept = 0
    for record, (text, expected) in zip(
        read_persons(tmp_path, *persons), given_.items(), strict=True
    ):
        assert isinstance(record, KindRecord)
        (gender,) = rows(record, "people.genders")
        assert gender["confidence_score"] == expected
        (own,) = rows(record, "people.identities")
        if own["rest"] is not None:
            kept += 1
            score = own["rest"]["profile_data"]["profile_gender"]["confidence_score"]
            assert str(score) == text.strip('"').replace("e", "E")
    assert kept == 4


@pytest.mark.parametrize("number", ["18446744073709551616", "1e400", "1.5e400"])
def test_a_number_beyond_64_bits_is_no_whole_number(tmp_path: Path, number: str) -> None:
    jobs = f'"resume_data": {{"experiences": [{{"priority": {number}}}]}}'
    (problem,) = read_persons(tmp_path, f'{{"profile_data": {{"profile_id": "p"}}, {jobs}}}')
    assert isinstance(problem, RecordProblem)
    assert problem.reason == "resume_data.experiences[0].priority: the number is too large"


def test_an_id_with_many_digits_is_kept_as_it_is(tmp_path: Path) -> None:
    (record,) = read_persons(tmp_path, '{"profile_data": {"profile_id": 18446744073709551616}}')
    assert record.label == "18446744073709551616"


def test_a_record_with_a_flaw_is_a_problem_with_its_id_and_the_place(tmp_path: Path) -> None:
    half = r'{"profile_data": {"profile_id": "b", "profile_summary": "Sails \ud83d"}}'
    cut = r'{"profile_data": {"profile_id": "c \ud83d", "profile_headline": 1}}'
    twice = '{"profile_data": {"profile_id": "d"}, "profile_data": {"profile_id": "e"}}'
    found = read_persons(tmp_path, '{"profile_data": {"profile_id": "a"}}', half, cut, twice, "[]")
    assert [each.label for each in found] == ["a", "b", "c \ufffd", "e", ""]
    assert [each.reason for each in found if isinstance(each, RecordProblem)] == [
        "profile_data.profile_summary contains half of a surrogate pair (an emoji cut in two)",
        "profile_data.profile_id contains half of a surrogate pair (an emoji cut in two)",
        "profile_data occurs twice",
        "the record is an array, not an object",
    ]
