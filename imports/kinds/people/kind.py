"""people: persons from people searches, with their résumés and companies.

Input and rules: the document "Concurrent Supabase Uploader". A work item is a JSON file, a page
of a search. Each element of its `results` is a record: a person, the organisations that the person
worked for, and their offices. Each of these is an aggregate of rows with an id of its own.

A source file may be deleted after its import, so nothing of a record may be lost: values without
a column are kept in `rest`, in their original structure. Only empty values are left out: null, and
arrays and objects without content.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from imports.errors import NotOursError
from imports.items.source import Signature, Source
from imports.kinds.kind import ContentPiece, ItemPlan, Kind
from imports.kinds.people import tables as t
from imports.kinds.people.records import Page, records
from imports.kinds.wording import WORDINGS
from imports.source.cleaning import Tally
from imports.source.image_finder import ImageFinder
from imports.source.json_file import no_array, read_object
from imports.source.name_patterns import matcher
from imports.source.tree import ListedEntry, SourceFile, files_called, signature_of_file

NOT_A_SOURCE = frozenset({"failed_uploads", "done_uploads"})
"""Folders that finished files are moved to."""

_NOT_A_PAGE = "not a page of a people search"

NO_RESULTS = (f"{_NOT_A_PAGE}: it has no array ", f"{_NOT_A_PAGE}: it has null ")
"""The beginnings of the reasons for files that the document calls empty."""

_RESULTS = "results"
_NO_PAGE = re.compile(r"^\.|^work_state\b.*\.json$|\.errors\.json$", re.IGNORECASE)


def items_in(source: Source, prefix: str, files: Iterable[SourceFile]) -> Iterator[ListedEntry]:
    """The files that match the source's patterns, without those that the importer wrote.

    Hidden files are left out, since programs write incomplete files under hidden names; so are
    hidden folders, which belong to other programs.
    """
    if any(folder in NOT_A_SOURCE or folder.startswith(".") for folder in prefix.split("/")):
        return iter(())
    matches = matcher(source.patterns)
    return files_called(
        prefix,
        files,
        lambda name: matches(name) and not _NO_PAGE.search(name),
        exact=True,
    )


def sign(source: Source, path: str) -> Signature:
    """The current signature of a file: exact, since it decides whether the file may be deleted."""
    return signature_of_file(source.absolute(path), exact=True)


def read(source: Source, path: str, signature: Signature, tally: Tally) -> Page:
    """The records in a file.

    Raises:
        NotOursError: if it has no array `results`. An empty array is an empty page.
    """
    try:
        content = read_object(source.absolute(path), signature, tally, _RESULTS, source.open)
        if type(results := content.get(_RESULTS)) is not list:
            raise no_array(_RESULTS, content)
    except NotOursError as error:
        raise _not_a_page(error) from error
    return Page(path, 0, results)


def _not_a_page(error: NotOursError) -> NotOursError:
    return NotOursError(f"{_NOT_A_PAGE}: it {error}")


def pieces(
    source: Source, path: str, signature: Signature, start: int, size: int, tally: Tally
) -> Iterator[ContentPiece]:
    """Yields the records of a file that is too large for memory, some at a time."""
    # On demand: most sources have no such file.
    from imports.source.json_pieces import read_pieces

    try:
        for first, results, _ in read_pieces(
            source.absolute(path), signature, _RESULTS, size, start, tally, source.open
        ):
            yield ContentPiece(first, len(results), Page(path, first, results))
    except NotOursError as error:
        raise _not_a_page(error) from error


def plan(source: Source, path: str, page: Page, finder: ImageFinder) -> ItemPlan:
    """An empty plan: people have no images."""
    return ItemPlan()


PEOPLE = Kind(
    name="people",
    wording=WORDINGS["people"],
    patterns=("*.json",),
    group=t.GROUP,
    items_in=items_in,
    sign=sign,
    read=read,
    plan=plan,
    records=records,
    pieces=pieces,
    consumes_source=True,
)
