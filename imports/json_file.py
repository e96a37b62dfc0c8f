"""Reading the JSON files of a source: the only code that opens them."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

from imports.cleaning import Tally, json_type, without_nul
from imports.errors import RecordError
from imports.json_text import MAX_DEPTH, may_be_rounded
from imports.source_tree import is_unchanged
from imports.work_item import Signature

MAX_JSON_BYTES = 64 * 1024 * 1024
"""The largest JSON file that is read into memory as a whole."""

_O_BINARY = getattr(os, "O_BINARY", 0)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_SPACE = b" \n\r\t"


def read_object(
    path: str, signature: Signature, tally: Tally, records: str | None = None
) -> dict[str, Any]:
    """The JSON object in a file that is still the one of the signature; see `parse_object`.

    Raises:
        RecordError: if the file changed, cannot be read, or holds no JSON object that can be used.
    """
    if signature.size > MAX_JSON_BYTES:
        raise RecordError(
            f"is {signature.size:,} bytes long; more than {MAX_JSON_BYTES:,} are not read"
        )
    try:
        descriptor = os.open(path, os.O_RDONLY | _O_BINARY)
        try:
            unchanged = is_unchanged(os.fstat(descriptor), signature)
            content = _read(descriptor, signature.size)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise RecordError(f"cannot be read: {error.strerror}") from error
    if not unchanged or len(content) != signature.size:
        raise RecordError("changed while the run was under way; run again to import it")
    return parse_object(content, tally, records)


def _read(descriptor: int, size: int) -> bytes:
    """All of a file that should be `size` bytes long, or one byte more if it is longer."""
    content = os.read(descriptor, size + 1)
    while 0 < len(content) < size and (more := os.read(descriptor, size + 1 - len(content))):
        content += more
    return content


def parse_object(content: bytes, tally: Tally, records: str | None = None) -> dict[str, Any]:
    """The JSON object in these bytes; a UTF-8 byte-order mark before it is accepted.

    It comes without NUL characters, which are counted. A number that neither 64 bits nor a double
    keep is a Decimal. In the list under the name `records`, an element that has a flaw (see
    `json_flaws`) is an UnreadableValue.

    Raises:
        RecordError: if there is none, or one that has a flaw elsewhere.
    """
    # On demand: the command line loads the kinds, and `--help` parses nothing.
    import orjson

    if content.startswith(_UTF16_MARKS):
        raise RecordError("is UTF-16, not UTF-8; convert it and run again")
    content = content.removeprefix(_BYTE_ORDER_MARK)
    try:
        parsed: Any = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        if not content.strip():
            raise RecordError("is empty") from error
        return _exactly(content, tally, records, str(error))
    if not isinstance(parsed, dict):
        raise RecordError(f"holds {json_type(parsed)} where an object belongs")
    document: dict[str, Any] = parsed
    removed: Tally | None = None
    try:
        # The first of these is quickly told, and hardly any file passes it.
        if b"\\" in content and b"\\u0000" in content:
            removed = Counter()
            document = without_nul(document, removed)
        if not _has_all(document, content):
            return _exactly(content, tally, records, "it could not be read exactly")
    except (orjson.JSONEncodeError, RecursionError):
        return _exactly(content, tally, records, f"nested more than {MAX_DEPTH} levels deep")
    if removed:
        tally.update(removed)
    return document


def _exactly(content: bytes, tally: Tally, records: str | None, problem: str) -> dict[str, Any]:
    """The object in JSON in which orjson misses something; `problem` is what is told of no JSON."""
    # On demand: hardly any file needs it.
    from imports.json_events import BROKEN, NumberTooLargeError, read_exactly

    try:
        return read_exactly(content, tally, records)
    except NumberTooLargeError as error:
        raise RecordError(f"holds {error}") from error
    except BROKEN as error:
        raise RecordError(f"is not JSON: {problem}") from error


def _has_all(document: dict[str, Any], content: bytes) -> bool:
    """Whether a document that orjson read surely has all that its text has.

    What it reads of a name that stands twice is the last value, and of a number what a double
    keeps. But what it writes then is another text.

    Raises:
        orjson.JSONEncodeError: if the document is nested more than `MAX_DEPTH` levels deep.
    """
    import orjson

    # As `json.dump` writes with `indent=2`. So few bytes are too few for so many levels then.
    if content.startswith(b"{\n  ") and len(content) < MAX_DEPTH**2:
        again = orjson.dumps(document, option=orjson.OPT_INDENT_2)
        if content.startswith(again):  # all else is space behind it
            return True
    # orjson writes 254 levels.
    again = orjson.dumps([[[[document]]]])[4:-4]
    if content.startswith(again):
        return True
    if content.translate(None, _SPACE) == again.translate(None, _SPACE):
        return True
    # The same value can be written in several ways, but with as many quotes around it.
    return _quotes(content) == _quotes(again) and not may_be_rounded(content, by_doubles=False)


def _quotes(content: bytes) -> int:
    """How many quotes of a JSON text are no part of a string."""
    if b"\\" not in content:
        return content.count(b'"')
    content = content.replace(rb"\\", b"")
    return content.count(b'"') - content.count(rb"\"")
