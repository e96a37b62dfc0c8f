"""What answers of our functions must look like: nothing else is believed.

Each takes JSON as it came, and raises ValueError, TypeError or LookupError if it is something else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from imports.backends.database import MergeAnswer, Rows, TableComparison
from imports.backends.postgresql import merge_answer, table_comparison
from imports.backends.reading import Row, RowQuestion
from imports.work_item import RowOutcome

_LETTERS = frozenset(RowOutcome)
_FOUND = frozenset(
    {"same", "different", "missing", "superseded", "undecided", "guarded", "left_out"}
)


def nothing(answer: Any) -> None:
    """No content."""
    if answer is not None:
        raise ValueError("no content was expected")


def objects(answer: Any) -> list[dict[str, Any]]:
    """A list of objects, as a question about a table is answered."""
    if isinstance(answer, list) and all(isinstance(each, dict) for each in answer):
        return answer
    raise ValueError("a list of objects was expected")


def merged(answer: Any, rows: Rows) -> MergeAnswer:
    """What a merge did; a letter for each row."""
    for _, table, sent in rows.tables():
        if table.owner is None:
            letters = answer["outcomes"][table.label]
            if not isinstance(letters, str) or len(letters) != len(sent) or set(letters) - _LETTERS:
                raise ValueError(f"{len(sent)} letters were expected for {table.label}")
    return merge_answer(answer, rows)


def compared(answer: Any, rows: Rows) -> dict[int, TableComparison]:
    """A comparison for each row, by table, and for owned tables the rows that were added."""
    found = {}
    for index, table in rows.compared():
        sent = rows.by_table.get(index, [])
        mine = table_comparison(answer[table.label])
        if len(mine.rows) != len(sent) or any(each.found not in _FOUND for each in mine.rows):
            raise ValueError(f"{len(sent)} comparisons were expected for {table.label}")
        if any(not isinstance(each.owner, str) for each in mine.added):
            raise ValueError(f"an owner of rows in {table.label} is no text")
        found[index] = mine
    return found


def rows(answer: Any, question: RowQuestion) -> list[Row]:
    """Rows with the columns that were asked for."""
    found = objects(answer)
    wanted = {*question.by, *question.columns}
    if len(found) > question.limit or any(wanted - each.keys() for each in found):
        raise ValueError(f"at most {question.limit} rows were expected, with {wanted}")
    return found


def some_of(answer: Any, asked: Sequence[str]) -> list[str]:
    """Some of the ids that were asked about."""
    if not isinstance(answer, list) or set(answer) - set(asked):
        raise ValueError("a list of ids that were asked about was expected")
    return answer


def listed(answer: Any, hashes: Sequence[str]) -> dict[str, str]:
    """Some of the hashes, each with its storage type."""
    if not isinstance(answer, dict) or answer.keys() - set(hashes):
        raise ValueError("an object by hashes that were asked for was expected")
    if any(not isinstance(each, str) for each in answer.values()):
        raise ValueError("a storage type is no text")
    return answer
