"""Shell patterns for the names of files, such as `*.jpg`; case does not matter."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from functools import lru_cache

Matcher = Callable[[str], bool]


@lru_cache(maxsize=64)
def matcher(patterns: tuple[str, ...]) -> Matcher:
    """A function that says whether a name matches any of the patterns."""
    if not patterns:
        return lambda name: False
    matches = re.compile("|".join(map(fnmatch.translate, patterns)), re.IGNORECASE).match
    return lambda name: matches(name) is not None
