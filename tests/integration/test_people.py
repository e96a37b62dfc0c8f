"""The kind `people`: rows on both backends, what wins, what is counted, what becomes of files."""

from __future__ import annotations

import os
import random
import string
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import permutations
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from imports import ResilientImporter, process_people_from_file
from imports.backends.retry import RetryPolicy
from imports.backends.target import open_target
from imports.errors import RecordError, UsageError
from imports.items.phase import Phase
from imports.kinds.people.kind import PEOPLE
from imports.kinds.people.records import Page, identifier
from imports.phases.placing import place_rows
from imports.phases.prepare import encode_records, row_encoders
from imports.run.display import SilentDisplay
from imports.run.report import RunReport
from tests.support.bench import Bench
from tests.support.database import query
from tests.support.people import (
    BROKEN,
    EARLIER,
    LATER,
    MOMENT,
    TABLES,
    Row,
    add_examples,
    add_many,
    age,
    count,
    emails,
    empty_people,
    files,
    industries,
    job,
    ledger_rows,
    page,
    person,
    person_ids,
    phones,
    problems,
    progress,
    rows,
    sparse,
    statuses,
    versions,
    whole_person,
    write,
)

KEEP = {"on_success": "keep", "on_failure": "keep"}
MERGE = {
    "postgresql": b"copy incoming_people_identities",
    "supabase": b"POST /rest/v1/rpc/importer_merge_people ",
}
"""What a merge sends to the target, once."""

postgresql_only = pytest.mark.parametrize("bench", ["postgresql"], indirect=True)


def run(bench: Bench, *, display: SilentDisplay | None = None, **flags: Any) -> RunReport:
    """Imports people; the progress log is `progress.csv` in the bench's folder."""
    return importer(bench, display=display, **flags).run()


def importer(
    bench: Bench,
    *,
    display: SilentDisplay | None = None,
    stop: threading.Event | None = None,
    **flags: Any,
) -> ResilientImporter:
    settings = bench.settings(
        **{"kind": "people", "progress_csv": bench.folder / "progress.csv", **flags}
    )
    return ResilientImporter(settings, display, stop)


def outcomes(report: RunReport) -> dict[str, int]:
    names = ("inserted", "updated", "skipped", "unchanged", "refused")
    return {
        name: report.count(f"import.{name}") for name in names if report.count(f"import.{name}")
    }


def disposed(report: RunReport) -> tuple[int, int]:
    """How many files were deleted, and moved."""
    return report.count("import.files_deleted"), report.count("import.files_moved")


def reasons(report: RunReport) -> dict[str, str]:
    return {each.path: each.reason for each in report.failures}


class Calls(SilentDisplay):
    """Calls something whenever a phase begins."""

    def __init__(self, phase: Phase, call: Callable[[], object]) -> None:
        self._phase = phase
        self._call = call

    def begin(self, phase: Phase, total: int | None) -> None:
        if phase is self._phase:
            self._call()


class Stops(SilentDisplay):
    """Sets an event when something of a phase is done for the third time."""

    def __init__(self, phase: Phase, stop: threading.Event) -> None:
        self._phase = phase
        self._stop = stop
        self._left = 3

    def advance(self, phase: Phase, count: int) -> None:
        self._left -= phase is self._phase
        if not self._left:
            self._stop.set()


@pytest.fixture
def trees(tmp_path: Path) -> Path:
    """Where the sources lie, and beside them what is moved away."""
    return tmp_path / "trees"


@pytest.fixture
def source(bench: Bench) -> Path:
    return bench.source.folder


# --- rows ---------------------------------------------------------------------------------------


def test_a_person_has_rows_in_all_tables(bench: Bench, source: Path) -> None:
    write(source, "a/b.json", [whole_person("p-1", words="x y")])
    report = run(bench, **KEEP)
    assert (report.exit_code, outcomes(report)) == (0, {"inserted": 1})
    found = rows(bench.url)
    sizes = {table: len(each) for table, each in found.items()}
    assert all(sizes.values()), sizes
    assert sizes["organisation.identities"] == sizes["people.experiences"] == 2
    assert sizes["people.job_functions"] == sizes["organisation.industries"] == 4

    person_id = identifier("person/p-1")
    (row,) = found["people.identities"]
    assert (row["id"], row["source"]) == (person_id, "a/b.json#000000")
    assert (row["neuron360_profile_id"], row["last_name"]) == ("p-1", "Ŵynne 'O' \"薬\"")
    assert row["rest"] == {"position": 1, "profile_data": {"profile_nickname": "no column for x y"}}
    assert datetime.fromisoformat(row["last_modified_date"]) == datetime.fromisoformat(
        f"{MOMENT}+00:00"
    )
    (profile,) = found["people.profiles"]
    assert profile["languages"] == [f'{word}, "{word}" {{NULL}} \\' for word in "xy"]
    assert (profile["tags"], profile["summary"]) == (["x", "y", None], "Two\nlines.")
    experience = found["people.experiences"][0]
    assert experience["summary"] == 'Line one.\nLine two with a tab\there, "quotes" and a \\.'
    assert experience["organisation_id"] == identifier("organisation/c-x")
    assert (experience["start_date"], experience["end_date"]) == ("2018-01-01", "2020-06-30")
    assert found["organisation.offices"][0]["phones"] == [{"phone": "x"}, {"phone": "y"}]
    assert {each["rank"] for each in found["organisation.web_addresses"]} == {2**40}
    assert bench.verify(kind="people").clean


def test_an_empty_source_is_no_mistake(bench: Bench, source: Path) -> None:
    report = run(bench)
    assert (report.exit_code, report.nothing_to_do) == (0, True)
    assert progress(bench.folder / "progress.csv") == {}


# --- what is there already ----------------------------------------------------------------------

DATES = {
    "later": (MOMENT, LATER),
    "equal": (MOMENT, MOMENT),
    "earlier": (MOMENT, EARLIER),
    "now missing": (MOMENT, None),
    "missing before": (None, MOMENT),
    "always missing": (None, None),
}
REPLACED = {
    "keep": set(),
    "newer": {"later"},
    "replace": set(DATES),
}
UNDECIDED_DATES = {name for name, dates in DATES.items() if None in dates}


@pytest.mark.parametrize("rule", REPLACED)
def test_who_is_there_already_stays_or_is_replaced(bench: Bench, source: Path, rule: str) -> None:
    """A person and a company for each pair of dates, which say something else the second time."""
    for number, word in enumerate(("old", "new")):
        write(
            source,
            f"{word}.json",
            [
                person(
                    f"p {name}",
                    job(f"c {name}", company_domain=word, company_phones=phones(word, f"{word}2")),
                    modified=dates[number],
                    headline=word,
                    emails=emails(word, f"{word}2"),
                )
                for name, dates in DATES.items()
            ],
        )
        report = run(bench, if_exists=rule)
        undecided = UNDECIDED_DATES if (word, rule) == ("new", "newer") else set()
        assert (report.exit_code, files(source)) == (3 * bool(undecided), [])
    expected = {name: "new" if name in REPLACED[rule] else "old" for name in DATES}
    told = Counter("updated" if each == "new" else "skipped" for each in expected.values())
    assert outcomes(report) == Counter(told) - Counter(skipped=len(undecided)) + Counter(
        refused=len(undecided)
    )

    persons = query(
        bench.url,
        "SELECT substr(neuron360_profile_id, 3), headline, array_agg(email ORDER BY position)"
        " FROM people.identities JOIN people.profiles ON profiles.person_id = id"
        " JOIN people.emails ON emails.person_id = id GROUP BY 1, 2",
    )
    assert sorted(persons) == sorted((k, v, [v, f"{v}2"]) for k, v in expected.items())
    companies = query(
        bench.url,
        "SELECT substr(neuron360_company_id, 3), domain, array_agg(phone ORDER BY position)"
        " FROM organisation.identities JOIN organisation.phones ON organisation_id = id"
        " GROUP BY 1, 2",
    )
    # Companies are not the person's own: an undated one is the oldest.
    if rule == "newer":
        expected["missing before"] = "new"
    assert sorted(companies) == sorted((k, v, [v, f"{v}2"]) for k, v in expected.items())


@pytest.mark.parametrize("words", ["b", "c a", ""])
def test_a_shorter_list_leaves_nothing_behind(bench: Bench, source: Path, words: str) -> None:
    """In none of the tables: all is as if nothing had been there before."""
    write(source, "a.json", [whole_person("p-1", words="a b c")])
    run(bench)
    kept = rows(bench.url)
    write(source, "a.json", [whole_person("p-1", words=words, modified=LATER)])
    assert outcomes(run(bench)) == {"updated": 1}
    found = rows(bench.url)

    empty_people(bench.url)
    bench.forget()
    write(source, "a.json", [whole_person("p-1", words=words, modified=LATER)])
    assert outcomes(run(bench)) == {"inserted": 1}
    alone = rows(bench.url)
    gone = {identifier(f"organisation/c-{each}") for each in "abc" if each not in words.split()}
    for table in TABLES:
        mine = found[table]
        if table.startswith("organisation."):
            # Companies that nobody names any more are as they were before.
            offices = {row["id"]: row["organisation_id"] for row in kept["organisation.offices"]}
            of = [_organisation_of(table, row, offices) for row in mine]
            left = [row for row, each in zip(mine, of, strict=True) if each in gone]
            assert left == [
                row for row in kept[table] if _organisation_of(table, row, offices) in gone
            ]
            mine = [row for row, each in zip(mine, of, strict=True) if each not in gone]
        assert mine == alone[table], table


def _organisation_of(table: str, row: Row, offices: dict[str, str]) -> str:
    if table == "organisation.identities":
        return str(row["id"])
    return str(row.get("organisation_id") or offices[row["office_id"]])


def test_a_company_that_does_not_win_keeps_what_is_its_own(bench: Bench, source: Path) -> None:
    def worker(name: str, moment: str, *words: str) -> Row:
        return person(
            name,
            job(
                "c-1",
                company_phones=phones(*words),
                company_industries=industries(*words),
                company_social_links={word: {"url": word} for word in words},
                office_id="o-1",
                office_industries=industries(*words),
            ),
            modified=moment,
        )

    write(source, "a.json", [worker("p-1", LATER, "1", "2", "3")])
    run(bench)
    organisation = [table for table in TABLES if table.startswith("organisation.")]
    before = rows(bench.url, organisation)
    marks = [each for each in versions(bench.url) if each[0] in organisation]
    write(source, "b.json", [worker("p-2", MOMENT, "7")])
    report = run(bench)
    assert outcomes(report) == {"inserted": 1}
    assert rows(bench.url, organisation) == before
    assert [each for each in versions(bench.url) if each[0] in organisation] == marks
    jobs = query(bench.url, "SELECT organisation_id::text, office_id::text FROM people.experiences")
    assert len(jobs) == 2
    assert len(set(jobs)) == 1


ADDED = {
    "people.emails": "INSERT INTO people.emails (person_id, position, email)"
    " SELECT id, 7, 'added@p.example' FROM people.identities",
    "people.statuses": "INSERT INTO people.statuses (person_id, status)"
    " SELECT id, 'added' FROM people.identities",
    "people.job_functions": "INSERT INTO people.job_functions"
    " SELECT id, 0, 9, 'added' FROM people.identities",
    "organisation.phones": "INSERT INTO organisation.phones (organisation_id, position, phone)"
    " SELECT id, number, 'added' FROM organisation.identities, generate_series(7, 9) AS number",
    "organisation.office_addresses": "INSERT INTO organisation.office_addresses (office_id, city)"
    " SELECT id, 'added' FROM organisation.offices",
}


@pytest.mark.parametrize(
    ("table", "whole"),
    [
        *((table, False) for table in ADDED),
        *((table, True) for table in ("people.emails", "organisation.phones")),
    ],
)
def test_verification_finds_a_row_that_somebody_added_and_repair_removes_it(
    bench: Bench, source: Path, table: str, whole: bool
) -> None:
    """Where there are others of the kind beside it, and where there are none."""
    record = whole_person("p-1") if whole else person("p-1", job("c-1", office_id="o-1"))
    write(source, "a.json", [record])
    run(bench, **KEEP)
    assert bench.verify(kind="people").clean
    before = rows(bench.url)
    query(bench.url, ADDED[table])
    report = bench.verify(kind="people")
    assert (report.found, report.repairable) == ({"added": 1}, True)
    (finding,) = report.findings
    assert (finding.path, "p-1" in finding.subject) == ("a.json", True)
    assert f"{table} has a row that is in no file" in finding.detail
    assert "added" in finding.detail
    assert (", and 2 more" in finding.detail) == (table == "organisation.phones")
    assert bench.verify(kind="people", repair=True).clean
    assert rows(bench.url) == before


def test_a_row_that_was_added_to_what_a_newer_file_says_is_not_the_older_ones(
    bench: Bench, source: Path
) -> None:
    for name, moment in (("a", MOMENT), ("b", LATER)):
        write(source, f"{name}.json", [person("p-1", modified=moment, emails=emails(name))])
    run(bench, **KEEP)
    assert bench.verify(kind="people").clean
    query(bench.url, ADDED["people.emails"])
    report = bench.verify(kind="people")
    assert [(each.found, each.path) for each in report.findings] == [("added", "b.json")]


# --- merges -------------------------------------------------------------------------------------


class Merger:
    """Merges single records, as workers do: through the database of an opened target."""

    def __init__(self, bench: Bench, run_name: str = "batch") -> None:
        self.target = open_target(bench.settings(kind="people"), RetryPolicy(0))
        self.database = self.target.database
        dataset = self.database.dataset_id("people", "test", None, None)
        self.run = {
            "dataset_id": dataset,
            "batch_id": run_name,
            "if_exists": "newer",
            "repair": False,
        }
        self._encoders = row_encoders(PEOPLE, self.database.row_format)

    def merge(self, *pages: tuple[str, Row], request: Any = None) -> dict[str, str]:
        """Merges the first record of each page in one transaction; the letters by table."""
        found = []
        for number, (path, record) in enumerate(pages):
            content = Page(path, 0, [record])
            encoded, bad, _ = encode_records(PEOPLE, self._encoders, number, content, (), Counter())
            assert not bad
            found += encoded
        placed = place_rows(PEOPLE.group, self.run, found)
        answer = self.database.merge(request or uuid4(), placed.rows)
        tables = PEOPLE.group.tables
        return {tables[table].qualified_name: each for table, each in answer.outcomes.items()}

    def close(self) -> None:
        self.target.close()


@pytest.fixture
def merger(bench: Bench) -> Any:
    merger = Merger(bench)
    yield merger
    merger.close()


def rivals() -> list[tuple[str, Row]]:
    """Pages with the same person and company, which say different things of different age."""
    return [
        (
            f"{path}.json",
            person(
                "p",
                job(
                    "c",
                    company_domain=path,
                    company_phones=phones(*path * length),
                    office_id="o",
                    office_type=path,
                    office_industries=industries(*path * length),
                ),
                modified=moment,
                emails=emails(*path * length),
            ),
        )
        for path, moment, length in (
            ("b", LATER, 2),
            ("a", LATER, 1),
            ("c", EARLIER, 3),
            ("d", MOMENT, 3),
        )
    ]


def test_in_a_run_the_order_of_merges_does_not_matter(bench: Bench, merger: Merger) -> None:
    """The later one wins, of two of the same date the first path; with all that is its own."""
    merger.merge(*rivals())
    expected = rows(bench.url)
    (company,) = expected["organisation.identities"]
    assert (company["domain"], company["source"]) == ("a", "a.json#000000")
    assert len(expected["organisation.phones"]) == len(expected["people.emails"]) == 1
    for order in [*permutations(rivals())][::7]:
        empty_people(bench.url)
        for each in order:
            merger.merge(each)
        assert rows(bench.url) == expected, [path for path, _ in order]


def test_in_a_run_merges_at_the_same_time_do_not_matter(bench: Bench, merger: Merger) -> None:
    merger.merge(*rivals())
    expected = rows(bench.url)
    with ThreadPoolExecutor(len(rivals())) as executor:
        for _ in range(4):
            empty_people(bench.url)
            list(executor.map(merger.merge, rivals()))
            assert rows(bench.url) == expected


def test_of_three_of_the_same_date_the_first_wins_in_whatever_order_they_come(
    bench: Bench, merger: Merger
) -> None:
    """Also when the last of them says the same as the first."""
    three = [
        (f"{path}.json", person("p", headline=words, emails=emails(words)))
        for path, words in (("a", "X"), ("b", "Y"), ("c", "X"))
    ]
    found = {}
    for order in permutations(three):
        empty_people(bench.url)
        for each in order:
            merger.merge(each)
        (profile,) = rows(bench.url)["people.profiles"]
        found["".join(path[0] for path, _ in order)] = profile["headline"]
    assert set(found.values()) == {"X"}, found


def test_sets_follow_what_became_of_their_owners(bench: Bench, merger: Merger) -> None:
    old, new, older = (
        ("a.json", person("p", job("c", company_phones=phones(*words)), modified=moment))
        for words, moment in (("12", MOMENT), ("3", LATER), ("456", EARLIER))
    )

    def merged(each: tuple[str, Row]) -> tuple[str, str, list[str]]:
        # Another run: within one, what is said first does not matter.
        merger.run["batch_id"] = str(uuid4())
        answer = merger.merge(each)
        stored = query(bench.url, "SELECT phone FROM organisation.phones ORDER BY position")
        return (
            answer["people.identities"],
            answer["organisation.identities"],
            [row[0] for row in stored],
        )

    assert merged(old) == ("I", "I", ["1", "2"])
    assert merged(old) == ("=", "=", ["1", "2"])
    assert merged(new) == ("U", "U", ["3"])
    assert merged(older) == ("S", "S", ["3"])
    assert merged(old) == ("S", "S", ["3"])


def test_a_repeated_request_gets_its_answer_and_merges_nothing(
    bench: Bench, merger: Merger
) -> None:
    request = uuid4()
    first = ("a.json", person("p", job("c", company_phones=phones("1", "2"))))
    answer = merger.merge(first, request=request)
    merger.merge(("b.json", person("p", job("c", company_phones=phones("3")), modified=LATER)))
    before = versions(bench.url)
    assert merger.merge(first, request=request) == answer
    assert versions(bench.url) == before


def deadlocks(url: str) -> int:
    return int(
        query(url, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")[0][
            0
        ]
    )


def crossing(folder: Path, moment: str, *, backwards: bool) -> None:
    """Pages which bring the same companies, offices and persons, in one order or the other."""
    numbers = range(12)
    for number in range(6):
        order = sorted(numbers, reverse=backwards)
        write(
            folder,
            f"{number}.json",
            [
                person(
                    f"p-{each}",
                    job(f"c-{each}", company_phones=phones(moment, "2"), office_id=f"o-{each}"),
                    job(f"c-{11 - each}", company_phones=phones(moment, "2")),
                    modified=moment,
                    headline=moment,
                    emails=emails(moment),
                )
                for each in order
            ],
        )


def test_two_importers_at_once_bring_the_same_companies(bench: Bench) -> None:
    """In opposite orders, a file a transaction: nobody waits for ever, and the later ones win."""
    stuck = deadlocks(bench.url)
    found = []
    for first in (LATER, MOMENT):
        empty_people(bench.url)
        together = []
        for number, moment in enumerate((first, MOMENT if first == LATER else LATER)):
            home = bench.folder / f"{first[:7]}-{number}"
            crossing(home / "source", moment, backwards=bool(number))
            together.append(
                importer(
                    bench,
                    source=home / "source",
                    state_file=home / "work_state.json",
                    data_folder=home / "data",
                    progress_csv=home / "progress.csv",
                    batch_size=1,
                    max_retries=0,
                )
            )
        with ThreadPoolExecutor(2) as executor:
            reports = list(executor.map(ResilientImporter.run, together))
        assert [report.exit_code for report in reports] == [0, 0]
        assert sum(report.count("import.inserted") for report in reports) == 12
        for table in ("people.identities", "organisation.identities", "organisation.offices"):
            assert count(bench.url, table) == 12
        assert query(bench.url, "SELECT DISTINCT headline FROM people.profiles") == [(LATER,)]
        assert count(bench.url, "people.profiles") == count(bench.url, "people.emails") == 12
        assert query(
            bench.url, "SELECT phone, count(*) FROM organisation.phones GROUP BY 1 ORDER BY 1"
        ) == [("2", 12), (LATER, 12)]
        found.append(rows(bench.url, sources=False))
    assert deadlocks(bench.url) == stuck
    assert found[0] == found[1]


# --- counting -----------------------------------------------------------------------------------

ENDLESS = "".join(random.Random(4).choices(string.ascii_letters + string.digits, k=5_000))
"""An id that no index of PostgreSQL holds; random, so that it cannot be made shorter."""


@pytest.mark.usefixtures("waits")
def test_each_record_goes_in_or_fails_by_itself(bench: Bench, source: Path) -> None:
    bad = [
        ({"resume_data": None}, "", "profile_data is missing"),
        (person(None), "", "profile_data.profile_id is missing"),
        (person(ENDLESS), ENDLESS, "index row size"),
        (person("p-x", emails={}), "p-x", "profile_emails is an object, not an array"),
        (person("p-y", job(priority="first")), "p-y", "expected a whole number"),
        (person("p-z", job(company_employees={"number_of_employees": 2**63})), "p-z", "too large"),
        ("nobody", "", "the record is a string, not an object"),
        (None, "", "the record is null, not an object"),
    ]
    mixed: list[object] = []
    for number, (record, _, _) in enumerate(bad):
        mixed += [record, person(f"good-{number}", job("c-1"))]
    write(source, "mixed.json", mixed)
    write(source, "good.json", [person("good-8"), sparse("good-9")])
    write(source, "empty.json")
    write(source, "none.json", page())
    write(source, "no list.json", b'{"results": {}}')
    report = run(bench, on_failure="keep")

    assert report.exit_code == 3
    assert outcomes(report) == {"inserted": 10, "refused": 8}
    assert person_ids(bench.url) == {f"good-{number}" for number in range(10)}
    assert reasons(report).keys() == {"mixed.json", "no list.json"}
    assert reasons(report)["mixed.json"].endswith("(and 7 more records)")
    assert files(source) == ["mixed.json", "no list.json"]
    assert ledger_rows(
        bench.settings().ledger_file, "path, state, records, succeeded, refused, disposed_at > 0"
    ) == [
        ("empty.json", "imported", 0, 0, 0, 1),
        ("good.json", "imported", 2, 2, 0, 1),
        ("mixed.json", "failed", 16, 8, 8, None),
        ("no list.json", "failed", None, 0, 0, None),
        ("none.json", "imported", 0, 0, 0, 1),
    ]
    assert statuses(bench.folder / "progress.csv", source) == {
        "empty.json": ("COMPLETED", 0, 0),
        "good.json": ("COMPLETED", 2, 0),
        "mixed.json": ("FAILED", 8, 8),
        "no list.json": ("FAILED", 0, 0),
        "none.json": ("COMPLETED", 0, 0),
    }
    before = versions(bench.url)
    again = run(bench)
    assert outcomes(again) == {"unchanged": 8, "refused": 8}
    assert files(source) == ["no list.json"]
    assert versions(bench.url) == before
    told = problems(bench.folder / "trees" / "failed_uploads" / "mixed.json")
    assert [index for index, _, _ in told] == [2 * number for number in range(len(bad))]
    for (_, id_, reason), (_, label, words) in zip(told, bad, strict=True):
        assert id_ == (label or None)
        assert words in reason


@pytest.mark.usefixtures("waits")
def test_a_file_fails_only_once_whatever_the_batch(bench: Bench, source: Path) -> None:
    """One that the database refuses is halved out of a batch of many files."""
    for number in range(9):
        write(source, f"{number}.json", [person(f"p-{number}"), person(f"q-{number}")])
    write(source, "4.json", [person("p-4"), person(ENDLESS), person("q-4")])
    report = run(bench)
    assert outcomes(report) == {"inserted": 18, "refused": 1}
    assert len(person_ids(bench.url)) == 18
    assert files(source.parent / "failed_uploads") == ["4.errors.json", "4.json"]
    found = statuses(bench.folder / "progress.csv", source)
    assert found.pop("4.json") == ("FAILED", 2, 1)
    assert set(found.values()) == {("COMPLETED", 2, 0)}


def test_one_file_by_a_call(bench: Bench, source: Path) -> None:
    """As the document has it: the counts come back, and the file stays."""
    expected = add_examples(source)
    expected.pop("broken.json")
    write(source, "none.json", b"{}")
    write(source, "null.json", b'{"results": null}')
    write(source, "text.json", b'{"results": "none"}')
    settings = bench.settings(kind="people")
    paths = [source / name for name in [*expected, "none.json", "null.json"]]
    for _ in range(2):
        with ThreadPoolExecutor(4) as executor:
            found = list(executor.map(lambda path: process_people_from_file(path, settings), paths))
        assert found == [*expected.values(), (0, 0), (0, 0)]
    with pytest.raises(RecordError, match="not a page of a people search"):
        process_people_from_file(source / "text.json", settings)
    with pytest.raises(RecordError, match="is not JSON"):
        process_people_from_file(source / "broken.json", settings)
    assert person_ids(bench.url) == {f"k-{number}" for number in (1, 2, 3, 4)}
    assert files(bench.folder) == sorted(f"trees/source/{name}" for name in files(source))


# --- verification -------------------------------------------------------------------------------


def test_of_a_source_that_was_consumed_there_is_nothing_to_compare(
    bench: Bench, source: Path
) -> None:
    add_many(source, 6)
    assert len(reasons(run(bench))) == 1
    assert files(source) == []
    found = bench.verify(kind="people")
    assert (found.clean, found.records, found.gone) == (True, 0, 5)


def test_files_are_verified_before_they_are_deleted(bench: Bench, source: Path) -> None:
    """One whose rows do not verify stays, until they do; the others go."""
    for name in ("a", "b", "c"):
        write(source, f"{name}.json", [person(f"p-{name}", emails=emails(f"{name}@p.example"))])
    write(source, "broken.json", BROKEN)
    damage = "UPDATE people.emails SET email = %s WHERE email = %s"
    meanwhile = Calls(Phase.VERIFY, lambda: query(bench.url, damage, "x", "b@p.example"))
    report = run(bench, verify_writes=True, display=meanwhile)
    assert report.exit_code == 3
    assert report.verification is not None
    assert report.verification.records == 3
    assert [(each.found, each.path) for each in report.verification.findings] == [
        ("different", "b.json")
    ]
    assert files(source) == ["b.json"]
    assert files(source.parent / "failed_uploads") == ["broken.errors.json", "broken.json"]

    assert run(bench, verify_writes=True).exit_code == 3
    assert files(source) == ["b.json"]
    query(bench.url, damage, "b@p.example", "x")
    report = run(bench, verify_writes=True)
    assert (report.exit_code, disposed(report), files(source)) == (0, (1, 0), [])


def test_a_later_cycle_is_verified_though_the_clock_was_set_back(
    bench: Bench, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(source, "a.json", [person("p-a", emails=emails("a@p.example"))])
    back, clock = [0.0], time.time
    monkeypatch.setattr(time, "time", lambda: clock() - back[0])

    def add_and_set_back() -> None:
        back[0] = 3_600.0
        for name in ("b", "c"):
            write(source, f"{name}.json", [person(f"p-{name}", emails=emails(f"{name}@p.example"))])

    def damage() -> None:
        query(bench.url, "UPDATE people.emails SET email = 'x' WHERE email = 'b@p.example'")

    class Acting(SilentDisplay):
        actions = iter((add_and_set_back, damage))

        def begin(self, phase: Phase, total: int | None) -> None:
            if phase is Phase.VERIFY:
                next(self.actions)()

    report = run(bench, verify_writes=True, display=Acting())
    assert report.verification is not None
    assert [(each.found, each.path) for each in report.verification.findings] == [
        ("different", "b.json")
    ]
    assert (report.verification.records, report.exit_code) == (3, 3)
    assert files(source) == ["b.json"]


def test_the_good_persons_of_a_page_that_failed_and_is_kept_are_accounted_for(
    bench: Bench, source: Path
) -> None:
    write(source, "mixed.json", [person("good", job("c-1")), person(None)])
    report = run(bench, **KEEP, verify_writes=True)
    assert (report.exit_code, person_ids(bench.url)) == (3, {"good"})
    assert report.verification is not None
    assert report.verification.clean
    verified = bench.verify(kind="people")
    assert (verified.clean, verified.failed) == (True, 1)


@pytest.mark.parametrize(("rule", "moment"), [("newer", MOMENT), ("keep", LATER)])
def test_who_was_kept_as_he_was_verifies(
    bench: Bench, source: Path, rule: str, moment: str
) -> None:
    """Also where the file that he comes from was called the same."""
    for name in ("a.json", "b.json"):
        write(source, name, [person(f"p {name}", job("c-1"), headline="stored")])
    run(bench)
    for name, other in (("a.json", "a.json"), ("c.json", "b.json")):
        write(
            source, name, [person(f"p {other}", job("c-1"), headline="kept out", modified=moment)]
        )
    report = run(bench, verify_writes=True, if_exists=rule)
    assert report.verification is not None
    assert (report.exit_code, report.verification.found) == (0, {})
    assert (outcomes(report), files(source)) == ({"skipped": 2}, [])


def test_verification_finds_who_is_in_no_file_any_more(bench: Bench, source: Path) -> None:
    write(source, "a.json", [person("p-1", job("c-1")), person("p-2", job("c-2")), person("p-3")])
    run(bench, **KEEP)
    write(source, "a.json", [person("p-1", job("c-1"))])
    run(bench, **KEEP)
    found = bench.verify(kind="people")
    assert not found.clean
    assert set(found.found) == {"orphaned"}
    assert {each.subject for each in found.findings} == {"p-2", "p-3", "c-2/Harbour"}


@postgresql_only
def test_what_was_stopped_before_it_was_verified_is_verified_by_the_next_run(
    bench: Bench, source: Path
) -> None:
    write(source, "a.json", [person("p-1")])
    stop = threading.Event()
    report = importer(
        bench, verify_writes=True, stop=stop, display=Calls(Phase.VERIFY, stop.set)
    ).run()
    assert (report.exit_code, files(source), count(bench.url)) == (130, ["a.json"], 1)
    report = run(bench, verify_writes=True)
    assert report.verification is not None
    assert (report.exit_code, report.verification.records) == (0, 1)
    assert (outcomes(report), disposed(report), files(source)) == ({"inserted": 1}, (1, 0), [])


# --- large files --------------------------------------------------------------------------------


class Pieces:
    """Files of more than a few kilobytes are read in pieces of five records."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.proxy = bench.proxied()
        self.merged = 0
        self.stop = threading.Event()
        self._calls: dict[int, Callable[[], object]] = {}
        self.proxy.add(
            MERGE[bench.target.backend], action="call", times=10**6, call=self._note_merge
        )

    def _note_merge(self) -> None:
        self.merged += 1
        self._calls.get(self.merged, lambda: None)()

    def after(self, merges: int, call: Callable[[], object]) -> None:
        """Has something called when so many merges have been asked for, and one more."""
        self._calls[self.merged + merges + 1] = call

    def run(self, **flags: Any) -> RunReport:
        """Imports; `stop` stops it."""
        return importer(self.bench, stop=self.stop, **flags).run()


@pytest.fixture
def pieces(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Pieces:
    monkeypatch.setattr("imports.phases.prepare.LARGE_BYTES", 4_000)
    monkeypatch.setattr("imports.phases.pieces.PIECE_RECORDS", 5)
    # No processes for so little.
    monkeypatch.setattr("imports.phases.import_.FEW_ITEMS", 0)
    monkeypatch.setattr("imports.phases.verify.FEW_ITEMS", 0)
    return Pieces(bench)


def many_persons(number: int, *, moment: str = MOMENT) -> list[Any]:
    return [
        person(
            f"p-{each:03}",
            job(f"c-{each % 4}", company_phones=phones(str(each), "2")),
            modified=moment,
            headline=moment,
            emails=emails(f"{each}@p.example", "second@p.example"),
        )
        for each in range(number)
    ]


def test_a_large_file_is_imported_and_verified_in_pieces_as_in_one(
    bench: Bench, source: Path
) -> None:
    """With the processes that large files are parsed in."""
    write(source, "large.json", many_persons(33))
    write(source, "small.json", [person("small")])
    run(bench, **KEEP)
    expected = rows(bench.url)
    empty_people(bench.url)
    bench.forget()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("imports.phases.prepare.LARGE_BYTES", 4_000)
        patch.setattr("imports.phases.pieces.PIECE_RECORDS", 5)
        report = run(bench, verify_writes=True, max_workers=2)
    assert (report.exit_code, outcomes(report)) == (0, {"inserted": 34})
    assert report.verification is not None
    assert (report.verification.clean, report.verification.records) == (True, 34)
    assert files(source) == []
    assert rows(bench.url) == expected


def test_rows_and_lists_of_a_large_file(bench: Bench, source: Path, pieces: Pieces) -> None:
    content = many_persons(33)
    content[7] = {"profile_data": {}}
    content[30] = person("p-x", emails="none")
    write(source, "large.json", content)
    report = pieces.run()
    assert (report.exit_code, outcomes(report)) == (3, {"inserted": 31, "refused": 2})
    assert pieces.merged == 7
    assert statuses(bench.folder / "progress.csv", source) == {"large.json": ("FAILED", 31, 2)}
    told = problems(source.parent / "failed_uploads" / "large.json")
    assert [(index, id_) for index, id_, _ in told] == [(7, None), (30, "p-x")]
    assert report.state.work_items_remaining == 0

    found = rows(bench.url)
    empty_people(bench.url)
    bench.forget()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("imports.phases.prepare.LARGE_BYTES", 10**6)
        write(source, "large.json", content)
        assert run(bench).count("import.inserted") == 31
    assert rows(bench.url) == found


@pytest.mark.parametrize("after", [1, 4])
def test_a_large_file_goes_on_where_it_was_interrupted(
    bench: Bench, source: Path, pieces: Pieces, after: int
) -> None:
    content = many_persons(48)
    content[3] = {"profile_data": {}}
    write(source, "large.json", content)
    pieces.after(after, pieces.stop.set)
    report = pieces.run(max_workers=2)
    assert report.exit_code == 130
    assert files(source) == ["large.json"]
    ledger = bench.settings().ledger_file
    ((done, succeeded, refused),) = ledger_rows(ledger, "records_done, succeeded, refused")
    assert 5 <= done <= 40
    assert (done % 5, succeeded + refused, refused) == (0, done, 1)
    assert report.count("import.inserted") == succeeded
    assert count(bench.url) >= succeeded
    # The file is not finished: it is neither counted nor gone.
    assert statuses(bench.folder / "progress.csv", source) == {
        "large.json": ("IN_PROGRESS", succeeded, refused)
    }

    pieces.stop.clear()
    before = pieces.merged
    report = pieces.run()
    assert pieces.merged - before == 10 - done // 5
    assert (report.exit_code, outcomes(report)) == (3, {"inserted": 47, "refused": 1})
    assert (disposed(report), count(bench.url)) == ((0, 1), 47)
    assert [each[0] for each in problems(source.parent / "failed_uploads" / "large.json")] == [3]
    assert statuses(bench.folder / "progress.csv", source) == {"large.json": ("FAILED", 47, 1)}
    found = rows(bench.url, sources=False)
    empty_people(bench.url)
    bench.forget()
    write(source, "large.json", content)
    run(bench)
    assert rows(bench.url, sources=False) == found


def test_a_large_file_that_is_broken_in_the_middle(
    bench: Bench, source: Path, pieces: Pieces
) -> None:
    """The whole records before that go in; it fails as a file."""
    content = page(*many_persons(40))
    place = content.index(b'"p-023"')
    write(source, "large.json", content[:place])
    report = pieces.run()
    assert (report.exit_code, outcomes(report)) == (3, {"inserted": 23})
    assert person_ids(bench.url) == {f"p-{each:03}" for each in range(23)}
    assert "not JSON in record 23" in reasons(report)["large.json"]
    assert files(source) == []
    failed = source.parent / "failed_uploads" / "large.json"
    assert failed.read_bytes() == content[:place]
    assert problems(failed) == [(None, None, reasons(report)["large.json"])]
    assert statuses(bench.folder / "progress.csv", source) == {"large.json": ("FAILED", 23, 0)}

    # Mended and put back, it goes in as a whole.
    write(source, "large.json", content)
    assert outcomes(pieces.run()) == {"inserted": 17, "unchanged": 23}
    assert files(source) == []


def test_a_large_file_without_results(bench: Bench, source: Path, pieces: Pieces) -> None:
    write(source, "a.json", b'{"query": "%s"}' % (b"x" * 5_000))
    write(source, "b.json", b'{"results": [], "query": "%s"}' % (b"x" * 5_000))
    write(source, "c.json", b'{"results": "%s"}' % (b"x" * 5_000))
    report = pieces.run()
    assert (report.exit_code, disposed(report), pieces.merged) == (3, (1, 0), 0)
    assert files(source) == ["a.json", "c.json"]
    assert statuses(bench.folder / "progress.csv", source) == {
        "a.json": ("FAILED", 0, 0),
        "b.json": ("COMPLETED", 0, 0),
        "c.json": ("FAILED", 0, 0),
    }


def test_a_large_file_that_changes_while_it_is_read(
    bench: Bench, source: Path, pieces: Pieces
) -> None:
    """What was read of it is in; it stays, and the same run takes it as it is then."""
    path = write(source, "large.json", many_persons(80))
    later = page(*many_persons(60, moment=LATER))

    def change() -> None:
        path.write_bytes(later)
        age(path)

    pieces.after(1, change)
    report = pieces.run(max_workers=1)
    assert (report.exit_code, files(source)) == (0, [])
    assert files(source.parent / "failed_uploads") == []
    assert len(person_ids(bench.url)) >= 60
    stored = query(
        bench.url,
        "SELECT headline, count(*) FROM people.profiles JOIN people.identities ON id = person_id"
        " WHERE neuron360_profile_id < 'p-060' GROUP BY 1",
    )
    assert stored == [(LATER, 60)]
    assert statuses(bench.folder / "progress.csv", source) == {"large.json": ("COMPLETED", 60, 0)}


# --- what becomes of files ----------------------------------------------------------------------


@postgresql_only
@pytest.mark.parametrize("on_failure", ["move", "keep"])
@pytest.mark.parametrize("on_success", ["delete", "move", "keep"])
def test_where_files_are_in_the_end(
    bench: Bench, source: Path, trees: Path, on_success: str, on_failure: str
) -> None:
    add_examples(source / "deep" / "er")
    write(source, "good.json", [person("k-9")])
    report = run(bench, on_success=on_success, on_failure=on_failure)
    assert report.exit_code == 3
    good = ["deep/er/empty_page.json", "deep/er/keepers_p1.json", "good.json"]
    bad = ["deep/er/broken.json", "deep/er/one_bad_record.json"]
    kept = good * (on_success == "keep") + bad * (on_failure == "keep")
    assert files(source) == sorted(kept)
    assert files(trees / "done_uploads") == good * (on_success == "move")
    lists = [name.replace(".json", ".errors.json") for name in bad]
    assert files(trees / "failed_uploads") == sorted(bad + lists) * (on_failure == "move")
    assert disposed(report) == (
        3 * (on_success == "delete"),
        3 * (on_success == "move") + 2 * (on_failure == "move"),
    )
    assert report.not_disposed_total == 0
    again = run(bench, on_success=on_success, on_failure=on_failure)
    assert files(source) == sorted(kept)
    assert again.exit_code == 3 * (on_failure == "keep")
    assert outcomes(again).keys() <= {"unchanged", "refused"}


@postgresql_only
def test_the_lists_and_the_log_say_what_happened(bench: Bench, source: Path, trees: Path) -> None:
    expected = add_examples(source)
    log = bench.folder / "progress.csv"
    log.write_text(
        "file_path,total_profiles,successful_uploads,failed_uploads,processing_time_seconds,"
        "status,started_at,completed_at\n/elsewhere/a.json,1,1,0,0.5,COMPLETED,2025,2025\n"
    )
    run(bench)
    found = progress(log)
    earlier = found.pop("/elsewhere/a.json")
    assert (earlier["status"], earlier["started_at"]) == ("COMPLETED", "2025")
    assert found.keys() == {str(source.resolve() / name) for name in expected}
    for path, row in found.items():
        good, bad = expected[Path(path).name]
        failed = bool(bad) or path.endswith("broken.json")
        assert row["status"] == ("FAILED" if failed else "COMPLETED")
        assert (row["successful_uploads"], row["failed_uploads"]) == (str(good), str(bad))
        assert row["total_profiles"] == str(good + bad)
        began, ended = (
            datetime.fromisoformat(row[name]) for name in ("started_at", "completed_at")
        )
        assert began <= ended
        seconds = float(row["processing_time_seconds"])
        assert abs((ended - began).total_seconds() - seconds) < 0.01

    assert problems(trees / "failed_uploads" / "one_bad_record.json") == [
        (1, None, "profile_data.profile_id is missing")
    ]
    ((index, id_, reason),) = problems(trees / "failed_uploads" / "broken.json")
    assert (index, id_) == (None, None)
    assert "is not JSON" in reason


@postgresql_only
@pytest.mark.parametrize("workers", [1, 4])
def test_a_stopped_run_is_gone_on_with(
    bench: Bench, source: Path, trees: Path, workers: int
) -> None:
    """No file is gone before its rows are in, none of those stays, and each is counted once."""
    for number in range(12):
        write(source, f"{number:02}.json", [person(f"p-{number}"), *[None] * (number % 4 == 1)])
    stop = threading.Event()
    report = importer(
        bench, stop=stop, display=Stops(Phase.IMPORT, stop), batch_size=1, max_workers=workers
    ).run()
    assert report.exit_code == 130
    gone = {number for number in range(12) if f"{number:02}.json" not in files(source)}
    assert {f"p-{number}" for number in gone} <= person_ids(bench.url)
    assert 2 <= len(gone) <= len(person_ids(bench.url)) < 12
    assert sum(disposed(report)) == len(gone)

    report = run(bench, batch_size=5)
    assert (report.exit_code, outcomes(report)) == (3, {"inserted": 12, "refused": 3})
    assert (disposed(report), files(source)) == ((9, 3), [])
    assert len(files(trees / "failed_uploads")) == 6
    assert [each.path for each in report.failures] == ["01.json", "05.json", "09.json"]
    found = statuses(bench.folder / "progress.csv", source)
    assert [name for name, row in found.items() if row == ("FAILED", 1, 1)] == [
        each.path for each in report.failures
    ]
    assert list(found.values()).count(("COMPLETED", 1, 0)) == 9


@postgresql_only
def test_folders_inside_the_source_are_not_taken_for_it(bench: Bench, source: Path) -> None:
    add_examples(source)
    folders = {"failed_dir": source / "bad", "done_dir": source / "deep" / "done"}
    report = run(bench, on_success="move", **folders)
    assert disposed(report) == (0, 4)
    assert len(files(source / "bad")) == 4
    assert len(files(source / "deep" / "done")) == 2
    again = run(bench, on_success="move", **folders)
    assert (again.exit_code, again.nothing_to_do, disposed(again)) == (0, True, (0, 0))
    assert len(files(source)) == 6


@postgresql_only
def test_files_cannot_be_moved_to_where_they_are(bench: Bench, source: Path) -> None:
    write(source, "a.json", BROKEN)
    with pytest.raises(UsageError, match="that is the source"):
        run(bench, failed_dir=source)
    assert files(source) == ["a.json"]


@postgresql_only
def test_a_taken_name_keeps_both(bench: Bench, source: Path, trees: Path) -> None:
    failed = trees / "failed_uploads"
    contents = [page(sparse(f"p-{number}"), None) for number in range(3)]
    for content in contents:
        write(source, "a.json", content)
        assert run(bench).exit_code == 3
    # The same content again is the same file.
    write(source, "a.json", contents[1])
    run(bench)
    names = ["a.json", "a.1.json", "a.2.json"]
    assert files(source) == []
    assert files(failed) == sorted(names + [name[:-5] + ".errors.json" for name in names])
    assert [(failed / name).read_bytes() for name in names] == contents
    assert all(len(problems(failed / name)) == 1 for name in names)


@postgresql_only
def test_another_file_system(bench: Bench, source: Path, tmp_path_factory: Any) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    if elsewhere.stat().st_dev == source.stat().st_dev:
        pytest.skip("there is only one file system here")
    add_examples(source)
    contents = {path.name: path.read_bytes() for path in source.iterdir()}
    report = run(
        bench, on_success="move", failed_dir=elsewhere / "bad", done_dir=elsewhere / "good"
    )
    assert (disposed(report), files(source)) == ((0, 4), [])
    moved = [*(elsewhere / "bad").iterdir(), *(elsewhere / "good").iterdir()]
    names = {path.name: path.read_bytes() for path in moved if ".errors." not in path.name}
    assert {name: names.get(name) for name in contents} == contents
    assert not list(elsewhere.rglob("*.part"))


@postgresql_only
def test_a_file_that_cannot_be_moved_is_told_and_moved_later(
    bench: Bench, source: Path, trees: Path
) -> None:
    """A file is where its folder would have to be."""
    write(source, "sub/a.json", [person("p-1")])
    write(source, "sub/b.json", BROKEN)
    write(source, "c.json", [person("p-2")])
    in_the_way = [trees / "done_uploads" / "sub", trees / "failed_uploads" / "sub"]
    for path in in_the_way:
        path.parent.mkdir()
        path.write_text("in the way")
    report = run(bench, on_success="move")
    assert (report.exit_code, report.not_disposed_total) == (3, 2)
    assert [each.path for each in report.not_disposed] == ["sub/a.json", "sub/b.json"]
    assert all("cannot be moved away" in each.reason for each in report.not_disposed)
    assert (disposed(report), files(source)) == ((0, 1), ["sub/a.json", "sub/b.json"])
    assert len(person_ids(bench.url)) == 2

    for path in in_the_way:
        path.unlink()
    before = versions(bench.url)
    report = run(bench, on_success="move", max_retries=1)
    assert (report.not_disposed_total, disposed(report), files(source)) == (0, (0, 2), [])
    assert versions(bench.url) == before
    assert run(bench).exit_code == 0


@postgresql_only
def test_what_was_imported_and_kept_is_deleted_by_a_later_run(bench: Bench, source: Path) -> None:
    write(source, "a.json", [person("p-1")])
    run(bench, **KEEP)
    before = versions(bench.url)
    report = run(bench)
    assert (report.exit_code, outcomes(report)) == (0, {"unchanged": 1})
    assert (disposed(report), files(source)) == ((1, 0), [])
    assert versions(bench.url) == before


def test_what_was_imported_and_is_gone_from_the_target_goes_in_again_before_it_is_deleted(
    bench: Bench, source: Path
) -> None:
    write(source, "a.json", [person("p-1")])
    run(bench, **KEEP)
    query(bench.url, "DELETE FROM people.identities")
    report = run(bench)
    assert (report.exit_code, outcomes(report), files(source)) == (0, {"inserted": 1}, [])
    assert count(bench.url) == 1


@pytest.mark.parametrize("same", [True, False])
def test_a_deleted_file_that_comes_again_is_imported_again(
    bench: Bench, source: Path, same: bool
) -> None:
    path = write(source, "a.json", [person("p-1", emails=emails("a@p.example"))])
    status = path.stat()
    run(bench)
    assert files(source) == []
    query(bench.url, "DELETE FROM people.identities")
    path = write(source, "a.json", [person("p-1", emails=emails("a@p.example"))])
    if same:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    report = run(bench)
    assert (outcomes(report), disposed(report)) == ({"inserted": 1}, (1, 0))
    assert statuses(bench.folder / "progress.csv", source) == {"a.json": ("COMPLETED", 1, 0)}
    before = versions(bench.url)
    write(source, "a.json", [person("p-1", emails=emails("a@p.example"))])
    report = run(bench)
    assert (outcomes(report), disposed(report), files(source)) == ({"unchanged": 1}, (1, 0), [])
    assert versions(bench.url) == before


@postgresql_only
def test_a_failed_file_that_is_kept_is_tried_by_a_few_runs(
    bench: Bench, source: Path, trees: Path
) -> None:
    write(source, "a.json", [person("p-1"), None])
    keep = {"on_failure": "keep", "max_retries": 2}
    for tries in (1, 2):
        report = run(bench, **keep)
        assert (report.exit_code, report.count("planning.to_import")) == (3, 1)
        assert [each.tries for each in report.failures] == [tries]
    report = run(bench, **keep)
    assert (report.exit_code, report.count("planning.to_import")) == (3, 0)
    assert report.count("planning.given_up") == 1
    assert files(source) == ["a.json"]
    report = run(bench, retry_failed=True, **keep)
    assert (report.count("planning.to_import"), report.failures[0].tries) == (1, 3)
    # It is given up: a run that moves away what failed moves it.
    report = run(bench, max_retries=2)
    assert (report.count("planning.to_import"), disposed(report)) == (0, (0, 1))
    assert files(trees / "failed_uploads") == ["a.errors.json", "a.json"]
    assert problems(trees / "failed_uploads" / "a.json")[0][0] == 1


@postgresql_only
def test_what_cannot_even_be_read_stays_and_is_told_by_each_run(
    bench: Bench, source: Path, trees: Path
) -> None:
    """A link to nowhere, a pipe, a name that is not UTF-8: nothing of it can be moved away."""
    write(source, "a.json", [person("p-1")])
    (source / "link.json").symlink_to("nowhere.json")
    os.mkfifo(source / "pipe.json")
    odd = Path(os.fsdecode(os.fsencode(source) + b"/b\xe9d.json"))
    names = ["link.json", "pipe.json"]
    try:
        odd.write_bytes(page(person("p-2")))
        names.insert(0, "b\\xe9d.json")
    except OSError:
        pass  # this file system takes no such names
    for number in range(3):
        report = run(bench, max_retries=1)
        assert report.exit_code == 3
        assert disposed(report) == (int(number == 0), 0)
        assert sorted(reasons(report)) == names
    assert {path.name for path in source.iterdir()} == {"link.json", "pipe.json", odd.name}
    assert not (trees / "failed_uploads").exists() or files(trees / "failed_uploads") == []


@postgresql_only
def test_a_file_that_somebody_takes_away_is_no_failure_of_others(
    bench: Bench, source: Path
) -> None:
    for name in ("a", "b", "c"):
        write(source, f"{name}.json", [person(f"p-{name}")])
    seen: list[int] = []

    def take_away() -> None:
        seen.append(1)
        # Listed, and yet to be read.
        if len(seen) == 2:
            (source / "b.json").unlink()

    report = run(bench, display=Calls(Phase.PLANNING, take_away))
    assert person_ids(bench.url) == {"p-a", "p-c"}
    assert disposed(report) == (2, 0)
    assert files(source) == []
    assert run(bench).exit_code == 0


@postgresql_only
def test_a_run_that_is_stopped_while_it_waits_for_a_file_leaves_it(
    bench: Bench, source: Path
) -> None:
    write(source, "a.json", [person("p-1")])
    write(source, "young.json", [person("p-2")], stable=False)
    stop = threading.Event()
    calls: list[int] = []

    def stop_at_the_second_listing() -> None:
        calls.append(1)
        if len(calls) == 3:
            stop.set()

    report = importer(
        bench, stop=stop, display=Calls(Phase.PLANNING, stop_at_the_second_listing)
    ).run()
    assert len(calls) == 3, "it is not listed again"
    assert (report.exit_code, files(source)) == (130, ["young.json"])
    age(source / "young.json")
    report = run(bench)
    assert (report.exit_code, outcomes(report), files(source)) == (0, {"inserted": 2}, [])


# --- what a run takes ---------------------------------------------------------------------------


@postgresql_only
def test_a_limit(bench: Bench, source: Path) -> None:
    for number in range(5):
        write(source, f"{number}.json", [person(f"p-{number}")])
    report = run(bench, limit=2)
    assert (report.exit_code, outcomes(report)) == (0, {"inserted": 2})
    assert files(source) == ["2.json", "3.json", "4.json"]
    assert report.state.work_items_remaining == 3
    write(source, "2.json", BROKEN)
    assert disposed(run(bench, limit=1)) == (0, 1)
    assert disposed(run(bench)) == (2, 0)
    assert files(source) == []
    assert len(person_ids(bench.url)) == 4


@postgresql_only
def test_a_single_file_stays(bench: Bench, source: Path, trees: Path) -> None:
    add_examples(source)
    listed = files(source)
    for name in ("keepers_p1.json", "one_bad_record.json"):
        run(bench, single_file=source / name)
    assert files(source) == listed
    assert files(trees) == [f"source/{name}" for name in listed]
    assert len(person_ids(bench.url)) == 4
    # Unless it is asked for.
    run(bench, single_file=source / "keepers_p1.json", on_success="delete")
    run(bench, single_file=source / "broken.json", on_failure="move")
    assert files(source) == ["empty_page.json", "one_bad_record.json"]


@postgresql_only
def test_a_scan_only_looks(bench: Bench, source: Path, trees: Path) -> None:
    add_examples(source)
    listed = files(trees)
    report = run(bench, scan_only=True)
    assert (report.exit_code, report.scanned is not None) == (0, True)
    assert (files(trees), count(bench.url)) == (listed, 0)
    assert not (bench.folder / "progress.csv").exists()
    run(bench, **KEEP)
    assert count(bench.url) == 4
    (bench.folder / "progress.csv").unlink()
    run(bench, scan_only=True)
    assert files(trees) == listed
    assert not (bench.folder / "progress.csv").exists()


@postgresql_only
def test_force_imports_what_is_kept_before_it_is_deleted(bench: Bench, source: Path) -> None:
    write(source, "a.json", [person("p-1")])
    run(bench, **KEEP)
    query(bench.url, "DELETE FROM people.identities")
    report = run(bench, force=True)
    assert (outcomes(report), disposed(report)) == ({"inserted": 1}, (1, 0))
    assert (files(source), count(bench.url)) == ([], 1)


@postgresql_only
def test_a_file_is_taken_when_it_has_stopped_growing(bench: Bench, source: Path) -> None:
    """Which the clock that gave it its time may not tell."""
    write(source, "old.json", [person("p-1")])
    write(source, "new.json", [person("p-2")], stable=False)
    path = write(source, "ahead.json", [person("p-3")])
    age(path, -3_600)
    growing = write(source, "growing.json", page(person("p-4"))[:50], stable=False)
    seen: list[list[str]] = []

    def look() -> None:
        seen.append(files(source))
        if len(seen) == 2:
            growing.write_bytes(page(person("p-4")))

    report = run(bench, display=Calls(Phase.IMPORT, look))
    assert (report.exit_code, outcomes(report)) == (0, {"inserted": 4})
    assert seen[0] == ["ahead.json", "growing.json", "new.json", "old.json"]
    assert "old.json" not in seen[1]
    assert files(source) == []


@postgresql_only
def test_a_file_that_comes_again_in_the_same_run_is_imported_again(
    bench: Bench, source: Path
) -> None:
    """Its rows go in as they would in another run."""
    write(source, "a.json", [person("p-1", headline="old"), person("p-2", headline="old")])
    write(source, "late.json", [person("p-3")], stable=False)
    came: list[str] = []

    def come_again() -> None:
        if files(source) == ["late.json"] and not came:
            came.append("a.json")
            write(
                source,
                "a.json",
                [person("p-1", headline="new"), person("p-2", headline="new", modified=LATER)],
            )

    report = run(bench, display=Calls(Phase.PLANNING, come_again), if_exists="replace")
    assert came
    assert (report.exit_code, files(source)) == (0, [])
    assert query(
        bench.url,
        "SELECT neuron360_profile_id, headline FROM people.identities JOIN people.profiles"
        " ON person_id = id ORDER BY 1",
    ) == [("p-1", "new"), ("p-2", "new")]


def test_of_a_page_that_is_kept_good_persons_are_no_orphans_though_others_failed(
    bench: Bench, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imports.phases.prepare.LARGE_BYTES", 90_000)
    monkeypatch.setattr("imports.phases.pieces.PIECE_RECORDS", 5)
    write(source, "part.json", [person("p-1"), sparse("p-2"), {}])
    write(source, "whole.json", [person("p-3")])
    large = [person(f"l-{each}", headline="x" * 9_000) for each in range(12)]
    write(source, "large.json", [*large, "no person"])
    write(source, "broken.json", BROKEN)
    report = run(bench, **KEEP)
    assert (report.exit_code, report.failures_total) == (3, 3)
    found = bench.verify(kind="people")
    assert (found.clean, found.records, found.failed) == (True, 1, 3)
    # A person whom no file has any more may be of what failed, and cannot be told from it.
    write(source, "part.json", [sparse("p-2"), {}])
    run(bench, **KEEP)
    assert bench.verify(kind="people").found == {"unaccounted": 1}
