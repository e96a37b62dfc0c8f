from __future__ import annotations

import pytest

from imports.errors import LedgerError
from imports.items.records import RowOutcome, record_outcome
from imports.items.run_name import cycle_run_name, is_run_name, may_be_given, without_cycle
from imports.items.source import Source

SOURCE = Source("/data", ())


@pytest.mark.parametrize("path", ["a.json", "FL/a..b.json", "..a/b", "FL/...", "."])
def test_a_path_of_the_source_is_below_it(path: str) -> None:
    assert SOURCE.absolute(path) == f"/data/{path}"


@pytest.mark.parametrize("path", ["/etc/passwd", "..", "../a.json", "FL/../../a.json", "FL/.."])
def test_a_path_that_leads_out_of_the_source_is_used_for_nothing(path: str) -> None:
    with pytest.raises(LedgerError, match="outside the source"):
        SOURCE.absolute(path)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("batch_20251118_120000_1a2b3c", True),
        ("batch_20251118_120000_1a2b3c\n", False),
        ("batch_20251118_120000_1a2b3c.2", False),
        ("batch_20251118_120000_../../", False),
        ("/home/me", False),
        ("", False),
    ],
)
def test_batch_ids_have_one_form(text: str, right: bool) -> None:
    assert is_run_name(text) is right


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("manual_load", True),
        ("batch_20251118_120000", True),
        ("2025-11-18.a", True),
        ("v1.2b", True),
        ("x" * 64, True),
        ("x" * 65, False),
        ("", False),
        ("manual load", False),
        ("manual_load\n", False),
        ("../x", False),
        ("--x", False),
        ("manual_load.2", False),
        ("2025.11.18", False),
    ],
)
def test_a_given_batch_id_is_short_and_never_that_of_a_cycle(text: str, right: bool) -> None:
    assert may_be_given(text) is right


def test_a_cycle_has_the_batch_id_of_its_run() -> None:
    for number in (1, 2, 33):
        assert without_cycle(cycle_run_name("manual_load", number)) == "manual_load"


@pytest.mark.parametrize(
    ("letters", "outcome"),
    [
        ("I", RowOutcome.INSERTED),
        ("IU=S", RowOutcome.INSERTED),
        ("=I", RowOutcome.UPDATED),
        ("UI", RowOutcome.UPDATED),
        ("SU", RowOutcome.UPDATED),
        ("=S", RowOutcome.SKIPPED),
        ("==", RowOutcome.UNCHANGED),
        ("IG", RowOutcome.GUARDED),
        ("GL", RowOutcome.LEFT_OUT),
        ("IL", RowOutcome.LEFT_OUT),
        ("IGL?", RowOutcome.UNDECIDED),
    ],
)
def test_a_record_of_several_tables_has_the_most_telling_outcome(
    letters: str, outcome: RowOutcome
) -> None:
    assert record_outcome(letters) is outcome
