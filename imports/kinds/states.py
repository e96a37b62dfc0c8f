"""states: pharmacy licences from searches on state boards.

Input and rules: the document "Resilient Importer Documentation". A work item is a file
`*_parse.json`: one search, with any number of licences and at most one screenshot.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from imports.errors import RecordError
from imports.items.images import Image, ImageFile
from imports.items.source import Signature, Source
from imports.kinds.kind import ItemPlan, Kind, KindRecord, single_row
from imports.kinds.wording import WORDINGS
from imports.source.cleaning import (
    Tally,
    clean_date,
    clean_text,
    clean_timestamp,
    is_blank,
    json_type,
    shortened,
)
from imports.source.image_finder import ImageFinder
from imports.source.json_file import read_object
from imports.source.name_patterns import matcher
from imports.source.tree import ListedEntry, SourceFile, files_called, signature_of_file
from imports.tables.table import Column, Table, TableGroup, UpdateIfNewer

SEARCH_RESULTS = Table(
    name="search_results",
    columns=(
        Column("search_name", "text", nullable=False),
        Column("search_state", "text", nullable=False),
        Column("search_ts", "timestamptz"),
        Column("license_number", "text"),
        Column("license_status", "text"),
        Column("license_name", "text"),
        Column("license_type", "text"),
        Column("address", "text"),
        Column("city", "text"),
        Column("state", "text"),
        Column("zip", "text"),
        Column("issue_date", "date"),
        Column("expiration_date", "date"),
        Column("result_status", "text"),
        Column("meta", "jsonb"),
        Column("raw", "jsonb"),
        Column("image_hash", "text", image=True),
    ),
    key=("dataset_id", "search_name", "search_state", "license_number"),
    on_conflict=UpdateIfNewer("search_ts"),
)


_METADATA_TEXTS = ("pharmacy_name", "state")
_LICENSE_TEXTS = ("license_number", "license_status", "pharmacy_name", "license_type")
_ADDRESS_TEXTS = ("street", "suite", "city", "state", "zip_code")


class Search(NamedTuple):
    """A search from a file, and the cleaned values that its licences share."""

    document: dict[str, Any]
    metadata: dict[str, Any]
    result: dict[str, Any]
    licenses: list[dict[str, Any]]
    name: str
    state: str
    timestamp: datetime | None


def items_in(source: Source, prefix: str, files: Iterable[SourceFile]) -> Iterator[ListedEntry]:
    """The files that match the source's patterns; the default is `*_parse.json`."""
    return files_called(prefix, files, matcher(source.patterns))


def sign(source: Source, path: str) -> Signature:
    """The current signature of a file."""
    return signature_of_file(source.absolute(path))


def read(source: Source, path: str, signature: Signature, tally: Tally) -> Search:
    """The search in a file."""
    return search_in(
        read_object(source.absolute(path), signature, tally, opener=source.open), tally
    )


def search_in(document: dict[str, Any], tally: Tally) -> Search:
    """The search in a document.

    Raises:
        RecordError: if a required value is missing or has the wrong type.
    """
    metadata = _object(document, "metadata")
    result = _object(document, "search_result")
    name, state = _texts(metadata, _METADATA_TEXTS, "metadata", tally)
    if name is None or state is None:
        missing = _METADATA_TEXTS[0 if name is None else 1]
        raise RecordError(f"metadata.{missing} is missing")
    timestamp = clean_timestamp(metadata.get("search_timestamp"), tally)
    return Search(document, metadata, result, _licenses(result), name, state, timestamp)


def plan(source: Source, path: str, search: Search, finder: ImageFinder) -> ItemPlan:
    """Finds the screenshot of a search."""
    image, warnings = _image(
        search.metadata.get("source_image_file"), source.absolute(path), finder
    )
    images_missing = len(warnings)
    if len(search.licenses) > 1:
        warnings += _repeated(search.licenses)
    if search.timestamp is None:
        warnings.append(_undated(search.metadata.get("search_timestamp")))
    return ItemPlan(
        images=(image,) if image else (),
        group=f"{search.name}|{search.state}|{search.timestamp}",
        warnings=tuple(warnings),
        images_missing=images_missing,
        undated=search.timestamp is None,
    )


def records(search: Search, images: Sequence[Image | None], tally: Tally) -> list[KindRecord]:
    """A record for each licence of a search; one record without a licence if it has none."""
    metadata, result, licenses = search.metadata, search.result, search.licenses
    status = _text(result, "result_status", "search_result", tally) or _text(
        metadata, "search_result_type", "metadata", tally
    )
    rest = {**search.document}
    del rest["metadata"]
    image = images[0] if images else None
    image_hash = image.sha256 if image else None
    found: list[KindRecord] = []
    for index, license_ in enumerate(licenses or [{}]):
        if len(licenses) != 1:
            rest = {**rest, "search_result": {**result, "licenses": licenses[index : index + 1]}}
        place = f"search_result.licenses[{index}]"
        texts = _texts(license_, _LICENSE_TEXTS, place, tally)
        row = (
            search.name,
            search.state,
            search.timestamp,
            *texts,
            *_address(license_.get("address"), place, tally),
            clean_date(license_.get("issue_date"), tally),
            clean_date(license_.get("expiration_date"), tally),
            status,
            metadata,
            rest,
            image_hash,
        )
        found.append(single_row(_label(search, texts[0]), row))
    return found


def _label(search: Search, number: str | None) -> str:
    return f"{search.name}/{search.state}/{number or '(no licence)'}"


def _licenses(result: dict[str, Any]) -> list[dict[str, Any]]:
    licenses = result.get("licenses")
    if licenses is None:
        return []
    if not isinstance(licenses, list):
        raise RecordError(f"search_result.licenses is {json_type(licenses)}, not an array")
    for index, license_ in enumerate(licenses):
        if not isinstance(license_, dict):
            raise RecordError(
                f"search_result.licenses[{index}] is {json_type(license_)}, not an object"
            )
    return licenses


def _repeated(licenses: list[dict[str, Any]]) -> list[str]:
    """Warnings about licences that occur twice in a search: only the last one becomes a row."""
    numbers = Counter(
        _text(each, "license_number", f"search_result.licenses[{index}]", Counter())
        for index, each in enumerate(licenses)
    )
    return [
        f"{count} licences {number or 'without a number'}: only the last is kept"
        for number, count in numbers.items()
        if count > 1
    ]


def _undated(value: object) -> str:
    if value is None:
        problem = "is missing"
    else:
        shown = shortened(repr(value))
        problem = f"is {shown}" if is_blank(value) else f"cannot be read as a date: {shown}"
    return f"metadata.search_timestamp {problem}; so it is unknown which searches are newer"


def _address(address: object, place: str, tally: Tally) -> list[str | None]:
    if address is None:
        return [None, None, None, None]
    if isinstance(address, str):
        return [clean_text(address, tally), None, None, None]
    if not isinstance(address, dict):
        raise RecordError(f"{place}.address is {json_type(address)}, not an object")
    street, suite, *rest = _texts(address, _ADDRESS_TEXTS, f"{place}.address", tally)
    line = f"{street}, {suite}" if street and suite else street or suite
    return [line, *rest]


def _image(reference: object, path: str, finder: ImageFinder) -> tuple[ImageFile | None, list[str]]:
    image, warning, named = None, None, ""
    if isinstance(reference, str) and (named := reference.strip()):
        image, warning = finder.find(named, path)
    elif reference is not None and not isinstance(reference, str):
        warning = f"metadata.source_image_file is {json_type(reference)}, not a string"
    image = image or finder.beside(
        path.removesuffix(".json").removesuffix("_parse") + ".png", named
    )
    return image, [warning] if warning and image is None else []


def _object(document: dict[str, Any], name: str) -> dict[str, Any]:
    value = document.get(name)
    if not isinstance(value, dict):
        problem = "is missing" if value is None else f"is {json_type(value)}, not an object"
        raise RecordError(f"{name} {problem}")
    return value


def _text(holder: dict[str, Any], name: str, place: str, tally: Tally) -> str | None:
    return _texts(holder, (name,), place, tally)[0]


def _texts(
    holder: dict[str, Any], names: tuple[str, ...], place: str, tally: Tally
) -> list[str | None]:
    """The cleaned texts with these names in an object."""
    found: list[str | None] = []
    for name in names:
        value = holder.get(name)
        # Inline for speed: nearly all of many millions of values take this branch.
        if type(value) is str and "\0" not in value:
            found.append(value.strip() or None)
        elif value is None:
            found.append(None)
        else:
            try:
                found.append(clean_text(value, tally))
            except ValueError as error:
                raise RecordError(f"{place}.{name}: {error}") from error
    return found


STATES = Kind(
    name="states",
    wording=WORDINGS["states"],
    patterns=("*_parse.json",),
    group=TableGroup("states", (SEARCH_RESULTS,)),
    items_in=items_in,
    sign=sign,
    read=read,
    plan=plan,
    records=records,
)
