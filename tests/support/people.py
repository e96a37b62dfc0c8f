"""Sources of the kind `people`, and the results of their import in the target and on disk."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import sqlite3
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from imports.kinds.people.tables import GROUP
from tests.support.command import ROOT
from tests.support.database import query
from tests.support.folder import files_below

Row = dict[str, Any]

EXAMPLES = ROOT / "tests" / "examples" / "people"
TABLES = tuple(table.qualified_name for table in GROUP.tables)
EARLIER, MOMENT, LATER = "2025-01-01 10:00:00", "2025-02-07 10:00:00", "2025-03-01 10:00:00"
BROKEN = b'{"results": [ {"profile_data": '
COLUMNS = [
    *("file_path", "total_profiles", "successful_uploads", "failed_uploads"),
    *("processing_time_seconds", "status", "started_at", "completed_at"),
]
"""The progress log's, as the document has them."""


# Records


def person(
    profile_id: str | None = "p-1",
    *jobs: Row,
    modified: str | None = MOMENT,
    resume: Row | None = None,
    **profile: Any,
) -> Row:
    """A person who had some jobs; `profile` are fields without the `profile_` before them."""
    fields = {f"profile_{name}": value for name, value in profile.items()}
    if profile_id is not None:
        fields = {"profile_id": profile_id, "profile_first_name": f"N {profile_id}", **fields}
    return {
        "position": 1,
        "profile_data": {**fields, "profile_last_modified_date": modified},
        "resume_data": {"experiences": list(jobs), **(resume or {})},
    }


def emails(*addresses: str) -> list[Row]:
    return [{"email": each, "type": "work", "priority": 1} for each in addresses]


def phones(*numbers: str) -> list[Row]:
    return [{"phone": each, "ddi": False, "type": "mobile", "priority": 1} for each in numbers]


def job(company_id: str | None = "c-1", title: str = "Keeper", **fields: Any) -> Row:
    """A job at a company; `fields` are those of the experience, `company_phones` and the like."""
    company = {} if company_id is None else {"company_id": company_id, "company_name": "Harbour"}
    return {"job_title": title, "start_date": "2018-01-01", "current": True, **company, **fields}


def industries(*codes: str) -> list[Row]:
    return [{"id": each, "standard": "NAICS", "code2": each[:2], "priority": 1} for each in codes]


def _address(city: str) -> Row:
    return {"city": city, "country_code": "GB", "lat": 51.5, "lng": -0.12, "score": 0.9}


def _dated(name: str, **fields: Any) -> Row:
    return {
        "name": name,
        "date": "2015-05-01",
        "web_address": {"url": "https://w.example"},
    } | fields


def whole_person(profile_id: str = "p-1", *, modified: str = MOMENT, words: str = "a b c") -> Row:
    """A person with rows in all tables; each list has one element for each word."""
    each = words.split()
    some = each[0] if each else None
    jobs = [
        job(
            f"c-{word}",
            title=f"Keeper {word}",
            end_date="2020-06-30",
            summary='Line one.\nLine two with a tab\there, "quotes" and a \\.',
            priority=number,
            raw_location="Llandudno",
            company_domain=f"{word}.example",
            company_logo_url="https://w.example/logo.png",
            company_industry="Lights",
            company_web_address={"url": f"https://{word}.example", "rank": 2**40},
            company_employees={"number_of_employees": 40, "number_of_employees_code": "B"},
            company_social_links={name: {"url": f"https://{name}.example"} for name in each},
            company_industries=industries(*(f"51{name}" for name in each)),
            company_phones=phones(*(f"+44 {name}" for name in each)),
            office_id=f"o-{word}",
            office_type="hq",
            office_address=_address(word),
            office_industries=industries(*(f"52{name}" for name in each)),
            office_phones=[{"phone": name} for name in each],
            job_functions=[
                {"level1": {"code": name, "confidence_score": 0.5}, "priority": 1} for name in each
            ],
            job_seniority={"job_level": "Director"},
            job_title_details={
                "raw_job_title": {"job_title": word, "language_code": "cy"},
                "normalized_job_title": {"id": 77, "job_title": word},
            },
        )
        for number, word in enumerate(each)
    ]
    resume = {
        "resume_last_modified_date": modified,
        "educations": [
            {
                "educational_establishment": word,
                "educational_establishment_web_address": {"url": "https://u.example", "rank": 3},
                "start_date": "2001-09-01",
            }
            for word in each
        ],
        "certifications": [_dated(word, authority="Board") for word in each],
        "memberships": [{"title": "Fellow", "name": word} for word in each],
        "publications": [_dated(word, issue="4") for word in each],
        "patents": [_dated(word, number="EP 1") for word in each],
        "awards": [_dated(word) for word in each],
    }
    single = some is not None
    return person(
        profile_id,
        *jobs,
        modified=modified,
        resume=resume,
        last_name="Ŵynne 'O' \"薬\"",
        full_name="Nia Ŵynne",
        picture={"url": "https://w.example/nia.png"} if single else {"url": None},
        last_seen_date="2025-02-06 00:00:00",
        headline=some,
        summary="Two\nlines." if single else None,
        languages=[f'{word}, "{word}" {{NULL}} \\' for word in each],
        expertises=each,
        tags=[*each, None] if single else [],
        prior_industries=each,
        gender={"gender": "female", "confidence_score": 0.98} if single else None,
        social_links=[{"name": word, "url": "https://s.example"} for word in each],
        status={"status": "open to work"} if single else {"status": None},
        emails=emails(*(f"{word}@p.example" for word in each)),
        phones=phones(*each),
        address=_address("Bangor") if single else None,
        nickname=f"no column for {words}",
    )


# Files


def page(*records: object) -> bytes:
    """A page of results."""
    content = {"query": {"page_number": 1}, "counts": {}, "results": list(records)}
    return json.dumps(content).encode()


def write(folder: Path, path: str, content: object = None, *, stable: bool = True) -> Path:
    """Writes a file: bytes unchanged, a list as a page of these records.

    It appears at once with its whole content; with `stable`, its mtime is old.
    """
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.draft")
    draft.write_bytes(content if isinstance(content, bytes) else page(*(content or ())))  # type: ignore[misc]
    if stable:
        age(draft)
    draft.replace(file)
    return file


def age(file: Path, seconds: float = 60.0) -> None:
    """Gives a file an old mtime."""
    moment = time.time() - seconds
    os.utime(file, (moment, moment))


def add_examples(folder: Path) -> dict[str, tuple[int, int]]:
    """Our awkward examples; how many records of each file are good and bad."""
    for path in EXAMPLES.iterdir():
        write(folder, path.name, path.read_bytes())
    return {
        "broken.json": (0, 0),
        "empty_page.json": (0, 0),
        "keepers_p1.json": (2, 0),
        "one_bad_record.json": (2, 1),
    }


def sparse(profile_id: str) -> Row:
    """A record with nothing but an id."""
    return {"profile_data": {"profile_id": profile_id}}


def add_many(folder: Path, count: int, *, persons: int = 3) -> dict[str, list[str]]:
    """Pages that share companies, some empty, some with a bad record, some broken.

    Returns the ids of the persons that go in, by the path of the file.
    """
    found: dict[str, list[str]] = {}
    for number in range(count):
        path = f"{number % 3}/page_{number:04}.json"
        ids = [f"p-{number}-{each}" for each in range(persons)]
        records: list[object] = [
            person(
                each,
                job(f"c-{(number * 7 + place) % 11}", company_phones=phones(f"{number}", "2")),
                job(f"c-{(number * 5 + place) % 13}", office_id="o", office_type=f"{number % 4}"),
                modified=f"2025-02-{1 + number % 28:02} 10:00:00",
                emails=emails(f"{each}@p.example", "second@p.example"),
            )
            for place, each in enumerate(ids)
        ]
        if number % 10 == 3:
            records.insert(1, {"profile_data": {"profile_first_name": "Nobody"}})
        if number % 10 == 6:
            records, ids = [], []
        if number % 10 == 9:
            ids = []
        write(folder, path, BROKEN if number % 10 == 9 else page(*records))
        found[path] = ids
    return found


# What is left of it


def files(folder: Path) -> list[str]:
    """The files below a folder, by their paths in it, without hidden ones."""
    return [path for path in files_below(folder) if not path.rpartition("/")[2].startswith(".")]


def problems(file: Path) -> list[tuple[int | None, str | None, str]]:
    """The list of errors beside a failed file: index, id and reason of each record."""
    listed = json.loads(file.with_name(f"{file.stem}.errors.json").read_bytes())
    return [(each.pop("index"), each.pop("id"), each.pop("reason")) for each in listed]


def progress(file: Path, folder: Path | None = None) -> dict[str, Row]:
    """The rows of a progress log by file, relative to a folder, as a spreadsheet reads them."""
    with file.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        rows = list(reader)
    assert reader.fieldnames == COLUMNS
    names = [row["file_path"] for row in rows]
    if folder is not None:
        names = [Path(name).relative_to(folder.resolve()).as_posix() for name in names]
    assert len(set(names)) == len(names), names
    return dict(zip(names, rows, strict=True))


def statuses(file: Path, folder: Path | None = None) -> dict[str, tuple[str, int, int]]:
    """Status, successful and failed uploads of each file in a progress log."""
    return {
        name: (
            row["status"],
            int(row["successful_uploads"] or 0),
            int(row["failed_uploads"] or 0),
        )
        for name, row in sorted(progress(file, folder).items())
    }


def rows(url: str, tables: Iterable[str] = TABLES, *, sources: bool = True) -> dict[str, list[Row]]:
    """All rows of all tables, in an order, without what differs between runs and backends.

    Without `sources` also without that: of two files that say the same, either may be it.
    """
    found: dict[str, list[Row]] = {table: [] for table in tables}
    left_out = "{dataset_id,batch_id,inserted_by,created_at,updated_at%s}" % (
        "" if sources else ",source"
    )
    selects = (
        f"SELECT '{table}', to_jsonb(t) - '{left_out}'::text[] AS content FROM {table} t"
        for table in found
    )
    for table, content in query(url, f"{' UNION ALL '.join(selects)} ORDER BY 1, 2"):
        found[table].append(content)
    return found


def versions(url: str) -> list[tuple[str, str, str]]:
    """The transaction that wrote each row of each table, and the row's position."""
    tables = (*TABLES, "public.datasets")
    selects = (f"SELECT '{table}', ctid::text, xmin::text FROM {table}" for table in tables)
    return query(url, f"{' UNION ALL '.join(selects)} ORDER BY 1, 2")  # type: ignore[return-value]


def count(url: str, table: str = "people.identities") -> int:
    return int(query(url, f"SELECT count(*) FROM {table}")[0][0])


def person_ids(url: str) -> set[str]:
    """The ids of all stored persons."""
    return {row[0] for row in query(url, "SELECT neuron360_profile_id FROM people.identities")}


def empty_people(url: str) -> None:
    """Makes the tables of the kind like new ones."""
    query(url, "DELETE FROM people.identities; DELETE FROM organisation.identities")


def ledger_rows(ledger: Path, columns: str) -> list[tuple[Any, ...]]:
    """Some columns of all items in a ledger, by path."""
    with contextlib.closing(sqlite3.connect(ledger)) as connection:
        return connection.execute(f"SELECT {columns} FROM item ORDER BY path").fetchall()
