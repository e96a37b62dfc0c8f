"""Writing the generated migration with the functions, if they have changed.

`supabase db push` applies each version once, and refuses a folder without a version that the
database has. So changed functions get a new version, and the old file stays, without functions.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from imports.errors import SchemaError
from imports.kinds import all_groups
from imports.servers.schema import FUNCTIONS, Migration, folder, migrations
from imports.tables.functions import functions_file
from imports.tables.table import IMAGES

_REPLACED = "-- The functions that were here are in a later migration of this name.\n"


@dataclass(frozen=True, slots=True)
class Export:
    """The file with the functions, and whether it was out of date."""

    path: Path
    written: bool


def rendered() -> str:
    """The current content of the file: the functions for all kinds."""
    return functions_file([IMAGES, *all_groups()])


def export_functions(
    *, check: bool = False, same_version: bool = False, place: Path | None = None
) -> Export:
    """Writes the functions as the newest migration, if they differ from it.

    `check` only compares. With `same_version` the file keeps its version: for a version that only
    `schema apply` has applied so far, which compares checksums. `place` is the folder.

    Raises:
        SchemaError: if this is not a checkout.
    """
    place = place or folder()
    if place.parent.name != "supabase":
        raise SchemaError(f"{place} is not in a checkout. Export the functions in a checkout.")
    found = migrations(place)
    now = [each for each in found if each.name == FUNCTIONS and each.checksum is not None]
    content = rendered()
    current = now[-1] if now else None
    if current is not None and current is found[-1] and current.sql == content:
        return Export(_path(place, current), written=False)
    if current is not None and same_version and current is found[-1]:
        new = current
    else:
        version = max(datetime.now(UTC).strftime("%Y%m%d%H%M%S"), _next(found[-1].version))
        new = Migration(version, FUNCTIONS, content)
    if not check:
        _path(place, new).write_text(content, encoding="utf-8")
        for old in now:
            if old.version != new.version:
                _path(place, old).write_text(_REPLACED, encoding="utf-8")
    return Export(_path(place, new), written=True)


def _next(version: str) -> str:
    return f"{int(version) + 1:014d}"


def _path(place: Path, migration: Migration) -> Path:
    return place / f"{migration.version}_{migration.name}.sql"
