"""Reading the JSON files of a source: the only code that opens them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from imports.errors import NotOursError, RecordError
from imports.files.regular_file import OpenedFile, open_regular
from imports.source.cleaning import Tally, json_type, without_nul
from imports.source.json_text import BYTE_ORDER_MARK, MAX_DEPTH, UTF16_MARKS, may_be_rounded
from imports.source.tree import is_unchanged
from imports.work_item import Signature

MAX_JSON_BYTES = 64 * 1024 * 1024
"""The largest JSON file that is read into memory as a whole."""

MOST_MEMORY_BYTES = 256 * 1024 * 1024
"""A file is not read if its values would take more memory than that, by a rough count."""

_HARMLESS_BYTES = 1024 * 1024
"""Of a smaller file the values are not counted."""

# What values take in memory, roughly: an empty list with its place in another one, a dictionary of
# a few names, anything that is followed by another value.
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
    """The JSON object in a file that is still the one of the signature; see `parse_object`.

    `opener` says which files may be opened: `Source.open` those that a source may have.

    Raises:
        NotOursError: if it is JSON and no object.
        RecordError: if the file changed, cannot be read, or holds no JSON that can be used.
    """
    if signature.size > MAX_JSON_BYTES:
        raise RecordError(
            f"is {signature.size:,} bytes long; more than {MAX_JSON_BYTES:,} are not read"
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
        raise RecordError("changed while the run was under way; run again to import it")
    return parse_object(content, tally, records)


def _check_memory(content: bytes) -> None:
    """Refuses a document whose values would take too much memory.

    A file of `[[],[],…]` takes forty times its size.
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
            f"has so many values that they would take about {needed >> 20:,} MiB of memory; more"
            f" than {MOST_MEMORY_BYTES >> 20} are not used for one file. Split the file"
        )


def no_array(name: str, content: Mapping[str, object]) -> NotOursError:
    """The problem with an object that has no list under a name: what it has in its place.

    A list that stands deeper is none: `data.results`.
    """
    if name in content:
        return NotOursError(f'has {json_type(content[name])} as "{name}", not an array')
    if not content:
        return NotOursError(f'has no array "{name}", nor anything else')
    # In quotes as a whole, so that failures of many such files have one cause.
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
    from imports.source.json_events import BROKEN, read_exactly

    try:
        return read_exactly(content, tally, records)
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
