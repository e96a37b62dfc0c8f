"""The output of a dry run: what is wrong where, and how many items would fail."""

from __future__ import annotations

import threading

from imports.cli.printing import print_json, print_out
from imports.display_text import shown, shown_lines
from imports.kinds import kind_named
from imports.phases.dry_run import Finding, check_source
from imports.run.report_builder import EXIT_SOME_FAILED
from imports.settings import Settings

_MOST_SHOWN = 1_000
_WIDEST = 60
_HEAD = ("", "where", "value or record", "what")


def show_checked(settings: Settings, *, as_json: bool) -> int:
    """Checks a source, and prints the findings; the exit code.

    As JSON, each finding is printed at once, and the last line has the sums. Otherwise the first
    ones are a table.
    """
    items = failing = found = 0
    table: list[Finding] = []
    for checked in check_source(settings, threading.Event()):
        items += checked.items
        failing += checked.failing
        found += len(checked.findings)
        if as_json:
            for each in checked.findings:
                print_json(each._asdict())
        else:
            table += checked.findings[: max(0, _MOST_SHOWN - len(table))]
    code = EXIT_SOME_FAILED if failing else 0
    if as_json:
        print_json({"items": items, "failing": failing, "exit_code": code})
        return code
    if table:
        print_out(shown_lines(_table(table)))
    if found > len(table):
        print_out(f"… and {found - len(table):,} more; --json lists all.")
    wording = kind_named(settings.kind).wording
    what = f"{items:,} {wording.item if items == 1 else wording.items} checked"
    print_out(f"{what}, {failing:,} would fail. Nothing was written.")
    return code


def _table(findings: list[Finding]) -> list[str]:
    """The findings as lines with columns; ✗ for what fails."""
    rows = [_HEAD]
    rows += [
        ("✗" if each.fails else "⚠", shown(each.path), shown(each.field), shown(each.problem))
        for each in findings
    ]
    widths = [min(_WIDEST, max(len(row[place]) for row in rows)) for place in (1, 2)]
    return [
        f"{mark:1} {path:{widths[0]}}  {place:{widths[1]}}  {what}".rstrip()
        for mark, path, place, what in rows
    ]
