r"""Text of a source, as a terminal, a log or a spreadsheet may have it.

A name, a label or a reason can hold whatever somebody wrote into it: escape sequences that a
terminal obeys, newlines that forge a line of a log, marks that turn the order of letters around.
What is no visible sign is shown by its escape (`\x1b`, `\n`, `\u202e`); letters of any script and
emoji stay as they are. The ledger, and JSON for programs, have the text itself.
"""

from __future__ import annotations

from collections.abc import Iterable

_ESCAPED = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
"""Categories of Unicode: controls, invisible marks, private signs, half ones, ends of lines."""

_JOINERS = "\u200c\u200d"
"""Between letters of some scripts, and between emoji, these are spelling and no trick."""

_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_END_OF_ASCII = 0x80
_END_OF_SHORT = 0x10000
_BYTES = range(0xDC80, 0xDD00)
"""What Python reads the bytes of a name as that are no UTF-8."""


def shown(text: str) -> str:
    """A text as one line, with an escape for each sign that is not visible as itself."""
    # Nearly all texts have no such sign, and this is said at the speed of C.
    if text.isprintable():
        return text
    return "".join(
        _escape(sign) if _is_escaped(text, place) else sign for place, sign in enumerate(text)
    )


def shown_lines(lines: Iterable[str]) -> str:
    """Several lines as one text that has no other line, whatever is in each of them."""
    return "\n".join(map(shown, lines))


def shown_json(json: str) -> str:
    """A JSON document that means the same, with escapes of JSON for what `shown` escapes."""
    if json.replace("\n", "").isprintable():
        return json
    return "".join(
        _json_escape(sign) if sign != "\n" and _is_escaped(json, place) else sign
        for place, sign in enumerate(json)
    )


def _is_escaped(text: str, place: int) -> bool:
    sign = text[place]
    if _category(sign) not in _ESCAPED:
        return False
    if sign in _JOINERS:
        around = text[max(place - 1, 0) : place] + text[place + 1 : place + 2]
        return not (len(around) == 2 and all(map(_may_be_joined, around)))
    return True


def _category(sign: str) -> str:
    # On demand: hardly a text needs it.
    from unicodedata import category

    return category(sign)


def _may_be_joined(sign: str) -> bool:
    return ord(sign) >= _END_OF_ASCII and _category(sign)[0] in "LMS"


def _escape(sign: str) -> str:
    """An escape that Python and the `$'…'` of a shell read as the sign, or the byte."""
    code = ord(sign)
    if code in _BYTES:
        return f"\\x{code - 0xDC00:02x}"
    if code < _END_OF_ASCII:
        return _NAMED.get(sign, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code < _END_OF_SHORT else f"\\U{code:08x}"


def _json_escape(sign: str) -> str:
    code = ord(sign)
    if code < _END_OF_SHORT:
        return f"\\u{code:04x}"
    code -= _END_OF_SHORT
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


def duration(seconds: float) -> str:
    """A time in words: `6 s`, `12 min 5 s`, `2 h 3 min`."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
