"""The condition of a database: what `check` asks it, and its answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class TableCondition:
    """The condition of one table.

    `secured` says that it has row level security, `lacking` are the privileges that our role lacks,
    `open_to` the roles of the public that have a privilege.
    """

    exists: bool
    secured: bool
    lacking: tuple[str, ...]
    open_to: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """The condition of a database.

    `now` is its clock, in seconds since 1970. `open_functions` are functions of ours that the
    public may call.
    """

    now: float
    server: str
    role: str
    tables: dict[str, TableCondition]
    open_functions: tuple[str, ...]


def condition_request(tables: Sequence[str]) -> bytes:
    """The argument of the function `importer_condition`."""
    return orjson.dumps({"tables": tables})


def condition_answered(answer: Any) -> Condition:
    """The answer of the function `importer_condition`.

    Raises:
        ValueError, TypeError, LookupError, AttributeError: if it is not one.
    """
    return Condition(
        float(answer["now"]),
        str(answer["server"]),
        str(answer["role"]),
        {
            str(name): TableCondition(
                bool(each["exists"]),
                bool(each["secured"]),
                tuple(each["lacking"]),
                tuple(each["open_to"]),
            )
            for name, each in answer["tables"].items()
        },
        tuple(answer["open_functions"]),
    )
