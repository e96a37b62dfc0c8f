from __future__ import annotations

import pytest

from imports.errors import BackendUnavailableError
from imports.phases.doubts import Doubts
from imports.phases.merging import Imported


def good(number: int) -> Imported:
    return Imported([number], judged=True)


def unreadable(number: int) -> Imported:
    return Imported([number], failures=[(number, "is not JSON")])


def doubtful(number: int, reason: str = "HTTP 400: blocked") -> Imported:
    return Imported([number], doubtful=[(number, reason)])


def nobody() -> set[int]:
    return set()


def test_what_is_not_in_doubt_is_believed_at_once() -> None:
    doubts = Doubts(nobody)
    for each in (good(1), unreadable(2)):
        assert doubts.take(each) == [each]


def test_what_is_in_doubt_is_believed_once_another_batch_goes_in() -> None:
    doubts = Doubts(nobody)
    first, second, neither, last = doubtful(1), doubtful(2), unreadable(3), good(4)
    assert doubts.take(first) == doubts.take(second) == []
    assert doubts.take(neither) == [neither], "a file that cannot be read shows nothing"
    assert doubts.take(last) == [first, second, last]
    assert doubts.rest() == []


def test_a_few_at_the_end_are_believed() -> None:
    doubts = Doubts(nobody)
    last = [doubtful(1), doubtful(2)]
    for each in last:
        doubts.take(each)
    assert doubts.rest() == last


def test_several_in_a_row_for_one_cause_are_the_targets_fault() -> None:
    doubts = Doubts(nobody)
    doubts.take(doubtful(1, "HTTP 400: request 815"))
    doubts.take(doubtful(2, "HTTP 400: request 816"))
    with pytest.raises(BackendUnavailableError, match="not called failed") as caught:
        doubts.take(doubtful(3, "HTTP 400: request 817"))
    assert not caught.value.divisible


@pytest.mark.parametrize("between", [good(9), None])
def test_those_of_several_causes_and_those_with_others_between_are_not(
    between: Imported | None,
) -> None:
    doubts = Doubts(nobody)
    for number in range(1, 9):
        if between is not None:
            doubts.take(between)
        reason = f"HTTP 400: blocked for {'abcdefgh'[number - 1]}"
        doubts.take(doubtful(number, reason if between is None else "HTTP 400"))


def test_those_that_an_earlier_run_was_sure_of_do_not_count() -> None:
    """It runs again for them alone, and ends with the same."""
    doubts = Doubts(lambda: {1, 2, 3, 4})
    found = [doubtful(number) for number in range(1, 5)]
    assert [doubts.take(each) for each in found] == [[]] * 4
    assert doubts.rest() == found
