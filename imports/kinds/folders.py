"""folders: device tests, a folder each, with photos and a `stats.json`.

Input and rules: the document "Advanced Supabase Upload System". A work item is a folder, at any
depth, that directly contains an image or a `stats.json`; the status files that the importer writes
do not belong to it. Here, names decide which files are images; later, their content does.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from imports.configuration.commands import Commands
from imports.errors import RecordError
from imports.items.images import Image, ImageFile
from imports.items.source import Signature, Source, folder_prefix
from imports.kinds.kind import ItemPlan, Kind, KindRecord, single_row
from imports.kinds.wording import WORDINGS
from imports.source.cleaning import Tally, clean_text
from imports.source.image_finder import ImageFinder
from imports.source.json_file import read_object
from imports.source.local_file import files_in
from imports.source.name_patterns import Matcher, matcher
from imports.source.status_files import is_status_file
from imports.source.tree import (
    FolderFile,
    ListedEntry,
    SourceFile,
    folder_holding,
    is_utf8,
    printable,
    signature_of_folder,
)
from imports.tables.table import Column, Replace, Table, TableGroup

PATTERNS = ("stats.json", "*.jpg", "*.jpeg", "*.png", "*.gif", "*.bmp", "*.webp")
"""Patterns that end in `.json` name the stats, the others images."""

DEVICE_TEST = Table(
    name="device_test",
    columns=(
        Column("folder_path", "text", nullable=False),
        Column("folder_name", "text"),
        Column("device_id", "text"),
        Column("device_name", "text"),
        Column("device_type", "text"),
        Column("test_status", "text"),
        Column("stats", "jsonb"),
        Column("image_count", "integer"),
        Column("images", "jsonb", image=True),
        Column("file_count", "integer"),
        Column("content_signature", "text"),
        Column("last_modified", "timestamptz"),
    ),
    key=("dataset_id", "folder_path"),
    on_conflict=Replace(),
)

_TEXTS = ("device_id", "device_name", "device_type", "test_status")
"""The columns that the stats may have, in their order."""

_MOST_NAMED = 500
"""So many files are named in a status file at most: it must stay smaller than 1 MiB."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that was read; `stats_problem` is the reason if its stats cannot be used.

    `stats_name` is the name of their file, `given` has the values of options, by name.
    """

    path: str
    name: str
    signature: Signature
    images: tuple[str, ...]
    stats: dict[str, Any] | None
    stats_problem: str | None
    stats_name: str | None = None
    given: Mapping[str, str] = field(default_factory=dict)


def items_in(source: Source, prefix: str, files: Iterable[SourceFile]) -> Iterator[ListedEntry]:
    """The folder itself, if it contains a file that matches the source's patterns."""
    return folder_holding(prefix, files, matcher(source.patterns), is_status_file, _marks(source))


def sign(source: Source, path: str) -> Signature:
    """The current signature of a folder."""
    return signature_of_folder(_files(source, path), _marks(source))


def read(source: Source, path: str, signature: Signature, tally: Tally) -> Folder:
    """A folder, with its stats."""
    try:
        files = _files(source, path)
    except OSError as error:
        raise RecordError(f"cannot be listed: {error.strerror}") from error
    if signature_of_folder(files, _marks(source)) != signature:
        raise RecordError("changed during the run; run again to import it")
    is_stats, is_image = _matchers(source.patterns)
    of_stats = [file for file in files if is_stats(file.name)]
    stats, problem = _stats(source, path, of_stats, tally)
    return Folder(
        path=path,
        name=os.path.basename(source.folder if path == "." else path),
        signature=signature,
        images=tuple(
            file.name for file in files if is_image(file.name) and not is_stats(file.name)
        ),
        stats=stats,
        stats_problem=problem,
        stats_name=of_stats[0].name if of_stats else None,
        given=source.options,
    )


def plan(source: Source, path: str, folder: Folder, finder: ImageFinder) -> ItemPlan:
    """Finds the images of a folder. They are stored even if the stats are broken."""
    images: list[ImageFile | None] = []
    warnings: list[str] = []
    absolute = source.absolute(path)
    for name in folder.images:
        image = finder.beside(os.path.join(absolute, name)) if is_utf8(name) else None
        images.append(image)
        if image is None:
            warnings.append(
                f"image {printable(name)!r} cannot be used: it is gone, is not a regular file, its"
                " name is not valid UTF-8, or it leads out of the folders that images may be read"
                " from (--image-root)"
            )
    missing = len(warnings)
    said = _said(folder)
    warnings += [
        f"{name} is left empty: in the stats it is neither a string nor a number"
        for name in _TEXTS
        if not _is_text(said.get(name))
    ]
    return ItemPlan(tuple(images), None, tuple(warnings), missing)


def records(folder: Folder, images: Sequence[Image | None], tally: Tally) -> list[KindRecord]:
    """The one record of a folder.

    Raises:
        RecordError: if its stats cannot be used.
    """
    if folder.stats_problem is not None:
        raise RecordError(folder.stats_problem)
    said = _said(folder)
    stored = [
        {
            "name": name,
            "sha256": image.sha256,
            "size": image.file.signature.size,
            "content_type": image.content_type,
        }
        for name, image in zip(folder.images, images, strict=False)
        if image is not None
    ]
    row = (
        folder.path,
        folder.name,
        *(_text(said, name, tally) for name in _TEXTS[:-1]),
        _test_status(folder, tally),
        folder.stats,
        len(stored),
        stored,
        folder.signature.file_count,
        folder.signature.digest,
        _timestamp(folder.signature.mtime_ns),
    )
    return [single_row(folder.path, row)]


def story(folder: Folder) -> list[str]:
    """The lines that `folder` prints about its folder."""
    lines = [f"📁 Uploading folder: {folder.name}", f"📸 Found {len(folder.images)} image files"]
    if folder.stats_problem is not None:
        return [*lines, "📊 Found stats.json file", f"❌ {folder.stats_problem}"]
    if folder.stats is not None:
        lines += ["📊 Found stats.json file", "✅ Loaded stats.json successfully"]
    status = (folder.stats or {}).get("test_status")
    if status is None or _is_text(status):
        # A number may be one that no column can have: the import says so.
        with suppress(RecordError):
            lines.append(f"🏷️  Test status: {_test_status(folder, Counter())}")
    return lines


def summary(folder: Folder, images: Sequence[Image | None]) -> Mapping[str, Any]:
    """What `success.json` says of a folder: the files that were stored, and the test status."""
    stored = [name for name, image in zip(folder.images, images, strict=False) if image is not None]
    if folder.stats_name is not None:
        stored.append(printable(folder.stats_name))
    return {
        "uploaded_files": stored[:_MOST_NAMED],
        "test_status": _test_status(folder, Counter()),
    }


def status_file(told: Mapping[str, Any]) -> Mapping[str, Any]:
    """A status file, which also has the names that the earlier upload manager's users know."""
    more = {"timestamp": told["time"], "upload_batch": told["batch_id"]}
    return {**told, **more, **({"error": told["reason"]} if "reason" in told else {})}


@lru_cache(maxsize=8)
def _matchers(patterns: tuple[str, ...]) -> tuple[Matcher, Matcher]:
    """The matchers for the names of stats, and of images."""
    stats = tuple(each for each in patterns if each.lower().endswith(".json"))
    return matcher(stats), matcher(tuple(each for each in patterns if each not in stats))


def _marks(source: Source) -> str:
    # With other patterns or options, the same folder is another item.
    patterns = () if source.patterns == PATTERNS else source.patterns
    return "\0".join([*patterns, *(f"{name}={value}" for name, value in source.options.items())])


def _files(source: Source, path: str) -> list[FolderFile]:
    """The files in a folder, without those that the importer itself wrote."""
    prefix = folder_prefix(path)
    return files_in(
        source.absolute(path),
        lambda name: is_status_file(name) or source.is_left_out(prefix, name),
    )


def _stats(
    source: Source, path: str, files: list[FolderFile], tally: Tally
) -> tuple[dict[str, Any] | None, str | None]:
    """The stats of a folder, or the problem with them; two times None if it has no stats."""
    if not files:
        return None, None
    if len(files) > 1:
        names = ", ".join(file.name for file in files[:3])
        return None, f"has more than one stats file: {printable(names)}"
    file = files[0]
    if not file.regular:
        return None, f"{printable(file.name)} is not a regular file"
    try:
        place = os.path.join(source.absolute(path), file.name)
        return read_object(place, file.signature, tally, opener=source.open), None
    except RecordError as error:
        return None, f"{printable(file.name)} {error}"


def _is_text(value: object) -> bool:
    # Strings, and numbers, which may have several Python types.
    return value is None or not isinstance(value, (bool, list, dict))


def _text(stats: dict[str, Any], name: str, tally: Tally) -> str | None:
    value = stats.get(name)
    if not _is_text(value):
        return None
    try:
        return clean_text(value, tally)
    except ValueError as error:
        raise RecordError(f"the stats' {name}: {error}") from error


def _said(folder: Folder) -> dict[str, Any]:
    """What the stats of a folder say, and in place of it what options say."""
    return {**(folder.stats or {}), **folder.given}


def _test_status(folder: Folder, tally: Tally) -> str | None:
    """The status of a test: what its stats say, else what follows from their `result`."""
    stats = folder.stats
    if stats is None:
        return "pending"
    given = _text(stats, "test_status", tally)
    if given is not None or not _is_text(stats.get("test_status")):
        return given
    return "passed" if stats.get("result") else "failed"


def _timestamp(mtime_ns: int) -> datetime | None:
    """The time of an mtime, to the microsecond; None if it is out of Python's range."""
    try:
        return _EPOCH + timedelta(microseconds=mtime_ns // 1_000)
    except OverflowError:
        return None


FOLDERS = Kind(
    name="folders",
    wording=WORDINGS["folders"],
    patterns=PATTERNS,
    group=TableGroup("folders", (DEVICE_TEST,)),
    items_in=items_in,
    sign=sign,
    read=read,
    plan=plan,
    records=records,
    story=story,
    summary=summary,
    status_file=status_file,
    items_are_folders=True,
    status_files=True,
    row_options=Commands.OF_DEVICES,
)
