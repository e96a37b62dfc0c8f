"""A `.env` file: variables by name, as they stand there, or what is wrong with it and where."""

from __future__ import annotations

import codecs
import stat
from collections.abc import Mapping
from pathlib import Path

from imports.errors import UsageError

_MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
"""How a file is encoded that begins so; PowerShell's `>` writes UTF-16. All others are UTF-8."""


def read_env_file(file: Path) -> Mapping[str, str | None]:
    """The variables of a file; none if there is no such file, None for one without a value.

    No value is put into another one: a secret must not find its way there.

    Raises:
        UsageError: if it cannot be read, is no text, or has a line that is no assignment. The
            message names the line, and shows nothing of it.
    """
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            raise UsageError(f"{file} is no regular file: move it away.")
        content = file.read_bytes()
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not file.is_symlink():
            return {}
        # A link that leads nowhere, too: without its settings the data could go elsewhere.
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
    # Without the error, which has all of the content.
    raise UsageError(
        f"{file}, line {place}: this is no UTF-8 text. Save the file as UTF-8."
    ) from None


def _variables(file: Path, text: str) -> Mapping[str, str | None]:
    # On demand: most runs have no such file.
    from io import StringIO

    from dotenv.parser import parse_stream

    values: dict[str, str | None] = {}
    for binding in parse_stream(StringIO(text)):
        if binding.error:
            # The parser counts the empty lines before it as its beginning.
            said = binding.original.string
            place = binding.original.line + said[: -len(said.lstrip()) or None].count("\n")
            raise UsageError(
                f"{file}, line {place}: this is no NAME=value, or a quotation mark is not closed."
                " Mend the line, or begin it with #."
            )
        if binding.key is not None:
            values[binding.key] = binding.value
    return values


def _line(before: str) -> int:
    """The number of the line that follows after a text."""
    return 1 + before.count("\n")
