"""The list of problems of a failed file, which lies beside it: `a.errors.json` for `a.json`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import orjson

from imports.files.free_names import LONGEST_NAME, with_end
from imports.files.regular_file import opener
from imports.files.whole_file import replacing, sync_folder
from imports.source.drafts import part_of

ERRORS_SUFFIX = ".errors.json"
"""The end of the name of a list of problems; the stem is that of the moved file."""

_ERRORS_HEAD = b'[\n  {\n    "index": '
_NO_ERRORS = b"[]"


@dataclass(frozen=True, slots=True)
class Problem:
    """A record that failed: its index in the file, its id if it has one, and the reason.

    Without an index, the whole file failed.
    """

    index: int | None
    id: str | None
    reason: str


def has_errors(path: str) -> bool:
    """Whether a list of problems exists beside a moved file."""
    return os.path.lexists(_errors_path(Path(path)))


def write_errors(path: str, problems: Iterable[Problem]) -> str:
    """Writes the problems of a moved file beside it; returns the path of the list.

    The list of `a.json` is `a.errors.json` (a long name is cut), with `index`, `id` and `reason` of
    each problem. It replaces an existing list as a whole.

    Raises:
        OSError: if it cannot be written.
    """
    errors = _errors_path(Path(path))
    content = orjson.dumps(list(problems), option=orjson.OPT_INDENT_2)
    # Not the usual draft: its name may be too long.
    with replacing(errors, draft=str(part_of(errors, errors.parent))) as file:
        file.write(content)
    sync_folder(errors.parent)
    return str(errors)


def _errors_path(path: Path) -> Path:
    if len(os.fsencode(path.stem + ERRORS_SUFFIX)) <= LONGEST_NAME:
        return path.with_name(path.stem + ERRORS_SUFFIX)
    # Two names may differ only in the part that is cut off.
    digest = blake2b(os.fsencode(path.name), digest_size=4).hexdigest()
    return with_end(path, f".{digest}{ERRORS_SUFFIX}")


def errors_of_another(name: Path) -> bool:
    """Whether the list of problems for this name would overwrite a file of another type."""
    try:
        with open(_errors_path(name), "rb", opener=opener) as file:
            head = file.read(len(_ERRORS_HEAD))
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return head not in (_ERRORS_HEAD, _NO_ERRORS)
