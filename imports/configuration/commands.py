"""Commands: an option declares with them which commands take it."""

from __future__ import annotations

from enum import Flag, auto


class Commands(Flag):
    """Commands that take an option. Those for a source differ by the properties of their kind."""

    NONE = 0
    SOURCE = auto()
    """The import of a source of any kind."""
    OF_FILES = auto()
    """The import of a kind without a separate command for a single item."""
    OF_FILE_ITEMS = auto()
    """The import of a kind whose work items are files."""
    OF_FOLDERS = auto()
    """The import of a kind that writes status files into the folders of its items."""
    OF_PLACES = auto()
    """The import of a kind whose images have places of their own."""
    OF_DEVICES = auto()
    """The import of a kind whose rows name a device."""
    OF_TIMESTAMPS = auto()
    """The import of a kind whose rows have a timestamp to compare."""
    CONSUMED = auto()
    """The import of a kind that consumes its source."""
    ITEM = auto()
    """The separate command for a single item."""
    VERIFY = auto()
    RESUME = auto()
    STATUS = auto()
    ACKNOWLEDGE = auto()
    SCHEMA = auto()
    RESET = auto()
    CHECK = auto()
    READ = auto()
    """The commands that read what is stored of a kind."""
    AIRTABLE = auto()

    IMPORT = SOURCE | ITEM
    RUN = IMPORT | VERIFY | RESUME | RESET
    """All commands that work on a run."""
