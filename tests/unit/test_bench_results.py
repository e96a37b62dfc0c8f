"""Medians, ratios and tables of the benchmarks, and the goals that are judged by them."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench import chosen
from goals import Goal, goals_of
from lines import sections_of
from measurement import Measurement
from results import Results, read_results
from scale import SCALES, Scale
from table import as_markdown, as_text, columns, goal_cells
from tasks import tasks_of
from workshop import Sample

STATES = Sample("states", 100_000)
BOXES = Sample("annotations", 100)
SCALE = Scale(
    rounds=3,
    states=(STATES,),
    pictured=(Sample("states", 50, 40),),
    others=(Sample("people", 5),),
    recognitions=(),
    boxes=BOXES,
    insights=Sample("insights", 60),
    contacts=100,
    batches=STATES,
)


def results_of(**seconds: list[float]) -> Results:
    results = Results()
    for key, values in seconds.items():
        for number, value in enumerate(values, 1):
            results.add(key, number, Measurement(value))
    return results


def goal(results: Results, beginning: str) -> Goal:
    (found,) = (each for each in goals_of(SCALE, results) if each.name.startswith(beginning))
    return found


def test_the_median_of_all_rounds_counts() -> None:
    assert results_of(first=[3.0, 9.0, 4.0]).seconds("first") == 4.0
    assert Results().seconds("first") is None


def test_a_ratio_is_the_median_of_those_within_rounds() -> None:
    # The machine was half as fast in the second round: the ratio is the same.
    results = results_of(first=[3.0, 6.0, 4.5], limit=[1.0, 2.0, 1.5])

    assert results.ratio("first", "limit") == 3.0


def test_a_ratio_may_be_to_a_sum() -> None:
    results = results_of(first=[6.0], sha256sum=[1.0], cp=[2.0])

    assert results.ratio("first", "sha256sum", "cp") == 2.0


def test_a_round_without_its_reference_has_no_ratio() -> None:
    results = results_of(first=[3.0, 8.0], limit=[1.0])

    assert results.ratio("first", "limit") == 3.0
    assert results.ratio("first", "limit", "absent") is None


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    results = Results()
    results.add("first", 1, Measurement(2.5, 3.0, 90.0, 0.5, {"upload": 1.0}))

    results.write(tmp_path / "some" / "results.json", {"scale": "quick"})

    assert read_results(tmp_path / "some" / "results.json").all("first") == results.all("first")


@pytest.mark.parametrize(
    ("value", "at_least", "met"),
    [(1.0, False, True), (1.01, False, False), (1.0, True, True), (0.9, True, False)],
)
def test_a_goal_is_met_at_its_bound(value: float, at_least: bool, met: bool) -> None:
    assert Goal("some", 1.0, value, at_least=at_least).met is met


def test_a_goal_without_a_measurement_is_not_judged() -> None:
    assert goal_cells(Goal("some", 1.5, None)) == ("some", "≤ 1.5 ×", "–", "not measured")


def test_goals_are_judged_by_the_limit() -> None:
    place = "postgresql/states-100000"
    results = results_of(
        **{
            f"limit/{place}": [10.0],
            f"first/{place}": [9.0],
            f"second/{place}": [1.6],
            f"dlt/{place}": [45.0],
        }
    )

    assert goal(results, "postgresql, 100,000 files: first import").value == pytest.approx(0.9)
    assert goal(results, "postgresql, 100,000 files: second import").met is False
    assert goal(results, "postgresql, 100,000 files: one in a thousand").met is None
    assert goal(results, "dlt to ours").value == pytest.approx(5.0)


def test_the_share_of_ledger_and_checkpoints_is_of_the_run() -> None:
    parts = {"run": 10.0, "ledger": 0.3, "checkpoints": 0.1, "ledger_cpu": 0.1}
    results = Results()
    results.add(
        "overhead/postgresql/states-100000",
        1,
        Measurement(11.0, parts={**parts, "checkpoints_cpu": 0.1}),
    )

    assert goal(results, "checkpoints and ledger, of a run: wall").value == pytest.approx(4.0)
    assert goal(results, "checkpoints and ledger, of a run: proc").value == pytest.approx(2.0)


def test_the_smallest_batch_is_compared_with_the_best() -> None:
    place = "postgresql/states-100000"
    results = results_of(
        **{
            f"batch-size-25/{place}": [6.0],
            f"batch-size-100/{place}": [3.0],
            f"batch-size-500/{place}": [4.0],
        }
    )

    assert goal(results, "--batch-size 25").value == 2.0


def test_the_table_has_a_line_for_what_was_measured_only() -> None:
    place = "postgresql/states-100000"
    results = results_of(**{f"limit/{place}": [1.0, 2.0], f"first/{place}": [3.0, 6.0]})

    sections = sections_of(SCALE, results)
    text = as_text(sections, results, [])

    assert [[line.label for line in section.lines] for section in sections] == [
        ["limit", "first import"]
    ]
    assert "first import" in text
    assert "3.00 ×" in text
    assert "| first import | 4.50 | 3.00 – 6.00 | 45 | 3.00 × |" in as_markdown(
        sections, results, []
    )


def test_columns_are_aligned() -> None:
    assert columns([("", "s"), ("limit", "1.00"), ("ours", "12.00")]) == (
        "              s\n  limit    1.00\n  ours    12.00"
    )


def test_what_is_far_away_is_measured_only_if_it_is_named() -> None:
    tasks = tasks_of(SCALES["quick"], None)

    assert {task.group for task in chosen(tasks, [])} >= {"postgresql", "supabase", "images"}
    assert "remote" not in {task.group for task in chosen(tasks, [])}
    assert {task.group for task in chosen(tasks, ["remote"])} == {"remote"}


def test_a_sample_can_be_chosen() -> None:
    tasks = chosen(tasks_of(SCALES["normal"], None), ["postgresql"], ["states-10000"])

    assert {task.sample for task in tasks} == {Sample("states", 10_000)}
    assert {task.group for task in tasks} == {"postgresql"}
