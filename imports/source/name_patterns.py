"""Shell patterns for the names of files, such as `*.jpg`; upper and lower case are the same."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from functools import lru_cache

Matcher = Callable[[str], bool]


@lru_cache(maxsize=64)
def matcher(patterns: tuple[str, ...]) -> Matcher:
    """A function that says whether a name matches any of some patterns."""
    if not patterns:
        return lambda name: False
    matches = re.compile("|".join(map(fnmatch.translate, patterns)), re.IGNORECASE).match
    return lambda name: matches(name) is not None
