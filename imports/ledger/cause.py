"""The cause of a failure: its reason without what differs from item to item."""

from __future__ import annotations

import re

_MOST_SIGNS = 160
_RECORD = re.compile(r"^record .*?: (?=\S)", re.DOTALL)
_MORE = re.compile(r" \(and \d+ more records\)$")
_PLACE = re.compile(r"(?<![\w.])/[^\s:;,]+(?: [^\s:;,]*/[^\s:;,]*)*")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|“[^”]*”")
_NUMBER = re.compile(r"\b[0-9a-f]{16,}\b|(?<![\w-])(?<!SQLSTATE )\d[\d.,]*")


def cause_of(reason: str) -> str:
    """What failures of the same cause have in common: names, places and numbers become `…`."""
    text = _MORE.sub("", _RECORD.sub("", reason[:2_000], count=1))
    for pattern in (_QUOTED, _PLACE, _NUMBER):
        text = pattern.sub("…", text)
    return text if len(text) <= _MOST_SIGNS else f"{text[:_MOST_SIGNS]}…"
