"""Reading insights: all forms that are in use, their metadata, and the outline of sections."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from imports.errors import RecordError
from imports.items.source import Signature, Source
from imports.kinds.insights.insight import Insight, insight_in, rows_of
from imports.kinds.insights.kind import INSIGHTS
from imports.kinds.insights.outline import outline_of
from imports.kinds.insights.tables import INSIGHT_SOURCES
from imports.source.tree import signature_of_file
from tests.support.insights import document, write

SIX = {
    "personal": "* Sails [2024-01-01,ENI-1]",
    "business": "* Bakes [N/A,ENI-2]",
    "investing": "* Lends [2024-01-02,ENI-3]",
    "3i": "* Came [2024-01-03,ENI-4]",
    "deals": "* Mills [2024-01-04,ENI-5]",
    "introductions": "* Bakers [2024-01-05,ENI-6]",
}
MARKDOWN = "\n\n".join(f"## {name.title()}\n{text}" for name, text in SIX.items())
FENCED = f"```json\n{json.dumps(SIX, indent=2)}\n```"


def read(insights: Any = None, **more: Any) -> Insight:
    given = {"metadata": {"contact_id": "CNT-Ab1000001"}, "insights": insights, **more}
    return insight_in(given, Counter())


@pytest.mark.parametrize(
    "insights",
    [
        SIX,
        {name.title(): text for name, text in SIX.items()},
        {("three_i" if name == "3i" else name): text for name, text in SIX.items()},
        {name: f"## {name.title()}\n## {name.title()}\n{text}\n" for name, text in SIX.items()},
        {"raw_content": FENCED},
        {"raw_content": f"```\n{json.dumps(SIX)}\n```"},
        {"raw_content": json.dumps(SIX)},
        {"raw_content": f"```json\n{json.dumps({'insights': SIX})}\n```"},
        {"raw_content": MARKDOWN},
        {"raw_content": MARKDOWN.replace("## ", "### ").replace("\n", "\r\n")},
        {"updated_member_summary": MARKDOWN},
        {"existing_member_summary": MARKDOWN.replace("## Deals\n", "## Deals\n\n## Deals\n")},
        json.dumps(SIX),
        MARKDOWN,
    ],
)
def test_every_form_of_the_sections_is_read(insights: Any) -> None:
    found = read(insights)
    sections = {name: text.replace("\r", "") for name, text in found.content.sections.items()}
    assert sections == SIX
    assert (found.errors, found.content.warnings, found.content.unread) == ([], [], {})
    assert found.content.others == {}


def test_what_stands_around_the_sections_is_kept() -> None:
    fenced = read({"raw_content": f"Here it is:\n{FENCED}\nBye."}).content
    assert (fenced.sections, fenced.unread) == (SIX, {"raw_content": "Here it is:\n\n\nBye."})
    headed = read({"member_summary": f"Here it is.\n\n{MARKDOWN}", "mood": "good", "n": 5}).content
    assert headed.sections == SIX
    assert headed.unread["member_summary"] == "Here it is."
    assert headed.others == {"n": 5}
    assert headed.unread["mood"] == "good"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{{current_structured_insight}}", "is a template that was never filled"),
        ("Nothing is known.", "is a text without the headings of sections"),
        ('```json\n{"personal": "* a",}\n```', "is not JSON"),
        ('{"a": 1}', "is JSON without sections"),
        (f'{FENCED[:60]}"', "is not JSON"),
    ],
)
def test_what_cannot_be_read_is_kept_and_told(text: str, problem: str) -> None:
    content = read({"raw_content": text}).content
    assert content.sections == {}
    assert content.unread == {"raw_content": text}
    (told,) = content.warnings
    assert told.startswith(f"insights.raw_content {problem}")


def test_two_texts_for_one_section_are_both_kept() -> None:
    content = read({"3i": "* a [x,E]", "three_i": "* b [x,E]", "Personal": None}).content
    assert content.sections == {"3i": "* a [x,E]"}
    assert content.others == {"three_i": "* b [x,E]"}
    assert content.warnings == ["insights.three_i is another text for the section 3i"]


@pytest.mark.parametrize(
    "given",
    [
        {"metadata": {"contact_id": "CNT-Ab1000001", "eni_id": "ENI-1"}, "insights": SIX},
        {"contact_id": "CNT-Ab1000001", "eni_id": "ENI-1", "insights": SIX},
        {"contactId": "CNT-Ab1000001", "eni_id": "ENI-1", **SIX},
        {"metadata": {"Contact_ID": "CNT-Ab1000001", "eni_id": "ENI-1"}, **SIX},
        {"metadata": {"contactId": " CNT-Ab1000001", "eni_id": "ENI-1"}, "content": SIX},
        {"contact_id": "CNT-Ab1000001", "eni_id": "ENI-1", "insights": None, "content": SIX},
    ],
)
def test_every_form_of_a_document_is_read(given: dict[str, Any]) -> None:
    found = insight_in(given, Counter())
    assert (found.metadata.contact_id, found.metadata.eni_id) == ("CNT-Ab1000001", "ENI-1")
    assert found.content.sections == SIX
    assert (found.errors, found.content.warnings) == ([], [])
    legacy = "content" in given
    assert found.metadata.generator == ("legacy_import" if legacy else "structured_insight")


def test_metadata_has_its_defaults() -> None:
    given = insight_in({"contact_id": "CNT-Ab1000001", **SIX}, Counter()).metadata
    assert given.eni_id == "LEGACY-CNT-Ab1000001"
    assert (given.record_count, given.total_eni_ids) == (1, 1)
    assert (given.source_types, given.generated_at, given.additional) == ([], None, None)


def test_values_at_the_top_come_first_and_no_value_is_lost() -> None:
    given = document(
        record_count=1,
        member_name=" Ada ",
        eni_source_types=["a", None, "b"],
        eni_source_type="b",
        eni_source_subtype="null",
        generated_at="2025-05-01T10:00:00",
        est_input_tokens=12,
        additional_metadata={"reviewed": True},
        version=3,
        processing_status="Pending",
    )
    given |= {"record_count": "7", "source": "export"}
    given["insights"]["member_name"] = "Bo"
    found = insight_in(given, Counter())
    metadata = found.metadata
    assert (metadata.record_count, metadata.member_name) == (7, "Ada")
    assert (metadata.source_types, metadata.source_subtypes) == (["a", "b"], ["null"])
    assert metadata.generated_at == datetime(2025, 5, 1, 10, tzinfo=UTC)
    assert metadata.processing_status == "pending"
    assert metadata.additional == {
        "est_input_tokens": 12,
        "reviewed": True,
        "source": "export",
        "version": 3,
    }
    assert found.content.others == {"member_name": "Bo"}
    assert found.content.warnings == [
        "metadata.record_count is 1 and is not used: record_count is '7'"
    ]


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("contact_id", 5, "is a number, not a string"),
        ("contact_id", "x" * 51, "has 51 characters, more than 50"),
        ("eni_id", 1001, "is a number, not a string"),
        ("eni_id", "x" * 101, "has 101 characters, more than 100"),
        ("member_name", "x" * 256, "has 256 characters, more than 255"),
        ("eni_source_subtypes", ["a", 5], "[1] is a number, not a string"),
        ("record_count", 1.5, "is 1.5, not a whole number"),
        ("record_count", True, "is True, not a whole number"),
        ("total_eni_ids", -1, "is -1, less than 0"),
        ("total_eni_ids", 2**31, "is a number that is too large"),
        ("generated_at", [], "is an array, not a date"),
        ("processing_status", "done", "is 'done'; it must be one of pending, processing"),
        ("additional_metadata", 5, "is a number, not an object"),
    ],
)
def test_a_wrong_value_fails_the_file_by_its_name(name: str, value: Any, problem: str) -> None:
    errors = insight_in(document(**{name: value}), Counter()).errors
    (error,) = errors
    assert error.startswith(f"metadata.{name}{'' if problem[0] == '[' else ' '}{problem}")


def test_what_is_only_unusual_is_a_warning() -> None:
    given = document("CNT-123", None, {"personal": "* Sails"}, generated_at="last spring")
    found = insight_in(given, Counter())
    assert found.errors == []
    assert [each.split(" is ")[0] for each in found.content.warnings[:2]] == [
        "metadata.contact_id",
        "metadata.generated_at",
    ]
    assert found.content.warnings[2] == "the section personal cites no ENI id"


# Outlines


@pytest.mark.parametrize(
    "text",
    [
        "",
        "**Looking to meet:**\n- \n\n**Avoid introductions to:**\n-",
        "Member **Has Experience** with:\n*\n\n### Notes\n",
    ],
)
def test_headings_with_bare_bullets_say_nothing(text: str) -> None:
    assert outline_of(text.strip()) is None


def test_an_outline_says_where_everything_is() -> None:
    text = (
        "* One [a,E1]\n  - [N/A, E2 ,notes]\n\n  - [N/A,E3]\n* Two\n\n"
        "A paragraph [x,E4]\nof two lines\n\n"
        "Member **Has Experience** with:\n- \n\n"
        "**Looking to meet:**\n- Tilers é [b,E5]\n[c,E1]\n- \n\n**looking to meet**\n1. More [d,E6]"
    )
    outline = outline_of(text)
    assert outline is not None
    assert outline.ids == ["E1", "E2", "E3", "E4", "E5", "E6"]
    parts = [
        (part[0], text[part[2] : part[3]], text[part[3] : part[4]], text[part[4] : part[5]])  # type: ignore[misc]
        for part in outline.parts
    ]
    assert parts == [
        ("", text[: text.index("\n\nMember")], "", "\n\n"),
        ("has experience", "Member **Has Experience** with:", "\n-", " \n\n"),
        ("looking to meet", "**Looking to meet:**\n- Tilers é [b,E5]\n[c,E1]", "\n-", " \n\n"),
        (None, "**looking to meet**\n1. More [d,E6]", "", ""),
    ]
    assert outline.first_in == [0, 0, 0, 1, 2, 3]
    assert [(part, text[begin : begin + size]) for part, begin, size in outline.bullets] == [
        (0, "* One [a,E1]\n  - [N/A, E2 ,notes]\n\n  - [N/A,E3]"),
        (0, "A paragraph [x,E4]\nof two lines"),
        (2, "- Tilers é [b,E5]\n[c,E1]"),
        (2, "1. More [d,E6]"),
    ]


# Rows


def precedence(mtime: int, text: str = "* a [x,E]", **given: Any) -> str:
    insight = insight_in(document(sections={"personal": text}, **given), Counter())
    return str(rows_of(insight, mtime * 10**9)[0][3])


def test_the_later_date_is_newer_then_the_later_mtime_then_the_hash() -> None:
    one, two = "2025-05-01T00:00:00", "2025-05-01T02:00:00.000001+02:00"
    assert precedence(9, generated_at=one) < precedence(1, generated_at=two)
    assert precedence(1, generated_at=one) < precedence(2, generated_at=one)
    # Without a date, the mtime is the date.
    assert precedence(0, generated_at=None) < precedence(5, generated_at=None)
    later = int(datetime(2025, 5, 2, tzinfo=UTC).timestamp())
    assert precedence(later) > precedence(later + 9, generated_at=one)
    assert precedence(1, "* b [x,E]") != precedence(1)
    assert precedence(-1) < precedence(0)


def test_another_layout_of_the_same_content_is_no_other_content() -> None:
    given = document(sections=SIX, note=1)
    spaced = json.loads(json.dumps(given, indent=4))
    spaced["metadata"] = dict(reversed(spaced["metadata"].items()))
    rows = [rows_of(insight_in(each, Counter()), 5) for each in (given, spaced)]
    assert rows[0] == rows[1]
    assert len(rows[0][0]) == len(INSIGHT_SOURCES.columns)


# Files


def test_a_file_is_read_from_the_folder_itself(tmp_path: Any) -> None:
    source = Source(str(tmp_path), INSIGHTS.patterns)
    write(tmp_path, "good.json", document())
    write(tmp_path, "bad.json", {"insights": {"personal": 5}})

    def read_file(name: str) -> Any:
        signature: Signature = signature_of_file(str(tmp_path / name))
        return INSIGHTS.read(source, name, signature, Counter())

    found = read_file("good.json")
    (record,) = INSIGHTS.records(found, (), Counter())
    assert record.label == "CNT-Ab1000001/ENI-1"
    with pytest.raises(RecordError, match=r"personal is a number.*contact_id is missing"):
        read_file("bad.json")
