from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from imports.backends.operations import OperationStats
from imports.cli.report import render_report, render_trouble, render_verification
from imports.items.phase import Phase
from imports.items.records import ExemptRecords
from imports.items.work_item import Failure, Lacking
from imports.ledger import Listing
from imports.ledger.work_state import MOST_LISTED, PhaseState, phase_counts
from imports.run.logs import log_files
from imports.run.report import MOST_SHOWN, Finding, VerifyReport, joined
from tests.support.reports import report, work_state

COUNTS = {
    "planning.to_import": 1_500,
    "planning.images_missing": 2,
    "sha256.unusable": 3,
    "upload.completed": 500,
    "upload.skipped": 9,
    "import.inserted": 1_200,
    "import.updated": 11,
    "import.skipped": 12,
    "import.unchanged": 13,
}


def failures(count: int) -> list[Failure]:
    return [Failure(f"FL/{number}.json", "import", f"reason {number}") for number in range(count)]


def test_the_summary_is_headed_by_what_and_where() -> None:
    text = render_report(report())
    assert "Aug-04-scrape (Dataset ID: 32)" in text
    assert "Elapsed: 0m 49s" in text
    assert "Backend: postgresql" in text
    assert "Total Files: 515" in text
    assert "Images: 514" in text


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.94, "0m 0.9s"), (49.2, "0m 49s"), (83.0, "1m 23s"), (3_725, "62m 5.0s")],
)
def test_the_time_is_told_in_minutes_and_seconds(seconds: float, shown: str) -> None:
    assert f"Elapsed: {shown} " in render_report(report(elapsed_seconds=seconds))


def test_a_verbose_run_tells_rates_and_the_time_of_its_requests() -> None:
    phases = {"upload": PhaseState("completed", 4.0), "import": PhaseState("completed", 10.0)}
    told = report(
        state=work_state(phases=phases),
        counts={
            **COUNTS,
            "uploaded_bytes": 60_000,
            "import.total_imported": 1_211,
            "import.derived.images": 30,
        },
        operations={"database.merge": OperationStats(100, 1, 0, 12.5)},
    )
    text = render_report(told)
    assert "images uploaded: 500 (125.0/s)" in text
    assert "bytes uploaded: 60,000 (15,000.0/s)" in text
    assert "records written: 1,211 (121.1/s)" in text
    assert "derived rows: 30 (3.0/s)" in text
    line = "database.merge: 100 calls, 0.125 s each, 12.5 s in total, 1 retries, 0 failures"
    assert line in text
    assert "Performance" not in render_report(report(counts=COUNTS))


def test_the_phases_that_ran_are_listed_with_their_time() -> None:
    text = render_report(report())
    assert "✅ PLANNING: completed (0.1s)" in text
    assert "✅ SHA256: completed (2.3s)" in text
    assert "UPLOAD" not in text


def test_the_counts_of_records_and_images_are_told() -> None:
    text = render_report(report(counts=COUNTS))
    assert "Records: 1,200 inserted, 11 updated, 12 skipped, 13 unchanged" in text
    assert "Images: 500 uploaded, 9 already stored, 5 missing" in text
    assert "damaged" not in text
    assert "All done." in text


def test_damaged_images_are_counted() -> None:
    text = render_report(report(counts={**COUNTS, "sha256.flawed": 4}))
    assert "9 already stored, 5 missing, 4 damaged" in text


def test_what_few_kinds_know_is_told_where_there_is_some() -> None:
    more = {"import.guarded": 4, "import.left_out": 1_000, "import.derived.raw.sums": 5_000}
    exempt = {
        "left_out": ExemptRecords(1_000, [("a", "1")]),
        "guarded": ExemptRecords(1, [("b", "2")]),
    }
    text = render_report(report(counts=COUNTS | more, **exempt))
    assert "12 skipped, 13 unchanged, 4 guarded, 1,000 left out\n" in text
    assert "Derived rows: 5,000 raw.sums" in text
    assert "Left out, since they refer to rows that are not in the target" in text
    assert "are not in the target: 1,000\n     a: 1\n     … and 990 more (status" in text
    assert "Guarded: the target keeps its rows: 1\n     b: 2\n" in text
    text = render_report(report(counts=COUNTS))
    for word in ("uarded", "eft out", "Derived"):
        assert word not in text


def test_verification_tells_of_records_that_need_not_be_as_their_files_say() -> None:
    lines = "\n".join(render_verification(VerifyReport(records=3, guarded=2, left_out=1)))
    assert "3 records and 0 images match their files" in lines
    assert "2 guarded: the target keeps its rows" in lines
    assert "1 left out" in lines
    both = joined(VerifyReport(guarded=1, left_out=2), VerifyReport(guarded=3, left_out=4))
    assert both == VerifyReport(guarded=4, left_out=6)


def test_where_nothing_was_to_do_that_is_said() -> None:
    text = render_report(report(counts={"planning.unchanged": 515}))
    assert "Nothing to do: everything is already imported." in text
    assert "515 were imported before" in text
    assert "inserted" not in text


def test_a_limit_that_left_files_over_is_told() -> None:
    state = work_state(work_items_remaining=1_400)
    text = render_report(report(state, counts={"planning.to_import": 5}))
    assert "1,400 files are left" in text
    assert "All done" not in text


def test_items_are_called_what_their_kind_calls_them() -> None:
    counts = {"planning.to_import": 5, "planning.unchanged": 1_510}
    text = render_report(report(work_state(work_items_remaining=7), counts=counts, item="folder"))
    assert "Total Folders: 515" in text
    assert "Folders: 1,510 were imported before" in text
    assert "7 folders are left" in text
    assert "file" not in text.lower()


def test_a_scan_tells_what_it_found_and_what_is_to_be_imported() -> None:
    scanned = Listing(total=1_300, new=1_200, changed=30, unchanged=60, given_up=10, problems=2)
    state = work_state(work_items_remaining=1_230)
    text = render_report(report(state, item="folder", scanned=scanned))
    assert (
        "Scanned: 1,200 new, 30 changed or unfinished, 60 imported before, 10 failed before,"
        " 2 unreadable"
    ) in text
    assert "Scanned only: 1,230 folders to import." in text
    for other in ("All done", "Nothing to do", "inserted", "limit"):
        assert other not in text


def test_what_was_given_up_is_told_with_what_tries_it_again() -> None:
    text = render_report(report(exit_code=3, counts={"planning.given_up": 1_234}))
    (line,) = [line for line in text.splitlines() if "1,234" in line]
    assert "failed too often" in line
    assert "--retry-failed" in line
    assert "--max-retries" in line
    assert "Given up" not in render_report(report())


def test_what_is_acknowledged_is_counted_apart() -> None:
    text = render_report(report(acknowledged=1_234))
    assert "✅ Failed Items: 0" in text
    assert "Acknowledged: 1,234 (see status)" in text
    assert "already imported, except acknowledged items." in text
    assert "cknowledged" not in render_report(report())


def test_status_files_that_were_not_written_are_counted() -> None:
    counts = {"planning.to_import": 1, "status_files.unwritten": 1_234}
    assert "Status files: 1,234 not written" in render_report(report(counts=counts))
    assert "Status files" not in render_report(report(counts={"planning.to_import": 1}))


def test_failures_are_told_with_path_reason_phase_and_tries() -> None:
    failed = [Failure("FL/a.json", "planning", "is not JSON", 3), *failures(1)]
    text = render_report(report(exit_code=3, failures=failed, failures_total=2))
    assert "Failed Items: 2" in text
    assert "FL/a.json: is not JSON (planning, tried 3 times)" in text
    assert "FL/0.json: reason 0 (import)" in text
    assert "Done, with problems." in text
    assert "All done" not in text
    assert "Nothing to do" not in text


def test_of_many_failures_the_first_are_shown_and_the_others_counted() -> None:
    text = render_report(report(exit_code=3, failures=failures(1_000), failures_total=2_345))
    assert "Failed Items: 2,345" in text
    assert f"reason {MOST_SHOWN - 1} " in text
    assert f"reason {MOST_SHOWN} " not in text
    assert f"{2_345 - MOST_SHOWN:,} more" in text


def test_no_failures_are_told_as_none() -> None:
    assert "✅ Failed Items: 0" in render_report(report())
    assert "❌" not in render_report(report())


def test_an_interrupted_run_tells_where_and_how_much_is_left() -> None:
    state = work_state(status="interrupted", current_phase="upload", work_items_remaining=4_321)
    command = "To resume:  resilient-importer states /data --tag t"
    text = render_report(report(state, exit_code=130, next_commands=[command]))
    assert "Stopped in upload; 4,321 files are left. Nothing is lost." in text
    assert text.splitlines()[-1].strip() == command


def test_a_run_that_was_stopped_while_it_listed_knows_no_number() -> None:
    state = work_state(status="interrupted", current_phase="planning", total_files=0)
    text = render_report(report(state, exit_code=130))
    assert "Stopped in planning; not all files are listed. Nothing is lost." in text
    assert "are left" not in text


def test_what_a_stopped_run_has_only_planned_is_not_called_imported() -> None:
    for status, told in (
        ("completed", "Imported with a warning: 7"),
        ("interrupted", "With a warning, imported or pending: 7"),
    ):
        text = render_report(report(work_state(status=status), warnings_total=7))
        (line,) = [line for line in text.splitlines() if "a warning" in line]
        assert line.endswith(told)


def test_warnings_and_duplicates_are_told_and_those_too_many_counted() -> None:
    text = render_report(
        report(
            counts=COUNTS,
            warnings=[("FL/a.json", "image 'x' was not found")],
            warnings_total=1,
            duplicates=[["FL/a.json", "GA/a.json"]] * MOST_SHOWN,
            duplicates_total=MOST_SHOWN + 2,
        )
    )
    assert "FL/a.json: image 'x' was not found" in text
    assert "FL/a.json, GA/a.json" in text
    assert "… and 2 more" in text


def test_cleaned_values_are_told_the_most_frequent_first() -> None:
    counts = {f"cleaned.{number:02}": 1 for number in range(20)}
    counts |= {"cleaned.Not On File": 1_234, "cleaned.": 5}
    (line,) = [line for line in render_report(report(counts=counts)).splitlines() if "🧹" in line]
    assert f"Cleaned {1_234 + 5 + 20:,} values: 'Not On File' 1,234×, '' 5×, '00' 1×" in line
    assert "and 12 others" in line


def test_what_was_not_cleaned_is_not_mentioned() -> None:
    assert "Cleaned" not in render_report(report(counts=COUNTS))


# Verification


def test_a_clean_verification_is_one_line() -> None:
    (line,) = render_verification(VerifyReport(records=1_200, images=514))
    assert "1,200 records and 514 images match their files" in line


def test_differences_are_counted_and_shown() -> None:
    found = VerifyReport(
        records=10,
        found={"missing": 2, "different": 1},
        findings=[
            Finding("different", "Belmar/FL/1", "city is 'A', should be 'B'", "FL/a.json", 1),
            Finding("missing", "sha256/ab/cd/abcd.png"),
        ],
    )
    lines = render_verification(found)
    assert "1 different, 2 missing" in lines[0]
    assert "different: Belmar/FL/1 (FL/a.json): city is 'A', should be 'B'" in lines[1]
    assert "missing: sha256/ab/cd/abcd.png" in lines[2]


def test_of_many_differences_the_first_are_shown_and_the_others_counted() -> None:
    findings = [Finding("missing", f"record {number}") for number in range(1_000)]
    lines = render_verification(VerifyReport(found={"missing": 5_000}, findings=findings))
    assert len(lines) == MOST_SHOWN + 2
    assert f"{5_000 - MOST_SHOWN:,} more" in lines[-1]


def test_a_report_with_differences_shows_them_and_is_not_all_done() -> None:
    found = VerifyReport(found={"missing": 1}, findings=[Finding("missing", "Belmar/FL/1")])
    text = render_report(report(exit_code=3, counts=COUNTS, verification=found))
    assert "missing: Belmar/FL/1" in text
    assert "All done" not in text


# Counts


def test_the_counts_of_a_phase_are_its_own_and_none_is_left_out() -> None:
    counts = {"import.inserted": 5, "importer.inserted": 7, "upload.completed": 3, "import.x": 1}
    assert phase_counts(counts, Phase.UPLOAD) == {"completed": 3, "failed": 0, "skipped": 0}
    found = phase_counts(counts, Phase.IMPORT)
    assert found["inserted"] == 5
    assert found["updated"] == 0
    assert found["x"] == 1
    assert phase_counts({}, Phase.VERIFY) == {}


# Files that are done with


def test_files_that_are_done_with_are_counted() -> None:
    counts = {"import.files_deleted": 1_234, "planning.to_import": 1_236}
    assert "Finished files: 1,234 deleted, 0 moved" in render_report(report(counts=counts))
    counts = {"import.files_moved": 2}
    assert "Finished files: 0 deleted, 2 moved" in render_report(report(counts=counts))
    assert "Finished files" not in render_report(report(counts=COUNTS))


def test_files_that_could_not_be_deleted_are_told_and_those_too_many_counted() -> None:
    problems = [Failure(f"a{number}.json", "import", "cannot: denied") for number in range(10)]
    text = render_report(report(exit_code=3, not_disposed=problems, not_disposed_total=1_234))
    assert "Finished, but still in the source: 1,234" in text
    assert "a9.json: cannot: denied" in text
    assert f"… and {1_234 - MOST_SHOWN:,} more" in text
    assert "still in the source" not in render_report(report())


def test_what_is_gone_is_told_where_it_is_verified() -> None:
    lines = render_verification(VerifyReport(records=5, gone=1_234))
    assert "5 records" in lines[0]
    assert "1,234 were deleted or moved" in lines[1]
    assert len(render_verification(VerifyReport(records=5))) == 1
    assert "1,234" in "".join(render_verification(VerifyReport(found={"missing": 1}, gone=1_234)))


# Verifications of one run


def test_a_verification_that_was_not_is_nothing_to_join() -> None:
    one = VerifyReport(records=1)
    assert joined(None, None) is None
    assert joined(one, None) is one
    assert joined(None, one) is one


def test_two_verifications_are_joined_to_one() -> None:
    first = VerifyReport(10, 2, {"missing": 1, "different": 2}, [Finding("missing", "a")])
    second = VerifyReport(5, 1, {"missing": 3, "orphaned": 1}, [Finding("missing", "b")])
    second.repairable = True
    first.left, second.left = 1, 2
    first.gone, second.gone = 7, 3
    found = joined(first, second)
    assert found == VerifyReport(
        15,
        3,
        {"missing": 4, "different": 2, "orphaned": 1},
        [Finding("missing", "a"), Finding("missing", "b")],
        repairable=True,
        left=3,
        gone=7,
    )
    assert (first.records, second.records) == (10, 5), "neither is changed"
    clean = joined(VerifyReport(1), VerifyReport(2))
    assert clean is not None
    assert clean.clean


@pytest.mark.parametrize("count", [MOST_LISTED - 1, MOST_LISTED, MOST_LISTED + 1])
def test_of_joined_findings_the_first_are_kept_and_all_are_counted(count: int) -> None:
    findings = [Finding("missing", str(number)) for number in range(count)]
    whole = joined(
        VerifyReport(found={"missing": count}, findings=findings),
        VerifyReport(found={"missing": 2}, findings=[Finding("missing", "x")] * 2),
    )
    assert whole is not None
    assert len(whole.findings) == min(count + 2, MOST_LISTED)
    assert whole.findings[: min(count, MOST_LISTED)] == findings[:MOST_LISTED]
    assert whole.found == {"missing": count + 2}


def test_images_that_are_still_missing_are_told_by_every_run() -> None:
    text = render_report(report(lacking=Lacking(2, 3, 1), warnings_total=2_000_000))
    assert "Images still missing: 4 (3 not found, 1 not images); each run looks for them" in text
    assert "… and 1,999,990 more (status --warnings lists all)" in text
    assert "still missing" not in render_report(report())


def test_verification_tells_of_images_that_are_missing_and_is_clean() -> None:
    found = VerifyReport(records=3, missing=2)
    assert found.clean
    assert "Images still missing: 2" in render_verification(found)[1]
    assert joined(VerifyReport(missing=5), found) == VerifyReport(records=3, missing=2)


@pytest.mark.parametrize(
    ("phase", "count"),
    [
        ("planning", "planning.failed"),
        ("planning", "planning.unreadable"),
        ("sha256", "sha256.unread"),
        ("upload", "upload.failed"),
        ("import", "import.failed"),
    ],
)
def test_a_phase_in_which_something_failed_says_so(phase: str, count: str) -> None:
    states = {
        each: PhaseState("completed", 0.5) for each in ("planning", "sha256", "upload", "import")
    }
    text = render_report(
        report(work_state(phases=states), {count: 1_200}, exit_code=3, failures_total=1_200)
    )
    assert f"⚠️  {phase.upper()}: completed (0.5s), 1,200 failed" in text
    assert text.count("✅") == 3
    assert "❌ Failed Items: 1,200" in text


def test_a_verification_that_found_something_is_no_tick() -> None:
    states = {"import": PhaseState("completed", 0.5), "verify": PhaseState("completed", 0.5)}
    found = VerifyReport(records=2, found={"different": 1})
    bad = render_report(report(work_state(phases=states), exit_code=3, verification=found))
    assert "⚠️  VERIFY: completed (0.5s), differences found" in bad
    good = render_report(report(work_state(phases=states), verification=VerifyReport(records=2)))
    assert "✅ VERIFY: completed (0.5s)" in good


def findings(count: int) -> list[Finding]:
    return [Finding("missing", f"PH{number}") for number in range(count)]


def test_what_verification_does_not_show_is_where_it_says(tmp_path: Path) -> None:
    found = VerifyReport(found={"missing": 12, "not yet imported": 500}, findings=findings(12))
    with log_files(tmp_path, debug=True):
        lines = render_verification(found)
    assert lines[1] == "     500 are not yet imported: the run is not finished"
    assert lines[-1] == f"     … and 2 more, in {tmp_path / 'resilient_import.log'}"
    assert sum("missing: PH" in line for line in lines) == 10
    assert render_verification(found)[-1] == "     … and 2 more", "nobody wrote a log"


def test_what_is_not_yet_imported_is_nowhere_else() -> None:
    for count in (0, 10):
        found = {"missing": count, "not yet imported": 500}
        text = "\n".join(render_verification(VerifyReport(found=found, findings=findings(count))))
        assert "more" not in text


def test_a_log_that_lacks_something_is_not_pointed_to(tmp_path: Path) -> None:
    found = VerifyReport(found={"missing": 11}, findings=findings(11))
    logger = logging.getLogger("imports")
    with log_files(tmp_path, debug=False), open("/dev/full", "wb") as full:
        handler = next(each for each in logger.handlers if isinstance(each, logging.FileHandler))
        os.dup2(full.fileno(), handler.stream.fileno())
        logger.error("verify: missing PH10")
        assert render_verification(found)[-1] == "     … and 1 more"


def test_what_needs_a_human_is_the_failures_and_what_to_do_alone() -> None:
    failed = report(
        exit_code=3,
        failures=failures(2),
        failures_total=2,
        acknowledged=1,
        counts=COUNTS,
        next_commands=["Again:  importer states"],
    )
    assert render_trouble(failed).splitlines() == [
        "Import of Aug-04-scrape from /data/2025-08-04, exit code 3:",
        "❌ Failed Items: 2",
        "     FL/0.json: reason 0 (import)",
        "     FL/1.json: reason 1 (import)",
        "📎 Acknowledged: 1 (see status)",
        "Done, with problems.",
        "  Again:  importer states",
    ]


def test_a_target_that_stayed_away_and_differences_need_one_too() -> None:
    state = work_state(status="interrupted", work_items_remaining=3)
    text = render_trouble(report(state=state, exit_code=75, next_commands=["No answer."]))
    assert "Failed" not in text
    assert "3 files are left. Nothing is lost.\n  No answer." in text
    found = VerifyReport(records=2, found={"missing": 1})
    text = render_trouble(report(exit_code=3, verification=found))
    assert "\n🔍 Verified 2 records and 0 images: 1 missing\n" in text
