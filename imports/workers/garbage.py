"""When Python collects cyclic garbage."""

from __future__ import annotations

import gc

_OBJECTS_BETWEEN_COLLECTIONS = 50_000


def collect_rarely() -> None:
    """Enables garbage collection, but rarely, and not of the objects that exist now.

    A run works on batches of plain data, which contain no cycles: looking through them is in vain.
    """
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, 10, 10)
    gc.enable()
