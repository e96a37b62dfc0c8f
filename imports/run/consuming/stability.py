"""Stability: when a file of a consumed source counts as complete.

A file that is still being written must not be taken. Its mtime alone does not show that, since a
program can set it. So a file is taken if its mtime is old and no program has it open for writing.
If its mtime is not old, or the system cannot tell who has it open, the listings must have seen it
unchanged for a while, by the monotonic clock.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from imports.ledger import StableSince

if TYPE_CHECKING:
    from imports.run.session import RunSession

STABLE_SECONDS = 2.0
"""A file that is unchanged for this time has stopped growing."""


def stable_since(session: RunSession) -> StableSince | None:
    """The times since which a complete file must be unchanged; None if it need not be."""
    if not session.consumes_source:
        return None
    return StableSince(time.time() - STABLE_SECONDS, time.monotonic() - STABLE_SECONDS)
