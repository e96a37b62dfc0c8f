"""The kind `annotations`: a file of boxes, whose one object has a member for each photo.

Input and rules: the document "Professional Data Ingestion System", and the loader in use.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from imports.items.source import Signature, Source
from imports.kinds.annotations.boxes import Entries, records
from imports.kinds.annotations.tables import GROUP
from imports.kinds.kind import ContentPiece, ItemPlan, Kind
from imports.kinds.wording import WORDINGS
from imports.source.cleaning import Tally
from imports.source.image_finder import ImageFinder
from imports.source.name_patterns import matcher
from imports.source.tree import ListedEntry, SourceFile, files_called, signature_of_file


def items_in(source: Source, prefix: str, files: Iterable[SourceFile]) -> Iterator[ListedEntry]:
    """The files that match the source's patterns."""
    return files_called(prefix, files, matcher(source.patterns))


def sign(source: Source, path: str) -> Signature:
    """The current signature of a file."""
    return signature_of_file(source.absolute(path))


def read(source: Source, path: str, signature: Signature, tally: Tally) -> Entries:
    """The entries of a file.

    Raises:
        NotOursError: if it is JSON, but not an object.
        RecordError: if it cannot be read.
    """
    whole = pieces(source, path, signature, 0, MOST_AT_ONCE, tally)
    return Entries([each for piece in whole for each in piece.content.entries])


def pieces(
    source: Source, path: str, signature: Signature, start: int, size: int, tally: Tally
) -> Iterator[ContentPiece]:
    """Yields the entries of a file, some at a time."""
    # On demand: the command line loads the kinds, and `--help` parses nothing.
    from imports.source.json_members import read_members

    for first, members, _ in read_members(
        source.absolute(path), signature, size, start, tally, source.open
    ):
        yield ContentPiece(first, len(members), Entries(members))


def plan(source: Source, path: str, found: Entries, finder: ImageFinder) -> ItemPlan:
    """An empty plan: the photos are those of the recognitions."""
    return ItemPlan()


MOST_AT_ONCE = 10_000

ANNOTATIONS = Kind(
    name="annotations",
    wording=WORDINGS["annotations"],
    patterns=("qwen_annotations.json",),
    group=GROUP,
    items_in=items_in,
    sign=sign,
    read=read,
    plan=plan,
    records=records,
    pieces=pieces,
    is_flat=True,
)
