"""Commands, by which an option says where it is taken."""

from __future__ import annotations

from enum import Flag, auto


class Commands(Flag):
    """Commands that take an option. Those for a source differ by what their kind is like."""

    NONE = 0
    SOURCE = auto()
    """Those that import a source, of all kinds."""
    OF_FILES = auto()
    """Of kinds that have no command for a single item."""
    OF_FOLDERS = auto()
    """Of kinds whose items are folders."""
    OF_DEVICES = auto()
    """Of kinds whose rows name a device."""
    OF_TIMESTAMPS = auto()
    """Of kinds whose rows are older or newer than others."""
    CONSUMED = auto()
    """Of kinds whose sources are consumed."""
    ITEM = auto()
    """Those that import a single item."""
    VERIFY = auto()
    RESUME = auto()
    STATUS = auto()
    ACKNOWLEDGE = auto()
    SCHEMA = auto()
    RESET = auto()

    IMPORT = SOURCE | ITEM
    RUN = IMPORT | VERIFY | RESUME | RESET
    """All that work on a run."""
