"""Reading the JSON files of a source: the only code that opens them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from imports.cleaning import Tally, json_type, without_nul
from imports.errors import NotOursError, RecordError
from imports.regular_file import OpenedFile, open_regular
from imports.source_tree import is_unchanged
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

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MOST_NAMES = 6
_LONGEST_NAME = 40
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def read_object(
    path: str,
    signature: Signature,
    tally: Tally,
    once: str | None = None,
    opener: Callable[[str], OpenedFile] = open_regular,
) -> dict[str, Any]:
    """The JSON object in a file that is still the one of the signature, without NUL characters.

    `opener` says which files may be opened: `Source.open` those that a source may have.

    Raises:
        NotOursError: if it is JSON and no object.
        RecordError: if the file changed, cannot be read, holds no JSON in UTF-8, or an object
            that has the name `once` more than once: of these only the last would be seen.
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
    document = parse_object(content, tally)
    if once is not None and content.count(f'"{once}"'.encode()) > 1:
        _refuse_twice(content, once)
    return document


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


def no_list(name: str, content: Mapping[str, object]) -> NotOursError:
    """The problem with an object that has no list under a name: what it has in its place.

    A list that stands deeper is none: `data.results`.
    """
    if name in content:
        return NotOursError(f'has {json_type(content[name])} under "{name}", not a list')
    if not content:
        return NotOursError(f'has no list "{name}", nor anything else')
    # In quotes as a whole, so that failures of many such files have one cause.
    names = ", ".join(
        _shortened(each) + (f".{name}" if isinstance(value, dict) and name in value else "")
        for each, value in islice(content.items(), _MOST_NAMES)
    )
    more = " and more" if len(content) > _MOST_NAMES else ""
    return NotOursError(f'has no list "{name}"; its names are "{names}"{more}')


def _shortened(name: str) -> str:
    name = name.replace('"', "'")
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"


def _refuse_twice(content: bytes, name: str) -> None:
    """Refuses a document whose outermost object has a name twice; anywhere else it may stand."""
    names: list[str] = []

    def note(pairs: list[tuple[str, Any]]) -> None:
        # The outermost object ends last.
        names[:] = [each for each, _ in pairs]

    json.loads(content, object_pairs_hook=note)
    if names.count(name) > 1:
        raise RecordError(f'has "{name}" twice')


def _read(descriptor: int, size: int) -> bytes:
    """All of a file that should be `size` bytes long, or one byte more if it is longer."""
    content = os.read(descriptor, size + 1)
    while 0 < len(content) < size and (more := os.read(descriptor, size + 1 - len(content))):
        content += more
    return content


def parse_object(content: bytes, tally: Tally) -> dict[str, Any]:
    """The JSON object in these bytes; a UTF-8 byte-order mark before it is accepted.

    Raises:
        RecordError: if there is none.
    """
    # On demand: the command line loads the kinds, and `--help` parses nothing.
    import orjson

    if content.startswith(_UTF16_MARKS):
        raise RecordError("is UTF-16, not UTF-8; convert it and run again")
    content = content.removeprefix(_BYTE_ORDER_MARK)
    _check_memory(content)
    try:
        document: Any = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        if not content.strip():
            raise RecordError("is empty") from error
        raise RecordError(f"is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise NotOursError(f"holds {json_type(document)} where an object belongs")
    if b"\\u0000" in content:
        try:
            cleaned: dict[str, Any] = without_nul(document, tally)
        except RecursionError as error:
            raise RecordError("is nested too deeply") from error
        return cleaned
    return document
