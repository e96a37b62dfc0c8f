"""Reading a `.env` file: its variables, or an error that names the line."""

from __future__ import annotations

import codecs
import stat
from collections.abc import Mapping
from pathlib import Path

from imports.errors import UsageError

_MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
"""Encodings by their byte-order mark; PowerShell's `>` writes UTF-16. Other files are UTF-8."""


def read_env_file(file: Path) -> Mapping[str, str | None]:
    """The variables of a file by name; None is the value of a name without `=`.

    A missing file has none. `${NAME}` is not expanded, so no secret gets into another value.

    Raises:
        UsageError: if the file cannot be read, is not text, or has a line that is not an
            assignment. The message names the line, but does not show it.
    """
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            raise UsageError(f"{file} is not a regular file: move it away.")
        content = file.read_bytes()
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not file.is_symlink():
            return {}
        # A broken link is an error too: without its settings the data could go to another target.
        raise UsageError(
            f"{file} cannot be read: {error.strerror}. Make it readable, or move it away."
        ) from None
    return _variables(file, _text(file, content))


def _text(file: Path, content: bytes) -> str:
    encoding = _MARKS.get(content[:2], "utf-8-sig")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        place = _line(content[: error.start].decode(encoding, "replace"))
    else:
        if "\0" not in text:
            return text
        place = _line(text[: text.index("\0")])
    # `from None`: the original error contains the whole content.
    raise UsageError(
        f"{file}, line {place}: this is not UTF-8 text. Save the file as UTF-8."
    ) from None


def _variables(file: Path, text: str) -> Mapping[str, str | None]:
    # On demand: most runs have no `.env` file.
    from io import StringIO

    from dotenv.parser import parse_stream

    values: dict[str, str | None] = {}
    for binding in parse_stream(StringIO(text)):
        if binding.error:
            # The parser counts the empty lines before a line as a part of it.
            original = binding.original.string
            place = binding.original.line + original[: -len(original.lstrip()) or None].count("\n")
            raise UsageError(
                f"{file}, line {place}: this is not NAME=value, or a quotation mark is not closed."
                " Correct the line, or begin it with #."
            )
        if binding.key is not None:
            values[binding.key] = binding.value
    return values


def _line(before: str) -> int:
    """The number of the line that follows the text `before`."""
    return 1 + before.count("\n")
