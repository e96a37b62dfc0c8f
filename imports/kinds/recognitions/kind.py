"""The kind `recognitions`: its folders, read, planned, and turned into rows.

Input and rules: the document "Professional Data Ingestion System", and the loader in use.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from imports.errors import RecordError, UnreadImageError
from imports.items.images import Image, ImageFile, Placement
from imports.items.source import Signature, Source, folder_prefix
from imports.items.work_item import ListedItem
from imports.kinds.kind import ItemPlan, Kind, KindAggregate, KindRecord
from imports.kinds.recognitions.layout import (
    PATTERNS,
    PHOTOS,
    all_files,
    copy_elsewhere,
    named,
    sorted_out,
    without_hidden,
)
from imports.kinds.recognitions.tables import BUCKET, GROUP
from imports.kinds.recognitions.values import warnings_of
from imports.kinds.wording import WORDINGS
from imports.source.cleaning import Tally, json_type
from imports.source.exif import HEAD_BYTES, is_turned
from imports.source.image_file import open_unchanged
from imports.source.image_finder import ImageFinder
from imports.source.json_file import read_value
from imports.source.json_text import as_json
from imports.source.tree import (
    FolderFile,
    ListedEntry,
    ListingProblem,
    SourceFile,
    is_utf8,
    printable,
    signature_of_folder,
    unnameable,
)

_CAMERAS = ("camera1.jpg", "camera2.jpg")
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Recognition:
    """A folder that was read.

    `photos` are paths in the folder, that of camera 1 first. `elsewhere` is the folder that is
    imported instead of this one; then there is nothing else.
    """

    id: int
    photos: tuple[str, ...] = ()
    menu: Any = None
    receipt: Any = None
    warnings: tuple[str, ...] = ()
    elsewhere: str | None = None


def items_in(source: Source, prefix: str, files: Iterable[SourceFile]) -> Iterator[ListedEntry]:
    """The folder itself, if it is a recognition."""
    path = prefix.removesuffix("/") or "."
    folder = named(path)
    if folder is None:
        return
    if folder.id is None:
        reason = "is no recognition: a whole number must follow `recognition_`; rename the folder"
        yield ListingProblem(printable(path), reason)
    elif not is_utf8(path):
        yield unnameable(path)
    else:
        yield ListedItem(path, _signature(source, without_hidden(files)))


def key_of(path: str) -> int | None:
    """The number of a recognition, which is the key of its row."""
    folder = named(path)
    return None if folder is None else folder.id


def sign(source: Source, path: str) -> Signature:
    """The current signature of a folder."""
    return _signature(source, all_files(source, path))


def read(source: Source, path: str, signature: Signature, tally: Tally) -> Recognition:
    """A recognition, with its menu and its receipt.

    Raises:
        RecordError: if it does not have two photos, or its menu or receipt cannot be read.
    """
    number = key_of(path)
    if number is None:
        raise RecordError("is no recognition: its name is not `recognition_` and a number")
    try:
        listed = all_files(source, path)
    except OSError as error:
        raise RecordError(f"cannot be listed: {error.strerror}") from error
    if _signature(source, listed) != signature:
        raise RecordError("changed during the run; run again to import it")
    if (elsewhere := copy_elsewhere(source, path, number)) is not None:
        return Recognition(number, elsewhere=elsewhere)
    files = sorted_out(listed, source.patterns)
    if len(files.photos) != len(_CAMERAS):
        raise RecordError(_not_two(files.photos))
    menu = _value(source, path, files.menu, "menu", tally)
    receipt = _value(source, path, files.receipt, "receipt", tally)
    unused = [f"{printable(name)} is not used: there is another one" for name in files.unused]
    return Recognition(
        number,
        tuple(photo.name for photo in files.photos),
        menu,
        receipt,
        (*unused, *warnings_of(menu, receipt, tally)),
    )


def plan(source: Source, path: str, found: Recognition, finder: ImageFinder) -> ItemPlan:
    """The photos of a recognition, at the places where applications look for them.

    Raises:
        RecordError: if one of them cannot be used: both are stored, or neither.
    """
    if found.elsewhere is not None:
        told = f"is not imported: {printable(found.elsewhere)} is the same recognition, and later"
        return ItemPlan(warnings=(told,))
    images: list[ImageFile] = []
    warnings = list(found.warnings)
    for photo in found.photos:
        image = finder.beside(source.absolute(f"{folder_prefix(path)}{photo}"))
        if image is None:
            raise RecordError(
                f"{printable(photo)} cannot be used: it is gone, is not a regular file, or leads"
                " out of the folders that images may be read from (--image-root)"
            )
        images.append(image)
        if _is_turned(image):
            warnings.append(
                f"{printable(photo)} is turned by its EXIF orientation: width, height and boxes are"
                " those of the stored pixels"
            )
    places = tuple(Placement(BUCKET, f"recognitions/{found.id}/{name}") for name in _CAMERAS)
    return ItemPlan(tuple(images), warnings=tuple(warnings), placements=places)


def records(found: Recognition, images: Sequence[Image | None], tally: Tally) -> list[KindRecord]:
    """The one record of a recognition; none if another folder has it.

    Raises:
        RecordError: if a photo is no image.
    """
    if found.elsewhere is not None:
        return []
    if None in images:
        photo = printable(found.photos[images.index(None)])
        raise RecordError(f"{photo} is no image, so neither photo is stored")
    # Planning weighs the rows before the images are known.
    known = images or (None, None)
    sizes = [
        size for each in known for size in ((each.width, each.height) if each else (None,) * 2)
    ]
    hashes = [each.sha256 if each else None for each in known]
    receipt = hashlib.sha256(as_json(found.receipt)).hexdigest() if found.receipt else None
    row = (found.id, found.menu, *_CAMERAS, *sizes, *hashes, receipt)
    rows: list[tuple[int, tuple[object, ...]]] = [(0, row)]
    if found.receipt:
        rows.append((1, (found.id, found.receipt)))
    return [KindRecord(str(found.id), (KindAggregate(tuple(rows)),))]


def _is_turned(image: ImageFile) -> bool:
    try:
        with open_unchanged(image) as file:
            return is_turned(file.read(HEAD_BYTES))
    except (OSError, UnreadImageError):
        return False  # hashing the photo reports the problem


def _not_two(photos: tuple[FolderFile, ...]) -> str:
    names = ", ".join(printable(photo.name) for photo in photos[:_MOST_NAMED])
    more = "" if len(photos) <= _MOST_NAMED else " and more"
    told = f" ({names}{more})" if photos else ""
    count = "1 photo" if len(photos) == 1 else f"{len(photos) or 'no'} photos"
    return f"has {count}{told}, and must have two: one of each camera"


def _signature(source: Source, files: list[FolderFile]) -> Signature:
    # With other patterns, the same folder is another item.
    marks = "" if source.patterns == PATTERNS else "\0".join(source.patterns)
    return signature_of_folder(files, marks)


def _value(
    source: Source, path: str, file: FolderFile | None, name: str, tally: Tally
) -> dict[str, Any] | list[Any] | None:
    """A menu or a receipt; None if there is none."""
    if file is None:
        return None
    if not file.regular:
        raise RecordError(f"{printable(file.name)} is not a regular file")
    place = os.path.join(source.absolute(path), file.name)
    try:
        value = read_value(place, file.signature, tally, name, source.open)
    except RecordError as error:
        raise RecordError(f"{printable(file.name)} {error}") from error
    if not isinstance(value, (dict, list)):
        reason = f"holds {json_type(value)}, and not an array of dishes"
        raise RecordError(f"{printable(file.name)} {reason}")
    return value


RECOGNITIONS = Kind(
    name="recognitions",
    wording=WORDINGS["recognitions"],
    patterns=PATTERNS,
    group=GROUP,
    items_in=items_in,
    sign=sign,
    read=read,
    plan=plan,
    records=records,
    items_are_folders=True,
    parts=(PHOTOS,),
    buckets=(BUCKET,),
    key_of=key_of,
)
