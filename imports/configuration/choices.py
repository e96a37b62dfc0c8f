"""What some settings let one choose from."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal


class Backend(StrEnum):
    """Where to: `auto` takes what is configured, `embedded` does not look at that.

    `postgresql` is the embedded one too, where no other is configured.
    """

    AUTO = "auto"
    SUPABASE = "supabase"
    POSTGRESQL = "postgresql"
    EMBEDDED = "embedded"


class Disposal(StrEnum):
    """What becomes of a source file that is done with."""

    DELETE = "delete"
    MOVE = "move"
    KEEP = "keep"


IfExists = Literal["keep", "newer", "replace"]
"""What becomes of rows that an earlier import wrote."""

OnFailure = Literal[Disposal.MOVE, Disposal.KEEP]
"""What becomes of a source file of which something failed."""
