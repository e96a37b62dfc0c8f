"""Every bad file, alone among good ones: it is told with its path and reason, the others go in."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Workplace
from tests.support.contents import count, results
from tests.support.database import query
from tests.support.searches import search, write
from tests.support.target import Target

GOOD = [f"Good {number}" for number in range(5)]


def without(part: str, name: str) -> dict[str, Any]:
    document = search("Bad")
    del document[part][name]
    return document


def replaced(part: str, value: object) -> dict[str, Any]:
    return {**search("Bad"), part: value}


BAD: dict[str, tuple[object, str]] = {
    "not-json": (b"<html>502 Bad Gateway</html>", "not JSON"),
    "truncated": (json.dumps(search("Bad")).encode()[:-20], "not JSON"),
    "utf-16": (json.dumps(search("Bad")).encode("utf-16"), "UTF-16"),
    "utf-16-without-mark": (json.dumps(search("Bad")).encode("utf-16-le"), "JSON"),
    "list": ([search("Bad")], "is an array, not an object"),
    "text": ("Bad", "is a string, not an object"),
    "null": (None, "is null, not an object"),
    "empty": (b"", "empty"),
    "blank": (b" \n", "empty"),
    "nul-bytes": (b"\0" * 100, "not JSON"),
    "latin-1": (
        '{"metadata": {"pharmacy_name": "Caf\u00e9"}}'.encode("latin-1"),
        "metadata.pharmacy_name contains bytes that are not UTF-8",
    ),
    "lone-surrogate": (
        json.dumps(search("Bad")).replace('"Bad"', r'"Bad \ud800"').encode(),
        "metadata.pharmacy_name contains half of a surrogate pair",
    ),
    "name-twice": (b'{"metadata": {"state": "FL", "state": "GA"}}', "metadata.state occurs twice"),
    "nan": (json.dumps(search("Bad", fee=float("nan"))).encode(), "not JSON"),
    "missing-name": (without("metadata", "pharmacy_name"), "pharmacy_name is missing"),
    "missing-state": (without("metadata", "state"), "state is missing"),
    "missing-metadata": ({"search_result": {}}, "metadata is missing"),
    "empty-name": (search("  "), "pharmacy_name is missing"),
    "metadata-list": (replaced("metadata", []), "metadata is an array"),
    "licenses-object": (replaced("search_result", {"licenses": {}}), "licenses"),
    "license-text": (replaced("search_result", {"licenses": ["PH1"]}), "licenses[0]"),
    "number-object": (search("Bad", number={"a": 1}), "license_number"),  # type: ignore[arg-type]
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Good files before and after where a bad one will stand."""
    source = tmp_path / "source"
    for number, name in enumerate(GOOD):
        write(source / "FL", f"{'az'[number % 2]}{number}", search(name))
    return source


def check_one_failed(place: Workplace, source: Path, path: str, reason: str) -> None:
    ended = place.run("states", source, "--tag", "T", exit_code=3)
    line = next(each for each in ended.out.splitlines() if path in each)
    assert reason in line
    assert "Failed Items: 1" in ended.out
    assert "5 inserted" in ended.out
    assert "Traceback" not in ended.text
    (failed,) = place.state["failed_items"]
    assert failed["path"] == path
    assert reason in failed["reason"]
    assert failed["phase"] == "planning"
    assert failed["tries"] == 1


ALONE = [
    *("not-json", "truncated", "utf-16", "list", "empty", "nul-bytes"),
    *("missing-name", "missing-state", "license-text"),
]


@pytest.mark.parametrize("name", ALONE)
def test_alone_among_good_ones(
    pg_place: Workplace, postgresql: Target, source: Path, name: str
) -> None:
    content, reason = BAD[name]
    write(source / "FL", "bad", content if content is not None else b"null")
    check_one_failed(pg_place, source, "FL/bad_parse.json", reason)
    assert [row["search_name"] for row in results(postgresql.database_url)] == GOOD


@pytest.mark.parametrize("what", ["dangling link", "fifo", "folder"])
def test_not_a_file(pg_place: Workplace, postgresql: Target, source: Path, what: str) -> None:
    path = source / "FL" / "bad_parse.json"
    if what == "dangling link":
        path.symlink_to("nowhere")
        check_one_failed(pg_place, source, "FL/bad_parse.json", "No such file")
    elif what == "fifo":
        os.mkfifo(path)
        check_one_failed(pg_place, source, "FL/bad_parse.json", "not a regular file")
    else:
        path.mkdir()
        pg_place.run("states", source, "--tag", "T")
    assert count(postgresql.database_url) == 5


def test_all_of_them_on_both_backends(place: Workplace, target: Target, source: Path) -> None:
    for name, (content, _) in BAD.items():
        write(source / "bad", name, content if content is not None else b"null")
    (source / "bad" / "link_parse.json").symlink_to("nowhere")
    ended = place.run("states", source, "--tag", "T", exit_code=3)

    assert [row["search_name"] for row in results(target.database_url)] == GOOD
    assert f"Failed Items: {len(BAD) + 1}" in ended.out
    assert "more, in the work state" in ended.out
    assert "more failed" in place.run("status").out
    reasons = {each["path"]: each["reason"] for each in place.state["failed_items"]}
    assert len(reasons) == len(BAD) + 1
    for name, (_, reason) in BAD.items():
        assert reason in reasons[f"bad/{name}_parse.json"]

    # Again, with some mended and the others not: only those are tried again.
    for name in ("empty", "utf-16"):
        write(source / "bad", name, search(f"Mended {name}"))
    again = place.run("states", source, "--tag", "T", exit_code=3)
    assert "2 inserted" in again.out
    assert count(target.database_url) == 7
    assert {each["tries"] for each in place.state["failed_items"]} == {2}


def test_what_is_accepted(place: Workplace, target: Target, tmp_path: Path) -> None:
    source = tmp_path / "source"
    write(source, "bom", b"\xef\xbb\xbf" + json.dumps(search("With mark")).encode())
    nul = search("With \u0000nul", license_status="Act\u0000ive", remarks=["\u0000"])
    write(source, "nul", nul)
    write(source, "none", search("No licence", number=None))
    write(source, "dates", search("Dates", issue_date="2/28/2027", expiration_date="2/30/2027"))
    write(source, "words", search("Words", issue_date="Not On File", expiration_date="---"))
    ended = place.run("states", source, "--tag", "T")

    rows = {row["search_name"]: row for row in results(target.database_url)}
    assert sorted(rows) == ["Dates", "No licence", "With mark", "With nul", "Words"]
    assert rows["With nul"]["license_status"] == "Active"
    assert rows["No licence"]["license_number"] is None
    assert rows["Dates"]["issue_date"] == "2027-02-28"
    assert rows["Dates"]["expiration_date"] is None
    assert rows["Words"]["issue_date"] is None
    for value in ("'Not On File' 1×", "'---' 1×", "'2/30/2027' 1×"):
        assert value in ended.out


@pytest.fixture
def choosy(target: Target) -> Iterator[Target]:
    """A target that has a rule of its own. Nobody knows of it before the database says so."""
    url = target.database_url
    rule = "ADD CONSTRAINT choosy CHECK (search_name <> 'Refused')"
    query(url, f"ALTER TABLE search_results {rule}")
    yield target
    query(url, "ALTER TABLE search_results DROP CONSTRAINT choosy")


def test_a_value_that_the_database_alone_refuses_is_isolated(
    place: Workplace, choosy: Target, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    for number in range(40):
        write(source, f"{number:02d}", search(f"Good {number:02d}"))
    write(source, "15_bad", search("Refused"))
    # The local Supabase answers with 500, as if it might pass; the real one with 400.
    patience = ["--max-retries", "0"] if choosy.backend == "supabase" else []
    ended = place.run("states", source, "--tag", "T", *patience, exit_code=3)

    assert "15_bad_parse.json" in ended.out
    assert "choosy" in ended.out
    assert "40 inserted" in ended.out
    assert count(choosy.database_url) == 40
    (failed,) = place.state["failed_items"]
    assert failed["phase"] == "import"
    log = (place.folder / "resilient_import.log").read_text()
    assert "Again in" not in ended.text + log, "what is refused is not tried again"


def test_a_bad_image_costs_the_image_alone(place: Workplace, target: Target, source: Path) -> None:
    (source / "FL" / "page.png").write_bytes(b"<html>")
    write(source / "FL", "page", search("Page", image="page.png"))
    write(source / "FL", "gone", search("Gone", image="/srv/nowhere/gone.png"))
    write(source / "FL", "passwd", search("Passwd", image="/etc/passwd"))
    ended = place.run("states", source, "--tag", "T")

    assert "3 missing" in ended.out
    assert all(row["image_hash"] is None for row in results(target.database_url))
    assert count(target.database_url) == 8
    assert "gone.png" in ended.out
    assert "/etc/passwd" in ended.out
