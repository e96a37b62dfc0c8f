"""The kind `insights`: its files, read and turned into rows.

Input and rules: the document "Supabase Integration for Member Insights Processor", and files that
are in use.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from imports.errors import RecordError
from imports.items.images import Image
from imports.items.source import Signature, Source
from imports.kinds.insights.insight import Insight, insight_in, rows_of
from imports.kinds.insights.tables import ADDED, GROUP, STORED
from imports.kinds.kind import ItemPlan, Kind, KindAggregate, KindRecord
from imports.kinds.wording import WORDINGS
from imports.source.cleaning import Tally
from imports.source.image_finder import ImageFinder
from imports.source.json_file import read_object
from imports.source.name_patterns import matcher
from imports.source.tree import ListedEntry, SourceFile, files_called, signature_of_file


class InsightFile(NamedTuple):
    """An insight, and the mtime of its file in nanoseconds."""

    insight: Insight
    mtime_ns: int


def items_in(source: Source, prefix: str, files: Iterable[SourceFile]) -> Iterator[ListedEntry]:
    """The files that match the source's patterns."""
    return files_called(prefix, files, matcher(source.patterns))


def sign(source: Source, path: str) -> Signature:
    """The current signature of a file."""
    return signature_of_file(source.absolute(path))


def read(source: Source, path: str, signature: Signature, tally: Tally) -> InsightFile:
    """The insight in a file.

    Raises:
        RecordError: if it cannot be read, or has values that cannot be used.
    """
    document = read_object(source.absolute(path), signature, tally, opener=source.open)
    insight = insight_in(document, tally)
    if insight.errors:
        raise RecordError.of_values(insight.errors)
    return InsightFile(insight, signature.mtime_ns)


def plan(source: Source, path: str, found: InsightFile, finder: ImageFinder) -> ItemPlan:
    """No images. The files of a contact are in one batch, so its row is computed once for them."""
    insight = found.insight
    return ItemPlan(group=insight.metadata.contact_id, warnings=tuple(insight.content.warnings))


def records(found: InsightFile, images: Sequence[Image | None], tally: Tally) -> list[KindRecord]:
    """The one record of a file: its source group, and its content as one that was delivered."""
    source, delivery = rows_of(found.insight, found.mtime_ns)
    given = found.insight.metadata
    return [
        KindRecord(
            f"{given.contact_id}/{given.eni_id}", (KindAggregate(((0, source), (1, delivery))),)
        )
    ]


INSIGHTS = Kind(
    name="insights",
    wording=WORDINGS["insights"],
    patterns=("*.json",),
    group=GROUP,
    items_in=items_in,
    sign=sign,
    read=read,
    plan=plan,
    records=records,
    groups_by_path=True,
    is_flat=True,
    client_groups=(STORED, ADDED),
)
