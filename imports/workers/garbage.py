"""When Python collects cyclic garbage."""

from __future__ import annotations

import gc

_OBJECTS_BETWEEN_COLLECTIONS = 50_000


def collect_from_now_on() -> None:
    """Enables garbage collection, except for the objects that exist now."""
    gc.freeze()
    gc.enable()


def collect_rarely() -> None:
    """Enables it, but rarely, for work on batches of plain data, which contain no cycles."""
    collect_from_now_on()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, 10, 10)
