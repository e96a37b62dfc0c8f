"""What a check found, and what to do about it."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from imports.errors import BackendUnavailableError, ImporterError


class Result(StrEnum):
    """The result of a check. `away`: the target did not answer."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"
    AWAY = "away"


class Finding(NamedTuple):
    """The result of one check: what was checked, what is so, and what to do, if anything."""

    check: str
    result: Result
    text: str
    advice: str = ""


def ok(check: str, text: str) -> Finding:
    """All is well."""
    return Finding(check, Result.OK, text)


def warning(check: str, text: str, advice: str) -> Finding:
    """Imports work, but something should be looked at."""
    return Finding(check, Result.WARNING, text, advice)


def failed(check: str, text: str, advice: str) -> Finding:
    """Imports do not work, or are not safe."""
    return Finding(check, Result.ERROR, text, advice)


def of_error(check: str, error: ImporterError) -> Finding:
    """An error that a check met. Its message says what to do."""
    is_away = isinstance(error, BackendUnavailableError)
    return Finding(check, Result.AWAY if is_away else Result.ERROR, str(error))


def exit_code(findings: list[Finding]) -> int:
    """The exit code of a check: 75 if the target is away, 1 if something is wrong, else 0."""
    results = {each.result for each in findings}
    if Result.AWAY in results:
        return BackendUnavailableError.exit_code
    return ImporterError.exit_code if Result.ERROR in results else 0
