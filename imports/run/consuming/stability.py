"""Stability: when a file of a source that is consumed counts as complete.

A file that is still being written must not be taken. Its mtime alone does not tell: it may have
been set. So a file is taken whose mtime is old and that nobody has open for writing; and, where
the mtime is not old, or nobody can tell who has it open, one that listings have seen unchanged
for a while, by a clock that nobody sets.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from imports.ledger import StableSince

if TYPE_CHECKING:
    from imports.run.session import RunSession

STABLE_SECONDS = 2.0
"""A file that has not changed for so long has stopped growing."""


def stable_since(session: RunSession) -> StableSince | None:
    """Since when a file must not have changed; None for any time."""
    if not session.consumes_source:
        return None
    return StableSince(time.time() - STABLE_SECONDS, time.monotonic() - STABLE_SECONDS)
