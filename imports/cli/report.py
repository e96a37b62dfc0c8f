"""The report of a run as text."""

from __future__ import annotations

from pathlib import Path

from imports.cli.performance import performance_lines
from imports.display_text import shown_lines
from imports.items.phase import Phase
from imports.items.work_item import Lacking
from imports.kinds.wording import WORDINGS
from imports.ledger.work_state import MOST_LISTED
from imports.run.logs import log_in_use
from imports.run.report import MOST_SHOWN, NOT_YET_IMPORTED, RunReport, VerifyReport

_RULE = "=" * 80
_MARKS = {"completed": "✅", "running": "⏳", "interrupted": "⏸️ ", "failed": "❌", "pending": "  "}


def render_report(report: RunReport) -> str:
    """The summary of a run, as the terminal shows it."""
    state = report.state
    minutes, seconds = divmod(report.elapsed_seconds, 60)
    lines = [
        _RULE,
        f"📊 Import Progress: {state.tag} (Dataset ID: {state.dataset_id or '-'})",
        _RULE,
        f"⏱️  Elapsed: {minutes:.0f}m {_seconds(seconds)}s  |  Backend: {state.backend}",
        f"📁 Total {report.item.title()}s: {state.total_files:,}"
        f"  |  Images: {state.total_images:,}",
        "",
        "📊 Phase Summary:",
    ]
    for name, phase in state.phases.items():
        if phase.status != "pending":
            wrong = _wrong_in(report, name)
            mark = _MARKS.get(phase.status, "  ")
            mark = "⚠️ " if wrong and phase.status == "completed" else mark
            took = f"{phase.duration_seconds:.1f}s"
            lines.append(f"  {mark} {name.upper()}: {phase.status} ({took}){wrong}")
    lines += ["", *_counts(report)]
    for notice in report.notices:
        lines += ["", f"⚠️  {notice}"]
    lines += _listing(
        "⚠️ ",
        "Imported with a warning" if state.finished else "With a warning, imported or pending",
        report.warnings_total,
        [f"{path}: {text}" for path, text in report.warnings],
        " (status --warnings lists all)",
    )
    for mark, what, exempt in (
        ("🔗", "Left out, since they refer to rows that are not in the target", report.left_out),
        ("🔒", "Guarded: the target keeps its rows", report.guarded),
    ):
        records = [f"{path}: {label}" for path, label in exempt.first]
        lines += _listing(mark, what, exempt.total, records, " (status --warnings lists all)")
    lines += _listing(
        "👥",
        f"The same {WORDINGS[state.kind].group} in more than one {report.item}",
        report.duplicates_total,
        [", ".join(paths) for paths in report.duplicates],
    )
    lines += _cleaned(report)
    lines += performance_lines(report)
    lines += [*_differences(report), "", *_failed(report)]
    lines += [_RULE, *_closing(report)]
    return shown_lines(lines)


def render_trouble(report: RunReport) -> str:
    """The problems in the summary, for readers who see nothing else of it."""
    state = report.state
    head = f"Import of {state.tag} from {state.source}, exit code {report.exit_code}:"
    problems = [*_differences(report), *(_failed(report) if report.failures_total else [])]
    return shown_lines([head, *(line for line in problems if line), *_closing(report)])


def missing_images(lacking: Lacking) -> str:
    """The number of missing images, and the reasons."""
    parts = [
        f"{count:,} {why}"
        for count, why in ((lacking.not_found, "not found"), (lacking.unusable, "not images"))
        if count
    ]
    return f"{lacking.images:,} ({', '.join(parts)}); each run looks for them again"


def render_verification(report: VerifyReport) -> list[str]:
    """The outcome of verification, as lines."""
    checked = f"{report.records:,} records and {report.images:,} images"
    left = [f"     {report.left:,} are not yet imported"] if report.left else []
    if report.failed:
        left.append(f"     {report.failed:,} failed, so they were not compared (see status)")
    if report.acknowledged:
        left.append(f"     {report.acknowledged:,} acknowledged as failed, so not compared")
    if report.guarded:
        left.append(f"     {report.guarded:,} guarded: the target keeps its rows")
    if report.left_out:
        left.append(
            f"     {report.left_out:,} left out: they refer to rows that are not in the target"
        )
    if report.missing:
        left.append(f"     Images still missing: {report.missing:,} (see status --warnings)")
    if unfinished := report.found.get(NOT_YET_IMPORTED, 0):
        left.append(f"     {unfinished:,} are not yet imported: the run is not finished")
    if report.gone:
        left.append(
            f"     {report.gone:,} were deleted or moved after their import, so there is nothing to"
            " compare them with"
        )
    if report.clean:
        return [f"🔍 Verified: {checked} match their files.", *left]
    parts = ", ".join(f"{count:,} {found}" for found, count in sorted(report.found.items()))
    lines = [f"🔍 Verified {checked}: {parts}", *left]
    for finding in report.findings[:MOST_SHOWN]:
        where = f" ({finding.path})" if finding.path and finding.path != finding.subject else ""
        detail = f": {finding.detail}" if finding.detail else ""
        lines.append(f"     {finding.found}: {finding.subject}{where}{detail}")
    more = sum(report.found.values()) - unfinished - len(report.findings[:MOST_SHOWN])
    if more:
        log = log_in_use()
        where = "" if log is None else f", in {_seen_from_here(log)}"
        lines.append(f"     … and {more:,} more{where}")
    return lines


def _seen_from_here(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _differences(report: RunReport) -> list[str]:
    """Finished files that are still in the source, and the differences that verification found."""
    lines = _listing(
        "📌",
        "Finished, but still in the source",
        report.not_disposed_total,
        [f"{failure.path}: {failure.reason}" for failure in report.not_disposed],
    )
    if report.verification is not None:
        lines += ["", *render_verification(report.verification)]
    return lines


def _failed(report: RunReport) -> list[str]:
    mark = "❌" if report.failures_total else "✅"
    lines = [f"{mark} Failed Items: {report.failures_total:,}"]
    lines += [
        f"     {failure.path}: {failure.reason} ({failure.phase}{_tries(failure.tries)})"
        for failure in report.failures[:MOST_SHOWN]
    ]
    if report.failures_total > MOST_SHOWN:
        which = "" if report.failures_total <= MOST_LISTED else f"the first {MOST_LISTED:,} "
        more = report.failures_total - MOST_SHOWN
        lines.append(f"     … and {more:,} more, {which}in the work state")
    if report.acknowledged:
        lines.append(f"📎 Acknowledged: {report.acknowledged:,} (see status)")
    return lines


def _wrong_in(report: RunReport, phase: str) -> str:
    """The failures of a phase, to be printed after its status."""
    if phase == Phase.VERIFY:
        verification = report.verification
        return "" if verification is None or verification.clean else ", differences found"
    names = ("failed", "unread", "unreadable")
    failed = sum(report.count(f"{phase}.{name}") for name in names)
    return f", {failed:,} failed" if failed else ""


def _counts(report: RunReport) -> list[str]:
    lines = []
    if (scanned := report.scanned) is not None:
        lines.append(
            f"🔎 Scanned: {scanned.new:,} new, {scanned.changed:,} changed or unfinished,"
            f" {scanned.unchanged:,} imported before, {scanned.given_up:,} failed before,"
            f" {scanned.problems:,} unreadable"
            + (f", {scanned.acknowledged:,} acknowledged" if scanned.acknowledged else "")
        )
        return lines
    if report.count("planning.unchanged"):
        unchanged = report.count("planning.unchanged")
        lines.append(f"📁 {report.item.title()}s: {unchanged:,} were imported before")
    if report.count("planning.known"):
        lines.append(
            f"⏭️  Skipped: {report.count('planning.known'):,} that the target has already"
            " (--force imports them again)"
        )
    if report.count("planning.given_up"):
        lines.append(
            f"🛑 Given up: {report.count('planning.given_up'):,} that failed too often"
            " (to retry them: --retry-failed, or a higher --max-retries)"
        )
    if report.count("planning.to_import"):
        lines.append(
            "📥 Records: "
            + ", ".join(
                f"{report.count(f'import.{name}'):,} {name}"
                for name in ("inserted", "updated", "skipped", "unchanged")
            )
            + "".join(
                f", {report.count(f'import.{name}'):,} {name.replace('_', ' ')}"
                for name in ("guarded", "left_out")
                if report.count(f"import.{name}")
            )
        )
        lines += _derived(report)
        flawed = report.count("sha256.flawed")
        lines.append(
            f"🖼️  Images: {report.count('upload.completed'):,} uploaded,"
            f" {report.count('upload.skipped'):,} already stored,"
            f" {report.count('planning.images_missing') + report.count('sha256.unusable'):,}"
            " missing" + (f", {flawed:,} damaged" if flawed else "")
        )
    if report.lacking.images:
        lines.append(f"🖼️  Images still missing: {missing_images(report.lacking)}")
    deleted, moved = report.count("import.files_deleted"), report.count("import.files_moved")
    if deleted or moved:
        lines.append(f"🗂️  Finished files: {deleted:,} deleted, {moved:,} moved")
    if report.count("status_files.foreign"):
        lines.append(
            f"📄 Status files: {report.count('status_files.foreign'):,} not written by the importer"
            " stay unchanged"
        )
    if report.count("status_files.unwritten"):
        lines.append(f"📄 Status files: {report.count('status_files.unwritten'):,} not written")
    return lines


def _derived(report: RunReport) -> list[str]:
    prefix = "import.derived."
    derived = sorted(
        (name.removeprefix(prefix), rows)
        for name, rows in report.counts.items()
        if name.startswith(prefix)
    )
    tables = ", ".join(f"{rows:,} {table}" for table, rows in derived)
    return [f"🧮 Derived rows: {tables}"] if derived else []


def _cleaned(report: RunReport) -> list[str]:
    prefix = "cleaned."
    cleaned = {
        name.removeprefix(prefix): value
        for name, value in report.counts.items()
        if name.startswith(prefix)
    }
    if not cleaned:
        return []
    most = sorted(cleaned.items(), key=lambda each: (-each[1], each[0]))
    shown = ", ".join(f"{name!r} {value:,}×" for name, value in most[:MOST_SHOWN])
    more = f" and {len(most) - MOST_SHOWN} others" if len(most) > MOST_SHOWN else ""
    return [f"🧹 Cleaned {sum(cleaned.values()):,} values: {shown}{more}"]


def _listing(mark: str, what: str, total: int, examples: list[str], more: str = "") -> list[str]:
    if not total:
        return []
    lines = [f"{mark} {what}: {total:,}", *(f"     {each}" for each in examples[:MOST_SHOWN])]
    if total > MOST_SHOWN:
        lines.append(f"     … and {total - MOST_SHOWN:,} more{more}")
    return lines


def _closing(report: RunReport) -> list[str]:
    state = report.state
    left = state.work_items_remaining
    items = f"{report.item}s"
    if report.scanned is not None and state.status != "failed":
        done = f"Scanned only: {left:,} {items} to import."
    elif report.exit_code == 0 and left:
        done = f"Done up to the limit; {left:,} {items} are left for the next run."
    elif report.exit_code == 0:
        done = (
            "All done."
            if not report.nothing_to_do or report.count("import.files_deleted")
            else f"Nothing to do: everything is already imported{_except_acknowledged(report)}."
            if state.total_files
            else f"Nothing to do: there are no {items} in {state.source}."
        )
    elif state.status == "completed":
        done = "Done, with problems."
    else:
        when = f"{left:,} {items} are left" if state.listed else f"not all {items} are listed"
        done = f"Stopped in {state.current_phase}; {when}. Nothing is lost."
    return [done, *(f"  {command}" for command in report.next_commands)]


def _except_acknowledged(report: RunReport) -> str:
    return ", except acknowledged items" if report.acknowledged else ""


def _tries(tries: int) -> str:
    return f", tried {tries} times" if tries > 1 else ""


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f}" if seconds >= 10 else f"{seconds:.1f}"
