"""Imports trees of JSON files and the images they name into PostgreSQL or Supabase."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imports.loading import load_settings
    from imports.process_people import process_people_from_file
    from imports.resilient_importer import ResilientImporter
    from imports.settings import Settings

__all__ = ["ResilientImporter", "Settings", "load_settings", "process_people_from_file"]


def __getattr__(name: str) -> object:
    # On demand: worker processes and `--help` do not need these modules.
    if name == "ResilientImporter":
        from imports.resilient_importer import ResilientImporter

        return ResilientImporter
    if name == "process_people_from_file":
        from imports.process_people import process_people_from_file

        return process_people_from_file
    if name == "Settings":
        from imports.settings import Settings

        return Settings
    if name == "load_settings":
        from imports.loading import load_settings

        return load_settings
    raise AttributeError(f"module 'imports' has no attribute {name!r}")
