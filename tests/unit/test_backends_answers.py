from __future__ import annotations

from typing import Any

import pytest

from imports.backends import answers
from imports.backends.database import (
    AddedRows,
    Comparison,
    MergeAnswer,
    Rows,
    TableComparison,
)
from imports.backends.deleting import CountedRows, NotedImages, Written, counted, unlisted
from imports.backends.reading import RowQuery
from imports.kinds.people.kind import PEOPLE
from imports.tables.table import IMAGE_ASSETS, IMAGES

ROWS = Rows(IMAGES, {}, {0: [b"1", b"2"]})
LABEL = IMAGES.tables[0].label
SAME = {"s": "same", "i": None, "d": None}
DIFFERENT = {"s": "different", "i": "7", "d": {"a": [1, 2]}}

ODD = (None, 5, "text", [], {}, [None], [[]], [{}], {LABEL: None}, {LABEL: 5}, {LABEL: []})


def refuses(shape: Any, answer: Any, *more: Any) -> None:
    with pytest.raises((ValueError, TypeError, LookupError, AttributeError)):
        shape(answer, *more)


def merge_answer(letters: object, *derived: object) -> dict[str, object]:
    return {"outcomes": {LABEL: letters}, "derived": list(derived)}


def test_a_merge_answers_with_a_letter_for_each_row() -> None:
    assert answers.merged(merge_answer("I?"), ROWS) == MergeAnswer({0: "I?"})
    assert answers.merged(merge_answer("GL"), ROWS) == MergeAnswer({0: "GL"})
    assert answers.merged(merge_answer(""), Rows(IMAGES, {}, {0: []})) == MergeAnswer({0: ""})
    outcomes = ({"outcomes": each, "derived": []} for each in ODD)
    letters = (merge_answer(each) for each in (None, 5, "I", "III", "IX", ["I", "I"]))
    for odd in (*ODD, *outcomes, *letters, {"outcomes": {LABEL: "II"}}):
        refuses(answers.merged, odd, ROWS)


def test_a_merge_answers_with_what_each_derivation_wrote() -> None:
    answer = merge_answer("II", {"a": 2, "b": 1}, {}, {"a": 3})
    assert answers.merged(answer, ROWS) == MergeAnswer({0: "II"}, {"a": 5, "b": 1})
    for odd in (None, 5, "text", [], {"a": None}, {"a": "2"}, {"a": 1.5}, {"a": True}):
        refuses(answers.merged, merge_answer("II", odd), ROWS)


def test_a_comparison_answers_for_each_row() -> None:
    def answer(*rows: object) -> dict[str, object]:
        return {LABEL: {"rows": list(rows), "added": []}}

    assert answers.compared(answer(SAME, DIFFERENT), ROWS) == {
        0: TableComparison(
            [Comparison("same", None, {}), Comparison("different", "7", {"a": (1, 2)})], []
        )
    }
    wrong = ([SAME], [SAME] * 3, [SAME, {}], [SAME, None], [SAME, {**SAME, "s": "well"}])
    for odd in (*ODD, *(answer(*each) for each in wrong), {LABEL: {"rows": [SAME, SAME]}}):
        refuses(answers.compared, odd, ROWS)


def test_a_comparison_tells_of_owned_tables_also_where_no_row_of_them_was_sent() -> None:
    names = [table.qualified_name for table in PEOPLE.group.tables]
    rows = Rows(PEOPLE.group, {}, {names.index("people.identities"): [b"1"]})
    empty: dict[str, object] = {"rows": [], "added": []}
    whole = {table.label: empty for _, table in rows.compared()}
    whole["people.identities"] = {"rows": [SAME], "added": []}
    more = {"i": "7", "n": 2, "r": {"email": "x"}}
    found = answers.compared({**whole, "people.emails": {"rows": [], "added": [more]}}, rows)
    assert [each.added for each in found.values() if each.added] == [
        [AddedRows("7", 2, {"email": "x"})]
    ]
    refuses(answers.compared, {"people.identities": whole["people.identities"]}, rows)
    for odd in ({}, {**more, "i": 7}, {"i": "7"}, None):
        refuses(answers.compared, {**whole, "people.emails": {"rows": [], "added": [odd]}}, rows)


def test_rows_have_the_columns_that_were_asked_for() -> None:
    query = RowQuery(IMAGE_ASSETS, 1, ("content_hash",), columns=("width",))
    assert answers.rows([], query) == []
    row = {"content_hash": "a", "width": None}
    assert answers.rows([row], query) == [row]
    for odd in (None, 5, "text", {}, [None], [[]], [{}], [{"width": 7}], [row, row]):
        refuses(answers.rows, odd, query)


def test_a_count_and_what_a_deletion_leaves() -> None:
    count = {"tables": {LABEL: {"rows": 2, "earlier": 1}}, "images": 3, "bytes": 4}
    assert counted(count) == Written({LABEL: CountedRows(2, 1)}, 3, 4)
    for odd in (*ODD, {**count, "tables": {LABEL: 2}}, {**count, "images": None}):
        refuses(counted, odd)
    assert answers.some_of(["a"], ["a", "b"]) == ["a"]
    for odd in (None, 5, "text", {}, ["c"], [{}]):
        refuses(answers.some_of, odd, ["a", "b"])
    assert unlisted({"last": None, "places": {}}) == NotedImages(None, {})
    assert unlisted({"last": "b", "places": {"a": "x"}}) == NotedImages("b", {"a": "x"})
    for odd in (*ODD, {"last": "a"}, {"last": "a", "places": None}):
        refuses(unlisted, odd)


def test_known_images_are_of_those_that_were_asked_for() -> None:
    assert answers.listed({}, ["a", "b"]) == {}
    assert answers.listed({"a": "local"}, ["a", "b"]) == {"a": "local"}
    for odd in (None, 5, "text", [], [{}], {"c": "local"}, {"a": None}, {"ok": True}):
        refuses(answers.listed, odd, ["a", "b"])


def test_no_content_is_no_content() -> None:
    answers.nothing(None)
    for odd in ({}, [], 5, "text"):
        refuses(answers.nothing, odd)
