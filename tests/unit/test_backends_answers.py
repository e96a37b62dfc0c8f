from __future__ import annotations

from typing import Any

import pytest

from imports.backends import answers
from imports.backends.database import Comparison, Rows, WrittenRow
from imports.tables import IMAGES

ROWS = Rows(IMAGES, {}, {0: [b"1", b"2"]})
LABEL = IMAGES.tables[0].label
SAME = {"s": "same", "i": None, "d": None}
DIFFERENT = {"s": "different", "i": "7", "d": {"a": [1, 2]}}

ODD = (None, 5, "text", [], {}, [None], [[]], [{}], {LABEL: None}, {LABEL: 5}, {LABEL: []})


def refuses(shape: Any, answer: Any, *more: Any) -> None:
    with pytest.raises((ValueError, TypeError, LookupError, AttributeError)):
        shape(answer, *more)


def test_a_merge_answers_with_a_letter_for_each_row() -> None:
    assert answers.merged({LABEL: "I?"}, ROWS) == {0: "I?"}
    assert answers.merged({LABEL: None}, Rows(IMAGES, {}, {0: []})) == {0: ""}
    for odd in (*ODD, {LABEL: "I"}, {LABEL: "III"}, {LABEL: "IX"}, {LABEL: ["I", "I"]}):
        refuses(answers.merged, odd, ROWS)


def test_a_comparison_answers_for_each_row() -> None:
    assert answers.compared({LABEL: [SAME, DIFFERENT]}, ROWS) == {
        0: [Comparison("same", None, {}), Comparison("different", "7", {"a": (1, 2)})]
    }
    for odd in (*ODD, *[{LABEL: each} for each in ([SAME], [SAME] * 3, [SAME, {}], [SAME, None])]):
        refuses(answers.compared, odd, ROWS)
    refuses(answers.compared, {LABEL: [SAME, {**SAME, "s": "well"}]}, ROWS)


def test_a_page_has_ids_and_keys() -> None:
    assert answers.page([]) == []
    assert answers.page([{"i": "7", "k": ["a", None]}]) == [WrittenRow("7", "a/-")]
    for odd in (None, 5, "text", {}, [None], [[]], [{}], [{"i": 7, "k": []}], [{"i": "7"}]):
        refuses(answers.page, odd)


def test_known_images_are_of_those_that_were_asked_for() -> None:
    assert answers.listed({}, ["a", "b"]) == {}
    assert answers.listed({"a": "local"}, ["a", "b"]) == {"a": "local"}
    for odd in (None, 5, "text", [], [{}], {"c": "local"}, {"a": None}, {"ok": True}):
        refuses(answers.listed, odd, ["a", "b"])


def test_no_content_is_no_content() -> None:
    answers.nothing(None)
    for odd in ({}, [], 5, "text"):
        refuses(answers.nothing, odd)
