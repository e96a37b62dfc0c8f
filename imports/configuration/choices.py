"""The permitted values of some settings."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal


class Backend(StrEnum):
    """The target: `auto` uses the configured one, `embedded` ignores the configuration.

    `postgresql` is the embedded one if no other PostgreSQL is configured.
    """

    AUTO = "auto"
    SUPABASE = "supabase"
    POSTGRESQL = "postgresql"
    EMBEDDED = "embedded"


class Disposal(StrEnum):
    """What to do with a finished source file."""

    DELETE = "delete"
    MOVE = "move"
    KEEP = "keep"


IfExists = Literal["keep", "newer", "replace"]
"""What to do with rows of earlier imports."""

OnFailure = Literal[Disposal.MOVE, Disposal.KEEP]
"""What to do with a source file if a part of it failed."""
