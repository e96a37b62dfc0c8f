"""Which places for images every image store can have, and is safe to write to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from imports.errors import RecordError

if TYPE_CHECKING:
    from imports.kinds.kind import ItemPlan

_BUCKET = re.compile(r"[a-z0-9][a-z0-9_-]{1,61}[a-z0-9]")
_RESERVED = frozenset({"imagecache", "postgresql", "spool", "supabase"})
"""Other folders in the data folder, where a bucket of a PostgreSQL is a folder, too."""

_PATH = re.compile(r"(?!.*//)[A-Za-z0-9_=-][A-Za-z0-9_.=/-]*")
_LONGEST_PATH = 700
_LONGEST_NAME = 200
"""A store, and the importer, add to it while they write."""


def check_placements(plan: ItemPlan) -> None:
    """Makes sure that the images of an item have places that they can be stored at.

    Raises:
        RecordError: if one of them cannot be a place, or two images have the same.
        ValueError: if they are not as many as the images.
    """
    if len(plan.placements) != len(plan.images):
        raise ValueError("an item must have as many placements as images")
    seen = set()
    for place in plan.placements:
        if place is None:
            continue
        if not _BUCKET.fullmatch(place.bucket) or place.bucket in _RESERVED:
            raise RecordError(f"no image can be stored in a bucket of the name {place.bucket!r}")
        if problem := _problem(place.path):
            raise RecordError(f"no image can be stored at {place.path!r}: {problem}")
        if place in seen:
            raise RecordError(f"has two images that are to be stored at {place}")
        seen.add(place)


def _problem(path: str) -> str | None:
    names = path.split("/")
    if path.startswith("/"):
        return "it must be relative to the bucket"
    if not all(names) or any(name.startswith(".") for name in names):
        return "a part of it is empty, or begins with a dot"
    if not _PATH.fullmatch(path):
        return "it may have letters a to z, digits, and the characters _ . = - / only"
    if len(path) > _LONGEST_PATH or any(len(name) > _LONGEST_NAME for name in names):
        return "it is too long"
    return None
