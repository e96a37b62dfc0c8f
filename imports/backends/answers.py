"""Checks of the answers of our functions.

Each function takes parsed JSON, and raises ValueError, TypeError or LookupError for any other
answer than the expected one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from imports.backends.database import MergeAnswer, Rows, TableComparison
from imports.backends.postgresql import merge_answer, table_comparison
from imports.backends.reading import Row, RowQuery
from imports.items.records import RowOutcome

_LETTERS = frozenset(RowOutcome)
_FOUND = frozenset(
    {"same", "different", "missing", "superseded", "undecided", "guarded", "left_out"}
)


def nothing(answer: Any) -> None:
    """No content."""
    if answer is not None:
        raise ValueError("expected no content")


def objects(answer: Any) -> list[dict[str, Any]]:
    """A list of objects: the answer of a request to a table."""
    if isinstance(answer, list) and all(isinstance(each, dict) for each in answer):
        return answer
    raise ValueError("expected a list of objects")


def one_object(answer: Any) -> dict[str, Any]:
    """One object: the answer of a function of ours that has no other check."""
    if isinstance(answer, dict):
        return answer
    raise ValueError("expected an object")


def merged(answer: Any, rows: Rows) -> MergeAnswer:
    """The answer of a merge: a letter for each row."""
    for _, table, sent in rows.tables():
        if table.owner is None:
            letters = answer["outcomes"][table.label]
            if not isinstance(letters, str) or len(letters) != len(sent) or set(letters) - _LETTERS:
                raise ValueError(f"expected {len(sent)} letters for {table.label}")
    return merge_answer(answer, rows)


def compared(answer: Any, rows: Rows) -> dict[int, TableComparison]:
    """A comparison of each row by table, and the added rows of owned tables."""
    found = {}
    for index, table in rows.compared():
        sent = rows.by_table.get(index, [])
        mine = table_comparison(answer[table.label])
        if len(mine.rows) != len(sent) or any(each.found not in _FOUND for each in mine.rows):
            raise ValueError(f"expected {len(sent)} comparisons for {table.label}")
        if any(not isinstance(each.owner, str) for each in mine.added):
            raise ValueError(f"an owner of rows in {table.label} is not a string")
        found[index] = mine
    return found


def rows(answer: Any, query: RowQuery) -> list[Row]:
    """Rows with the requested columns."""
    found = objects(answer)
    wanted = {*query.by, *query.columns}
    if len(found) > query.limit or any(wanted - each.keys() for each in found):
        raise ValueError(f"expected at most {query.limit} rows, with {wanted}")
    return found


def some_of(answer: Any, asked: Sequence[str]) -> list[str]:
    """Some of the ids in the request."""
    if not isinstance(answer, list) or set(answer) - set(asked):
        raise ValueError("expected a list of ids of the request")
    return answer


def listed(answer: Any, hashes: Sequence[str]) -> dict[str, str]:
    """Some of the hashes, each with its storage type."""
    if not isinstance(answer, dict) or answer.keys() - set(hashes):
        raise ValueError("expected an object whose keys are hashes of the request")
    if any(not isinstance(each, str) for each in answer.values()):
        raise ValueError("a storage type is not a string")
    return answer
