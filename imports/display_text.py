r"""Text of a source, made safe for a terminal, a log or a spreadsheet.

A name, a label or a reason may contain anything: escape sequences that control a terminal, newlines
that forge a line of a log, marks that reverse the order of letters. Each character that is not
visible is shown by its escape (`\x1b`, `\n`, `\u202e`); letters of any script and emoji stay
unchanged. The ledger, and JSON for programs, have the original text.
"""

from __future__ import annotations

from collections.abc import Iterable

_ESCAPED = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
"""Categories of Unicode: control, format, private use, surrogate, line and paragraph separator."""

_JOINERS = "\u200c\u200d"
"""Between letters of some scripts, and between emoji, these belong to the spelling."""

_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_END_OF_ASCII = 0x80
_END_OF_SHORT = 0x10000
_BYTES = range(0xDC80, 0xDD00)
"""Python's surrogate escapes: bytes of a name that are not UTF-8."""


def shown(text: str) -> str:
    """The text as one line, with an escape for each character that is not visible."""
    # Nearly all texts have no such character, and this check is fast.
    if text.isprintable():
        return text
    return "".join(
        _escape(char) if _is_escaped(text, index) else char for index, char in enumerate(text)
    )


def shown_lines(lines: Iterable[str]) -> str:
    """Joins lines into one text; newlines inside a line are escaped."""
    return "\n".join(map(shown, lines))


def shown_json(json: str) -> str:
    """The same JSON document, with JSON escapes for the characters that `shown` escapes."""
    if json.replace("\n", "").isprintable():
        return json
    return "".join(
        _json_escape(char) if char != "\n" and _is_escaped(json, index) else char
        for index, char in enumerate(json)
    )


def _is_escaped(text: str, index: int) -> bool:
    char = text[index]
    if _category(char) not in _ESCAPED:
        return False
    if char in _JOINERS:
        around = text[max(index - 1, 0) : index] + text[index + 1 : index + 2]
        return not (len(around) == 2 and all(map(_may_be_joined, around)))
    return True


def _category(char: str) -> str:
    # On demand: few texts need it.
    from unicodedata import category

    return category(char)


def _may_be_joined(char: str) -> bool:
    return ord(char) >= _END_OF_ASCII and _category(char)[0] in "LMS"


def _escape(char: str) -> str:
    """An escape that Python and the `$'…'` of a shell read as the character, or the byte."""
    code = ord(char)
    if code in _BYTES:
        return f"\\x{code - 0xDC00:02x}"
    if code < _END_OF_ASCII:
        return _NAMED.get(char, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code < _END_OF_SHORT else f"\\U{code:08x}"


def _json_escape(char: str) -> str:
    code = ord(char)
    if code < _END_OF_SHORT:
        return f"\\u{code:04x}"
    code -= _END_OF_SHORT
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


def duration(seconds: float) -> str:
    """A duration in words: `6 s`, `12 min 5 s`, `2 h 3 min`."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
