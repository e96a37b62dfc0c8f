"""The cause of a failure: its reason without the parts that differ between items."""

from __future__ import annotations

import re

_MAX_LENGTH = 160
_RECORD = re.compile(r"^record .*?: (?=\S)", re.DOTALL)
_MORE = re.compile(r" \(and \d+ more records\)$")
_PLACE = re.compile(r"(?<![\w.])/[^\s:;,]+(?: [^\s:;,]*/[^\s:;,]*)*")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|“[^”]*”")
_NUMBER = re.compile(r"\b[0-9a-f]{16,}\b|(?<![\w-])(?<!SQLSTATE )\d[\d.,]*")


def cause_of(reason: str) -> str:
    """The common part of the reasons of one cause: names, paths and numbers become `…`."""
    text = _MORE.sub("", _RECORD.sub("", reason[:2_000], count=1))
    for pattern in (_QUOTED, _PLACE, _NUMBER):
        text = pattern.sub("…", text)
    return text if len(text) <= _MAX_LENGTH else f"{text[:_MAX_LENGTH]}…"
