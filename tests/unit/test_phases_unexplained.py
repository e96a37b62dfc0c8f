from __future__ import annotations

import pytest

from imports.errors import BackendUnavailableError
from imports.phases.merging import Imported
from imports.phases.unexplained import UnexplainedRefusals


def good(number: int) -> Imported:
    return Imported([number], judged=True)


def unreadable(number: int) -> Imported:
    return Imported([number], failures=[(number, "is not JSON")])


def unexplained(number: int, reason: str = "HTTP 400: blocked") -> Imported:
    return Imported([number], unexplained=[(number, reason)])


def none_tried() -> set[int]:
    return set()


def test_explained_results_are_returned_at_once() -> None:
    refusals = UnexplainedRefusals(none_tried)
    for each in (good(1), unreadable(2)):
        assert refusals.take(each) == [each]


def test_unexplained_refusals_are_held_back_until_another_batch_is_judged() -> None:
    refusals = UnexplainedRefusals(none_tried)
    first, second, neither, last = unexplained(1), unexplained(2), unreadable(3), good(4)
    assert refusals.take(first) == refusals.take(second) == []
    assert refusals.take(neither) == [neither], "a file that cannot be read shows nothing"
    assert refusals.take(last) == [first, second, last]
    assert refusals.rest() == []


def test_a_few_at_the_end_are_returned() -> None:
    refusals = UnexplainedRefusals(none_tried)
    last = [unexplained(1), unexplained(2)]
    for each in last:
        refusals.take(each)
    assert refusals.rest() == last


def test_several_in_a_row_for_one_cause_end_the_run() -> None:
    refusals = UnexplainedRefusals(none_tried)
    refusals.take(unexplained(1, "HTTP 400: request 815"))
    refusals.take(unexplained(2, "HTTP 400: request 816"))
    with pytest.raises(BackendUnavailableError, match="not recorded as failed") as caught:
        refusals.take(unexplained(3, "HTTP 400: request 817"))
    assert not caught.value.divisible


@pytest.mark.parametrize("between", [good(9), None])
def test_several_causes_or_judged_batches_between_do_not_end_the_run(
    between: Imported | None,
) -> None:
    refusals = UnexplainedRefusals(none_tried)
    for number in range(1, 9):
        if between is not None:
            refusals.take(between)
        reason = f"HTTP 400: blocked for {'abcdefgh'[number - 1]}"
        refusals.take(unexplained(number, reason if between is None else "HTTP 400"))


def test_items_that_failed_in_an_earlier_run_do_not_count() -> None:
    """Otherwise a run that only retries them would end with 75."""
    refusals = UnexplainedRefusals(lambda: {1, 2, 3, 4})
    found = [unexplained(number) for number in range(1, 5)]
    assert [refusals.take(each) for each in found] == [[]] * 4
    assert refusals.rest() == found
