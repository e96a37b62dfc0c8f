"""Shell patterns for the names of files, such as `*.jpg`; case does not matter."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from functools import lru_cache

Matcher = Callable[[str], object]
"""Says of a name whether it matches, by what is true or false: to make a `bool` of it would cost
a call more, for each of millions of names."""


@lru_cache(maxsize=64)
def matcher(patterns: tuple[str, ...]) -> Matcher:
    """A function that says whether a name matches any of the patterns."""
    if not patterns:
        return lambda name: False
    return re.compile("|".join(map(fnmatch.translate, patterns)), re.IGNORECASE).match
