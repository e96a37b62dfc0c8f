from __future__ import annotations

import copy
import datetime as dt
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from imports.errors import RecordError, UsageError
from imports.items.images import Image
from imports.items.source import Source
from imports.items.work_item import ListedItem
from imports.kinds import all_kinds, kind_named
from imports.kinds.states import SEARCH_RESULTS, STATES, Search, search_in
from imports.source.cleaning import NUL_REMOVED, Tally
from imports.source.image_finder import image_finder
from imports.source.json_file import parse_object
from imports.source.tree import signature_of
from tests.support.book import hashed, picture
from tests.support.source import document, license_, png
from tests.support.walk import walk

NAMES = [column.name for column in SEARCH_RESULTS.columns]
NOWHERE = image_finder(Path("/nonexistent/source"), ())


def search(content: dict[str, Any], tally: Tally | None = None) -> Search:
    return search_in(content, Counter() if tally is None else tally)


def rows(
    content: dict[str, Any], images: tuple[Image | None, ...] = (), tally: Tally | None = None
) -> list[dict[str, Any]]:
    """The rows of a document, by column."""
    found = STATES.records(search(content, tally), images, Counter() if tally is None else tally)
    for record in found:
        assert [table for table, _ in record.rows] == [0]
    return [dict(zip(NAMES, record.rows[0][1], strict=True)) for record in found]


def row(content: dict[str, Any], **options: Any) -> dict[str, Any]:
    (only,) = rows(content, **options)
    return only


def image(sha256: str) -> Image:
    return hashed(picture("one"), sha256)


def labels(content: dict[str, Any]) -> list[str]:
    return [record.label for record in STATES.records(search(content), (), Counter())]


def plan(content: dict[str, Any]) -> Any:
    source = Source("/nonexistent/source", STATES.patterns)
    return STATES.plan(source, "a_parse.json", search(content), NOWHERE)


def test_a_licence_becomes_a_row() -> None:
    found = row(document(ts="2025-08-03T14:03:10.123456"), images=(image("ab" * 32),))
    assert {name: found[name] for name in NAMES if name not in ("meta", "raw")} == {
        "search_name": "Belmar",
        "search_state": "FL",
        "search_ts": dt.datetime(2025, 8, 3, 14, 3, 10, 123456, dt.UTC),
        "license_number": "PH1",
        "license_status": "Active",
        "license_name": "BELMAR PHARMACY",
        "license_type": "Pharmacy",
        "address": "123 Main St",
        "city": "Tampa",
        "state": "FL",
        "zip": "33601",
        "issue_date": dt.date(2020, 1, 15),
        "expiration_date": dt.date(2027, 2, 28),
        "result_status": "found",
        "image_hash": "ab" * 32,
    }


def test_a_search_without_licences_becomes_one_row_with_null_fields() -> None:
    for licenses in ([], None):
        content = document()
        content["search_result"]["licenses"] = licenses
        found = row(content)
        assert (found["search_name"], found["search_state"]) == ("Belmar", "FL")
        assert found["result_status"] == "found"
        for name in NAMES[3:13]:
            if name != "result_status":
                assert found[name] is None, name
        assert labels(content) == ["Belmar/FL/(no licence)"]


def test_a_search_whose_licences_are_absent_is_one_without() -> None:
    content = document()
    del content["search_result"]["licenses"]
    assert row(content)["license_number"] is None


def test_every_licence_becomes_a_row_in_their_order() -> None:
    content = document(licenses=[license_("PH2"), license_("PH1"), license_(None)])
    assert [each["license_number"] for each in rows(content)] == ["PH2", "PH1", None]
    assert labels(content) == ["Belmar/FL/PH2", "Belmar/FL/PH1", "Belmar/FL/(no licence)"]


def test_all_rows_of_a_search_have_its_image_or_none() -> None:
    content = document(licenses=[license_("A"), license_("B")])
    assert [each["image_hash"] for each in rows(content, (image("12" * 32),))] == ["12" * 32] * 2
    assert [each["image_hash"] for each in rows(content, (None,))] == [None, None]
    assert [each["image_hash"] for each in rows(content)] == [None, None]


def test_meta_and_raw_lose_nothing() -> None:
    content = document(
        licenses=[license_("A", contact={"phone": None}), license_("B")],
        image="x.png",
        scraper={"version": [1, 2.5]},
    )
    content["search_result"]["query"] = "belmar"
    content["debug_info"] = {"parser": "FLParser", "empty": {}}
    content["errors"] = []
    before = copy.deepcopy(content)
    found = rows(content)
    assert content == before, "the document is not changed"
    licenses = []
    for each in found:
        assert each["meta"] == before["metadata"]
        licenses += each["raw"]["search_result"]["licenses"]
        rest = {**each["raw"], "search_result": {**each["raw"]["search_result"], "licenses": None}}
        expected = {name: value for name, value in before.items() if name != "metadata"}
        expected["search_result"] = {**before["search_result"], "licenses": None}
        assert rest == expected
    assert licenses == before["search_result"]["licenses"]


def test_text_is_cleaned_and_numbers_are_taken_as_text() -> None:
    tally: Tally = Counter()
    content = document(
        name="  Belmar ",
        licenses=[license_(12345, license_status="", license_type=" \t", pharmacy_name=" N ")],
    )
    found = row(content, tally=tally)
    assert found["search_name"] == "Belmar"
    assert found["license_number"] == "12345"
    assert found["license_status"] is None
    assert found["license_type"] is None
    assert found["license_name"] == "N"
    assert labels(content) == ["Belmar/FL/12345"]


def test_dates_that_are_none_are_null_and_counted() -> None:
    tally: Tally = Counter()
    content = document(
        licenses=[
            license_("A", issue_date="Not On File", expiration_date="2/30/2025"),
            license_("B", issue_date="Not On File", expiration_date=None),
        ]
    )
    first, second = rows(content, tally=tally)
    assert first["issue_date"] is None
    assert first["expiration_date"] is None
    assert second["expiration_date"] is None
    assert tally == {"Not On File": 2, "2/30/2025": 1}


def test_the_original_of_a_dropped_date_is_kept_in_raw() -> None:
    found = row(document(licenses=[license_(issue_date="Not On File")]))
    assert found["raw"]["search_result"]["licenses"][0]["issue_date"] == "Not On File"


@pytest.mark.parametrize("moment", [None, "yesterday", ""])
def test_a_search_without_a_timestamp_is_imported_without(moment: str | None) -> None:
    assert row(document(ts=moment))["search_ts"] is None


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (None, (None, None, None, None)),
        (" 1 Main St, Tampa ", ("1 Main St, Tampa", None, None, None)),
        ("", (None, None, None, None)),
        ({}, (None, None, None, None)),
        ({"street": "1 Main St", "suite": "Suite 5"}, ("1 Main St, Suite 5", None, None, None)),
        ({"street": "", "suite": "Suite 5"}, ("Suite 5", None, None, None)),
        ({"street": "1 Main St", "suite": " "}, ("1 Main St", None, None, None)),
        ({"city": "Tampa", "state": "FL", "zip_code": 33601}, (None, "Tampa", "FL", "33601")),
    ],
)
def test_an_address_is_taken_as_it_comes(address: object, expected: tuple[str | None, ...]) -> None:
    found = row(document(licenses=[license_(address=address)]))
    assert (found["address"], found["city"], found["state"], found["zip"]) == expected


@pytest.mark.parametrize(
    ("status", "expected"), [(None, "no_results"), ("", "no_results"), ("found", "found")]
)
def test_the_status_falls_back_to_that_of_the_metadata(status: str | None, expected: str) -> None:
    content = document(search_result_type="no_results")
    content["search_result"]["result_status"] = status
    assert row(content)["result_status"] == expected


def test_nul_characters_are_gone_and_counted() -> None:
    tally: Tally = Counter()
    content = parse_object(
        rb'{"metadata": {"pharmacy_name": "Bel\u0000mar", "state": "FL"},'
        rb' "search_result": {"licenses": [{"license_number": "PH\u00001"}]},'
        rb' "debug\u0000": "\u0000"}',
        tally,
    )
    found = row(content, tally=tally)
    assert (found["search_name"], found["license_number"]) == ("Belmar", "PH1")
    assert "\\x00" not in repr(found)
    assert tally == {NUL_REMOVED: 4}


@pytest.mark.parametrize("value", [None, "", "  "])
@pytest.mark.parametrize("name", ["pharmacy_name", "state"])
def test_a_missing_name_or_state_is_an_error_that_names_it(name: str, value: object) -> None:
    content = document()
    content["metadata"][name] = value
    with pytest.raises(RecordError, match=rf"^metadata\.{name} is missing$"):
        rows(content)
    del content["metadata"][name]
    with pytest.raises(RecordError, match=rf"^metadata\.{name} is missing$"):
        rows(content)


def _broken(place: str, value: object) -> dict[str, Any]:
    """A document with another value at a place such as `search_result.licenses.0.address`."""
    content = document(licenses=[license_()])
    *parents, last = place.split(".")
    holder: Any = content
    for each in parents:
        holder = holder[int(each) if each.isdigit() else each]
    holder[int(last) if last.isdigit() else last] = value
    return content


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("metadata", None, "metadata is missing"),
        ("metadata", [], "metadata is an array, not an object"),
        ("search_result", None, "search_result is missing"),
        ("search_result", "found", "search_result is a string, not an object"),
        ("search_result.licenses", {}, "search_result.licenses is an object, not an array"),
        ("search_result.licenses.0", "PH1", "search_result.licenses[0] is a string, not an object"),
        (
            "search_result.licenses.0.license_number",
            ["PH1"],
            "search_result.licenses[0].license_number: expected a string, found an array",
        ),
        (
            "search_result.licenses.0.address",
            7,
            "search_result.licenses[0].address is a number, not an object",
        ),
        (
            "search_result.licenses.0.address.city",
            {},
            "search_result.licenses[0].address.city: expected a string, found an object",
        ),
        ("metadata.state", True, "metadata.state: expected a string, found a boolean"),
        (
            "search_result.result_status",
            [],
            "search_result.result_status: expected a string, found an array",
        ),
    ],
)
def test_a_wrong_type_is_an_error_that_names_the_place(
    place: str, value: object, message: str
) -> None:
    with pytest.raises(RecordError) as caught:
        rows(_broken(place, value))
    assert str(caught.value) == message


def test_one_wrong_licence_fails_the_whole_search_and_planning_names_it_too() -> None:
    content = document(licenses=[license_("PH1"), license_(number={})])  # type: ignore[arg-type]
    for use in (rows, plan):
        with pytest.raises(RecordError, match=r"^search_result\.licenses\[1\]\.license_number: "):
            use(content)


# Planning


def test_the_same_search_has_the_same_group_and_another_has_another() -> None:
    one = plan(document(licenses=[license_("A")])).group
    assert plan(document(licenses=[license_("B")])).group == one
    for other in (
        document(name="Larkspur"),
        document(state="GA"),
        document(ts="2025-08-05T00:00:00"),
    ):
        assert plan(other).group != one


def test_searches_that_land_in_the_same_rows_have_the_same_group() -> None:
    one = plan(document(name="Belmar", ts="2025-08-04T14:03:10")).group
    assert plan(document(name=" Belmar ", ts="2025-08-04T14:03:10")).group == one
    assert plan(document(name="Belmar", ts="2025-08-04T14:03:10Z")).group == one


def test_repeated_licences_are_a_warning() -> None:
    content = document(
        licenses=[license_("A"), license_("B"), license_(" A "), license_(None), license_("")]
    )
    assert plan(content).warnings == (
        "2 licences A: only the last is kept",
        "2 licences without a number: only the last is kept",
    )
    assert plan(content).images_missing == 0


def test_different_licences_are_no_warning() -> None:
    assert plan(document(licenses=[license_("A"), license_("B"), license_(None)])).warnings == ()
    assert plan(document(licenses=[])).warnings == ()


def test_a_search_without_an_image_needs_none() -> None:
    for reference in (None, "", "  "):
        found = plan(document(image=reference))
        assert found.images == ()
        assert found.warnings == ()
        assert found.images_missing == 0


def test_a_missing_image_is_a_warning_and_counted() -> None:
    found = plan(document(image="/srv/gone.png"))
    assert found.images == ()
    assert found.images_missing == 1
    assert found.warnings == ("image '/srv/gone.png' was not found",)


@pytest.mark.parametrize(
    ("value", "named"), [([], "an array"), (5, "a number"), ({"path": "x"}, "an object")]
)
def test_an_image_that_is_no_text_is_a_warning(value: Any, named: str) -> None:
    found = plan(document(image=value))
    assert found.images_missing == 1
    assert found.warnings == (f"metadata.source_image_file is {named}, not a string",)


def test_the_png_beside_the_file_is_taken_where_the_named_one_is_not_found(
    tmp_path: Path,
) -> None:
    path = tmp_path / "day" / "FL" / "Belmar_01_parse.json"
    path.parent.mkdir(parents=True)
    beside = path.with_name("Belmar_01.png")
    beside.write_bytes(png())
    finder = image_finder(tmp_path / "day", ())
    for reference in (None, "/srv/gone.png", 5):
        content = document(image=reference)  # type: ignore[arg-type]
        source = Source(str(tmp_path / "day"), STATES.patterns)
        found = STATES.plan(source, "FL/Belmar_01_parse.json", search(content), finder)
        assert [image.path for image in found.images] == [str(beside)]
        assert found.warnings == ()


def test_the_named_image_goes_before_the_one_beside(tmp_path: Path) -> None:
    path = tmp_path / "day" / "Belmar_01_parse.json"
    path.parent.mkdir()
    path.with_name("Belmar_01.png").write_bytes(png())
    named = path.with_name("Belmar_99.png")
    named.write_bytes(png(2))
    found = STATES.plan(
        Source(str(path.parent), STATES.patterns),
        path.name,
        search(document(image=f" {named} ")),
        image_finder(path.parent, ()),
    )
    assert [image.path for image in found.images] == [str(named)]


# The kind


def test_only_parse_files_are_listed(tmp_path: Path) -> None:
    for name in ("a_parse.json", "a.json", "a_parse.json.bak", "sub/b_parse.json", "a_PARSE.JSON"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"{}")
    found = [entry.path for entry in walk(Source(str(tmp_path), STATES.patterns), "states")]
    assert found == ["a_PARSE.JSON", "a_parse.json", f"sub{os.sep}b_parse.json"]
    found = [entry.path for entry in walk(Source(str(tmp_path), ("*.bak", "a.json")), "states")]
    assert found == ["a.json", "a_parse.json.bak"]


def test_a_file_is_read_by_the_signature_that_it_is_listed_with(tmp_path: Path) -> None:
    path = tmp_path / "FL" / "a_parse.json"
    path.parent.mkdir()
    metadata = b'{"pharmacy_name": "Belmar\\u0000", "state": "FL"}'
    path.write_bytes(b'{"metadata": %b, "search_result": {}}' % metadata)
    source = Source(str(tmp_path), STATES.patterns)
    (entry,) = walk(source, "states")
    assert entry == ListedItem("FL/a_parse.json", signature_of(path.stat()))
    assert STATES.sign(Source(str(path.parent), STATES.patterns), path.name) == signature_of(
        path.stat()
    )
    tally: Tally = Counter()
    found = STATES.read(source, "FL/a_parse.json", signature_of(path.stat()), tally)
    assert (found.name, found.metadata["pharmacy_name"]) == ("Belmar", "Belmar")
    assert tally == {NUL_REMOVED: 1}
    path.write_bytes(b"{}")
    with pytest.raises(RecordError, match="changed during the run"):
        STATES.read(source, "FL/a_parse.json", entry.signature, Counter())


def test_a_kind_is_found_by_its_name_and_an_unknown_one_names_the_others() -> None:
    assert kind_named("states") is STATES
    assert all(name == kind.name for name, kind in all_kinds().items())
    with pytest.raises(UsageError, match=r"no kind 'dogs'.* states"):
        kind_named("dogs")
