"""When Python looks for garbage that reference counts do not find."""

from __future__ import annotations

import gc

_OBJECTS_BETWEEN_COLLECTIONS = 50_000


def collect_from_now_on() -> None:
    """Has garbage sought, but not among what is there by now: it stays."""
    gc.freeze()
    gc.enable()


def collect_rarely() -> None:
    """Has it sought rarely, for work on batches of plain data, which hold no cycles."""
    collect_from_now_on()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, 10, 10)
