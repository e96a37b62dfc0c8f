"""Reading JSON files of a source as a whole."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from imports.errors import NotOursError, RecordError
from imports.files.regular_file import OpenedFile, open_regular
from imports.items.source import Signature
from imports.source.cleaning import Tally, json_type, without_nul
from imports.source.json_text import BYTE_ORDER_MARK, MAX_DEPTH, UTF16_MARKS, may_be_rounded
from imports.source.tree import is_unchanged

MAX_JSON_BYTES = 64 * 1024 * 1024
"""The largest JSON file that is read into memory as a whole."""

MOST_MEMORY_BYTES = 256 * 1024 * 1024
"""A file is not read if its values would need more memory, by a rough estimate."""

_HARMLESS_BYTES = 1024 * 1024
"""The values of a smaller file are not counted."""

# Rough memory of values: an empty list and its reference, a dictionary of a few names, any value
# that is followed by another one.
_LIST_BYTES, _DICTIONARY_BYTES, _VALUE_BYTES = 72, 232, 40

_MOST_NAMES = 6
_LONGEST_NAME = 40
_SPACE = b" \n\r\t"


def read_object(
    path: str,
    signature: Signature,
    tally: Tally,
    records: str | None = None,
    opener: Callable[[str], OpenedFile] = open_regular,
) -> dict[str, Any]:
    """The JSON object in a file that still has this signature; see `parse_object`.

    `opener` decides which files may be opened; `Source.open` opens those that a source may contain.

    Raises:
        NotOursError: if it is JSON, but not an object.
        RecordError: if the file changed, cannot be read, or contains no usable JSON.
    """
    return parse_object(_content(path, signature, opener), tally, records)


def read_value(
    path: str,
    signature: Signature,
    tally: Tally,
    name: str,
    opener: Callable[[str], OpenedFile],
) -> Any:
    """The JSON value in a file, of whatever type; else as `read_object`. Errors call it `name`.

    Raises:
        RecordError: if the file changed, cannot be read, or holds no JSON that can be used.
    """
    content = _content(path, signature, opener)
    if content.startswith(UTF16_MARKS) or not content.strip():
        return parse_object(content, tally)
    # Only objects are read exactly: this one has the value under its only name.
    wrapped = b'{"%b":%b\n}' % (name.encode(), content.removeprefix(BYTE_ORDER_MARK))
    document = parse_object(wrapped, tally)
    if len(document) != 1:
        raise RecordError("is not JSON: more follows behind its value")
    return document[name]


def _content(path: str, signature: Signature, opener: Callable[[str], OpenedFile]) -> bytes:
    """What a file holds that is still the one of the signature."""
    if signature.size > MAX_JSON_BYTES:
        raise RecordError(
            f"has {signature.size:,} bytes; a file may have at most {MAX_JSON_BYTES:,}"
        )
    try:
        descriptor, status = opener(path)
        try:
            unchanged = is_unchanged(status, signature)
            content = _read(descriptor, signature.size)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise RecordError(f"cannot be read: {error.strerror}") from error
    if not unchanged or len(content) != signature.size:
        raise RecordError("changed during the run; run again to import it")
    return content


def _check_memory(content: bytes) -> None:
    """Refuses a document whose values would need too much memory.

    A file of `[[],[],…]` needs forty times its size.
    """
    if len(content) <= _HARMLESS_BYTES:
        return
    needed = (
        2 * len(content)
        + _LIST_BYTES * content.count(b"[")
        + _DICTIONARY_BYTES * content.count(b"{")
        + _VALUE_BYTES * content.count(b",")
    )
    if needed > MOST_MEMORY_BYTES:
        raise RecordError(
            f"has so many values that they would need about {needed >> 20:,} MiB of memory; one"
            f" file may use at most {MOST_MEMORY_BYTES >> 20}. Split the file"
        )


def no_array(name: str, content: Mapping[str, object]) -> NotOursError:
    """The error for an object without an array `name`; it says what the object has instead.

    An array at a deeper level, such as `data.results`, does not count.
    """
    if name in content:
        return NotOursError(f'has {json_type(content[name])} as "{name}", not an array')
    if not content:
        return NotOursError(f'has no array "{name}", nor anything else')
    # All names in one pair of quotes, so that failures of many such files have the same cause.
    names = ", ".join(
        _shortened(each) + (f".{name}" if isinstance(value, dict) and name in value else "")
        for each, value in islice(content.items(), _MOST_NAMES)
    )
    more = " and more" if len(content) > _MOST_NAMES else ""
    return NotOursError(f'has no array "{name}"; its names are "{names}"{more}')


def _shortened(name: str) -> str:
    name = name.replace('"', "'")
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"


def _read(descriptor: int, size: int) -> bytes:
    """The content of a file that should have `size` bytes; one byte more if it is longer."""
    content = os.read(descriptor, size + 1)
    while 0 < len(content) < size and (more := os.read(descriptor, size + 1 - len(content))):
        content += more
    return content


def parse_object(content: bytes, tally: Tally, records: str | None = None) -> dict[str, Any]:
    """The JSON object in these bytes, which may begin with a UTF-8 byte-order mark.

    NUL characters are removed and counted. A number that neither 64 bits nor a double can
    represent becomes a Decimal. In the array `records`, an element with a flaw (see `json_flaws`)
    becomes an UnreadableValue.

    Raises:
        NotOursError: if it is JSON, but not an object.
        RecordError: if it is not JSON, or has a flaw elsewhere.
    """
    # On demand: the command line loads the kinds, and `--help` parses nothing.
    import orjson

    if content.startswith(UTF16_MARKS):
        raise RecordError("is UTF-16, not UTF-8; convert it and run again")
    content = content.removeprefix(BYTE_ORDER_MARK)
    _check_memory(content)
    try:
        parsed: Any = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        if not content.strip():
            raise RecordError("is empty") from error
        return _exactly(content, tally, records, str(error))
    if not isinstance(parsed, dict):
        raise NotOursError(f"is {json_type(parsed)}, not an object")
    document: dict[str, Any] = parsed
    removed: Tally | None = None
    try:
        # The first check is fast, and is false for nearly all files.
        if b"\\" in content and b"\\u0000" in content:
            removed = Counter()
            document = without_nul(document, removed)
        if not has_all(document, content):
            return _exactly(content, tally, records, "it could not be read exactly")
    except (orjson.JSONEncodeError, RecursionError):
        return _exactly(content, tally, records, f"nested more than {MAX_DEPTH} levels deep")
    if removed:
        tally.update(removed)
    return document


def _exactly(content: bytes, tally: Tally, records: str | None, problem: str) -> dict[str, Any]:
    """The object, read exactly from JSON that orjson cannot; `problem` describes invalid JSON."""
    # On demand: few files need it.
    from imports.source.json_events import BROKEN
    from imports.source.json_values import read_exactly

    try:
        return read_exactly(content, tally, records)
    except BROKEN as error:
        raise RecordError(f"is not JSON: {problem}") from error


def has_all(document: dict[str, Any], content: bytes) -> bool:
    """Whether a document that orjson read certainly has everything that its text has.

    orjson keeps the last value of a duplicate name, and rounds numbers to a double. But then it
    writes the document as another text.

    Raises:
        orjson.JSONEncodeError: if the document is nested more than `MAX_DEPTH` levels deep.
    """
    import orjson

    # As `json.dump` writes with `indent=2`. The text is then too short for too many levels.
    if content.startswith(b"{\n  ") and len(content) < MAX_DEPTH**2:
        again = orjson.dumps(document, option=orjson.OPT_INDENT_2)
        if content.startswith(again):  # only whitespace follows
            return True
    # orjson writes 254 levels.
    again = orjson.dumps([[[[document]]]])[4:-4]
    if content.startswith(again):
        return True
    if content.translate(None, _SPACE) == again.translate(None, _SPACE):
        return True
    # Equal values may be written differently, but with the same number of quotes.
    return _quotes(content) == _quotes(again) and not may_be_rounded(content, by_doubles=False)


def _quotes(content: bytes) -> int:
    """The number of quotes in a JSON text that are not inside a string."""
    if b"\\" not in content:
        return content.count(b'"')
    content = content.replace(rb"\\", b"")
    return content.count(b'"') - content.count(rb"\"")
