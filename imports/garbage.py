"""How often Python looks for garbage that reference counts do not find."""

from __future__ import annotations

import gc

_OBJECTS_BETWEEN_COLLECTIONS = 50_000


def collect_rarely() -> None:
    """Has garbage sought from now on, but rarely: batches of plain data hold no cycles.

    What is there by now stays, and is never looked at again.
    """
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, 10, 10)
    gc.enable()
