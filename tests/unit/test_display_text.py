from __future__ import annotations

import json
import os
import unicodedata

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imports.display_text import shown, shown_json, shown_lines


@pytest.mark.parametrize(
    "text",
    [
        "FL/Belmar_parse.json",
        "Prüfung 薬局 é e\u0301",
        "👩\u200d💻 🏳\ufe0f\u200d🌈",
        "می\u200cخواهم",
        "क्\u200dष",
        "no-break\u00a0space",
        "back\\slash",
        "",
    ],
)
def test_what_is_visible_stays_readable(text: str) -> None:
    assert shown(text) == text


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("\x1b]0;OWNED\x07\x1b[31mred", r"\x1b]0;OWNED\x07\x1b[31mred"),
        ("a\nINFO - all is well\r\t", r"a\nINFO - all is well\r\t"),
        ("\x9b31m", r"\u009b31m"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\u2066a\u2069\u200e\u061c", r"\u2066a\u2069\u200e\u061c"),
        ("zero\u200bwidth\ufeff\u00ad", r"zero\u200bwidth\ufeff\u00ad"),
        ("two\u2028lines\u2029", r"two\u2028lines\u2029"),
        ("tag\U000e0041\ue000", r"tag\U000e0041\ue000"),
        ("half \ud83d", r"half \ud83d"),
        (os.fsdecode(b"b\xe9.json"), r"b\xe9.json"),
        ("pass\u200dword", r"pass\u200dword"),
        ("\u200d💻", r"\u200d💻"),
        ("💻\u200d", r"💻\u200d"),
        ("💻\u200d\u200d💻", r"💻\u200d\u200d💻"),
    ],
)
def test_what_is_not_visible_as_itself_is_escaped(text: str, escaped: str) -> None:
    assert shown(text) == escaped


anything = st.text(st.characters(codec=None))


@given(anything)
def test_no_sign_is_left_that_a_terminal_or_a_line_obeys(text: str) -> None:
    found = shown(text)
    joined = found.replace("\u200d", "").replace("\u200c", "")
    assert not {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} & set(map(unicodedata.category, joined))
    assert shown(found) == found, "what was escaped is not escaped again"
    found.encode()


def test_lines_are_ours_alone() -> None:
    assert shown_lines(["a\nb", "", "c"]) == "a\\nb\n\nc"


@given(st.dictionaries(st.text(), st.text()))
def test_json_for_programs_has_the_exact_text_and_obeys_nothing(content: dict[str, str]) -> None:
    text = shown_json(orjson.dumps(content, option=orjson.OPT_INDENT_2).decode())
    assert json.loads(text) == content
    assert orjson.loads(text) == content
    visible = text.replace("\n", "")
    assert not any(unicodedata.category(sign) in {"Cc", "Zl", "Zp"} for sign in visible)
    assert "\u202e" not in visible
