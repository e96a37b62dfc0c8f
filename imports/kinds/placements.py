"""The permitted places of images: those that every image store accepts, and that are safe."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from imports.errors import RecordError

if TYPE_CHECKING:
    from imports.kinds.kind import ItemPlan

_BUCKET = re.compile(r"[a-z0-9][a-z0-9_-]{1,61}[a-z0-9]")
_RESERVED = frozenset({"imagecache", "postgresql", "spool", "supabase"})
"""Other folders in the data folder. There, each bucket of a PostgreSQL target is a folder."""

_PATH = re.compile(r"(?!.*//)[A-Za-z0-9_=-][A-Za-z0-9_.=/-]*")
_LONGEST_PATH = 700
_LONGEST_NAME = 200
"""In bytes, below the limits of stores: names of temporary files are longer."""


def check_placements(plan: ItemPlan) -> None:
    """Checks the places of the images of an item.

    Raises:
        RecordError: if a place is not permitted, or two images have the same one.
        ValueError: if the numbers of places and images differ.
    """
    if len(plan.placements) != len(plan.images):
        raise ValueError("an item must have as many placements as images")
    seen = set()
    for place in plan.placements:
        if place is None:
            continue
        if not _BUCKET.fullmatch(place.bucket) or place.bucket in _RESERVED:
            raise RecordError(f"no image can be stored in a bucket named {place.bucket!r}")
        if problem := _problem(place.path):
            raise RecordError(f"no image can be stored at {place.path!r}: {problem}")
        if place in seen:
            raise RecordError(f"has two images for the same place, {place}")
        seen.add(place)


def _problem(path: str) -> str | None:
    names = path.split("/")
    if path.startswith("/"):
        return "it must be relative to the bucket"
    if not all(names) or any(name.startswith(".") for name in names):
        return "a part of it is empty, or begins with a dot"
    if not _PATH.fullmatch(path):
        return "only letters a to z, digits, and the characters _ . = - / are permitted"
    if len(path) > _LONGEST_PATH or any(len(name) > _LONGEST_NAME for name in names):
        return "it is too long"
    return None
