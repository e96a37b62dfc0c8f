"""How fast a run was: a section of its report."""

from __future__ import annotations

from imports.items.phase import Phase
from imports.run.report import RunReport


def performance_lines(report: RunReport) -> list[str]:
    """The rates of phases, and the time of requests to the target; empty if it was not verbose."""
    if not report.operations:
        return []
    derived = [rows for name, rows in report.counts.items() if name.startswith("import.derived.")]
    lines = ["", "⏱️  Performance:"]
    for phase, things, count in (
        (Phase.UPLOAD, "images uploaded", report.count("upload.completed")),
        (Phase.UPLOAD, "bytes uploaded", report.count("uploaded_bytes")),
        (Phase.IMPORT, "records written", report.count("import.total_imported")),
        (Phase.IMPORT, "derived rows", sum(derived)),
    ):
        seconds = report.state.phases[phase].duration_seconds
        if count and seconds:
            lines.append(f"     {things}: {count:,} ({count / seconds:,.1f}/s)")
    for name, each in report.operations.items():
        lines.append(
            f"     {name}: {each.calls:,} calls, {each.seconds / each.calls:.3f} s each,"
            f" {each.seconds:.1f} s in total, {each.retries:,} retries, {each.failures:,} failures"
        )
    return lines
