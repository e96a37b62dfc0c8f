"""Checks of this machine: where the settings come from, the ledger, and the disks."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from imports.configuration.values import plain
from imports.errors import ImporterError
from imports.ledger.file import check_place, reading
from imports.run.checking.finding import Finding, failed, of_error, ok, warning
from imports.settings import Settings

_MIB = 1024 * 1024
_LOW_BYTES = 1024 * _MIB
_FULL_BYTES = 64 * _MIB


def check_settings(settings: Settings, origins: Mapping[str, str]) -> Iterator[Finding]:
    """Each setting that is set, with its origin; secrets are hidden."""
    for name, origin in origins.items():
        yield ok("setting", f"{name} = {plain(getattr(settings, name))} (from {origin})")
    if not origins:
        yield ok("setting", "no setting is set: all have their defaults")


def check_machine(settings: Settings) -> Iterator[Finding]:
    """The ledger, and the disks of the files that a run writes."""
    yield _ledger(settings.ledger_file)
    places = dict.fromkeys([settings.ledger_file.parent, settings.data_folder])
    for place in dict.fromkeys(map(_existing, places)):
        yield _disk(place)


def _ledger(file: Path) -> Finding:
    try:
        check_place(file)
        with reading(file) as connection:
            told = "not there yet" if connection is None else "can be read"
    except ImporterError as error:
        return of_error("ledger", error)
    return ok("ledger", f"{file}: {told}")


def _disk(folder: Path) -> Finding:
    if not os.access(folder, os.W_OK | os.X_OK):
        advice = "Give this user the right to write there, or use another project folder."
        return failed("disk", f"{folder} cannot be written", advice)
    free = shutil.disk_usage(folder).free
    told = f"{folder}: {free // _MIB:,} MiB free"
    if free < _FULL_BYTES:
        return failed("disk", told, "Free space: the ledger and the work state need it.")
    if free < _LOW_BYTES:
        return warning("disk", told, "Free space: ledger, spool and local images need it.")
    return ok("disk", told)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    place = folder.absolute()
    # A folder that this user may not look into is none: the one above it is told.
    return next(each for each in (place, *place.parents) if os.path.isdir(each))  # noqa: PTH112
