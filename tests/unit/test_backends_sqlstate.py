from __future__ import annotations

import pytest

from imports.backends.sqlstate import error_for
from imports.errors import (
    BackendError,
    BackendUnavailableError,
    DataRefusedError,
    ImporterError,
    SchemaError,
    StatementCancelledError,
)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        # What passes by itself: connections, conflicts between transactions, a restart.
        ("08000", BackendUnavailableError),
        ("08006", BackendUnavailableError),
        ("40001", BackendUnavailableError),
        ("40P01", BackendUnavailableError),
        ("25006", BackendUnavailableError),
        ("25P02", BackendUnavailableError),
        ("25P03", BackendUnavailableError),
        ("53100", BackendUnavailableError),
        ("53300", BackendUnavailableError),
        ("55P03", BackendUnavailableError),
        ("57P01", BackendUnavailableError),
        ("57P02", BackendUnavailableError),
        ("57P03", BackendUnavailableError),
        ("58030", BackendUnavailableError),
        # What is in the rows.
        ("21000", DataRefusedError),
        ("22007", DataRefusedError),
        ("22008", DataRefusedError),
        ("22021", DataRefusedError),
        ("22P02", DataRefusedError),
        ("22P05", DataRefusedError),
        ("23502", DataRefusedError),
        ("23503", DataRefusedError),
        ("23505", DataRefusedError),
        ("23514", DataRefusedError),
        ("54000", DataRefusedError),
        ("P0001", DataRefusedError),
        # A statement that took too long may pass with fewer rows.
        ("57014", StatementCancelledError),
        # What the schema lacks.
        ("3F000", SchemaError),
        ("42P01", SchemaError),
        ("42703", SchemaError),
        ("42883", SchemaError),
        ("42P10", SchemaError),
        # What no repetition and no smaller batch helps.
        ("28000", BackendError),
        ("28P01", BackendError),
        ("3D000", BackendError),
        ("42501", BackendError),
        ("42601", BackendError),
        ("0A000", BackendError),
    ],
)
def test_a_code_of_postgresql_has_its_class_of_error(
    code: str, expected: type[ImporterError]
) -> None:
    error = error_for(code, "what the server says")
    assert type(error) is expected
    assert "what the server says" in str(error)
    assert code in str(error)


def test_a_missing_table_is_told_with_the_command_that_makes_it() -> None:
    assert "schema apply" in str(error_for("42P01", 'relation "x" does not exist'))


def test_a_role_that_does_not_exist_is_no_refused_row() -> None:
    assert type(error_for("22023", 'role "batch" does not exist')) is BackendError
    assert type(error_for("22023", "cannot call jsonb_to_recordset")) is DataRefusedError


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("25006", ("disk is full", "read-only", "standby", "primary")),
        ("53100", ("disk", "free space")),
        ("53200", ("out of memory", "--batch-size")),
        ("53300", ("connections", "pooler")),
        ("53400", ("limit",)),
        ("55P03", ("lock", "pg_stat_activity")),
        ("57P03", ("starting",)),
    ],
)
def test_what_passes_only_if_somebody_acts_is_told_with_what_to_do(
    code: str, words: tuple[str, ...]
) -> None:
    error = error_for(code, "what the server says")
    assert all(word in str(error) for word in words), error


def test_a_target_that_nobody_can_write_to_is_not_halved() -> None:
    for code in ("25006", "53100", "55P03"):
        error = error_for(code, "")
        assert isinstance(error, BackendUnavailableError)
        assert not error.divisible
        assert error.locked == (code == "55P03")
