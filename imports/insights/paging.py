"""Pages by their offset, found by the key of the row before them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from imports.backends.reading import Row, RowQuery, RowReader

_MOST_AT_ONCE = 500
"""Rows in one answer; a longer page is read in several."""

_MOST_QUERIES = 64
_MOST_ENDS = 1_000


class Pages:
    """Reads pages by offset; remembers where pages ended, so that the next one begins there.

    So a page after one that was read costs as much as the first one, and rows that were written
    meanwhile move no row into it twice. Another offset costs a little for each row before it. The
    offset 0 begins anew. Threads may share it.
    """

    def __init__(self) -> None:
        """Remembers nothing yet."""
        self._ends: OrderedDict[str, dict[int, Row]] = OrderedDict()
        self._lock = threading.Lock()

    def page(self, reader: RowReader, query: RowQuery, offset: int) -> list[Row]:
        """The rows of a query, at most its `limit`, from an offset on."""
        name = replace(query, limit=0).as_json().decode()
        begin, after = self._end_before(name, offset)
        if begin < offset:
            last = reader.rows(
                replace(query, limit=1, after=after, skip=offset - begin - 1, columns=query.by)
            )
            if not last:
                return []
            after = last[0]
            self._remember(name, offset, last[0])
        found: list[Row] = []
        while len(found) < query.limit:
            limit = min(_MOST_AT_ONCE, query.limit - len(found))
            some = reader.rows(replace(query, limit=limit, after=after))
            found += some
            if len(some) < limit:
                break
            after = some[-1]
        if found:
            end = {column: found[-1][column] for column in query.by}
            self._remember(name, offset + len(found), end)
        return found

    def _end_before(self, name: str, offset: int) -> tuple[int, Mapping[str, Any] | None]:
        """The last known end of a page of a query that is not after the offset."""
        with self._lock:
            if offset == 0:
                self._ends.pop(name, None)
            ends = self._ends.get(name, {})
            begin = max((each for each in ends if each <= offset), default=0)
            return begin, ends.get(begin)

    def _remember(self, name: str, offset: int, end: Row) -> None:
        with self._lock:
            ends = self._ends.setdefault(name, {})
            self._ends.move_to_end(name)
            ends[offset] = end
            while len(ends) > _MOST_ENDS:
                del ends[next(iter(ends))]
            while len(self._ends) > _MOST_QUERIES:
                self._ends.popitem(last=False)
